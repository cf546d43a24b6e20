"""The real durable parts, in a world where they may fail before or after what they do, or never come to its end."""

import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
import sqlalchemy as sa
from sqlalchemy import event

from alerts.channel import DeliveryFailed, Reason
from alerts.events import AlertEvent
from alerts.ledger import Due, LedgerUnavailable, Resumed, SqlLedger
from alerts.routing import Route
from ingest.journal import SqliteJournal
from ingest.message import Block, Busy, Entry, JournalUnavailable, Problem, Refused, Stored
from ingest.quarantine import Quarantine, QuarantineUnavailable
from ingest.stores.sqlite import SqliteStore
from rules.engine import Engine
from rules.readings import Batch, Judged, Outcome, SeriesKey, Transition
from rules.snapshots import SnapshotUnreadable
from rules.watches import Watchlist
from tests.sim.world import Fault, Mistake, World

STATION_REFUSED, PARAMETER_REFUSED = "S2", "p1"  # by a store that refuses something for good
CHANNEL = "duty"


class WorldJournal(SqliteJournal):
    def __init__(self, world: World) -> None:
        self._world = world
        super().__init__(world.disk / "journal", sync=False)

    def append(self, blocks: Sequence[Block], now_ns: int, *, tick: bool) -> int:
        pages = 1 if self._world.strikes(Fault.DISK_FULL) else None
        if pages != self.most_pages:
            self.most_pages = pages
        with self._world.trouble(Fault.DISK_FULL, Fault.JOURNAL_UNSURE, JournalUnavailable, "entry"):
            return super().append(blocks, now_ns, tick=tick)

    def read(self, after: int, most_messages: int) -> list[Entry]:
        if self._world.strikes(Fault.JOURNAL_UNREADABLE):
            raise sqlite3.OperationalError("simulated: database is locked")
        return super().read(after, most_messages)

    def _writing(self, day: str) -> sqlite3.Connection:
        connection = super()._writing(day)
        self._world.may_die("with the file of a day open")
        return connection


@cache
def _new_ledger() -> bytes:
    """A ledger in which nothing was recorded: its schema costs as much to make as a hundred records."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        SqlLedger(f"sqlite:///{path}", [], lambda: 0).close()
        return path.read_bytes()


class WorldLedger(SqlLedger):
    def __init__(self, world: World) -> None:
        self._world = world
        path = world.disk / "ledger.sqlite"
        if not path.exists():
            path.write_bytes(_new_ledger())
        super().__init__(f"sqlite:///{path}", [Route(channel=CHANNEL)], world.clock)
        event.listen(self._engine, "commit", self._about_to_commit)

    def record(self, transitions: Sequence[Transition], *, judged: int, stored: int, snapshot: bytes | None) -> None:
        with self._world.trouble(Fault.LEDGER_LOCKED, Fault.LEDGER_UNSURE, LedgerUnavailable, "record"):
            super().record(transitions, judged=judged, stored=stored, snapshot=snapshot)

    def resume(self) -> Resumed:
        with self._world.trouble(Fault.LEDGER_LOCKED, None, LedgerUnavailable, "resume"):
            return super().resume()

    def due(self, channel: str, now_ns: int, *, horizon_ns: int, most: int) -> list[Due]:
        with self._world.trouble(Fault.LEDGER_LOCKED, None, LedgerUnavailable, "due"):
            return super().due(channel, now_ns, horizon_ns=horizon_ns, most=most)

    def _mark(self, channel: str, transition: str, columns: dict[str, Any]) -> None:
        with self._world.trouble(Fault.LEDGER_LOCKED, Fault.LEDGER_UNSURE, LedgerUnavailable, "mark"):
            super()._mark(channel, transition, columns)

    def _about_to_commit(self, _connection: sa.Connection) -> None:
        self._world.may_die("before a commit of the ledger")


class WorldStore(SqliteStore):
    """May refuse every third reading of one series for good."""

    def __init__(self, world: World) -> None:
        self._world = world
        super().__init__(world.disk / "store", sync=False)

    def write(self, rows: Judged, keys: Sequence[SeriesKey]) -> Stored | Refused | Busy:
        try:
            with self._world.trouble(Fault.STORE_BUSY, Fault.STORE_UNSURE, ConnectionError, "write"):
                return self._write_some(rows, keys)
        except ConnectionError as error:
            return Busy(0.2, str(error))

    def _write_some(self, rows: Judged, keys: Sequence[SeriesKey]) -> Stored | Refused | Busy:
        refused = [
            at
            for at, (series, measured_ns) in enumerate(zip(rows.series, rows.measured_ns, strict=True))
            if self._world.expects(Fault.STORE_REFUSES) and is_refused(keys[series], int(measured_ns))
        ]
        taken = np.delete(np.arange(len(rows)), refused)
        answer = super().write(Judged(*(getattr(rows, field.name)[taken] for field in fields(Judged))), keys)
        if refused and isinstance(answer, Stored):
            self._world.struck[Fault.STORE_REFUSES] += 1
            return Refused(refused, ["simulated"] * len(refused))
        return answer

    def _day(self, day: int) -> sqlite3.Connection:
        self._world.may_die("between two days of the store")
        return super()._day(day)


def is_refused(key: SeriesKey, measured_ns: int) -> bool:
    return (key.station, key.parameter) == (STATION_REFUSED, PARAMETER_REFUSED) and measured_ns // 10**6 % 3 == 0


class WorldQuarantine(Quarantine):
    def __init__(self, world: World) -> None:
        self._world = world
        super().__init__(world.disk / "quarantine.sqlite")

    def keep(self, problems: Sequence[Problem]) -> None:
        with self._world.trouble(Fault.QUARANTINE_LOCKED, None, QuarantineUnavailable, "quarantine"):
            super().keep(problems)


class WorldEngine(Engine):
    """Breaks off in the middle, when the readings are judged and nobody has the result."""

    world: World

    def evaluate(self, batch: Batch, *, explain: bool = False) -> Outcome:
        outcome = super().evaluate(batch, explain=explain)
        if self.world.strikes(Fault.JUDGING_FAILS):
            raise Mistake("simulated")
        return outcome

    @classmethod
    def begun(cls, world: World, watchlist: Watchlist, snapshot: bytes | None) -> Self:
        """From a snapshot, which may be unreadable, or from nothing."""
        if snapshot is not None and world.strikes(Fault.SNAPSHOT_UNREADABLE):
            world.tell("world", "the snapshot is unreadable")
            raise SnapshotUnreadable("simulated")
        engine = cls(watchlist) if snapshot is None else cls.restore(snapshot, watchlist)
        world.struck["began from a snapshot"] += snapshot is not None
        engine.world = world
        return engine


class Receiver:
    """Gets notices, through a channel that may say it failed when it did not."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.events: list[AlertEvent] = []

    def send(self, event: AlertEvent) -> None:
        if self._world.strikes(Fault.CHANNEL_DOWN):
            reason: Reason = self._world.dice.choice(("server", "unreachable", "rate_limited"))
            raise DeliveryFailed(CHANNEL, reason, "simulated", retry_after_s=0.0)
        self.events.append(event)
        self._world.may_die("after a notice was sent")
        if self._world.strikes(Fault.CHANNEL_UNSURE):
            raise DeliveryFailed(CHANNEL, "timeout", "simulated: it has it all the same")

    def close(self) -> None:
        """Nothing to close."""
