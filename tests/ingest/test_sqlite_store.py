"""The embedded store against a dictionary, and against locks, full disks and kills."""

import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.message import Busy, Stored
from ingest.partitions import DAY_NS
from ingest.stores.sqlite import MOST_OPEN, SqliteStore
from rules.readings import Kind
from tests.ingest.store_contract import (
    CONTRACT,
    INT64,
    KEYS,
    NOON_NS,
    Opened,
    Row,
    everything,
    judged,
    rows_at,
    told,
    what_shall_stand,
)


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


@settings(deadline=None, max_examples=40)
@given(st.lists(rows_at(times), max_size=3))
def test_the_store_agrees_with_a_dictionary(batches: list[list[Row]]) -> None:
    with TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder), sync=False)
        for batch in batches:
            assert store.write(judged(*batch), KEYS) == Stored()
        found = [told(reading) for reading in everything(store)]
        assert store.count() == len(found)
        store.close()
    assert sorted(found) == what_shall_stand(batches, KEYS)


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
def test_the_contract_of_stores(promise: Callable[[Opened], None], opened: Opened) -> None:
    promise(opened)


@settings(deadline=None, max_examples=25)
@given(st.lists(times, min_size=1, max_size=12), times, times)
def test_a_span_holds_its_start_and_not_its_end(measured: list[int], from_ns: int, until_ns: int) -> None:
    with TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder), sync=False)
        store.write(judged(*(Row(measured_ns=t) for t in measured)), KEYS)
        found = [reading.measured_ns for reading in store.read(KEYS[0].station, "p1", Kind.HOUR, from_ns, until_ns)]
        store.close()
    assert found == sorted({t for t in measured if from_ns <= t < until_ns})


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
from tests.ingest.store_contract import KEYS, NOON_NS, Row, judged
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


def test_a_reader_that_comes_before_a_file_has_its_table_finds_it_empty(tmp_path: Path) -> None:
    """The writer makes a file and then its table; between the two somebody may look."""
    store = SqliteStore(tmp_path)
    store.write(judged(Row()), KEYS)
    before = store.count(), store.read(KEYS[0].station, None, None, 0, 2**62)
    (tmp_path / "2026-03-02.sqlite").touch()
    assert (store.count(), store.read(KEYS[0].station, None, None, 0, 2**62)) == before
    assert sum(map(len, store.minutes(0, 2**62, None, None, None))) == before[0] == 1
    (tmp_path / "series.sqlite").unlink()
    (tmp_path / "series.sqlite").touch()
    assert store.stations() == []
