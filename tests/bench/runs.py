"""Load through the real services, and what each process pays for it. A message that is not stored fails the run."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from jianwei.clock import wall_ns
from rules.readings import SECOND_NS
from simulators.load import Report, read_report
from tests.bench.messages import STATIONS
from tests.bench.probe import Latencies, read_latencies
from tests.bench.processes import cpu_s
from tests.bench.service import EVERY_S, Serving
from tests.bench.stack import Stack

FASTEST = 1_000_000.0  # messages a second: more than there can be
WINDOW = 5_000
PROBES = 100.0  # a second
LOADS = {"json_v1": "simulators.load", "flat": "tests.bench.flat"}
END_S = 600.0


class Consumer(Protocol):
    """Takes messages from a broker and stores them in a bucket of InfluxDB."""

    @property
    def pid(self) -> int: ...

    def wait(self, messages: int) -> None:
        """Until so many messages, of all that were published since it started, are stored; raises after a while."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """CPU microseconds a message: of the consumer, and of each service.

    `rate`: messages a second, until all are stored; `published_rate`: until the broker had all.
    """

    messages: int
    rate: float
    published_rate: float
    own_us: float
    services_us: Mapping[str, float]
    latencies: Latencies | None = None

    @property
    def others(self) -> str:
        return ", ".join(f"{name} {us:.0f}" for name, us in self.services_us.items())


@contextmanager
def process(module: str, arguments: list[str]) -> Iterator[None]:
    """It has ended well when the context ends."""
    with subprocess.Popen([sys.executable, "-m", module, *arguments]) as running:
        try:
            yield
            code = running.wait(END_S)
        finally:
            running.kill()
    assert code == 0, f"{module} ended with {code}"


class Way:
    """A consumer, and load after load through it. Event time goes on from load to load and ends now, after `rounds`."""

    def __init__(
        self, stack: Stack, consumer: Consumer, bucket: str, rounds: int, *, form: str = "json_v1",
        topic: str | None = None, stations: int = STATIONS,
    ) -> None:  # fmt: skip
        self._stack = stack
        self._consumer = consumer
        self._bucket = bucket
        self._module = LOADS[form]
        self._topic = topic
        self._stations = stations
        self._start = datetime.fromtimestamp(wall_ns() // SECOND_NS, UTC) - timedelta(seconds=rounds * EVERY_S)
        self._stored = self._published = self._probes = 0

    def run(self, rounds: int, rate: float, *, probed: bool = False) -> Run:
        """So many rounds of all stations. Raises AssertionError where anything that was published is not stored."""
        report, latencies = self._stack.folder / "report.json", self._stack.folder / "latencies.json"
        count = rounds * self._stations
        load = [
            *self._stack.publishing(self._topic), "--stations", str(self._stations), "--rate", str(rate),
            "--count", str(count), "--seconds", str(END_S), "--start", self._start.isoformat(),
            "--interval", str(EVERY_S), "--window", str(WINDOW), "--report", str(report),
        ]  # fmt: skip
        probe = [
            *self._stack.publishing(self._topic), *self._stack.listening(), "--first", str(self._probes),
            "--count", str(round(count / rate * PROBES)), "--rate", str(PROBES), "--report", str(latencies),
        ]  # fmt: skip
        services, own = self._stack.cpu_s(), cpu_s(self._consumer.pid)
        with process("tests.bench.probe", probe) if probed else nullcontext():
            with process(self._module, load):
                pass
            published = read_report(report)
            began_s = time.monotonic() - published.took_s
        found = read_latencies(latencies) if probed else None
        told = self._account(published, count, found)
        self._consumer.wait(self._published)
        took_s = time.monotonic() - began_s
        own = cpu_s(self._consumer.pid) - own
        services = {name: used - services[name] for name, used in self._stack.cpu_s().items()}
        self._start += timedelta(seconds=rounds * EVERY_S)
        self._stored += count
        stored = self._stack.count(self._bucket)
        assert stored == self._stored, (
            f"{self._stored} messages were published, {stored} are in the bucket {self._bucket}"
        )
        return Run(
            messages=count,
            rate=count / took_s,
            published_rate=count / published.took_s,
            own_us=own / told * 1e6,
            services_us={name: used / told * 1e6 for name, used in services.items()},
            latencies=found,
        )

    def _account(self, report: Report, count: int, latencies: Latencies | None) -> int:
        """How many messages were published; that the broker has taken over every one, and every alert has come."""
        assert report.acknowledged == [[0, count - 1]], f"the broker took {report.acknowledged} of {count} messages"
        assert report.reconnects == 0, "the publisher was thrown out: others may have been as well"
        probes = 0
        if latencies is not None:
            assert not latencies.missing, f"{latencies.missing} alerts did not come"
            probes = latencies.published
        self._published += count + probes
        self._probes += probes
        return count + probes


@dataclass(frozen=True, slots=True)
class Ours:
    """The service as a consumer."""

    serving: Serving

    @property
    def pid(self) -> int:
        return self.serving.pid

    def wait(self, messages: int) -> None:
        self.serving.rested(messages)


def median(runs: list[Run]) -> Run:
    """The run with the median cost."""
    return sorted(runs, key=lambda run: run.own_us)[len(runs) // 2]
