"""The composition root: the only place that knows which concrete parts there are, and in what order they start and end.

sources -> recorder -> journal -> worker -> uploader -> store
                                    |-> ledger -> deliveries -> channels
"""

import gc
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Self

from rich.console import Console

from alerts.channels import ChannelSettings, Surroundings, open_channel
from alerts.channels.file import FileChannelSettings
from alerts.database import LedgerUnavailable
from alerts.delivery import Delivery
from alerts.ledger import SqlLedger
from alerts.register import SqlRegister
from alerts.requests import SqlRequests
from alerts.routing import Route
from console.operator_http import OperatorPort
from ingest.broker import EmbeddedBroker
from ingest.dead_letters import DeadLetters
from ingest.journal import SqliteJournal
from ingest.loops import Loop
from ingest.message import Asking, Health
from ingest.pipeline import JournalFallsShort, Worker
from ingest.quarantine import Quarantine
from ingest.recorder import Recorder
from ingest.records import Clock, PartFailed, Record
from ingest.site import Roster
from ingest.sources import Surroundings as SourceSurroundings
from ingest.sources import open_source
from ingest.stores import Surroundings as StoreSurroundings
from ingest.stores import open_store
from ingest.uploader import Uploader
from jianwei.dead_letters import KafkaLetterBox
from jianwei.desk import Desk
from jianwei.folders import DataFolder
from jianwei.format_routes import chooser
from jianwei.lock import DataLock
from jianwei.names import CatalogueNames
from jianwei.rebinding import Rebinding, StationsOfVersions
from jianwei.retention import Retention
from jianwei.settings import Settings
from jianwei.source_settings import sources_of
from jianwei.telemetry import Telemetry
from jianwei.wellbeing import Wellbeing
from rules.index import Catalogue
from rules.schema import Station

DRAIN_S = 10.0  # a stop waits at most so long for what is on its way; the journal has the rest
START_S = 10.0  # a start waits at most so long for the embedded broker; its health says what is wrong


