"""A service as a site runs it, in a process of its own, on a broker that outlives it; and load whose truth is known."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from alerts.ledger import SqlLedger
from ingest.broker import RESEND_AFTER_S
from ingest.journal import SqliteJournal
from ingest.stores.sqlite import SqliteStore
from jianwei.folders import DataFolder
from rules.readings import SECOND_NS, Transition
from rules.schema import Station
from simulators.fleet import register_yaml
from simulators.load import Load, Plan, Report, read_report

PLAN = Plan(scenario="load", seed=1, stations=200, start_ns=1_762_084_800 * SECOND_NS, interval_ns=SECOND_NS)
START = "2025-11-02T20:00:00+08:00"

TIME_DEPENDENT = {"silence"}  # a feed is silent or not by the clock on the wall, which a kill stops
SOURCE = "gateway"
SETTINGS = """
instance = "kill"
stations = ["stations.yaml"]
[[sources]]
type = "mqtt"
name = "{source}"
client_id = "kill"
port = {port}
resend_after_s = {resend_after_s}
reconnect_min_s = 0.1
reconnect_max_s = 0.5
[worker]
snapshot_every_s = 1.0
[channels.archive]
type = "file"
folder = "alerts"
[http]
enabled = false
[log]
level = "warning"
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What is compared of a change: all that a person is told of it, and its id."""

    id: str
    episode: str
    what: str
    rule: str
    station: str
    parameter: str
    level: int
    at_ns: int
    since_ns: int
    first: tuple[int, float] | None
    worst: tuple[int, float] | None

    @classmethod
    def of(cls, t: Transition) -> "Found":
        first, worst = ((p.measured_ns, p.value) if p is not None else None for p in (t.first, t.worst))
        return cls(
            t.id, t.episode, t.what, t.rule, t.station, t.parameter, int(t.level), t.at_ns, t.since_ns, first, worst
        )


class Service:
    """`jianwei run` on `folder`, started as often as asked.

    `settings` name stations.yaml, and SOURCE, a source of MQTT; and `data_dir`, where it is not in `folder`.
    """

    def __init__(
        self, folder: Path, settings: str, stations: Sequence[Station], *, data_dir: Path | None = None
    ) -> None:
        folder.mkdir(parents=True)
        (folder / "jianwei.toml").write_text(settings)
        (folder / "stations.yaml").write_text(register_yaml(stations))
        self.folder = folder
        self.data = DataFolder(data_dir or folder / "data")
        self._log = (folder / "log.jsonl").open("ab")
        self._written = 0
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def on_embedded_broker(cls, folder: Path, port: int) -> "Service":
        settings = SETTINGS.format(source=SOURCE, port=port, resend_after_s=RESEND_AFTER_S)
        return cls(folder, settings, Load(PLAN).stations)

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> None:
        command = [sys.executable, "-m", "jianwei", "run", "-c", str(self.folder / "jianwei.toml")]
        self._written = self._entries()
        self._process = subprocess.Popen(command, stderr=self._log, stdout=self._log)

    def start_and_subscribe(self) -> None:
        """The first start; a broker keeps nothing for strangers, so the session must be there before the first message."""
        self.start()
        assert wait_until(self.data.session(SOURCE).exists, timeout_s=60), self.last_words()

    def has_written(self) -> bool:
        """Whether messages came into the journal since the last start."""
        return self._entries() > self._written + 1  # one may be a tick

    def kill(self) -> None:
        """SIGKILL, wherever it is. It must not have ended by itself."""
        process = self._running()
        process.kill()
        process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        process = self._running()
        process.terminate()
        return process.wait(30)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def stored(self) -> int:
        """Readings in the embedded store."""
        return SqliteStore(self.data.store).count() if self.data.store.is_dir() else 0

    def transitions(self) -> list[Transition]:
        """Of all episodes, by episode, in the order they were recorded."""
        ledger = SqlLedger(self.data.ledger_url, [], lambda: 0)
        try:
            episodes = ledger.episodes(limit=1_000_000)
            return [t for episode in episodes for t in ledger.transitions(episode.id)]
        finally:
            ledger.close()

    def alerts(self) -> list[dict[str, object]]:
        """Every event in the archive, as often as it was delivered."""
        files = sorted((self.data.root / "alerts").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def found(self) -> list[Found]:
        """Every change once, and told at least once under its one id; sorted. The service must have ended."""
        every = self.transitions()
        found = sorted((Found.of(t) for t in every if t.check not in TIME_DEPENDENT), key=lambda f: f.id)
        assert len({f.id for f in found}) == len(found) > 0
        assert len({(f.episode, f.what, f.level) for f in found}) == len(found)
        told = {str(event["id"]) for event in self.alerts()}
        assert told >= {f.id for f in found}
        assert told <= {t.id for t in every}
        return found

    def _entries(self) -> int:
        journal = SqliteJournal(self.data.journal)
        try:
            return journal.last()
        finally:
            journal.close()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        assert self._process.poll() is None, f"ended by itself: {self.last_words()}"
        return self._process

    def last_words(self) -> str:
        return (self.folder / "log.jsonl").read_text()[-2000:]


class Publishing:
    """The load generator in a process of its own."""

    def __init__(self, folder: Path, port: int, *, rate: int, count: int) -> None:
        self._report = folder / "report.json"
        command = [sys.executable, "-m", "simulators.load", "--port", str(port), "--stations", str(PLAN.stations)]
        command += ["--rate", str(rate), "--count", str(count), "--seconds", "600", "--start", START]
        command += ["--patience", "60", "--report", str(self._report)]
        self._process = subprocess.Popen(command, cwd=Path(__file__).parents[2], env=os.environ)

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        """Asks it to publish no more; what it published it sees through."""
        self._process.terminate()

    def report(self) -> Report:
        assert self._process.wait(60) == 0
        return read_report(self._report)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def wait_until(is_so: Callable[[], bool], *, timeout_s: float) -> bool:
    end_s = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.2)
    return True
