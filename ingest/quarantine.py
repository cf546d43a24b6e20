"""What could not be read or stored: its bytes, where in them, and why. Nothing is dropped silently.

One SQLite file. The worker and the uploader write, and the command line reads and marks, at the same time.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ingest.message import Problem

WAIT_FOR_LOCK_S = 5.0
MOST_PAYLOAD_BYTES = (
    16 << 20
)  # of a larger one the beginning: SQLite takes no blob of a gigabyte, and the journal has it
TABLE = """CREATE TABLE IF NOT EXISTS problems(
    id INTEGER PRIMARY KEY, position INTEGER NOT NULL, place TEXT NOT NULL, reason TEXT NOT NULL, class TEXT NOT NULL,
    payload BLOB NOT NULL, source TEXT NOT NULL, topic TEXT NOT NULL, received_ns INTEGER NOT NULL,
    retried_ns INTEGER, UNIQUE (position, place))"""
CURSOR = "CREATE TABLE IF NOT EXISTS dead_letters(id INTEGER PRIMARY KEY CHECK (id = 1), published INTEGER NOT NULL)"
KEEP = """INSERT INTO problems(position, place, reason, class, payload, source, topic, received_ns)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (position, place) DO NOTHING"""
SELECT = "SELECT id, position, place, reason, class, payload, source, topic, received_ns, retried_ns FROM problems"
OUTLINE = SELECT.replace("payload", "x''")

# How a reason begins tells its class, so that a metric has few labels whatever a station sends.
CLASSES = {
    "not JSON": "not_json",
    "bad value": "bad_value",
    "bad time": "bad_time",
    "bad flag": "bad_flag",
    "bad station": "bad_station",
    "bad kind": "bad_kind",
    "bad sample": "bad_sample",
    "bad sequence": "bad_sequence",
    "unknown key": "unknown_key",
    "this key stands twice": "key_twice",
    "this format is version": "bad_version",
    "either samples": "bad_sample",
    "lost precision": "precision",
    "too large": "too_large",
    "no format": "no_format",
    "refused by the store": "refused_by_store",
}


class QuarantineUnavailable(OSError):
    """Nothing was kept (disk full, I/O error, locked): try again later, and let nothing go meanwhile."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A problem in quarantine. `retried_ns`: when its message was given a second chance, None while it has not been."""

    id: int
    problem: Problem
    reason_class: str
    retried_ns: int | None


def reason_class(reason: str) -> str:
    """One of a few words for a reason."""
    return next((word for start, word in CLASSES.items() if reason.startswith(start)), "other")


class Quarantine:
    """Opens or makes the file at `path`. Any thread may call; raises QuarantineUnavailable."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = Lock()
        try:
            self._connection = _open(path)
        except sqlite3.Error as error:
            raise QuarantineUnavailable(f"the quarantine {path.name} cannot be opened: {error}") from error

    def keep(self, problems: Sequence[Problem]) -> None:
        """Durable when it returns; a problem that is known by (position, where) changes nothing."""
        rows = [
            (
                p.position,
                _text(p.where),
                _text(p.reason),
                reason_class(p.reason),
                p.payload[:MOST_PAYLOAD_BYTES],
                _text(p.source),
            )
            + (_text(p.topic), p.received_ns)
            for p in problems
        ]
        with self._using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(KEEP, rows)
            connection.execute("COMMIT")

    def count(self) -> int:
        """Problems kept."""
        with self._using() as connection:
            return int(connection.execute("SELECT count(*) FROM problems").fetchone()[0])

    def count_messages(self) -> int:
        """Messages with a problem."""
        with self._using() as connection:
            return int(connection.execute("SELECT count(DISTINCT position) FROM problems").fetchone()[0])

    def counts(self) -> dict[str, int]:
        """Problems by class of reason."""
        with self._using() as connection:
            rows = connection.execute("SELECT class, count(*) FROM problems GROUP BY class ORDER BY class")
            return dict(rows.fetchall())

    def entries(self, *, after: int = 0, most: int = 100, only: str | None = None) -> list[Kept]:
        """Problems with an id greater than `after`, oldest first; `only` of one class of reason."""
        question = f"{SELECT} WHERE id > ? AND (?2 IS NULL OR class = ?2) ORDER BY id LIMIT ?3"
        with self._using() as connection:
            return [_kept(row) for row in connection.execute(question, (after, only, most))]

    def outlines(self, *, after: int, most: int) -> list[Kept]:
        """As `entries`, without the bytes: a message with many problems is kept with each."""
        with self._using() as connection:
            rows = connection.execute(f"{OUTLINE} WHERE id > ? ORDER BY id LIMIT ?", (after, most)).fetchall()
        return [_kept(row) for row in rows]

    def published(self) -> int:
        """Problems with ids up to here were published as dead letters."""
        with self._using() as connection:
            row = connection.execute("SELECT published FROM dead_letters").fetchone()
        return 0 if row is None else int(row[0])

    def mark_published(self, upto: int) -> None:
        """Durable when it returns."""
        with self._using() as connection:
            connection.execute("INSERT OR REPLACE INTO dead_letters VALUES (1, ?)", (upto,))

    def get(self, number: int) -> Kept | None:
        """The problem with this id."""
        with self._using() as connection:
            row = connection.execute(f"{SELECT} WHERE id = ?", (number,)).fetchone()
        return None if row is None else _kept(row)

    def mark_retried(self, positions: Iterable[int], now_ns: int) -> None:
        """The messages at these positions were handed in again, and are judged under new ones. All are marked, or none."""
        with self._using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "UPDATE problems SET retried_ns = ? WHERE position = ?", ((now_ns, position) for position in positions)
            )
            connection.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise QuarantineUnavailable(f"the quarantine cannot be used: {error}") from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=WAIT_FOR_LOCK_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(TABLE)
        connection.execute(CURSOR)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _text(text: str) -> str:
    """SQLite takes no lone surrogates; a topic or a key of a message may hold them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _kept(row: tuple[int, int, str, str, str, bytes, str, str, int, int | None]) -> Kept:
    number, position, where, reason, word, payload, source, topic, received_ns, retried_ns = row
    return Kept(number, Problem(position, where, reason, payload, source, topic, received_ns), word, retried_ns)
