"""The embedded store against a dictionary, and against locks, full disks and kills."""

import resource
import signal
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.message import Busy, Refused, Store, Stored, StoredReading
from ingest.partitions import DAY_NS
from ingest.stores import STORES
from ingest.stores.sqlite import MOST_OPEN, SqliteStore
from rules.readings import Judged, Kind, SeriesKey

NOON_NS = 1_772_366_400_000_000_000  # 2026-03-01T12:00Z
INT64 = (-(2**63), 2**63 - 1)
ALWAYS = (-(2**63), 2**63)
KEYS = [
    SeriesKey("上塘河-01", "p1", Kind.HOUR),
    SeriesKey("上塘河-01", "p1", Kind.MINUTE),
    SeriesKey("上塘河-01", "p2", Kind.HOUR),
    SeriesKey("B", "p1", Kind.HOUR),
]


@dataclass(frozen=True)
class Row:
    series: int = 0
    measured_ns: int = NOON_NS
    value: float = 1.0
    flag: int = 0
    verdict: int = 1
    raised: int = 0
    late: bool = False


def judged(*rows: Row) -> Judged:
    return Judged(
        np.array([r.series for r in rows], np.int64),
        np.array([r.measured_ns for r in rows], np.int64),
        np.array([r.value for r in rows], np.float64),
        np.array([r.flag for r in rows], np.uint8),
        np.array([r.verdict for r in rows], np.uint8),
        np.array([r.raised for r in rows], np.uint64),
        np.array([r.late for r in rows], np.bool_),
    )


def everything(store: SqliteStore) -> list[StoredReading]:
    return [reading for station in store.stations() for reading in store.read(station, None, None, *ALWAYS)]


def bits(value: float) -> bytes:
    return b"missing" if isnan(value) else struct.pack("<d", value)


def told(reading: StoredReading) -> tuple[SeriesKey, int, bytes, int, int, int]:
    key = SeriesKey(reading.station, reading.parameter, reading.kind)
    return key, reading.measured_ns, bits(reading.value), reading.flag, reading.verdict, reading.raised


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], SqliteStore]]:
    """Opens the same folder as often as it is called."""
    stores = []

    def open_it() -> SqliteStore:
        stores.append(SqliteStore(tmp_path))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


times = st.one_of(
    st.sampled_from([NOON_NS, NOON_NS + 1, NOON_NS + DAY_NS, *INT64, 0, -1]),
    st.integers(*INT64),
    st.integers(NOON_NS - 3 * DAY_NS, NOON_NS + 3 * DAY_NS),
)
values = st.one_of(
    st.sampled_from([0.0, -0.0, nan, 5e-324, 1.7976931348623157e308, 1.0]), st.floats(allow_infinity=False)
)
rows_strategy = st.lists(
    st.builds(
        Row,
        series=st.integers(0, len(KEYS) - 1),
        measured_ns=times,
        value=values,
        flag=st.integers(0, 7),
        verdict=st.sampled_from([1, 2, 3, 4, 9]),
        raised=st.integers(0, 2**64 - 1),
        late=st.booleans(),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=40)
@given(st.lists(rows_strategy, max_size=3))
def test_the_store_agrees_with_a_dictionary(batches: list[list[Row]]) -> None:
    """A later row replaces; a late row that is there changes nothing; every bit of a value comes back."""
    expected: dict[tuple[SeriesKey, int], Row] = {}
    for row in (row for batch in batches for row in batch):
        at = (KEYS[row.series], row.measured_ns)
        known = expected.get(at)
        same = known is not None and (known.value == row.value or (isnan(known.value) and isnan(row.value)))
        if not (row.late and same and known is not None and known.flag == row.flag):
            expected[at] = row
    with TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder), sync=False)
        for batch in batches:
            assert store.write(judged(*batch), KEYS) == Stored()
        found = [told(reading) for reading in everything(store)]
        assert store.count() == len(found)
        store.close()
    assert sorted(found) == sorted((k, t, bits(r.value), r.flag, r.verdict, r.raised) for (k, t), r in expected.items())


