"""A city in one process: a simulated fleet speaks MQTT to the embedded broker, and the service does the rest.

The service is the same as under `jianwei run`; only its clock is handed in by the driver here, who lets simulated time
pass minute by minute. A minute's messages are published, then journaled, then the minute ends: so every run with the same
seed gives the journal the same messages and ticks in the same order, however fast the machine is.
"""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from alerts.channels.file import FileChannelSettings
from alerts.channels.mqtt import MqttChannelSettings
from alerts.ledger import Episode
from ingest.broker import HOST
from ingest.stores.sqlite import SqliteStoreSettings
from jianwei.board import Pulse
from jianwei.clock import SimulatedClock
from jianwei.runtime import Runtime
from jianwei.settings import BrokerSettings, HealthSettings, HttpSettings, JournalSettings, Settings
from jianwei.telemetry import Telemetry
from rules.index import Catalogue
from rules.readings import SECOND_NS, Transition
from simulators.fleet import Fleet
from simulators.publish import Publisher
from simulators.truth import Score, Tally, found_in, score

SPEED = 360  # simulated seconds in a second
STEP_S = 60
PATIENCE_S = 60.0
FILE, MQTT = "file", "mqtt"
MOST_EPISODES = 10_000


class DemoStalled(Exception):
    """The service did not take up what was published in good time."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a demo found. The counts of equal seeds and spans are equal."""

    scenario: str
    seed: int
    simulated_s: int
    stations: int
    messages: int
    stored: int
    quarantined: int
    lost: int
    transitions: int
    notices_sent: int
    score: Score


def demo_settings(folder: Path) -> Settings:
    """The service of a demo: everything under `folder`, no operator port, two channels."""
    port = _free_port()
    return Settings(
        instance="demo",
        data_dir=folder,
        broker=BrokerSettings(enabled=True, port=port),
        journal=JournalSettings(tick_s=STEP_S, sync=False),
        store=SqliteStoreSettings(sync=False),
        channels={FILE: FileChannelSettings(folder=Path("alerts")), MQTT: MqttChannelSettings(host=HOST, port=port)},
        http=HttpSettings(enabled=False),
        health=HealthSettings(silent_s=0, least_free_mb=0),
    )


class Demo:
    """Runs a fleet through a service. `steps` yields after each simulated minute, so that a board can be drawn."""

    def __init__(
        self, fleet: Fleet, catalogue: Catalogue, folder: Path, telemetry: Telemetry, console: Console
    ) -> None:
        self.fleet = fleet
        self.clock = SimulatedClock(fleet.start_ns)
        self.tally = Tally()
        self._began_s = time.monotonic()
        self.transitions: list[Transition] = []
        self.stations = {station.id: station for station in fleet.stations()}
        self.telemetry = telemetry
        telemetry.listen(self.transitions.append)
        self.runtime = Runtime(demo_settings(folder), catalogue, self.stations, telemetry, self.clock, console)

    def steps(self, span_s: int, *, fast: bool) -> Iterator[None]:
        """Lives through `span_s` simulated seconds (whole minutes). Raises DemoStalled."""
        broker = self.runtime.broker
        if broker is None:
            raise RuntimeError("the demo has a broker of its own")
        self._began_s = began_s = time.monotonic()
        with Publisher(HOST, broker.port, client_id="demo-gateway") as gateway:
            for step in range(span_s // STEP_S):
                self._minute(gateway, self.fleet.start_ns + step * STEP_S * SECOND_NS)
                yield
                if not fast:
                    time.sleep(max(0.0, began_s + (step + 1) * STEP_S / SPEED - time.monotonic()))
        self._wait("the last readings to be stored", lambda: self.runtime.is_idle)
        self._wait("the last notices to be sent", self._is_told)

    def summary(self) -> Summary:
        """After the last step."""
        stored, kept = self.runtime.store.count(), self.runtime.quarantine.count()
        until_ns = self.clock.now_ns
        return Summary(
            scenario=self.fleet.scenario.name.en,
            seed=self.fleet.seed,
            simulated_s=(until_ns - self.fleet.start_ns) // SECOND_NS,
            stations=len(self.stations),
            messages=self.tally.messages,
            stored=stored,
            quarantined=kept,
            lost=max(0, self.tally.expected_stored - stored) + max(0, self.tally.expected_quarantined - kept),
            transitions=len(self.transitions),
            notices_sent=self.runtime.ledger.sent_count(),
            score=score(self.fleet.truth(), found_in(self.transitions), until_ns),
        )

    def _minute(self, gateway: Publisher, start_ns: int) -> None:
        end_ns = start_ns + STEP_S * SECOND_NS
        messages = self.fleet.messages(start_ns, end_ns)
        self.clock.now_ns = end_ns - 1  # everything of this minute has been measured
        gateway.send(messages)
        for message in messages:
            self.tally.add(message)
        self._wait("messages to be journaled", lambda: self.runtime.recorder.messages >= self.tally.messages)
        self.clock.now_ns = end_ns
        self._wait("the minute to end", lambda: self.runtime.recorder.ticked_ns >= end_ns)

    def pulse(self) -> Pulse:
        """The numbers of this moment."""
        runtime = self.runtime
        last = runtime.journal.last()
        parts = runtime.wellbeing.report()
        took_s = max(time.monotonic() - self._began_s, 0.001)
        return Pulse(
            now_ns=self.clock.now_ns,
            rate=self.tally.messages / took_s,
            messages=self.tally.messages,
            quarantined=runtime.quarantine.count(),
            stored=runtime.uploader.rows_stored,
            journal_lag=max(0, last - runtime.worker.judged),
            store_lag=max(0, last - runtime.uploader.stored),
            notices_due=sum(lag.due for lag in runtime.ledger.outbox_lag()),
            ill=[f"{name}: {part.why}" for name, part in parts.items() if not part.ok],
        )

    def open_episodes(self) -> list[Episode]:
        return self.runtime.ledger.episodes(open_only=True, limit=MOST_EPISODES)

    def _is_told(self) -> bool:
        return all(not lag.due for lag in self.runtime.ledger.outbox_lag())

    def _wait(self, what: str, is_so: Callable[[], bool]) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not is_so():
            if time.monotonic() > end_s:
                parts = self.runtime.wellbeing.report()
                ill = "; ".join(f"{name}: {part.why}" for name, part in parts.items() if not part.ok)
                raise DemoStalled(f"waited {PATIENCE_S:.0f} s for {what} ({ill or 'every part says it is well'})")
            self.runtime.hurry()
            time.sleep(0.001)


def _free_port() -> int:
    """The alert channel must know the broker's port before the broker runs."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
