"""Microseconds a reading for durable writes of the embedded store."""

import tempfile
import time
from pathlib import Path

import numpy as np

from ingest.message import Stored
from ingest.stores.sqlite import SqliteStore
from rules.readings import Judged, Kind, SeriesKey

MINUTE_NS = 60_000_000_000
START_NS = 1_772_323_200_000_000_000  # 2026-03-01T00:00Z


def write_us(rows_a_batch: int, *, series: int = 1_000, minutes: int = 60, station_size: int = 10) -> float:
    """Mean cost of a reading when every station reports once a minute, in an order that changes every minute."""
    dice = np.random.default_rng(1)
    keys = [SeriesKey(f"S{n // station_size:05}", f"p{n % station_size}", Kind.MINUTE) for n in range(series)]
    arrivals = []
    for minute in range(minutes):
        stations = dice.permutation(series // station_size)
        arrivals.append((stations[:, None] * station_size + np.arange(station_size)).ravel() + minute * series)
    arrived = np.concatenate(arrivals)
    n = arrived.size
    rows = Judged(
        series=arrived % series,
        measured_ns=START_NS + arrived // series * MINUTE_NS,
        value=dice.random(n) * 10,
        flag=np.zeros(n, np.uint8),
        verdict=np.ones(n, np.uint8),
        raised=np.zeros(n, np.uint64),
        late=np.zeros(n, np.bool_),
    )
    batches = [_rows(rows, start, start + rows_a_batch) for start in range(0, n, rows_a_batch)]
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder))
        began = time.perf_counter()
        for batch in batches:
            assert isinstance(store.write(batch, keys), Stored)
        took_s = time.perf_counter() - began
        store.close()
    return took_s / n * 1e6


def _rows(rows: Judged, start: int, stop: int) -> Judged:
    cut = slice(start, stop)
    columns = (rows.series, rows.measured_ns, rows.value, rows.flag, rows.verdict)
    series, measured_ns, value, flag, verdict = (column[cut] for column in columns)
    return Judged(series, measured_ns, value, flag, verdict, rows.raised[cut], rows.late[cut])  # type: ignore[arg-type]  # a tuple of columns has their common type


if __name__ == "__main__":
    for rows_a_batch in (1_000, 10_000):
        print(f"{rows_a_batch:6} rows a batch: {write_us(rows_a_batch):.2f} us a reading")  # noqa: T201  # a program
