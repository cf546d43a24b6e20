"""The embedded store: readings with their flags in SQLite, one file a UTC day of measured time.

    store/series.sqlite      (station, parameter, kind) -> a small number
    store/2026-03-01.sqlite  readings of that day
    store/other.sqlite       readings dated before 2000 or after 2099

What one station and kind measured at one time is one row (`ingest/sample_rows.py`), with the key (slot, feed,
measured_ns). The feed is the lowest number of a series of that station and kind; the slot is the minute of the day. By
feed alone each message would touch a page of its own (measured: 10 us a message instead of 4); by time alone a chart of
one series would read everybody's day. In slots both are near.
"""

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Literal
from urllib.parse import quote

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ingest import partitions
from ingest.message import Busy, Health, Refused, Stored, StoredReading, StoreUnreadable
from ingest.sample_rows import SIZE, laid_over, packed, unpacked
from rules.readings import Int64s, Judged, Kind, SeriesKey

MOST_OPEN = 4  # days written at the same time, each with some megabytes of pages in memory
WAIT_FOR_LOCK_S = 2.0
RETRY_AFTER_S = 1.0
INT64 = np.iinfo(np.int64)

SERIES_TABLE = """CREATE TABLE IF NOT EXISTS series(
    id INTEGER PRIMARY KEY, station TEXT NOT NULL, parameter TEXT NOT NULL, kind INTEGER NOT NULL,
    UNIQUE (station, parameter, kind))"""
READINGS_TABLE = """CREATE TABLE IF NOT EXISTS readings(
    slot INTEGER NOT NULL, feed INTEGER NOT NULL, measured_ns INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (slot, feed, measured_ns)) WITHOUT ROWID"""
UPSERT = """INSERT INTO readings VALUES (?, ?, ?, ?) ON CONFLICT (slot, feed, measured_ns)
    DO UPDATE SET body = laid_over(body, excluded.body)"""
SELECT = """SELECT measured_ns, body FROM readings
    WHERE slot IN (SELECT value FROM json_each(?)) AND feed IN (SELECT value FROM json_each(?))
    AND measured_ns BETWEEN ? AND ?"""
SELECT_MINUTE = "SELECT measured_ns, body FROM readings WHERE slot = ? AND measured_ns BETWEEN ? AND ?"
OF_FEEDS = " AND feed IN (SELECT value FROM json_each(?))"
UNKNOWN = -1  # a place whose series has no number yet


