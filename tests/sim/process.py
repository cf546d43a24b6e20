"""One life of the service: the real parts, put together as the runtime does, and called in any order."""

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from alerts.delivery import Delivery, Patience
from alerts.records import NoticeDead
from ingest.acks import AckWindow
from ingest.formats.json_v1 import JsonV1
from ingest.judging import Choose
from ingest.pipeline import Worker
from ingest.recorder import Recorder
from ingest.records import CatchUp, PartFailed
from ingest.segments import day_of
from ingest.uploader import Uploader
from rules.watches import Watchlist
from tests.sim.broker import Broker, BrokerSource
from tests.sim.parts import CHANNEL, Receiver, WorldEngine, WorldJournal, WorldLedger, WorldQuarantine, WorldStore
from tests.sim.world import Fault, Mistake, World

TICK_S = 1.0
MOST_ROWS = 20
MOST_HELD = 12  # messages in the window of a source
FAILURE_PAUSE_S = 1.0
MOST_STEPS_TO_STOP = 200
STEPS_TO_STOP = (1, 3, MOST_STEPS_TO_STOP)  # a stop may have no time to wait for a part
PATIENCE = Patience(first_s=0.3, most_s=3.0, idle_s=1.2)
# What a part may let out of its step while the world is in trouble; anything else is a mistake.
TROUBLE = (OSError, sqlite3.OperationalError, Mistake)


class Unforeseen(AssertionError):
    """A part tells of something that no fault here can cause."""


@dataclass(frozen=True, slots=True)
class Makes:
    """Which class plays which part: a planted mistake takes the place of one of them."""

    window: type[AckWindow] = AckWindow
    recorder: type[Recorder] = Recorder
    journal: type[WorldJournal] = WorldJournal
    ledger: type[WorldLedger] = WorldLedger
    store: type[WorldStore] = WorldStore
    worker: type[Worker] = Worker


@dataclass(slots=True)
class Loop:
    """A part's thread: when its step is called next, and how long it rests when there is nothing to do."""

    name: str
    step: Callable[[], float]
    idle_s: float
    due_s: float = 0.0


def chooser() -> Choose:
    """The topics of stations are JSON; no format knows the others."""
    a_format = JsonV1()
    return lambda _source, topic: a_format if topic.startswith("jianwei/") else None


