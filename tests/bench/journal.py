"""The journal beside a table with a row a message, at the same size of commit, both durable."""

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ingest.journal import SqliteJournal
from ingest.message import Block
from tests.bench.messages import messages
from tests.bench.table import Effort, Row

BATCH = 1_000
START_NS = 1_772_323_200_000_000_000  # 2026-03-01T00:00Z
TABLE = "CREATE TABLE messages(id INTEGER PRIMARY KEY, source TEXT, topic TEXT, received_ns INTEGER, payload BLOB)"


@contextmanager
def plain_table(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(folder / "plain.sqlite", isolation_level=None)) as table:
        table.execute("PRAGMA journal_mode = WAL")
        table.execute("PRAGMA synchronous = FULL")
        table.execute(TABLE)
        yield table


class Blocks:
    """Messages as a source hands them over, and microseconds of CPU for each of four ways to treat them."""

    def __init__(self, count: int) -> None:
        sent = messages(count)
        self._count = count
        self._blocks = [
            Block("mqtt", START_NS + start, [t for t, _ in sent[start : start + BATCH]], [p for _, p in sent[start : start + BATCH]])
            for start in range(0, count, BATCH)
        ]  # fmt: skip

    def commit_us(self, journal: SqliteJournal) -> float:
        began = time.process_time()
        for block in self._blocks:
            journal.append([block], block.received_ns, tick=False)
        return self._since(began)

    def read_us(self, journal: SqliteJournal) -> float:
        began = time.process_time()
        after = seen = 0
        while entries := journal.read(after, 4 * BATCH):
            after = entries[-1].number
            seen += sum(len(block.payloads) for entry in entries for block in entry.blocks)
        assert seen >= self._count
        return self._since(began) * self._count / seen

    def insert_us(self, table: sqlite3.Connection) -> float:
        began = time.process_time()
        for block in self._blocks:
            table.execute("BEGIN")
            table.executemany(
                "INSERT INTO messages(source, topic, received_ns, payload) VALUES (?, ?, ?, ?)",
                ((block.source, t, block.received_ns, p) for t, p in zip(block.topics, block.payloads, strict=True)),
            )
            table.execute("COMMIT")
        return self._since(began)

    def select_us(self, table: sqlite3.Connection) -> float:
        began = time.process_time()
        seen = sum(1 for _ in table.execute("SELECT id, source, topic, received_ns, payload FROM messages ORDER BY id"))
        return self._since(began) * self._count / seen

    def _since(self, began: float) -> float:
        return (time.process_time() - began) / self._count * 1e6


def rows(effort: Effort) -> list[Row]:
    blocks = Blocks(effort.of(100_000, 20_000))
    with tempfile.TemporaryDirectory() as folder, plain_table(Path(folder)) as table:
        journal = SqliteJournal(Path(folder) / "journal")
        commit, insert = effort.medians(lambda: blocks.commit_us(journal), lambda: blocks.insert_us(table))
        read, select = effort.medians(lambda: blocks.read_us(journal), lambda: blocks.select_us(table))
        journal.close()
    return [
        Row("journal, commit of 1,000 messages", commit, "us a message", "SQLite, a row a message", insert),
        Row("journal, read", read, "us a message", "SQLite, a row a message", select),
    ]
