"""Readings, message by message, become the columns of a batch, and nothing is lost or moved on the way."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.batching import BatchBuilder
from rules.readings import Kind, SeriesKey

values = st.one_of(st.floats(allow_nan=True, allow_infinity=False), st.just(float("nan")))
samples = st.tuples(
    st.integers(-(2**62), 2**62),
    st.lists(st.tuples(st.integers(0, 9), values, st.integers(0, 7)), max_size=5),
    st.booleans(),
)
messages = st.lists(st.lists(samples, max_size=3), max_size=6)


def builder() -> BatchBuilder:
    return BatchBuilder(lambda key: int(key.parameter))


def columns_of(numbers: list[int]) -> Any:
    return np.array(numbers, np.int64)


@given(st.lists(messages, min_size=1, max_size=3))
def test_every_reading_has_its_own_time_value_and_flag_and_those_of_its_message(batches: Any) -> None:
    made = builder()
    for told in batches:  # it is empty again after each build
        expected = []
        for index, message in enumerate(told):
            for measured_ns, readings, says_flags in message:
                flags = [flag for *_, flag in readings]
                made.extend(
                    [series for series, *_ in readings],
                    measured_ns,
                    [value for _, value, _ in readings],
                    flags if says_flags else None,
                )
                expected += [
                    (series, measured_ns, 1_000 + index, repr(value), flag if says_flags else 0, 7_000 + index)
                    for series, value, flag in readings
                ]
            made.end_message()
        assert (len(made), made.messages) == (len(expected), len(told))
        size = len(told)
        batch = made.build(columns_of([*range(1_000, 1_000 + size)]), columns_of([*range(7_000, 7_000 + size)]))
        rows = zip(
            batch.series.tolist(),
            batch.measured_ns.tolist(),
            batch.received_ns.tolist(),
            map(repr, batch.value.tolist()),
            batch.flag.tolist(),
            batch.position.tolist(),
            strict=True,
        )
        assert list(rows) == expected
        assert (len(made), made.messages) == (0, 0)


def test_columns_have_the_types_that_the_engine_asks_for() -> None:
    made = builder()
    made.extend([1], 5, [2.5], [3])
    made.end_message()
    batch = made.build(columns_of([9]), columns_of([8]))
    assert [batch.series.dtype, batch.measured_ns.dtype, batch.received_ns.dtype, batch.position.dtype] == [
        np.int64
    ] * 4
    assert [batch.value.dtype.name, batch.flag.dtype.name] == ["float64", "uint8"]


def test_a_message_without_a_reading_takes_its_place_all_the_same() -> None:
    made = builder()
    made.end_message()
    made.extend([4], 5, [1.0], None)
    made.end_message()
    made.end_message()
    batch = made.build(columns_of([10, 11, 12]), columns_of([20, 21, 22]))
    assert (batch.received_ns.tolist(), batch.position.tolist()) == ([11], [21])


def test_a_format_that_counts_wrongly_is_found_out() -> None:
    made = builder()
    made.extend([1, 2], 5, [1.0], None)
    made.end_message()
    with pytest.raises(ValueError, match="2 places and 1 values"):
        made.build(columns_of([1]), columns_of([1]))


def test_places_are_the_engines() -> None:
    assert builder().place(SeriesKey("s", "7", Kind.HOUR)) == 7
