"""Five hundred data loggers on TCP, lines that break at any moment, and a service that is killed five times: nothing that was
answered is lost, doubled or told otherwise.

SOAK_S=600 makes it ten minutes, SEED=… repeats the dice of a run.
"""

import os
import random
import statistics
import time
from contextlib import closing
from pathlib import Path

import pytest

from ingest.journal import SqliteJournal
from ingest.quarantine import Quarantine
from rules.readings import SECOND_NS
from simulators.load import Plan
from tests.bench.processes import cpu_s, rss_mb
from tests.kill.hj212_site import Platform, check_store
from tests.kill.hj212_talkers import Order, Report, Talking
from tests.kill.hj212_voices import READINGS, Voices
from tests.kill.service import Found, Service, wait_until

SOAK_S = float(os.environ.get("SOAK_S", "45"))
SEED = int(os.environ.get("SEED", "20261125"))
STATIONS, KILLS = 500, 5
EVERY_S = 1.0  # a sample of each
CUTS, HALVES = 0.1, 0.02
AT_WORK = 0.8  # of the kills strike when frames come again, the others while the service starts
UNTIL = 0.7  # of the time is for kills; then memory is watched
FLAT_MB = 30.0
MOST_MB = 450.0

# The load's minutes in seconds, so that episodes open and close in a short run too.
SCENARIO = Path(__file__).parents[2] / "simulators" / "scenarios" / "load.yaml"
FASTER = {
    "length: 5m": "length: 1m",
    "at: 1m, for: 30s": "at: 5s, for: 12s",
    "at: 2m, for: 20s": "at: 10s, for: 5s",
    "at: 3m, for: 40s": "at: 15s, for: 10s",
}
pytestmark = [pytest.mark.kill, pytest.mark.timeout(300 + 3 * SOAK_S)]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    text = SCENARIO.read_text()
    for slow, fast in FASTER.items():
        assert slow in text
        text = text.replace(slow, fast)
    scenario = tmp_path / "fast.yaml"
    scenario.write_text(text)
    return Plan(str(scenario), seed=1, stations=STATIONS, start_ns=1_762_084_800 * SECOND_NS, interval_ns=SECOND_NS)


class Watched:
    """The service's memory and CPU, life by life."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.lives: list[list[float]] = []
        self._cpu_s: dict[int, float] = {}  # by process

    def begin(self) -> None:
        """A new life, or a part of one that is looked at by itself."""
        self.lives.append([])

    def until(self, end_s: float) -> None:
        """Looks twice a second."""
        while (left_s := end_s - time.monotonic()) > 0:
            time.sleep(min(0.5, left_s))
            self.lives[-1].append(rss_mb(self._service.pid))
            self._cpu_s[self._service.pid] = cpu_s(self._service.pid)

    @property
    def cpu_s(self) -> float:
        """Of all lives, but for the last moments of each."""
        return sum(self._cpu_s.values())

    @property
    def most_mb(self) -> float:
        return max(max(life, default=0.0) for life in self.lives)

    @property
    def growth_mb(self) -> float:
        """Between the second and the last third of the last life."""
        life = self.lives[-1]
        third = len(life) // 3
        return statistics.median(life[-third:]) - statistics.median(life[third : 2 * third])


def test_five_kills_of_the_service_and_lines_that_break_cost_nothing_that_was_answered(
    tmp_path: Path, plan: Plan
) -> None:
    voices = Voices(plan)
    with closing(Platform(tmp_path / "site", voices.stations, most_of_one_address=2 * STATIONS)) as service:
        watched = Watched(service)
        service.start_and_listen()
        watched.begin()
        order = Order(plan, service.port, EVERY_S, CUTS, HALVES, SEED)
        with closing(Talking(tmp_path / "loggers", order)) as loggers:
            began_s = time.monotonic()
            kill_all(service, watched, began_s)
            assert wait_until(service.has_written, timeout_s=60), service.last_words()
            watched.begin()
            watched.until(time.monotonic() + SOAK_S * (1 - UNTIL))
            assert not loggers.is_over, loggers.last_words()
            loggers_cpu_s, took_s = cpu_s(loggers.pid), time.monotonic() - began_s
            loggers.end()
            report = loggers.report()
        assert report.foreign == []
        service.await_stored(sum(report.turns) * READINGS)
        time.sleep(3.0)  # for notices, and for anything that comes although it must not
        assert service.stop() == 0
        readings = check_store(service, voices, report.turns)
        assert service.stored() == readings
        found = service.found()
        check_quarantine(service, report)
        assert SqliteJournal(service.data.journal).verify() == []
    assert report.cuts > STATIONS * SOAK_S * CUTS / 20
    assert sum(report.turns) > STATIONS * SOAK_S / 4
    assert watched.growth_mb < FLAT_MB
    assert watched.most_mb < MOST_MB
    tell(report, readings, watched, (took_s, loggers_cpu_s), len(found))
    assert found == undisturbed(tmp_path / "calm", plan, report)


def kill_all(service: Service, watched: Watched, began_s: float) -> None:
    dice = random.Random(SEED)
    for kill in range(KILLS):
        watched.until(began_s + SOAK_S * UNTIL * (kill + dice.random()) / KILLS)
        if dice.random() < AT_WORK:
            assert wait_until(service.has_written, timeout_s=60), service.last_words()
        time.sleep(dice.uniform(0.0, 0.2))
        service.kill()
        service.start()
        watched.begin()


def check_quarantine(service: Service, report: Report) -> None:
    """Halves of frames that came before the line broke, and nothing that was whole."""
    with closing(Quarantine(service.data.quarantine)) as quarantine:
        entries = quarantine.entries(most=1_000_000)
    assert {kept.problem.reason.partition(":")[0] for kept in entries} == {"incomplete"}
    assert len(entries) <= report.halves


def undisturbed(folder: Path, plan: Plan, report: Report) -> list[Found]:
    """What a service finds in the same samples when nobody is killed and no line breaks."""
    with closing(Platform(folder / "site", Voices(plan).stations, most_of_one_address=2 * STATIONS)) as service:
        service.start_and_listen()
        with closing(Talking(folder / "loggers", Order(plan, service.port, 0.0, turns=report.turns))) as loggers:
            assert loggers.report(120 + SOAK_S).turns == report.turns
        service.await_stored(sum(report.turns) * READINGS)
        time.sleep(2.0)
        assert service.stop() == 0
        return service.found()


def tell(report: Report, readings: int, watched: Watched, took: tuple[float, float], found: int) -> None:
    took_s, loggers_cpu_s = took
    print(  # noqa: T201
        f"\n{sum(report.turns):,} samples answered, {report.said:,} frames said, {report.heard:,} answers heard, {report.lines:,} "
        f"lines, {report.cuts:,} cut before the answer, {report.halves:,} within a frame, {report.lost:,} lost otherwise, "
        f"{report.late:,} answers late; {KILLS} kills; {readings:,} readings compared, {found:,} changes; answers after "
        f"{report.percentile_ms(0.5):.0f} ms (p50), {report.percentile_ms(0.99):.0f} ms (p99); service "
        f"{watched.most_mb:.0f} MB at most, {watched.growth_mb:+.1f} MB in the last third, {watched.cpu_s:.0f} s of CPU "
        f"in {took_s:.0f} s; loggers {loggers_cpu_s:.0f} s of CPU"
    )