@settings(deadline=None, max_examples=25)
@given(st.lists(times, min_size=1, max_size=12), times, times)
def test_a_span_holds_its_start_and_not_its_end(measured: list[int], from_ns: int, until_ns: int) -> None:
    with TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder), sync=False)
        store.write(judged(*(Row(measured_ns=t) for t in measured)), KEYS)
        found = [reading.measured_ns for reading in store.read(KEYS[0].station, "p1", Kind.HOUR, from_ns, until_ns)]
        store.close()
    assert found == sorted({t for t in measured if from_ns <= t < until_ns})


def test_reading_is_by_parameter_kind_and_time(opened: Callable[[], SqliteStore]) -> None:
    store = opened()
    rows = [Row(series=s, measured_ns=NOON_NS + d * DAY_NS) for d in (2, 0, 1) for s in range(len(KEYS))]
    store.write(judged(*rows), KEYS)
    found = store.read(KEYS[0].station, None, None, *ALWAYS)
    order = [(r.parameter, r.kind, r.measured_ns) for r in found]
    assert order == sorted(order)
    assert len(found) == 9
    assert {r.kind for r in store.read(KEYS[0].station, "p1", Kind.MINUTE, *ALWAYS)} == {Kind.MINUTE}
    assert store.read("unknown", None, None, *ALWAYS) == []
    assert store.stations() == ["B", "上塘河-01"]


@pytest.mark.parametrize(("before", "late"), [(nan, 1.0), (1.0, nan), (1.0, 2.0)])
def test_a_late_row_with_another_value_is_taken(opened: Callable[[], SqliteStore], before: float, late: float) -> None:
    """Missing is a value here: it differs from every number."""
    store = opened()
    store.write(judged(Row(value=before)), KEYS)
    store.write(judged(Row(value=late, verdict=3, late=True)), KEYS)
    (reading,) = everything(store)
    assert (bits(reading.value), reading.verdict) == (bits(late), 3)


@pytest.mark.parametrize("value", [nan, 1.0])
def test_a_late_row_with_the_known_value_keeps_the_first_verdict(
    opened: Callable[[], SqliteStore], value: float
) -> None:
    store = opened()
    store.write(judged(Row(value=value, verdict=4)), KEYS)
    store.write(judged(Row(value=value, verdict=1, late=True)), KEYS)
    assert [reading.verdict for reading in everything(store)] == [4]


def test_writing_twice_changes_nothing(opened: Callable[[], SqliteStore]) -> None:
    store = opened()
    rows = judged(*(Row(measured_ns=NOON_NS + n, value=float(n)) for n in range(100)))
    store.write(rows, KEYS)
    once = everything(store)
    store.write(rows, KEYS)
    assert everything(store) == once


def test_a_year_of_days_keeps_few_files_open_and_odd_times_share_one(
    opened: Callable[[], SqliteStore], tmp_path: Path
) -> None:
    store = opened()
    year = [Row(measured_ns=NOON_NS + day * DAY_NS) for day in range(365)]
    odd = [Row(measured_ns=t) for t in (*INT64, 0, -DAY_NS, 4_102_444_800_000_000_000)]
    assert store.write(judged(*year, *odd), KEYS) == Stored()
    assert len(store._open) <= MOST_OPEN
    assert len(store.days()) == 366
    assert store.days()[-1] == "other"
    assert store.count() == 370
    store.close()
    assert not list(tmp_path.glob("*-wal")), "a clean stop leaves no write-ahead logs"


def test_a_new_object_finds_what_an_old_one_wrote_and_reads_beside_it(opened: Callable[[], SqliteStore]) -> None:
    writer, reader = opened(), opened()
    writer.write(judged(Row(series=3)), KEYS)
    assert [r.station for r in everything(reader)] == ["B"]
    writer.write(judged(Row(series=0)), KEYS)
    assert len(everything(reader)) == 2
    assert reader.write(judged(Row(series=3, value=2.0)), KEYS) == Stored()
    assert {r.value for r in everything(writer)} == {1.0, 2.0}


def test_keys_may_grow_and_change_places(opened: Callable[[], SqliteStore]) -> None:
    """After a restore the engine may have other places for the same series."""
    store = opened()
    store.write(judged(Row(series=0)), KEYS)
    store.write(judged(Row(series=3, value=2.0)), KEYS[::-1])
    assert [r.value for r in everything(store)] == [2.0]