class SqliteStoreSettings(BaseModel):
    """`sync` false: what was written last may be lost at a power failure (not at a kill)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["sqlite"] = "sqlite"
    sync: bool = True
    most_rows: int = Field(default=200_000, ge=1)  # waiting in memory for the store


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
        self._series_numbers: dict[SeriesKey, int] = {}
        self._feed_numbers: dict[tuple[str, Kind], int] = {}
        self._newest = 0  # of the series numbers that were learnt
        self._keys: Sequence[SeriesKey] = ()  # whose places the next two are about
        self._series_of = self._feed_of = np.zeros(0, np.int64)
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
        """Readings in [from_ns, until_ns), by parameter, kind and time. Raises StoreUnreadable, as when a file is damaged."""
        known = [(number, key) for number, key in self._series() if key.station == station]
        keys = {number: key for number, key in known if parameter in (None, key.parameter) and kind in (None, key.kind)}
        found: list[StoredReading] = []
        if not keys or max(from_ns, INT64.min) > min(until_ns - 1, INT64.max):
            return found
        wanted = json.dumps(_feeds_of(keys, known))
        span = (max(from_ns, INT64.min), min(until_ns - 1, INT64.max))
        for name in partitions.names_between(self.days(), from_ns, until_ns):
            slots = json.dumps(list(partitions.slots_between(name, from_ns, until_ns)))
            with _looking_at(self._file(name), "readings") as day:
                found += _readings(day.execute(SELECT, (slots, wanted, *span)) if day else (), keys)
        found.sort(key=lambda reading: (reading.parameter, reading.kind, reading.measured_ns))
        return found

    def minutes(
        self, from_ns: int, until_ns: int, station: str | None, parameter: str | None, kind: Kind | None
    ) -> Iterator[list[StoredReading]]:
        """Readings in [from_ns, until_ns) in the order of time, a minute of them at once; None stands for all.

        Times before 2000 and after 2099 come last. Nothing stays locked between two minutes, so a slow reader holds
        nobody up. Series that are new since the first minute are not among them. Raises StoreUnreadable like `read`.
        """
        known = self._series()
        asked = (station, parameter, kind)
        keys = {number: key for number, key in known if all(a in {None, of} for a, of in zip(asked, key, strict=True))}
        select: str = SELECT_MINUTE
        span: tuple[object, ...] = (max(from_ns, INT64.min), min(until_ns - 1, INT64.max))
        if len(keys) < len(known):
            select, span = SELECT_MINUTE + OF_FEEDS, (*span, json.dumps(_feeds_of(keys, known)))
        for name in partitions.names_between(self.days(), from_ns, until_ns) if keys and from_ns < until_ns else ():
            with _looking_at(self._file(name), "readings") as day:
                if day is None:
                    continue
                for slot in partitions.slots_between(name, from_ns, until_ns):
                    found = _readings(day.execute(select, (slot, *span)).fetchall(), keys)
                    if found:
                        found.sort(key=lambda r: (r.measured_ns, r.station, r.parameter, r.kind))
                        yield found

    def count(self) -> int:
        """Number of readings; looks through every file."""
        total = 0
        for name in self.days():
            with _looking_at(self._file(name), "readings") as day:
                if day:
                    total += int(day.execute("SELECT coalesce(sum(length(body)), 0) FROM readings").fetchone()[0])
        return total // SIZE

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
        self._number(rows.series, keys)
        series, feeds = self._series_of[rows.series], self._feed_of[rows.series]
        days = partitions.days_of(rows.measured_ns)
        for day in np.unique(days).tolist():
            at = np.flatnonzero((days == day) & (series != 0))
            connection = self._day(day)
            with _transaction(connection):
                connection.executemany(UPSERT, packed(rows, at, series[at], feeds[at]))
        refused = np.flatnonzero(series == 0).tolist()
        return Refused(refused, ["a name in its key is not text"] * len(refused)) if refused else Stored()

    def _number(self, places: Int64s, keys: Sequence[SeriesKey]) -> None:
        """Sees to it that every one of these places has its series' and its feed's number; asked once for each."""
        if keys is not self._keys:
            self._keys, self._series_of, self._feed_of = keys, np.zeros(0, np.int64), np.zeros(0, np.int64)
        if (more := len(keys) - self._series_of.size) > 0:
            self._series_of = np.append(self._series_of, np.full(more, UNKNOWN))
            self._feed_of = np.append(self._feed_of, np.full(more, UNKNOWN))
        new = np.unique(places[self._series_of[places] == UNKNOWN])
        if new.size:
            named = [keys[place] for place in new.tolist()]
            self._learn([key for key in named if key not in self._series_numbers])
            self._series_of[new] = [self._series_numbers.get(key, 0) for key in named]
            self._feed_of[new] = [self._feed_numbers.get((key.station, key.kind), 0) for key in named]

    def _learn(self, new: Sequence[SeriesKey]) -> None:
        """Gives numbers, from 1, to keys that can be written; they are durable before a reading uses them."""
        if not new:
            return
        with closing(_connect(self._file("series"), sync=True)) as series:
            series.execute(SERIES_TABLE)
            with _transaction(series):
                series.executemany(
                    "INSERT OR IGNORE INTO series (station, parameter, kind) VALUES (?, ?, ?)",
                    (key for key in new if _is_text(key.station) and _is_text(key.parameter)),
                )
            for number, key in _series_in(series, after=self._newest):
                self._series_numbers[key] = number
                self._feed_numbers.setdefault((key.station, key.kind), number)
                self._newest = number

    def _series(self) -> list[tuple[int, SeriesKey]]:
        """As the file has it now, so that a reader sees what another process wrote."""
        if not self._file("series").exists():
            return []
        with _looking_at(self._file("series"), "series") as series:
            return _series_in(series) if series else []

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
            connection.create_function("laid_over", 2, laid_over, deterministic=True)
        self._open.move_to_end(day)
        return self._open[day]

    def _forget(self) -> None:
        """Closes everything and knows nothing, as after a start: what caused an error may have changed the files."""
        for connection in self._open.values():
            with suppress(sqlite3.Error):  # closing checkpoints, which fails where writing failed
                connection.close()
        self._open.clear()
        self._series_numbers.clear()
        self._feed_numbers.clear()
        self._newest = 0
        self._keys = ()


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
        connection.execute("PRAGMA cache_size = -4000")
    else:
        connection.execute("PRAGMA query_only = ON")
    return connection


@contextmanager
def _looking_at(path: Path, table: str) -> Iterator[sqlite3.Connection | None]:
    """A reader's connection; None where the writer has begun the file and not yet made its table.

    Raises StoreUnreadable for whatever goes wrong with it.
    """
    try:
        with closing(_connect(path, create=False)) as connection:
            is_there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            yield connection if is_there else None
    except sqlite3.Error as error:
        raise StoreUnreadable(f"{path}: {error}; restore it from a copy") from error


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


def _series_in(series: sqlite3.Connection, *, after: int = 0) -> list[tuple[int, SeriesKey]]:
    """Those with a higher number than `after`, in the order of their numbers."""
    rows = series.execute("SELECT id, station, parameter, kind FROM series WHERE id > ? ORDER BY id", (after,))
    return [(number, SeriesKey(station, parameter, Kind(kind))) for number, station, parameter, kind in rows]


def _feeds_of(keys: Mapping[int, SeriesKey], known: Sequence[tuple[int, SeriesKey]]) -> list[int]:
    """The feeds in which `keys` lie: the lowest number of each station and kind among the known series."""
    lowest = {(key.station, key.kind): number for number, key in reversed(known)}
    return sorted({lowest[key.station, key.kind] for key in keys.values()})


def _readings(rows: Iterable[tuple[int, bytes]], keys: Mapping[int, SeriesKey]) -> list[StoredReading]:
    """What rows (measured_ns, body) hold of the series in `keys`."""
    return [
        StoredReading(*keys[r.series], measured_ns, r.value, r.flag, r.verdict, r.raised)
        for measured_ns, body in rows
        for r in unpacked(body)
        if r.series in keys
    ]


def _is_text(name: str) -> bool:
    """Half a surrogate pair is a Python string, but no text that a file can hold."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)
