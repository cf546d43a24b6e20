"""Mosquitto killed under load (M3): what it had acknowledged and forgot, and what that means for a site."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.records import PossibleLoss
from rules.readings import SECOND_NS
from simulators.load import Load, Plan, numbers_of, read_report
from tests.services.mosquitto import GATEWAY, Mosquitto
from tests.services.recording import Recording, as_service, publish_as_gateway, recording

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.services
PLAN = Plan(scenario="load", seed=1, stations=200, start_ns=1_762_084_800 * SECOND_NS, interval_ns=SECOND_NS)
START = "2025-11-02T20:00:00+08:00"
RATE = 2_000
SAVED_S = 1.5  # after this a new session is on the broker's disk; a kill before would end it as well
LONGEST_S = 2.0
EACH = pytest.mark.parametrize("protocol", ["3.1.1", "5"])


class Publishing:
    """The load generator in a process of its own, while Mosquitto is killed now and then."""

    def __init__(self, broker: Mosquitto, report: Path, *, seconds: float) -> None:
        self._broker, self._report = broker, report
        command = [sys.executable, "-m", "simulators.load", "--port", str(broker.port), "--report", str(report)]
        command += ["--rate", str(RATE), "--seconds", str(seconds), "--stations", str(PLAN.stations)]
        command += ["--start", START, "--username", GATEWAY, "--password", broker.password(GATEWAY)]
        self._process = subprocess.Popen(command, cwd=ROOT)

    def killing(self, times: int, seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(times):
            time.sleep(dice.uniform(2, 4))
            self._broker.kill()
            self._broker.start()

    def acknowledged(self) -> list[bytes]:
        """When it has published all: the messages that the broker took responsibility for."""
        assert self._process.wait(60) == 0
        load = Load(PLAN)
        return [load.payload(number) for number in numbers_of(read_report(self._report).acknowledged)]


def settled(service: Recording) -> list[bytes]:
    """What the journal holds when nothing more has come for two seconds."""
    found: list[bytes] = []
    while len(more := service.payloads()) > len(found):
        found = more
        time.sleep(2)
    return found


@EACH
def test_m3_killed_under_a_service_that_reads_it_forgets_only_what_had_just_come(
    a_mosquitto: Callable[..., Mosquitto], tmp_path: Path, protocol: str
) -> None:
    """What it has handed over is in our journal; what it forgot of that comes again. A tenth of a second at most."""
    broker = a_mosquitto()
    with recording(tmp_path / "journal", broker.port, protocol=protocol, **as_service(broker)) as service:
        service.well()
        time.sleep(SAVED_S)
        publishing = Publishing(broker, tmp_path / "report.json", seconds=13)
        publishing.killing(3, seed=1)
        acknowledged = publishing.acknowledged()
        lost = set(acknowledged) - set(settled(service))
        print(f"MQTT {protocol}: of {len(acknowledged)} acknowledged, {len(lost)} lost by 3 kills")  # noqa: T201  # the figure
        assert len(acknowledged) > 20_000
        assert len(lost) <= 3 * RATE * 0.1
        assert not service.told(PossibleLoss)  # nobody could know


def test_m3_killed_while_the_service_is_away_it_forgets_what_came_since_it_last_saved(
    a_mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    """It saves every second, and later when it is busy: deploy/mosquitto/mosquitto.conf says two seconds at most."""
    broker = a_mosquitto()
    said = {"protocol": "5", "session_file": str(tmp_path / "session"), **as_service(broker)}
    with recording(tmp_path / "journal", broker.port, **said) as service:
        service.well()
        time.sleep(SAVED_S)
    publishing = Publishing(broker, tmp_path / "report.json", seconds=13)
    publishing.killing(3, seed=2)
    acknowledged = publishing.acknowledged()
    with recording(tmp_path / "journal", broker.port, **said) as service:
        service.well()
        lost = set(acknowledged) - set(settled(service))
        print(f"of {len(acknowledged)} acknowledged, {len(lost)} lost by 3 kills")  # noqa: T201  # the figure
        assert len(acknowledged) > 20_000
        assert len(lost) <= 3 * RATE * LONGEST_S
        assert not service.told(PossibleLoss)


@EACH
def test_ended_in_order_it_forgets_nothing(
    a_mosquitto: Callable[..., Mosquitto], tmp_path: Path, protocol: str
) -> None:
    broker = a_mosquitto()
    said = {"protocol": protocol, "session_file": str(tmp_path / "session"), **as_service(broker)}
    with recording(tmp_path / "journal", broker.port, **said) as service:
        service.well()
    messages = [("jianwei/v1/S/minute", b"%d" % n) for n in range(5_000)]
    publish_as_gateway(broker, messages)
    broker.stop()
    broker.start()
    with recording(tmp_path / "journal", broker.port, **said) as service:
        service.holds({payload for _, payload in messages})
        assert not service.told(PossibleLoss)
