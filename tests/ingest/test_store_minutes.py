"""The embedded store is walked through in the order of time, and says the same as when it is asked piece by piece."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.message import Stored, StoredReading
from ingest.stores.sqlite import SqliteStore
from rules.readings import SECOND_NS, Judged, Kind, SeriesKey

KEYS = [SeriesKey(station, parameter, Kind(kind)) for station in "AB" for parameter in "xy" for kind in (0, 2)]
START_NS = 1_772_322_600 * SECOND_NS
NEVER = (-(2**63), 2**63 - 1)
# Around a midnight, a few seconds apart, and some that no clock should show.
TIMES = st.one_of(
    st.integers(0, 4_000).map(lambda s: START_NS + s * SECOND_NS),
    st.sampled_from([0, -(2**62), 2**62, START_NS + 86_400 * SECOND_NS * 3]),
)
ROWS = st.lists(st.tuples(st.integers(0, len(KEYS) - 1), TIMES), unique=True, max_size=60)


def rows(told: list[tuple[int, int]]) -> Judged:
    n = len(told)
    return Judged(
        series=np.array([series for series, _ in told], np.int64),
        measured_ns=np.array([measured_ns for _, measured_ns in told], np.int64),
        value=np.arange(n, dtype=np.float64),
        flag=np.zeros(n, np.uint8),
        verdict=np.ones(n, np.uint8),
        raised=np.zeros(n, np.uint64),
        late=np.zeros(n, np.bool_),
    )


def in_turn(reading: StoredReading) -> tuple[int, str, str, Kind]:
    return reading.measured_ns, reading.station, reading.parameter, reading.kind


@given(told=ROWS, ends=st.tuples(TIMES, TIMES), station=st.sampled_from(["", "A", "C"]))
@settings(max_examples=40, deadline=None)
def test_a_walk_meets_every_reading_once(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[int, int]], ends: tuple[int, int], station: str
) -> None:
    from_ns, until_ns = sorted(ends)
    with closing(SqliteStore(tmp_path_factory.mktemp("store"), sync=False)) as store:
        if told:
            assert store.write(rows(told), KEYS) == Stored()

        walked = [
            reading for minute in store.minutes(from_ns, until_ns, station or None, None, None) for reading in minute
        ]

        asked = [reading for name in (station or "AB") for reading in store.read(name, None, None, from_ns, until_ns)]
        assert sorted(walked, key=in_turn) == sorted(asked, key=in_turn)


@given(told=ROWS)
@settings(max_examples=20, deadline=None)
def test_a_walk_is_in_the_order_of_time_but_for_odd_times_at_its_end(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[int, int]]
) -> None:
    with closing(SqliteStore(tmp_path_factory.mktemp("store"), sync=False)) as store:
        if told:
            store.write(rows(told), KEYS)

        walked = [reading.measured_ns for minute in store.minutes(*NEVER, None, None, None) for reading in minute]

        even = [at for at in walked if START_NS <= at < 2**61]
        assert walked[: len(even)] == even == sorted(even)


def test_nothing_stays_locked_while_a_reader_thinks(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path, sync=False)) as store, closing(SqliteStore(tmp_path, sync=False)) as other:
        store.write(rows([(0, START_NS), (1, START_NS + 120 * SECOND_NS)]), KEYS)
        walk = store.minutes(*NEVER, None, None, None)

        first = next(walk)
        late = rows([(2, START_NS + 240 * SECOND_NS)])
        answer = other.write(late, KEYS)

        assert answer == Stored()
        assert [reading.parameter for reading in first] == ["x"]
        assert len(list(walk)) == 1, "the series that came meanwhile is not among them"
