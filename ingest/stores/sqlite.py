"""The embedded store: readings with their flags in SQLite, one file a UTC day of measured time.

    store/series.sqlite      (station, parameter, kind) -> a small number
    store/2026-03-01.sqlite  readings of that day
    store/other.sqlite       readings dated before 2000 or after 2099

A reading's key inside its file is (slot, series, measured_ns), where the slot is a function of measured_ns: the ten
minutes of the day. By series alone each reading of a minute would touch a page of its own (measured: 10 us a
reading instead of 2); by time alone a chart of one series would read everybody's day. In slots both are near.
"""

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from math import nan
from pathlib import Path
from threading import Lock
from urllib.parse import quote

import numpy as np

from ingest import partitions
from ingest.message import Busy, Health, Refused, Stored, StoredReading
from rules.readings import Int64s, Judged, Kind, SeriesKey

MOST_OPEN = 8
WAIT_FOR_LOCK_S = 2.0
RETRY_AFTER_S = 1.0
INT64 = np.iinfo(np.int64)
MASK_64 = (1 << 64) - 1  # `raised` uses all 64 bits, SQLite keeps signed integers

SERIES_TABLE = """CREATE TABLE IF NOT EXISTS series(
    id INTEGER PRIMARY KEY, station TEXT NOT NULL, parameter TEXT NOT NULL, kind INTEGER NOT NULL,
    UNIQUE (station, parameter, kind))"""
# `value` has no declared type: a REAL column would turn -0.0 into 0.0. NULL: the station said "missing".
READINGS_TABLE = """CREATE TABLE IF NOT EXISTS readings(
    slot INTEGER NOT NULL, series INTEGER NOT NULL, measured_ns INTEGER NOT NULL, value,
    flag INTEGER NOT NULL, verdict INTEGER NOT NULL, raised INTEGER NOT NULL,
    PRIMARY KEY (slot, series, measured_ns)) WITHOUT ROWID"""
UPSERT = """INSERT INTO readings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (slot, series, measured_ns)
    DO UPDATE SET value = excluded.value, flag = excluded.flag, verdict = excluded.verdict, raised = excluded.raised"""
UPSERT_LATE = UPSERT + " WHERE NOT ?8 OR readings.value IS NOT excluded.value"  # IS NOT: NULL equals NULL
SELECT = """SELECT series, measured_ns, value, flag, verdict, raised FROM readings
    WHERE slot IN (SELECT value FROM json_each(?)) AND series IN (SELECT value FROM json_each(?))
    AND measured_ns BETWEEN ? AND ?"""