def test_a_name_that_is_no_text_is_refused_and_the_rest_is_stored(opened: Callable[[], SqliteStore]) -> None:
    store = opened()
    result = store.write(
        judged(Row(series=1), Row(series=0), Row(series=1)), [KEYS[0], SeriesKey("\ud800", "p", Kind.DAY)]
    )
    assert isinstance(result, Refused)
    assert list(result.rows) == [0, 2]
    assert store.count() == 1


def test_a_locked_file_means_busy_and_the_same_rows_go_in_later(
    opened: Callable[[], SqliteStore], tmp_path: Path
) -> None:
    store = opened()
    store.write(judged(Row()), KEYS)
    with sqlite3.connect(tmp_path / "2026-03-01.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        result = store.write(judged(Row(value=2.0)), KEYS)
        assert isinstance(result, Busy)
        assert "locked" in result.why
        assert not store.health(NOON_NS).ok
        other.execute("ROLLBACK")
    other.close()
    assert store.write(judged(Row(value=2.0)), KEYS) == Stored()
    assert store.health(NOON_NS).ok
    assert [r.value for r in everything(store)] == [2.0]


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """What a full disk looks like to a writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_means_busy_and_loses_nothing(opened: Callable[[], SqliteStore]) -> None:
    store = opened()
    before = judged(*(Row(measured_ns=NOON_NS + n) for n in range(10)))
    after = judged(*(Row(measured_ns=NOON_NS + n, value=2.0) for n in range(20_000)))
    store.write(before, KEYS)
    with no_file_longer_than(100_000):
        assert isinstance(store.write(after, KEYS), Busy)
    assert store.count() == 10
    assert store.write(after, KEYS) == Stored()
    assert store.count() == 20_000


def test_a_file_that_is_no_database_means_busy(opened: Callable[[], SqliteStore], tmp_path: Path) -> None:
    store = opened()
    (tmp_path / "2026-03-01.sqlite").write_bytes(b"coffee" * 1000)
    result = store.write(judged(Row()), KEYS)
    assert isinstance(result, Busy)
    assert "not a database" in result.why


WRITER = """
import sys
from pathlib import Path
from tests.ingest.test_sqlite_store import KEYS, NOON_NS, Row, judged
from ingest.stores.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
for batch in range(100_000):
    rows = [Row(series=n % 4, measured_ns=NOON_NS + batch * 3_600_000_000_000 + n) for n in range(50)]
    store.write(judged(*rows), KEYS)
    print(batch, flush=True)
"""


def test_what_was_told_stored_survives_a_kill(opened: Callable[[], SqliteStore], tmp_path: Path) -> None:
    root = Path(__file__).parent.parent.parent
    with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, cwd=root) as writer:
        assert writer.stdout is not None
        told_stored = -1
        for line in writer.stdout:
            told_stored = int(line)
            if told_stored == 60:
                writer.send_signal(signal.SIGKILL)
    store = opened()
    assert told_stored >= 60
    assert store.count() >= (told_stored + 1) * 50
    assert store.write(judged(Row()), KEYS) == Stored()


@pytest.mark.parametrize("name", STORES)
def test_every_store_of_the_table_is_a_store(name: str, tmp_path: Path) -> None:
    store: Store = STORES[name](tmp_path)
    assert store.health(NOON_NS).ok
    store.close()


def test_a_reader_that_comes_before_a_file_has_its_table_finds_it_empty(tmp_path: Path) -> None:
    """The writer makes a file and then its table; between the two somebody may look."""
    store = SqliteStore(tmp_path)
    store.write(judged(Row()), KEYS)
    before = store.count(), store.read(KEYS[0].station, None, None, 0, 2**62)
    (tmp_path / "2026-03-02.sqlite").touch()
    assert (store.count(), store.read(KEYS[0].station, None, None, 0, 2**62)) == before
    assert sum(map(len, store.minutes(0, 2**62))) == before[0] == 1
    (tmp_path / "series.sqlite").unlink()
    (tmp_path / "series.sqlite").touch()
    assert store.stations() == []
