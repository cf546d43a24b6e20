"""Rows of the embedded store: what is packed comes out again, and what meets a known key is laid over it."""

import struct
from math import isnan, nan

import numpy as np
import pytest

from ingest.sample_rows import SIZE, Reading, laid_over, packed, unpacked
from rules.readings import Judged

NOON_NS = 1_772_366_400_000_000_000  # 2026-03-01T12:00Z


def judged(*rows: tuple[int, int, float, bool]) -> Judged:
    """Rows of (series, measured_ns, value, late)."""
    series, measured_ns, value, late = zip(*rows, strict=True)
    n = len(rows)
    return Judged(
        np.array(series, np.int64),
        np.array(measured_ns, np.int64),
        np.array(value, np.float64),
        np.full(n, 7, np.uint8),
        np.full(n, 3, np.uint8),
        np.full(n, 2**64 - 1, np.uint64),
        np.array(late, np.bool_),
    )


def pack(rows: Judged, feed_size: int = 10) -> list[tuple[int, int, int, list[tuple[int, float]]]]:
    """Slot, feed and time of each row, and the (series, value) that it holds. Series n is of feed n // feed_size."""
    found = packed(rows, np.arange(len(rows)), rows.series, rows.series // feed_size)
    return [(slot, feed, ns, [(r.series, r.value) for r in unpacked(body)]) for slot, feed, ns, body in found]


def body(*readings: tuple[int, float, bool]) -> bytes:
    """Readings of (series, value, late), in one row."""
    rows = judged(*((series, NOON_NS, value, late) for series, value, late in readings))
    return packed(rows, np.arange(len(rows)), rows.series, np.zeros(len(rows), np.int64))[0][3]


def test_what_was_measured_together_lies_in_one_row() -> None:
    later = NOON_NS + 60_000_000_000
    rows = judged(
        (12, later, 5.0, False), (3, NOON_NS, 2.0, False), (1, NOON_NS, 1.0, False), (11, NOON_NS, 4.0, False)
    )
    assert pack(rows) == [
        (720, 0, NOON_NS, [(3, 2.0), (1, 1.0)]),
        (720, 1, NOON_NS, [(11, 4.0)]),
        (721, 1, later, [(12, 5.0)]),
    ]


def test_every_field_survives() -> None:
    (reading,) = unpacked(body((2**32 - 1, -0.0, True)))
    assert reading == Reading(-0.0, 2**64 - 1, 2**32 - 1, 7, 3, late=1)
    assert str(reading.value) == "-0.0"
    assert len(body((1, nan, False), (2, 1.0, False))) == 2 * SIZE


def test_of_two_readings_with_one_key_in_one_batch_the_later_is_packed() -> None:
    rows = judged((1, NOON_NS, 1.0, False), (2, NOON_NS, 5.0, False), (1, NOON_NS, 2.0, False))
    assert pack(rows) == [(720, 0, NOON_NS, [(1, 2.0), (2, 5.0)])]


def test_rows_with_one_key_stand_in_the_order_of_arrival() -> None:
    rows = judged((1, NOON_NS, 1.0, False), (11, NOON_NS, 4.0, False), (1, NOON_NS, 2.0, False))
    assert pack(rows) == [
        (720, 0, NOON_NS, [(1, 1.0)]),
        (720, 0, NOON_NS, [(1, 2.0)]),
        (720, 1, NOON_NS, [(11, 4.0)]),
    ]


def test_nothing_packs_to_nothing() -> None:
    nothing = np.zeros(0, np.int64)
    assert packed(judged((1, NOON_NS, 1.0, False)), nothing, nothing, nothing) == []


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        (1.0, (2.0, False), 2.0),
        (1.0, (2.0, True), 2.0),
        (1.0, (nan, True), nan),
    ],
)
def test_a_new_value_replaces_the_old(before: float, new: tuple[float, bool], after: float) -> None:
    (reading,) = unpacked(laid_over(body((1, before, False)), body((1, *new))))
    assert reading.value == after or (isnan(reading.value) and isnan(after))


@pytest.mark.parametrize("value", [1.0, nan])
def test_a_late_reading_whose_value_is_known_changes_nothing(value: float) -> None:
    old = body((1, value, False))
    assert laid_over(old, body((1, value, True))) == old
    assert laid_over(old, body((1, value, True), (2, 3.0, True))) == laid_over(old, body((2, 3.0, True)))


def test_laying_over_keeps_what_only_one_side_knows() -> None:
    both = laid_over(body((1, 1.0, False), (4, 4.0, False)), body((3, 3.0, False)))
    assert [(r.series, r.value) for r in unpacked(both)] == [(1, 1.0), (3, 3.0), (4, 4.0)]


def test_bytes_that_are_no_body_are_said_to_be_none() -> None:
    with pytest.raises(struct.error):
        list(unpacked(b"odd"))
