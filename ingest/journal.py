"""The journal of one machine: daily SQLite segments, one row a commit, each day chained to the day before."""

import shutil
import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from ingest import segments, verification
from ingest.message import Block, Entry, JournalUnavailable
from ingest.sealing import Seal, Sealing
from ingest.segments import JournalDamaged, Origin, Row
from ingest.verification import Finding
from rules.readings import SECOND_NS

CATCH_UP = 10
LONGEST_STEP_NS = 60 * SECOND_NS
__all__ = ["Day", "Finding", "JournalDamaged", "SqliteJournal"]


@dataclass(frozen=True, slots=True)
class Day:
    """What lies in a segment. `sealed`: closed, and the digest of its file is recorded in a later day."""

    day: str
    first: int
    last: int
    size_bytes: int
    sealed: bool


@dataclass(frozen=True, slots=True)
class _Head:
    """The newest entry, and the day it lies in."""

    day: str
    number: int
    written_ns: int
    digest: bytes


class SqliteJournal:
    """Keeps entries in `folder`, which is made where missing.

    One thread of one process appends; any thread of any process reads at any time. An entry lies in the file of the
    UTC day in which it was written. A clock that is set back changes neither day nor order: the journal's own goes on
    from where it was, a tenth slower than the other until they agree again, so that time never stands still for who waits. `sync=False` gives up
    durability at a power failure (not at a kill) for tests. `most_pages` bounds the file of a day, in pages of 4096
    bytes: a small disk for tests.
    """

    def __init__(self, folder: Path, *, sync: bool = True, most_pages: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._sync = sync
        self._most_pages = most_pages
        self._writer: tuple[str, sqlite3.Connection] | None = None
        self._head: _Head | None = None  # known from the first append on
        self._asked_ns: int | None = None  # the caller's clock at the last append
        self._sealing = Sealing(folder, (), self._release)
        self._lock = RLock()  # guards what follows: the reader
        self._reader: tuple[str, sqlite3.Connection] | None = None
        self._begins: list[Origin] = []  # of every segment that was met, in order

    @property
    def most_pages(self) -> int | None:
        """Bound of a day's file; may be changed at any time by the thread that appends."""
        return self._most_pages

    @most_pages.setter
    def most_pages(self, pages: int | None) -> None:
        self._most_pages = pages
        if self._writer is not None:
            self._bound(self._writer[1])

    def append(self, blocks: Sequence[Block], now_ns: int, *, tick: bool) -> int:
        """Writes one entry; when it returns, the entry's number, the entry survives a kill and a power failure.

        Raises JournalUnavailable when it was not written. (After an I/O error in the commit itself the entry may come
        to light all the same at the next start; its messages, never acknowledged, then lie in the journal twice.)
        """
        try:
            head = self._head or self._begin_writing()
            written_ns = max(now_ns, head.written_ns + self._passed_ns(now_ns))
            day = max(segments.day_of(written_ns), head.day)
            origin = Origin(day, head.day, head.number, head.digest) if day != head.day else None
            before = origin.seed() if origin else head.digest
            row = segments.packed(head.number + 1, written_ns, list(blocks), before, tick=tick)
            seal = self._sealing.step()
            self._write(day, origin, row, seal)
        except (sqlite3.Error, OSError) as error:
            self._end_writing()
            raise JournalUnavailable(f"the journal in {self._folder.name}/ takes no entry: {error}") from error
        if seal:
            self._sealing.recorded()
        if origin and head.day:
            self._sealing.add(head.day)
        self._head = _Head(day, row.number, written_ns, row.digest)
        self._asked_ns = now_ns
        return row.number

    def read(self, after: int, most_messages: int) -> list[Entry]:
        """Entries with number > `after`, in order.

        At least one if there is one, then while their messages sum to at most `most_messages`. Entries that retention
        dropped are passed over. Raises JournalDamaged where an entry is missing or unreadable, OSError or sqlite3.OperationalError for what may
        pass by itself.
        """
        head = self._head
        if head and after >= head.number:
            return []
        with self._lock:
            try:
                rows = self._rows_after(after, most_messages)
            except sqlite3.Error as error:
                self._end_reading()
                if isinstance(error, sqlite3.OperationalError):
                    raise
                raise JournalDamaged(f"the journal cannot be read after entry {after}: {error}") from error
        return [row.entry() for row in rows]

    def last(self) -> int:
        """Number of the newest entry, 0 when empty."""
        head = self._head
        return (head or self._find_head()).number

    def days(self) -> list[Day]:
        """Every segment, oldest first."""
        found = []
        seals: set[str] = set()
        for day in reversed(segments.names(self._folder)):
            path = segments.path_of(self._folder, day)
            with closing(segments.open_for_reading(path)) as connection:
                origin = segments.origin_of(connection)
                if origin is not None:
                    last = segments.last_row(connection)[0]
                    found.append(Day(day, origin.number + 1, last, _size_of(path), day in seals))
                    seals.update(segments.seals_in(connection))
        return found[::-1]

    def size_bytes(self) -> int:
        """What the journal takes on the disk."""
        return sum(_size_of(segments.path_of(self._folder, day)) for day in segments.names(self._folder))

    def free_bytes(self) -> int:
        """What its disk has left."""
        return shutil.disk_usage(self._folder).free

    def verify(self, progress: Callable[[str], None] = lambda _day: None) -> list[Finding]:
        """Everything that is not as it was written; may run while somebody writes. `progress` is told each day."""
        return verification.verify(self._folder, progress)

    def drop_before(self, day: str, *, upto: int) -> list[str]:
        """Retention: removes the days before `day` (`2026-03-01`) whose entries all have numbers <= `upto`.

        Returns the days that went; that they did is recorded in the journal. The newest day always stays. `upto` is the mark of the snapshot from which a start would go on (`Ledger.resume().mark`): everything after it
        will be read again. For the thread that appends. Raises JournalUnavailable when nothing could be removed.
        """
        try:
            with self._lock:
                self._meet_new_days()
                kept = self._begins
            going = 0
            while going + 1 < len(kept) and kept[going].day < day and kept[going + 1].number <= upto:
                going += 1
            if not going:
                return []
            newest = segments.path_of(self._folder, kept[-1].day)
            with closing(segments.open_for_writing(newest, sync=self._sync)) as connection:
                connection.execute("INSERT INTO dropped VALUES (?, ?)", (kept[going].day, kept[going].number))
            with self._lock:
                self._end_reading()
                for origin in kept[:going]:
                    segments.path_of(self._folder, origin.day).unlink(missing_ok=True)
        except (sqlite3.Error, OSError) as error:
            raise JournalUnavailable(f"no day of the journal could be removed: {error}") from error
        return [origin.day for origin in kept[:going]]

    def close(self) -> None:
        """Lets go of all files. Whoever uses the object afterwards opens them again."""
        self._end_writing()
        with self._lock:
            self._end_reading()

    @property
    def ahead_ns(self) -> int:
        """By how much the newest entry is dated after the caller's clock at that moment: it was set back."""
        head = self._head
        return head.written_ns - self._asked_ns if head and self._asked_ns is not None else 0

    # Writing: one thread.

    def _passed_ns(self, now_ns: int) -> int:
        """What the journal's clock moves on when it is ahead of the caller's; a leap of that one is no time that passed."""
        moved_ns = min(max(0, now_ns - self._asked_ns), LONGEST_STEP_NS) if self._asked_ns is not None else 0
        return moved_ns - moved_ns // CATCH_UP

    def _begin_writing(self) -> _Head:
        head = self._find_head()
        unsealed = verification.unsealed(self._folder, head.day)
        self._sealing = Sealing(self._folder, unsealed, self._release)
        self._head = head
        return head

    def _find_head(self) -> _Head:
        for day in reversed(segments.names(self._folder)):
            with closing(segments.open_for_reading(segments.path_of(self._folder, day))) as connection:
                if segments.origin_of(connection) is not None:
                    return _Head(day, *segments.last_row(connection))
        return _Head("", 0, 0, segments.NO_DIGEST)

    def _write(self, day: str, origin: Origin | None, row: Row, seal: Seal | None) -> None:
        connection = self._writing(day)
        connection.execute("BEGIN IMMEDIATE")
        if origin is not None:
            for table in segments.TABLES:
                connection.execute(table)
            connection.execute("INSERT INTO origin VALUES (?, ?, ?, ?)", origin)
        connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", row)
        if seal is not None:
            connection.execute("INSERT INTO seals VALUES (?, ?)", seal)
        connection.execute("COMMIT")

    def _writing(self, day: str) -> sqlite3.Connection:
        if self._writer is not None and self._writer[0] != day:
            self._close_writer()
        if self._writer is None:
            connection = segments.open_for_writing(segments.path_of(self._folder, day), sync=self._sync)
            self._writer = (day, connection)
            self._bound(connection)
        return self._writer[1]

    def _bound(self, connection: sqlite3.Connection) -> None:
        pages = self._most_pages if self._most_pages is not None else 0xFFFFFFFE
        connection.execute(f"PRAGMA max_page_count = {pages}")

    def _close_writer(self) -> None:
        if self._writer is not None:
            with suppress(sqlite3.Error):  # closing rolls back and checkpoints, which fails where writing failed
                self._writer[1].close()
            self._writer = None

    def _end_writing(self) -> None:
        """Knows nothing, as after a start: what caused an error may have changed the files."""
        self._close_writer()
        self._sealing.close()
        self._head = None

    # Reading: any thread, under the lock.

    def _rows_after(self, after: int, most_messages: int) -> list[Row]:
        if not self._begins:
            self._meet_new_days()
        place = max(bisect_right(self._begins, after, key=_number) - 1, 0)
        rows: list[Row] = []
        messages = 0
        while place < len(self._begins):
            is_over = place + 1 < len(self._begins)  # the day gets no more entries
            after = max(after, self._begins[place].number)
            for row in segments.rows_after(self._reading(self._begins[place].day), after):
                messages += row.messages
                if messages > most_messages and rows:
                    return rows
                if row.number != after + 1:
                    raise JournalDamaged(f"the journal lacks the entries from {after + 1} to {row.number - 1}")
                rows.append(row)
                after = row.number
            if is_over:
                place += 1
                if self._begins[place].number != after:
                    raise JournalDamaged(f"the journal lacks the entries from {after + 1} on")
            else:
                self._meet_new_days()
                if place + 1 == len(self._begins):
                    break
                # It may have got its last entries after it was read, and before the next day began: read it again.
        return rows

    def _meet_new_days(self) -> None:
        known = self._begins[-1].day if self._begins else ""
        for day in segments.names(self._folder):
            if day > known:
                with closing(segments.open_for_reading(segments.path_of(self._folder, day))) as connection:
                    origin = segments.origin_of(connection)
                if origin is not None:
                    self._begins.append(origin)

    def _reading(self, day: str) -> sqlite3.Connection:
        if self._reader is None or self._reader[0] != day:
            self._close_reader()
            self._reader = (day, segments.open_for_reading(segments.path_of(self._folder, day)))
        return self._reader[1]

    def _release(self, day: str) -> None:
        with self._lock:
            if self._reader is not None and self._reader[0] == day:
                self._close_reader()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader[1].close()
            self._reader = None

    def _end_reading(self) -> None:
        self._close_reader()
        self._begins = []


def _number(origin: Origin) -> int:
    return origin.number


def _size_of(path: Path) -> int:
    size = 0
    for part in (path, path.with_name(path.name + "-wal")):
        with suppress(FileNotFoundError):  # checkpointed, closed or dropped meanwhile
            size += part.stat().st_size
    return size
