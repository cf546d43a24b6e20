"""A reading's file and slot follow from its time alone, and a question looks wherever a reading may lie."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.partitions import (
    DAY_NS,
    END_DAY,
    FIRST_DAY,
    OTHER,
    SLOT_NS,
    days_of,
    name_of,
    names_between,
    slots_between,
    slots_of,
)

SLOT_S = SLOT_NS // 1_000_000_000
LAST = 86_400 // SLOT_S - 1

times = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(FIRST_DAY * DAY_NS - 5, FIRST_DAY * DAY_NS + 5),
    st.integers(END_DAY * DAY_NS - 5, END_DAY * DAY_NS + 5),
    st.integers(20_000 * DAY_NS, 20_010 * DAY_NS),
)


def place_of(time_ns: int) -> tuple[str, int]:
    one = np.array([time_ns], np.int64)
    return name_of(int(days_of(one)[0])), int(slots_of(one)[0])


@given(times)
def test_a_time_lies_in_the_file_of_its_utc_day_and_odd_times_in_one_file(time_ns: int) -> None:
    name, slot = place_of(time_ns)
    assert 0 <= slot <= LAST
    if FIRST_DAY * DAY_NS <= time_ns < END_DAY * DAY_NS:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1_000)
        assert name == f"{moment:%Y-%m-%d}"
        assert slot == (moment.hour * 3_600 + moment.minute * 60 + moment.second) // SLOT_S
    else:
        assert name == OTHER


@pytest.mark.parametrize(
    ("text", "name", "slot"),
    [
        ("2026-03-01T00:00:00+00:00", "2026-03-01", 0),
        ("2026-03-01T07:59:59+08:00", "2026-02-28", LAST),
        ("1999-12-31T23:59:59+00:00", "other", LAST),
        ("2000-01-01T00:10:00+00:00", "2000-01-01", 600 // SLOT_S),
        ("2099-12-31T23:59:59+00:00", "2099-12-31", LAST),
        ("2100-01-01T00:00:00+00:00", "other", 0),
    ],
)
def test_days_end_at_midnight_utc(text: str, name: str, slot: int) -> None:
    seconds = int(datetime.fromisoformat(text).timestamp())
    assert place_of(seconds * 1_000_000_000) == (name, slot)


@given(times, times, st.lists(times, max_size=20))
def test_a_question_looks_wherever_a_reading_of_its_span_lies(one_ns: int, other_ns: int, found: list[int]) -> None:
    from_ns, until_ns = min(one_ns, other_ns), max(one_ns, other_ns) + 1
    names = sorted({place_of(time_ns)[0] for time_ns in found})
    looked = names_between(names, from_ns, until_ns)
    for time_ns in found:
        if from_ns <= time_ns < until_ns:
            name, slot = place_of(time_ns)
            assert name in looked
            assert slot in slots_between(name, from_ns, until_ns)


def test_a_question_about_an_hour_looks_at_one_day_and_the_slots_of_that_hour() -> None:
    from_ns = 20_500 * DAY_NS + 3 * 3_600 * 1_000_000_000
    names = [name_of(20_500 + n) for n in range(-5, 5)] + [OTHER]
    assert names_between(names, from_ns, from_ns + 3_600 * 1_000_000_000) == [name_of(20_500)]
    assert slots_between(name_of(20_500), from_ns, from_ns + 3_600 * 1_000_000_000) == range(
        3 * 3_600 // SLOT_S, 4 * 3_600 // SLOT_S
    )
