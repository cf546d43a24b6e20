"""One day of the journal in one SQLite file, and what is said about it.

    entries   number, written_ns, messages, digest, body: an `Entry` as MessagePack, deflated
    origin    one row: which day this is, and where the day before ended
    seals     SHA-256 of the files of earlier days, put here when they were closed
    dropped   what retention took away while this was the newest day

A digest is SHA-256 over the digest before it, the row's numbers and its body, beginning with the origin: a row that was
changed, taken out or moved breaks the chain. A file that was closed is also held by the digest of its bytes.
"""

import hashlib
import sqlite3
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import msgspec
from isal import igzip_lib, isal_zlib

from ingest.message import Block, Entry
from rules.readings import SECOND_NS

SUFFIX = ".sqlite"
WAIT_FOR_LOCK_S = 2.0
NO_DIGEST = bytes(32)
TABLES = (
    """CREATE TABLE entries(number INTEGER PRIMARY KEY, written_ns INTEGER NOT NULL, messages INTEGER NOT NULL,
        digest BLOB NOT NULL, body BLOB NOT NULL)""",
    "CREATE TABLE origin(day TEXT NOT NULL, previous TEXT NOT NULL, number INTEGER NOT NULL, digest BLOB NOT NULL)",
    "CREATE TABLE seals(day TEXT PRIMARY KEY, sha256 BLOB NOT NULL)",
    "CREATE TABLE dropped(before TEXT NOT NULL, after_number INTEGER NOT NULL)",
)
# What reading a damaged file may raise: SQLite finds much, and what it does not find has odd types.
UNREADABLE = (sqlite3.Error, OSError, ValueError, TypeError, struct.error)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode
_numbers = struct.Struct(">qqq").pack


class JournalDamaged(Exception):  # like JournalUnavailable it names a state of the world
    """An entry cannot be read. Nothing may be skipped; `jianwei journal verify` says where the damage is."""


class Origin(NamedTuple):
    """Where a segment begins: its own day, and the day, number and digest with which the one before ended."""

    day: str
    previous: str
    number: int
    digest: bytes

    def seed(self) -> bytes:
        """The digest that the first row of the segment builds on."""
        return hashlib.sha256(repr(tuple(self)).encode()).digest()


class Row(NamedTuple):
    """An entry as it lies in the file."""

    number: int
    written_ns: int
    messages: int
    digest: bytes
    body: bytes

    def follows(self, before: bytes) -> bool:
        """Whether the digest is right after the digest `before`."""
        return self.digest == digest_after(before, self.number, self.written_ns, self.messages, self.body)

    def entry(self) -> Entry:
        try:
            return _decode(isal_zlib.decompress(self.body))
        except (igzip_lib.IsalError, msgspec.MsgspecError, EOFError) as error:  # type: ignore[misc]  # its stub hides that it is an error
            raise JournalDamaged(f"entry {self.number} cannot be read: {error}") from error


def digest_after(before: bytes, number: int, written_ns: int, messages: int, body: bytes) -> bytes:
    return hashlib.sha256(before + _numbers(number, written_ns, messages) + body).digest()


def packed(number: int, written_ns: int, blocks: list[Block], before: bytes, *, tick: bool) -> Row:
    """An entry made ready for its file; all the work that needs no disk."""
    body = isal_zlib.compress(_encode(Entry(number, written_ns, tick, blocks)), 1)
    messages = sum(map(len, blocks))
    return Row(number, written_ns, messages, digest_after(before, number, written_ns, messages, body), body)


def day_of(now_ns: int) -> str:
    """The UTC day, as a segment is named."""
    return datetime.fromtimestamp(now_ns // SECOND_NS, UTC).date().isoformat()


def names(folder: Path) -> list[str]:
    """The days there are files of, sorted."""
    return sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"????-??-??{SUFFIX}"))


def path_of(folder: Path, day: str) -> Path:
    return folder / f"{day}{SUFFIX}"


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Not SQLite's read-only mode for readers: that would leave files of the write-ahead log behind."""
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={'rwc' if create else 'rw'}",
        uri=True,
        timeout=WAIT_FOR_LOCK_S,
        isolation_level=None,
        check_same_thread=False,  # the journal's lock guards its reader; the writer is one thread
    )


def open_for_reading(path: Path) -> sqlite3.Connection:
    connection = connect(path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def open_for_writing(path: Path, *, sync: bool) -> sqlite3.Connection:
    connection = connect(path, create=True)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if sync else 'OFF'}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def origin_of(connection: sqlite3.Connection) -> Origin | None:
    """None for a file that was begun and never got its first entry."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'origin'").fetchone():
        return None
    row = connection.execute("SELECT day, previous, number, digest FROM origin").fetchone()
    return Origin(*row) if row else None


def last_row(connection: sqlite3.Connection) -> tuple[int, int, bytes]:
    """Number, written_ns and digest of the newest entry; a segment always has one."""
    row = connection.execute("SELECT number, written_ns, digest FROM entries ORDER BY number DESC LIMIT 1").fetchone()
    return int(row[0]), int(row[1]), bytes(row[2])


def rows_after(connection: sqlite3.Connection, number: int) -> Iterator[Row]:
    for row in connection.execute(
        "SELECT number, written_ns, messages, digest, body FROM entries WHERE number > ? ORDER BY number", (number,)
    ):
        yield Row(*row)


def seals_in(connection: sqlite3.Connection) -> dict[str, bytes]:
    return dict(connection.execute("SELECT day, sha256 FROM seals"))


def close_for_good(path: Path) -> bool:
    """Everything goes into the one file, which no write-ahead log follows any more. False while somebody reads it."""
    connection = connect(path)
    try:
        connection.execute("PRAGMA busy_timeout = 0")
        return bool(connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0] == "delete")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()


def is_closed(path: Path) -> bool:
    """Whether the file's header says that no write-ahead log belongs to it (bytes 18 and 19 of the format)."""
    with path.open("rb") as file:
        return file.read(20)[18:20] == b"\x01\x01"
