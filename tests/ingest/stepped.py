"""The pipeline over one folder, stepped by hand: real journal, ledger and quarantine, and a store that obeys the test."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from alerts.ledger import SqlLedger
from alerts.routing import Route
from ingest.formats.json_v1 import JsonV1
from ingest.journal import SqliteJournal
from ingest.judging import Choose, Formats
from ingest.message import Block, Busy, Health, Ledger, Refused, Store, Stored, StoredReading
from ingest.pipeline import Worker
from ingest.quarantine import Quarantine
from ingest.records import Record
from ingest.uploader import Uploader
from jianwei.clock import SimulatedClock
from rules.engine import Engine
from rules.readings import SECOND_NS, Judged, Kind, SeriesKey, Transition
from rules.watches import Persistence, Watch, Watchlist
from simulators import wire
from tests.rules.watching import MINUTE_NS, START_NS, Handmade, key, watch

STATIONS = ("S1", "S2")
MOST_STEPS = 2_000
# Where the system keeps files in memory: thousands of small commits need no disk to be right.
MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108  # only temporary folders are made there
Rows = dict[tuple[str, str, int, int], tuple[str, int, int, int]]


def watches() -> list[Watch]:
    """A check of each kind of memory: single readings, a span of them, the one before, the one after, and silence."""
    found = []
    for station in STATIONS:
        for number in range(2):
            of = key(number, station)
            found += [
                watch("gross_range", {"fail": (0.0, 90.0), "suspect": (5.0, 60.0)}, series=of),
                watch("spike", {"suspect": 10.0, "fail": 40.0}, series=of),
                watch("flat_line", {"suspect_after_s": 180, "fail_after_s": 300, "tolerance": 0.1}, series=of),
                watch("rate_of_change", {"fail": 0.5}, series=of, clear_after=Persistence(2, 3)),
            ]
        found.append(watch("silence", {"suspect_after": 2, "fail_after": 5}, series=key(0, station)))
    return found


def everybody() -> Watchlist:
    return Handmade(watches(), [(station, Kind.MINUTE) for station in STATIONS])


def message(minute: int, values: dict[str, Any], station: str = "S1") -> tuple[str, bytes]:
    """Topic and bytes of one sample, measured in the given minute."""
    at = wire.text_of_time(START_NS + minute * MINUTE_NS, 0)
    body = {"station": station, "kind": "minute", "time": at, "values": values}
    return wire.topic_of(station, "minute"), json.dumps(body).encode()


def block(minute: int, *messages: tuple[str, bytes]) -> Block:
    """Messages that were received a second after `minute`."""
    topics, payloads = zip(*messages, strict=True) if messages else ((), ())
    return Block("mqtt", START_NS + minute * MINUTE_NS + SECOND_NS, list(topics), list(payloads))


class MemoryStore:
    """A `Store` that keeps rows by their key. It may be `away`, and refuse stations for good."""

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.away = False
        self.refuses: frozenset[str] = frozenset()
        self.writes: list[int] = []  # rows of each call

    def write(self, rows: Judged, keys: Sequence[SeriesKey]) -> Stored | Refused | Busy:
        self.writes.append(len(rows))
        if self.away:
            return Busy(1.0, "the store is away")
        refused = []
        for row in range(len(rows)):
            of = keys[int(rows.series[row])]
            if of.station in self.refuses:
                refused.append(row)
                continue
            name = (*of, int(rows.measured_ns[row]))
            said = repr(float(rows.value[row])), int(rows.flag[row])
            known = self.rows.get(name)
            if not (rows.late[row] and known and known[:2] == said):
                self.rows[name] = (*said, int(rows.verdict[row]), int(rows.raised[row]))
        return Refused(refused, ["no such station"] * len(refused)) if refused else Stored()

    def read(
        self, station: str, parameter: str | None, kind: Kind | None, from_ns: int, until_ns: int
    ) -> list[StoredReading]:
        raise NotImplementedError("tests look at `rows`")

    def health(self, now_ns: int) -> Health:
        return Health(not self.away)

    def close(self) -> None:
        """Nothing is held."""


class Died(BaseException):
    """The process ends here; no `except Exception` may hold it."""


class Stepped:
    """One process: opened on `folder`, stepped, and dropped. What it leaves on the disk is all that the next one knows.

    `through` may put something between the worker and the ledger; `formats` are json_v1's where nothing is said;
    `registers` tells who is watched under a version of the register.
    """

    def __init__(
        self,
        folder: Path,
        store: Store | None = None,
        *,
        through: Callable[[Ledger], Ledger] = lambda ledger: ledger,
        formats: Formats | None = None,
        registers: Callable[[int], Watchlist] = lambda _version: everybody(),
        most_rows: int = 200_000,
        **worker: Any,
    ) -> None:
        self.clock = SimulatedClock(START_NS)
        self.records: list[Record] = []
        self.journal = SqliteJournal(folder / "journal", sync=False)
        self.quarantine = Quarantine(folder / "quarantine.sqlite")
        self.ledger = SqlLedger(f"sqlite:///{folder / 'ledger.sqlite'}", [Route(channel="all")], self.clock)
        self.store = store if store is not None else MemoryStore()
        self.uploader = Uploader(
            self.store, self.quarantine, self.records.append, most_rows=most_rows, dice=lambda: 0.5
        )
        self.restored: list[bool] = []  # whether an engine was made from a snapshot

        def restore(snapshot: bytes | None, version: int) -> Engine:
            watchlist = registers(version)
            engine = Engine(watchlist) if snapshot is None else Engine.restore(snapshot, watchlist)
            self.restored.append(snapshot is not None)
            return engine

        self.worker = Worker(
            self.journal,
            restore,
            lambda _version: (formats or json_formats)(),
            self.quarantine,
            self.uploader,
            through(self.ledger),
            self.clock,
            self.records.append,
            **{"snapshot_every_s": 60.0, "most_messages": 5, **worker},
        )

    def append(self, minute: int, *messages: tuple[str, bytes], tick: bool = False) -> int:
        """One entry, written a second after `minute`."""
        blocks = [block(minute, *messages)] if messages else []
        return self.journal.append(blocks, START_NS + minute * MINUTE_NS + SECOND_NS, tick=tick)

    def settle(self) -> None:
        """Steps worker and uploader until neither has anything more to do."""
        for _ in range(MOST_STEPS):
            worked = self.worker.step()
            if self.uploader.step() != 0.0 and not worked:
                return
        raise AssertionError("it never comes to rest")

    def transitions(self) -> list[Transition]:
        """All that the ledger holds, in the order they were recorded."""
        return [due.transition for due in self.ledger.due("all", 0, horizon_ns=0, most=100_000)]

    def kept(self) -> list[tuple[int, str, str, bytes]]:
        """What is in quarantine."""
        entries = self.quarantine.entries(most=100_000)
        return sorted((e.problem.position, e.problem.where, e.problem.reason, e.problem.payload) for e in entries)

    def told(self, kind: type[Record]) -> list[Any]:
        return [record for record in self.records if isinstance(record, kind)]

    def drop(self) -> None:
        """As a kill leaves it: nothing more is written, the system lets go of the files."""
        with suppress(Exception):
            self.journal.close()
        self.quarantine.close()
        self.ledger.close()


def json_formats() -> Choose:
    """json_v1 for topics of ours, nothing for others."""
    one = JsonV1()
    return lambda _source, topic: one if topic.startswith("jianwei/") else None