class Runtime:
    """One service on one data folder, as a context: everything runs inside, everything is safe after it.

    `stations` are those of files; those that stand in the ledger are added, and followed while it runs. Raises
    CatalogueProblems (they do not agree), DataInUse, BrokerUnavailableError, OSError (a port, a folder) when it cannot
    start.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        stations: Mapping[str, Station],
        telemetry: Telemetry,
        clock: Clock,
        console: Console,
    ) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self._filed = stations
        self.telemetry = telemetry
        self._clock = clock
        self._console = console
        self._exits = ExitStack()
        self.folder = DataFolder(settings.data_dir)

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            exits.enter_context(DataLock(self.folder.root))
            self._open(exits)
            self._start(exits)
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    @property
    def is_idle(self) -> bool:
        """Everything that came is journaled, judged, and in the store."""
        last = self.journal.last()
        return not self.recorder.held and self.worker.judged >= last and self.uploader.stored >= last

    @property
    def stations(self) -> Mapping[str, Station]:
        """The register as it is now."""
        return self.roster.site.stations

    def hurry(self) -> None:
        """Looks for messages and ticks now, not after the recorder's next pause."""
        self._recording.wake()

    def _open(self, exits: ExitStack) -> None:
        """Files first, then what connects them. Closed in the opposite order."""
        settings, folder, emit, clock = self.settings, self.folder, self.telemetry.emit, self._clock
        self.journal = SqliteJournal(folder.journal, sync=settings.journal.sync)
        exits.callback(self.journal.close)
        self.quarantine = Quarantine(folder.quarantine)
        exits.callback(self.quarantine.close)
        self.store = open_store(settings.store, StoreSurroundings(folder.store, self.catalogue.medium_of))
        exits.callback(self.store.close)
        self.ledger = SqlLedger(folder.ledger_url, routes_of(settings), clock)
        exits.callback(self.ledger.close)
        self.telemetry.opened({e.id: e.level for e in self.ledger.episodes(open_only=True, limit=100_000)})
        self._check_that_they_belong_together()
        self.broker = self._broker(exits)
        self.roster = self._open_register(exits)
        self.desk: Desk | None = None
        here = SourceSurroundings(clock, self._heard, self.roster)
        self.sources = [open_source(s, here) for s in sources_of(settings, folder, self.broker)]
        self.uploader = Uploader(self.store, self.quarantine, emit, most_rows=settings.store.most_rows)
        self.worker = Worker(
            self.journal,
            self._rebinding.engine,
            lambda version: chooser(settings.formats, self._rebinding.site_at(version)),
            self.quarantine,
            self.uploader,
            self.ledger,
            clock,
            emit,
            snapshot_every_s=settings.worker.snapshot_every_s,
            most_messages=settings.worker.most_messages,
        )
        self.recorder = Recorder(
            self.sources, self.journal, clock, emit, tick_s=settings.journal.tick_s, written=self._wake_worker
        )
        self._retention = Retention(
            self.journal, settings.journal.retention_days, lambda: self.ledger.resume().mark, clock, emit
        )
        self.names = CatalogueNames(self.catalogue, self.stations)
        self._rebinding.follow = self._follow
        self.worker.rebind(self._rebinding.number)
        self._deliveries = self._open_deliveries(exits)
        self.dead_letters = self._open_dead_letters(exits)
        self.desk = self._open_desk(exits)

    def _open_register(self, exits: ExitStack) -> Roster:
        """Raises CatalogueProblems where files and ledger do not agree."""
        self.register = SqlRegister(self.folder.ledger_url, self._clock)
        exits.callback(self.register.close)
        self.register.nobody_is_connected()
        versions = StationsOfVersions(self.register, self.catalogue, self._filed, str(self.folder.ledger))
        self._rebinding = Rebinding(self.register, versions, self.catalogue, self.telemetry.emit)
        return self._rebinding.roster

    def _follow(self, version: int, stations: Mapping[str, Station]) -> None:
        """The register was changed."""
        self.names.stations = stations
        self.worker.rebind(version)
        self._judging.wake()

    def _check_that_they_belong_together(self) -> None:
        """A journal that lost its end would give the numbers of lost entries to new ones, which nobody would judge."""
        judged, last = self.ledger.resume().judged, self.journal.last()
        if judged > last:
            raise JournalFallsShort(
                f"{self.folder.root}: the ledger has judged entry {judged}, and the journal ends at {last}: its end is "
                "missing. Restore it from a copy; or move ledger.sqlite away, and all of the journal is judged again"
            )

    def _broker(self, exits: ExitStack) -> EmbeddedBroker | None:
        if not self.settings.broker.enabled:
            return None
        settings = self.settings
        broker = EmbeddedBroker(self.folder.broker, settings.broker.port, filters=len(settings.formats) or 1)
        return exits.enter_context(broker)

    def _open_desk(self, exits: ExitStack) -> Desk | None:
        """Where there are stations that can be asked."""
        asking = [source for source in self.sources if isinstance(source, Asking)]
        if not asking:
            return None
        requests = SqlRequests(self.folder.ledger_url, self._clock)
        exits.callback(requests.close)
        settings = self.settings.requests
        return Desk(requests, self.register, asking, self.store, self.roster, settings, self._clock)

    def _heard(self, record: Record) -> None:
        """What sources tell."""
        self.telemetry.emit(record)
        if self.desk is not None:
            self.desk.hear(record)

    def _open_deliveries(self, exits: ExitStack) -> dict[str, Delivery]:
        here = Surroundings(self._clock, self._console)
        deliveries = {}
        for name, settings in self.settings.channels.items():
            channel = open_channel(name, placed(settings, self.folder), here)
            deliveries[name] = Delivery(
                self.ledger,
                name,
                channel,
                self._clock,
                self.telemetry.emit,
                names=self.names,
                instance=self.settings.instance,
            )
            exits.callback(deliveries[name].close)
        return deliveries

    def _open_dead_letters(self, exits: ExitStack) -> DeadLetters | None:
        settings = self.settings.dead_letters
        if not settings.enabled:
            return None
        box = KafkaLetterBox(settings)
        exits.callback(box.close)
        journal = SqliteJournal(self.folder.journal)  # a reader of its own: it may look days back
        exits.callback(journal.close)
        return DeadLetters(
            self.quarantine, journal, box, self.telemetry.emit, connector=f"jianwei-{self.settings.instance}"
        )

    def _start(self, exits: ExitStack) -> None:
        """Those who wait first, those who bring last. Stopped in the opposite order, each after a drain."""
        emit = self.telemetry.emit
        self._recording = Loop("recorder", self._record, emit, idle_s=0.02)
        self._judging = Loop("worker", self.worker.step, emit, idle_s=0.2)
        self._uploading = Loop("uploader", self.uploader.step, emit)
        self._telling = {name: Loop(f"delivery:{name}", d.step, emit) for name, d in self._deliveries.items()}
        letters = self.dead_letters
        self._publishing = Loop("dead_letters", letters.step, emit) if letters is not None else None
        self._tending = Loop("broker", self._tend_broker, emit, idle_s=1.0) if self.broker is not None else None
        self._asking = Loop("desk", self.desk.step, emit) if self.desk is not None else None
        self._following = Loop("register", self._rebinding.step, emit)
        self.wellbeing = Wellbeing(self._parts(), self, self._clock)
        self.port: OperatorPort | None = None
        http = self.settings.http
        if http.enabled:
            registry = self.telemetry.meters.registry
            self.port = OperatorPort(http.host, http.port, registry, self.wellbeing.report)
            self.port.start()
            exits.callback(self.port.stop)
        for loop in self._telling.values():
            loop.start()
        exits.callback(self._end_telling)
        self.telemetry.listen(lambda _transition: self._wake_deliveries())
        if self._publishing is not None:
            self._publishing.start()
            exits.callback(self._publishing.stop, DRAIN_S)
        self._uploading.start()
        exits.callback(self._end_uploading)
        self._judging.start()
        exits.callback(self._end_judging)
        self._following.start()
        exits.callback(self._following.stop, DRAIN_S)
        if self._tending is not None:
            self._tending.start()
            exits.callback(self._tending.stop, DRAIN_S)
        for source in self.sources:
            source.start()
            exits.callback(source.stop)
        if self._asking is not None:  # ended before its sources: what they still wait for is asked at the next start
            self._asking.start()
            exits.callback(self._end_asking, self._asking)
        self._recording.start()
        exits.callback(self._end_recording)
        if self.broker is not None:
            self._await_own_broker()
        gc.collect()
        gc.freeze()  # what lives as long as the program need not be looked at again

    def _await_own_broker(self) -> None:
        """What a station sends to a new broker before anybody has subscribed is kept for nobody."""
        end_s = time.monotonic() + START_S
        while not self.sources[-1].health(self._clock()).ok and time.monotonic() < end_s:
            time.sleep(0.005)

    def _tend_broker(self) -> bool:
        """An embedded broker that ended by itself is started again; it keeps its port and its messages."""
        if self.broker is not None and not self.broker.running:
            self.telemetry.emit(PartFailed("broker", "the embedded broker ended by itself, and is started again"))
            self.broker.start()
        return False

    def _record(self) -> bool:
        worked = self.recorder.step()
        if not worked:
            self._retention.step()
        return worked

    def _wake_worker(self) -> None:
        self._judging.wake()

    def _wake_deliveries(self) -> None:
        for loop in self._telling.values():
            loop.wake()

    def _parts(self) -> dict[str, Callable[[int], Health]]:
        """Whoever has a word about how it is."""
        return {
            **{f"source:{source.name}": source.health for source in self.sources},
            "recorder": self._recording.health,
            "journal": self.recorder.health,
            "worker": self._judging.health,
            "judging": self.worker.health,
            "register": self._following.health,
            "stations": self._rebinding.health,
            **({"desk": self._asking.health} if self._asking is not None else {}),
            **({"requests": self.desk.health} if self.desk is not None else {}),
            "uploader": self._uploading.health,
            "store": self.uploader.health,
            **{f"delivery:{name}": loop.health for name, loop in self._telling.items()},
            **({"dead_letters": self._publishing.health} if self._publishing is not None else {}),
            **({"letter_box": self.dead_letters.health} if self.dead_letters is not None else {}),
            **({"broker": self._tending.health} if self._tending is not None else {}),
        }

    # The way down.

    def _end_asking(self, asking: Loop) -> None:
        if self.desk is not None and asking.stop(DRAIN_S):
            try:
                self.desk.close()
            except LedgerUnavailable as error:
                self.telemetry.emit(PartFailed("desk", repr(error)))

    def _end_recording(self) -> None:
        """What was taken is written and acknowledged; what was not, stays with the sender."""
        self._end("recorder", self._recording, self.recorder.step)

    def _end_judging(self) -> None:
        self._end("worker", self._judging, self.worker.step)
        self._end("uploader", self._uploading, lambda: self.uploader.step() == 0.0)
        try:
            self.worker.finish()
        except OSError as error:
            self.telemetry.emit(
                PartFailed("worker", f"the last state was not kept; the next start judges it again: {error}")
            )

    def _end_uploading(self) -> None:
        self._uploading.stop(DRAIN_S)

    def _end_telling(self) -> None:
        """All are asked to end before one is waited for: so receivers that hang are given up at the same time."""
        end_s = time.monotonic() + DRAIN_S
        for loop in self._telling.values():
            loop.stop(0.0)
        for name, loop in self._telling.items():
            self._end(f"delivery:{name}", loop, partial(_sends_more, self._deliveries[name]), end_s)

    def _end(self, part: str, loop: Loop, step: Callable[[], bool], end_s: float | None = None) -> None:
        """Ends the thread, then calls the step until it has nothing more to do; both for a bounded time."""
        if not loop.stop(DRAIN_S if end_s is None else max(0.0, end_s - time.monotonic())):
            self.telemetry.emit(PartFailed(part, f"still busy after {DRAIN_S:.0f} s: left behind; nothing is lost"))
            return
        end_s = end_s or time.monotonic() + DRAIN_S
        try:
            while step() and time.monotonic() < end_s:
                pass
        except Exception as error:  # noqa: BLE001  # what one part cannot do must not keep the others from their end
            self.telemetry.emit(PartFailed(part, repr(error)))


def _sends_more(delivery: Delivery) -> bool:
    return delivery.step() == 0.0


def routes_of(settings: Settings) -> list[Route]:
    """The site's routes; where it has none, every channel is told everything."""
    return settings.routes or [Route(channel=name) for name in settings.channels]


def placed(settings: ChannelSettings, folder: DataFolder) -> ChannelSettings:
    """A file channel's folder lies under the data folder, unless it is absolute."""
    if isinstance(settings, FileChannelSettings):
        return settings.model_copy(update={"folder": folder.root / settings.folder})
    return settings
