"""The embedded store beside a table with a row a reading and names in its key, at the same size of commit, both durable.

Every station reports once a minute, in an order that changes every minute.
"""

import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from ingest.message import Stored
from ingest.stores.sqlite import SqliteStore
from rules.readings import Judged, Kind, SeriesKey
from tests.bench.table import Effort, Row

BATCH = 10_000
STATION_SIZE = 10
MINUTE_NS = 60_000_000_000
START_NS = 1_772_323_200_000_000_000  # 2026-03-01T00:00Z
TABLE = """CREATE TABLE readings(station TEXT, parameter TEXT, kind INTEGER, measured_ns INTEGER, value REAL,
    flag INTEGER, verdict INTEGER, raised INTEGER, PRIMARY KEY (station, parameter, kind, measured_ns))"""
UPSERT = """INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value,
    flag = excluded.flag, verdict = excluded.verdict, raised = excluded.raised"""


def keys(series: int) -> list[SeriesKey]:
    return [SeriesKey(f"S{n // STATION_SIZE:05}", f"p{n % STATION_SIZE}", Kind.MINUTE) for n in range(series)]


def judged(series: int, minutes: int) -> list[Judged]:
    """In batches."""
    dice = np.random.default_rng(1)
    found = []
    stations = np.concatenate([dice.permutation(series // STATION_SIZE) for _ in range(minutes)])
    places = (stations[:, None] * STATION_SIZE + np.arange(STATION_SIZE)).ravel()
    measured_ns = START_NS + np.arange(places.size) // series * MINUTE_NS
    for start in range(0, places.size, BATCH):
        at = slice(start, start + BATCH)
        n = places[at].size
        nothing, good = np.zeros(n, np.uint8), np.ones(n, np.uint8)
        raised, late = np.zeros(n, np.uint64), np.zeros(n, np.bool_)
        found.append(Judged(places[at], measured_ns[at], dice.random(n) * 10, nothing, good, raised, late))
    return found


def write_us(batches: Sequence[Judged], names: Sequence[SeriesKey]) -> float:
    """CPU microseconds a reading."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder))
        began = time.process_time()
        for batch in batches:
            assert isinstance(store.write(batch, names), Stored)
        took = time.process_time() - began
        store.close()
    return took / sum(map(len, batches)) * 1e6


def plain_us(batches: Sequence[Judged], names: Sequence[SeriesKey]) -> float:
    """CPU microseconds a reading."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(sqlite3.connect(Path(folder) / "plain.sqlite", isolation_level=None)) as table,
    ):
        table.execute("PRAGMA journal_mode = WAL")
        table.execute("PRAGMA synchronous = FULL")
        table.execute(TABLE)
        began = time.process_time()
        for batch in batches:
            columns = (batch.measured_ns, batch.value, batch.flag, batch.verdict, batch.raised.view(np.int64))
            named = [names[place] for place in batch.series.tolist()]
            table.execute("BEGIN")
            table.executemany(
                UPSERT,
                (
                    (*k, *r)
                    for k, r in zip(named, zip(*(column.tolist() for column in columns), strict=True), strict=True)
                ),
            )
            table.execute("COMMIT")
        took = time.process_time() - began
    return took / sum(map(len, batches)) * 1e6


def rows(effort: Effort) -> list[Row]:
    series = 20_000
    batches, names = judged(series, effort.of(30, 5)), keys(series)
    mine, other = effort.medians(lambda: write_us(batches, names), lambda: plain_us(batches, names))
    return [Row("embedded store, writes of 10,000", mine, "us a reading", "SQLite, a row a reading", other)]
