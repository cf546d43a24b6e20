"""Every value leaves once, with the word that a store would hold in the end, however the readings are cut."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.engine import Engine
from rules.last_words import CHECK_NAMES, LastWords
from rules.readings import SECOND_NS, Batch, Kind, SeriesKey
from tests.rules.watching import START_NS, Handmade, watch

KEYS = [SeriesKey("S1", f"p{number}", Kind.MINUTE) for number in range(3)]
CHECKS = {"spike": "spike", "gross_range": "gross_range", "impossible_time": "impossible_time"}
Reading = tuple[int, int, float, int]  # series, minutes after the start, value, equipment flag

readings = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 30) | st.sampled_from([10_000]),  # a clock that is wrong
        st.sampled_from([1.0, 2.0, 9.0, 99.0, float("nan")]),
        st.sampled_from([0, 0, 0, 0, 2]),
    ),
    max_size=60,
)


def engine() -> Engine:
    watches = [
        one
        for key in KEYS
        for one in (
            watch("spike", {"suspect": 1, "fail": 50}, series=key),
            watch("gross_range", {"fail": (0, 50)}, series=key),
            watch("impossible_time", {"ahead_s": 3600, "earliest": "2000-01-01"}, series=key),
        )
    ]
    return Engine(Handmade(watches))


def batch(judge: Engine, rows: list[Reading], first: int) -> Batch:
    return Batch(
        series=np.array([judge.place(KEYS[series]) for series, *_ in rows], np.int64),
        measured_ns=np.array([START_NS + minute * 60 * SECOND_NS for _, minute, *_ in rows], np.int64),
        received_ns=np.full(len(rows), START_NS + 3600 * SECOND_NS, np.int64),
        value=np.array([value for *_, value, _ in rows], np.float64),
        flag=np.array([flag for *_, flag in rows], np.uint8),
        position=np.arange(first, first + len(rows), dtype=np.int64),
    )


def settled(rows: list[Reading], size: int) -> list[tuple[object, ...]]:
    judge, last_words = engine(), LastWords()
    found: list[tuple[object, ...]] = []
    for at in range(0, len(rows), size):
        outcome = judge.evaluate(batch(judge, rows[at : at + size], at), explain=True)
        found += last_words.settled(outcome, CHECKS).tolist()
    found += last_words.rest().tolist()
    return sorted((judge.keys[int(str(row[0]))].parameter, *map(repr, row[1:])) for row in found)


@settings(deadline=None)  # the first call compiles
@given(readings, st.integers(1, 20))
def test_cutting_changes_nothing(rows: list[Reading], size: int) -> None:
    assert settled(rows, size) == settled(rows, 1000)


@settings(deadline=None)  # the first call compiles
@given(readings, st.integers(1, 20))
def test_a_value_leaves_once(rows: list[Reading], size: int) -> None:
    judge = engine()
    counts = judge.evaluate(batch(judge, rows, 0)).counts
    assert len(settled(rows, size)) == len(rows) - counts.duplicates


def test_a_spike_takes_its_word_from_the_reading_behind_it() -> None:
    rows: list[Reading] = [(0, 0, 1.0, 0), (0, 1, 9.0, 0), (0, 2, 1.0, 0), (0, 3, 1.0, 0)]
    spike = CHECK_NAMES.index("spike")
    for size in (1, 2, 3, 4):
        judge, last_words = engine(), LastWords()
        words = []
        for at in range(0, 4, size):
            outcome = judge.evaluate(batch(judge, rows[at : at + size], at), explain=True)
            words += last_words.settled(outcome, CHECKS)["words"][:, spike].tolist()
        words += last_words.rest()["words"][:, spike].tolist()
        assert words == [2, 3, 3, 2]