class SqliteStore:
    """Keeps readings in `folder`, which is made where missing. One process writes; any number read, at any time.

    `write` may be called from one thread at a time and `read` from any; both wait for nothing longer than a lock's
    two seconds. `sync=False` gives up durability at a power failure (not at a kill) for tests and replays.
    """

    def __init__(self, folder: Path, *, sync: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._sync = sync
        self._open: OrderedDict[int, sqlite3.Connection] = OrderedDict()
        self._ids: dict[SeriesKey, int] = {}
        self._lock = Lock()
        self._why = ""

    def write(self, rows: Judged, keys: Sequence[SeriesKey]) -> Stored | Refused | Busy:
        """Durable when it returns Stored; refuses only rows whose names are not text.

        A batch over several days is several transactions. After a Busy some of them may hold, which is harmless:
        writing the same rows again changes nothing.
        """
        with self._lock:
            try:
                result = self._write(rows, keys)
            except (sqlite3.Error, OSError) as error:
                self._why = (
                    f"the store in {self._folder.name}/ does not take readings: {error}; make room, or see who holds it"
                )
                self._forget()
                return Busy(RETRY_AFTER_S, self._why)
            self._why = ""
            return result

    def read(
        self, station: str, parameter: str | None, kind: Kind | None, from_ns: int, until_ns: int
    ) -> list[StoredReading]:
        """Readings in [from_ns, until_ns), by parameter, kind and time. Raises sqlite3.Error when a file is damaged."""
        keys = {
            number: key
            for number, key in self._series()
            if key.station == station and parameter in (None, key.parameter) and kind in (None, key.kind)
        }
        found: list[StoredReading] = []
        if not keys or max(from_ns, INT64.min) > min(until_ns - 1, INT64.max):
            return found
        numbers = json.dumps(list(keys))
        span = (max(from_ns, INT64.min), min(until_ns - 1, INT64.max))
        for name in partitions.names_between(self.days(), from_ns, until_ns):
            slots = json.dumps(list(partitions.slots_between(name, from_ns, until_ns)))
            with closing(_connect(self._file(name), create=False)) as day:
                for number, measured_ns, value, flag, verdict, raised in day.execute(SELECT, (slots, numbers, *span)):
                    number_or_nan = nan if value is None else value
                    found.append(
                        StoredReading(*keys[number], measured_ns, number_or_nan, flag, verdict, raised & MASK_64)
                    )
        found.sort(key=lambda reading: (reading.parameter, reading.kind, reading.measured_ns))
        return found

    def count(self) -> int:
        """Number of readings; looks through every file."""
        total = 0
        for name in self.days():
            with closing(_connect(self._file(name), create=False)) as day:
                total += int(day.execute("SELECT count(*) FROM readings").fetchone()[0])
        return total

    def stations(self) -> list[str]:
        """Every station that ever had a reading here, sorted."""
        return sorted({key.station for _, key in self._series()})

    def days(self) -> list[str]:
        """The partitions there are, sorted: `2026-03-01`, ..., and `other`."""
        return sorted(path.stem for path in self._folder.glob("*.sqlite") if path.stem != "series")

    def health(self, now_ns: int) -> Health:  # noqa: ARG002  # the protocol tells every part the time
        return Health(not self._why, self._why)

    def close(self) -> None:
        with self._lock:
            self._forget()

    def _write(self, rows: Judged, keys: Sequence[SeriesKey]) -> Stored | Refused:
        places, inverse = np.unique(rows.series, return_inverse=True)
        series = self._ids_of([keys[place] for place in places.tolist()])[inverse]
        days = partitions.days_of(rows.measured_ns)
        for day in np.unique(days).tolist():
            at = np.flatnonzero((days == day) & (series != 0))
            # In the order of the key, rows of one page meet; the sort is stable, so a later row still comes later.
            slots = partitions.slots_of(rows.measured_ns[at])
            order = np.lexsort((rows.measured_ns[at], series[at], slots))
            self._upsert(self._day(day), slots[order], series[at[order]], rows, at[order])
        refused = np.flatnonzero(series == 0).tolist()
        return Refused(refused, ["a name in its key is not text"] * len(refused)) if refused else Stored()

    def _upsert(self, day: sqlite3.Connection, slots: Int64s, series: Int64s, rows: Judged, at: Int64s) -> None:
        columns = [
            slots.tolist(),
            series.tolist(),
            rows.measured_ns[at].tolist(),
            rows.value[at].tolist(),  # SQLite takes nan as NULL
            rows.flag[at].tolist(),
            rows.verdict[at].tolist(),
            rows.raised[at].view(np.int64).tolist(),
        ]
        late = rows.late[at]
        with _transaction(day):
            if late.any():
                day.executemany(UPSERT_LATE, zip(*columns, late.tolist(), strict=True))
            else:
                day.executemany(UPSERT, zip(*columns, strict=True))

    def _ids_of(self, keys: Sequence[SeriesKey]) -> Int64s:
        """Numbers from 1; 0 for a key that cannot be written. New ones are durable before a reading uses them."""
        new = [key for key in keys if key not in self._ids]
        if new:
            with closing(_connect(self._file("series"), sync=True)) as series:
                series.execute(SERIES_TABLE)
                with _transaction(series):
                    series.executemany(
                        "INSERT OR IGNORE INTO series (station, parameter, kind) VALUES (?, ?, ?)",
                        (key for key in new if _is_text(key.station) and _is_text(key.parameter)),
                    )
                self._ids = {key: number for number, key in _series_in(series)}
        return np.array([self._ids.get(key, 0) for key in keys], dtype=np.int64)

    def _series(self) -> list[tuple[int, SeriesKey]]:
        """As the file has it now, so that a reader sees what another process wrote."""
        if not self._file("series").exists():
            return []
        with closing(_connect(self._file("series"), create=False)) as series:
            return _series_in(series)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.sqlite"

    def _day(self, day: int) -> sqlite3.Connection:
        """The writer's connection to a day; the one not used for longest is closed when there are too many."""
        if day not in self._open:
            if len(self._open) == MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            connection = _connect(self._file(partitions.name_of(day)), sync=self._sync)
            self._open[day] = connection
            connection.execute(READINGS_TABLE)
        self._open.move_to_end(day)
        return self._open[day]

    def _forget(self) -> None:
        """Closes everything and knows nothing, as after a start: what caused an error may have changed the files."""
        for connection in self._open.values():
            with suppress(sqlite3.Error):  # closing checkpoints, which fails where writing failed
                connection.close()
        self._open.clear()
        self._ids.clear()


def _connect(path: Path, *, create: bool = True, sync: bool = False) -> sqlite3.Connection:
    """`create=False` is for reading; it is not SQLite's read-only mode, which would leave WAL files behind."""
    mode = "rwc" if create else "rw"
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=WAIT_FOR_LOCK_S,
        isolation_level=None,
        check_same_thread=False,  # the lock of the store guards writing; a reader's connection stays in its call
    )
    if create:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if sync else 'OFF'}")
        connection.execute("PRAGMA cache_size = -8000")
    else:
        connection.execute("PRAGMA query_only = ON")
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk has rolled back already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _series_in(series: sqlite3.Connection) -> list[tuple[int, SeriesKey]]:
    rows = series.execute("SELECT id, station, parameter, kind FROM series")
    return [(number, SeriesKey(station, parameter, Kind(kind))) for number, station, parameter, kind in rows]


def _is_text(name: str) -> bool:
    """Half a surrogate pair is a Python string, but no text that a file can hold."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)
