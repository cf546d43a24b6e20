"""Load for Mosquitto or Kafka that tells when it handed over each message, and when the broker took it over.

Run as a process by `TimedLoad`: python -m tests.services.timed_load ORDER, a file of JSON.
"""

import json
import os
import signal
import subprocess
import sys
import time
from bisect import bisect_left, bisect_right
from dataclasses import asdict, dataclass, field
from pathlib import Path

from jianwei.clock import wall_ns
from simulators.kafka import KafkaPublisher
from simulators.load import Load, Pace, Plan, publishing
from simulators.publish import Publisher, Ranges
from tests.services.program import HOST

ROOT = Path(__file__).parents[2]
TURN_S = 0.005
PATIENCE_S = 120.0
WINDOW = 20_000  # messages that may wait for acknowledgement, so that a broker that is away soon gets them all
END_S = 180.0
BEGUN = "begun"


@dataclass(frozen=True, slots=True)
class Order:
    """What shall be published, and to whom. `topic` empty: to MQTT. `leave_out`: numbers that are not published."""

    plan: Plan
    port: int
    rate: float
    count: int
    topic: str = ""
    username: str | None = None
    password: str | None = None
    leave_out: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TimedReport:
    """`published`, `acknowledged`: (when, how many until then), by the wall clock. All were acknowledged in the end."""

    published: list[tuple[int, int]]
    acknowledged: list[tuple[int, int]]

    @property
    def count(self) -> int:
        return self.acknowledged[-1][1]

    def published_ns(self, number: int) -> int:
        return _when(self.published, number)

    def acknowledged_until(self, when_ns: int) -> int:
        """How many."""
        place = bisect_right(self.acknowledged, when_ns, key=lambda entry: entry[0])
        return self.acknowledged[place - 1][1] if place else 0

    def acknowledged_ns(self, number: int) -> int:
        return _when(self.acknowledged, number)


def _when(log: list[tuple[int, int]], number: int) -> int:
    """When more than `number` were reached: not before it happened, and at most a turn after."""
    return log[bisect_left(log, number + 1, key=lambda entry: entry[1])][0]


class TimedLoad:
    """The process; `settled` once all that it published is acknowledged."""

    def __init__(self, folder: Path, order: Order) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._report = folder / "report.json"
        file = folder / "order.json"
        file.write_text(json.dumps([asdict(order), str(self._report)]))
        self._begun = folder / BEGUN
        self._log = folder / "log"
        command = [sys.executable, "-m", "tests.services.timed_load", str(file)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    @property
    def has_begun(self) -> bool:
        """The broker has taken over something."""
        return self._begun.exists()

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        """Asks it to publish no more; what it published it sees through."""
        self._process.send_signal(signal.SIGTERM)

    def report(self) -> TimedReport:
        assert self._process.wait(END_S) == 0, self.last_words()
        found = json.loads(self._report.read_text())
        return TimedReport(*([(when, many) for when, many in log] for log in found))

    def last_words(self) -> str:
        return self._log.read_text()[-2_000:]

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Log:
    """How many, and since when."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, int]] = []

    def note(self, many: int) -> None:
        if many and (not self.entries or self.entries[-1][1] < many):
            self.entries.append((wall_ns(), many))


def _publisher(order: Order) -> Publisher | KafkaPublisher:
    name = f"load-{os.getpid()}"
    if order.topic:
        return KafkaPublisher(f"{HOST}:{order.port}", order.topic, client_id=name, window=WINDOW, patience_s=PATIENCE_S)
    return Publisher(
        HOST,
        order.port,
        client_id=name,
        username=order.username,
        password=order.password,
        window=WINDOW,
        patience_s=PATIENCE_S,
    )


def _unbroken(numbers: Ranges) -> int:
    return numbers.spans[0][1] + 1 if numbers.spans and numbers.spans[0][0] == 0 else 0


def main() -> None:
    content, report = json.loads(Path(sys.argv[1]).read_text())
    order = Order(**{**content, "plan": Plan(**content["plan"])})
    load = Load(order.plan)
    left_out = set(order.leave_out)
    numbers = (number for number in range(order.count) if number not in left_out)
    pace = Pace(order.rate, order.count - len(order.leave_out), 3_600)
    signal.signal(signal.SIGTERM, lambda *_: setattr(pace, "told_to_stop", True))
    published, acknowledged = Log(), Log()
    most = max(1, int(order.rate * 10 * TURN_S))  # at once, so that the log is fine
    with _publisher(order) as publisher:
        publish = publishing(load, publisher)
        while not pace.over(publisher.published) or len(publisher.acknowledged) < publisher.published:
            due = 0 if pace.over(publisher.published) else pace.due()
            for _ in range(min(due - publisher.published, most)):
                publish(next(numbers))
            publisher.poll()
            published.note(publisher.published)
            acknowledged.note(_unbroken(publisher.acknowledged))
            if len(acknowledged.entries) == 1:
                Path(report).with_name(BEGUN).touch()
            time.sleep(TURN_S)
    whole = Path(report).with_suffix(".part")
    whole.write_text(json.dumps([published.entries, acknowledged.entries]))
    whole.rename(report)


if __name__ == "__main__":
    main()