class Process:
    """From its start to its kill or its stop. Raises what the parts raise when they cannot start."""

    def __init__(
        self, world: World, brokers: dict[str, Broker], receiver: Receiver, watchlist: Watchlist, makes: Makes
    ) -> None:
        self._world = world
        self._steps_to_stop = MOST_STEPS_TO_STOP
        dice = world.dice
        with ExitStack() as exits:
            self.journal = makes.journal(world)
            exits.callback(self.journal.close)
            self.quarantine = WorldQuarantine(world)
            exits.callback(self.quarantine.close)
            self.store = makes.store(world)
            exits.callback(self.store.close)
            self.ledger = makes.ledger(world)
            exits.callback(self.ledger.close)
            self._exits = exits.pop_all()
        self.sources = [
            BrokerSource(name, broker, makes.window(MOST_HELD, 1 << 20), world) for name, broker in brokers.items()
        ]
        self.uploader = Uploader(self.store, self.quarantine, self._emit, most_rows=MOST_ROWS, dice=dice.random)
        self.worker = makes.worker(
            self.journal,
            lambda snapshot, _version: WorldEngine.begun(world, watchlist, snapshot),
            lambda _version: chooser(),
            self.quarantine,
            self.uploader,
            self.ledger,
            world.clock,
            self._emit,
            snapshot_every_s=dice.choice((1.0, 4.0, 15.0)),
            most_messages=dice.choice((1, 5, 40)),
            patience_s=dice.choice((0.0, 1.0)),
        )
        self.recorder = makes.recorder(
            self.sources,
            self.journal,
            world.clock,
            self._emit,
            tick_s=TICK_S,
            most_messages=dice.choice((1, 4, 50)),
            most_bytes=dice.choice((300, 1 << 20)),
            written=self._wake_worker,
        )
        self.delivery = Delivery(
            self.ledger,
            CHANNEL,
            receiver,
            world.clock,
            self._emit,
            patience=PATIENCE,
            monotonic=world.monotonic,
            dice=dice,
        )
        self._judging = Loop("worker", self.worker.step, 0.4)
        self.loops = [
            *(Loop(source.name, source.network, 0.15) for source in self.sources),
            Loop("recorder", self._record, 0.12),
            self._judging,
            Loop("uploader", self.uploader.step, 0.4),
            Loop("delivery", self.delivery.step, 1.2),
        ]
        for loop in self.loops:
            loop.due_s = world.now_s

    @property
    def is_idle(self) -> bool:
        """Everything that came is journaled, judged, stored and told."""
        last = self.journal.last()
        return not self.recorder.held and self.worker.judged >= last and self.uploader.stored >= last

    def ailing(self) -> dict[str, str]:
        """Who says that it is not well, and why."""
        now_ns = self._world.clock()
        parts = {
            "recorder": self.recorder.health,
            "worker": self.worker.health,
            "uploader": self.uploader.health,
            "store": self.store.health,
        }
        return {name: why for name, health in parts.items() if (why := health(now_ns).why)}

    def call(self, loop: Loop) -> None:
        """One step of one part, as its loop does it."""
        before = self._seen()
        try:
            answer = loop.step()
        except TROUBLE as error:
            if self._world.is_calm:
                raise
            self._world.tell(loop.name, f"failed: {type(error).__name__}")
            answer = FAILURE_PAUSE_S
        after = self._seen()
        if before != after:
            self._world.tell(loop.name, "written {} held {} judged {} offered {} stored {} waiting {}".format(*after))
        loop.due_s = self._world.now_s + (0.0 if answer is True else loop.idle_s if answer is False else answer)

    def stop(self) -> None:
        """The order of a clean stop; what cannot be done in time is left to the next start."""
        self._world.tell("world", "stops")
        self._steps_to_stop = MOST_STEPS_TO_STOP if self._world.is_calm else self._world.dice.choice(STEPS_TO_STOP)
        for source in self.sources:
            source.stop()
        self._drain(self.recorder.step)
        self._drain(self.worker.step)
        self._drain(lambda: self.uploader.step() == 0.0)
        with suppress(OSError):
            self.worker.finish()
        self._drain(lambda: self.delivery.step() == 0.0)

    def end(self) -> None:
        """Lets go of the files. After a kill they are not those of the next life."""
        with suppress(sqlite3.Error, OSError):
            self._exits.close()

    def _drain(self, step: Callable[[], float]) -> None:
        with suppress(*TROUBLE):
            for _ in range(self._steps_to_stop):
                if not step():
                    return

    def _record(self) -> float:
        worked = self.recorder.step()
        if not worked and self._world.strikes(Fault.RETENTION):
            today = day_of(self._world.clock())
            gone = self.journal.drop_before(today, upto=self.ledger.resume().mark)
            if gone:
                self._world.struck["days dropped"] += 1
                self._world.tell("retention", f"dropped {gone}")
        return worked

    def _wake_worker(self) -> None:
        self._judging.due_s = self._world.now_s

    def _seen(self) -> tuple[int, ...]:
        recorder, worker, uploader = self.recorder, self.worker, self.uploader
        return recorder.messages, recorder.held, worker.judged, uploader.offered, uploader.stored, uploader.waiting

    def _emit(self, record: object) -> None:
        if isinstance(record, CatchUp):
            self._world.struck["caught up" if record.done else "fell behind"] += 1
            self._world.tell("worker", f"makes rows again: {record.from_entry} to {record.to_entry}, {record.done}")
        elif isinstance(record, PartFailed) and self._world.expects(Fault.SNAPSHOT_UNREADABLE):
            self._world.tell("worker", record.error)
        elif isinstance(record, PartFailed | NoticeDead):
            raise Unforeseen(str(record))
