"""Load whose every reading can be worked out again: N stations that report in rounds, as fast as asked.

A small scenario is laid out once; station i speaks as its i-th station (taken in turn), round r as its r-th row (taken
in turn), with its own name and the time of the round. So a message is put together from pieces made beforehand, and
one process makes many times what the other side can take. Message number n is of station n mod N in round n div N.

Run as a process: python -m simulators.load --port 1883 --rate 2000 --seconds 60 --stations 2000 --report FILE
or, into Kafka: python -m simulators.load --kafka 127.0.0.1:9092 --topic readings --rate 2000 --report FILE
"""

import argparse
import json
import signal
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from rules.readings import SECOND_NS, Kind
from rules.schema import KINDS, Station
from simulators import wire
from simulators.fleet import Fleet
from simulators.kafka import KafkaPublisher
from simulators.publish import BrokerUnreachableError, Publisher
from simulators.scenario import Scenario, load_scenario

VALUES = b'"values":'
SHORTEST_WAIT_S = 0.001


@dataclass(frozen=True, slots=True)
class Plan:
    """What makes a load: with equal plans, message n is the same, byte for byte.

    `scenario` has one group with one feed, in which every station says something at every interval. `interval_ns`: by
    how much event time moves from round to round.
    """

    scenario: str
    seed: int
    stations: int
    start_ns: int
    interval_ns: int


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a load.

    `acknowledged`: ranges [first, last] of message numbers that the broker took over; `checksum`: CRC-32 over the
    payloads of these messages, in order of number.
    """

    plan: Plan
    published: int
    acknowledged: list[list[int]]
    checksum: int
    reconnects: int
    took_s: float

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)) + "\n")


def read_report(path: Path) -> Report:
    data = json.loads(path.read_text())
    return Report(**{**data, "plan": Plan(**data["plan"])})


class Load:
    """The messages of a plan, by number."""

    def __init__(self, plan: Plan) -> None:
        scenario = load_scenario(plan.scenario)
        group = scenario.fleet[0].model_copy(update={"count": plan.stations})
        self.plan = plan
        self.kind: Kind = KINDS[group.feeds[0].kind]
        self.stations: list[Station] = [group.entry(station, name) for station, name in group.members()]
        self._offset_s = scenario.offset_s
        self._rows = _rows(scenario, plan.seed)
        self._keys = [s.id.encode() for s in self.stations]
        self._topics = [wire.mqtt_text(wire.topic_of(s.id, group.feeds[0].kind)) for s in self.stations]
        self._starts = [f'{{"station":"{s.id}","kind":"{group.feeds[0].kind}",'.encode() for s in self.stations]
        self._round = -1
        self._middle = b""

    def encoded(self, number: int) -> tuple[bytes, bytes]:
        """Head and payload, for `Publisher.publish_encoded`."""
        payload = self.payload(number)
        topic = self._topics[number % self.plan.stations]
        return b"\x32" + wire.length_bytes(len(topic) + 2 + len(payload)) + topic, payload

    def keyed(self, number: int) -> tuple[bytes, bytes]:
        """Station and payload, for `KafkaPublisher.publish`."""
        return self._keys[number % self.plan.stations], self.payload(number)

    def payload(self, number: int) -> bytes:
        turn, place = divmod(number, self.plan.stations)
        if turn != self._round:
            when = wire.text_of_time(self._measured_ns(turn), self._offset_s)
            self._round, self._middle = turn, f'"time":"{when}","seq":{turn},'.encode()
        rows = self._rows[place % len(self._rows)]
        return self._starts[place] + self._middle + rows[turn % len(rows)]

    def readings(self, number: int) -> tuple[str, int, dict[str, float | None]]:
        """Station, measured time and values of a message: what the store must hold."""
        turn, place = divmod(number, self.plan.stations)
        return self.stations[place].id, self._measured_ns(turn), json.loads(self.payload(number))["values"]

    def checksum(self, numbers: Iterable[int]) -> int:
        crc = 0
        for number in numbers:
            crc = zlib.crc32(self.payload(number), crc)
        return crc

    def _measured_ns(self, turn: int) -> int:
        return self.plan.start_ns + turn * self.plan.interval_ns


def _rows(scenario: Scenario, seed: int) -> list[list[bytes]]:
    """For each station of the scenario its messages from "values" on, in order of time."""
    fleet = Fleet(scenario, seed)
    messages = sorted(fleet.messages(0, fleet.end_ns * 2), key=lambda m: m.measured_ns)
    rows: dict[str, list[bytes]] = {station: [] for station, _, _ in scenario.stations()}
    for message in messages:
        rows[message.station].append(message.payload[message.payload.index(VALUES) :])
    return list(rows.values())


def numbers_of(spans: Iterable[Iterable[int]]) -> Iterator[int]:
    """All numbers in ranges [first, last]."""
    for first, last in spans:
        yield from range(first, last + 1)


class Pace:
    """Says how many messages are due; asks to stop after a count, a time, or a SIGTERM."""

    def __init__(self, rate: float, most: int, seconds: float) -> None:
        self._rate = rate
        self._most = most
        self._seconds = seconds
        self._began_s = time.monotonic()
        self.told_to_stop = False

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began_s

    def due(self) -> int:
        return min(self._most, int(min(self.elapsed_s, self._seconds) * self._rate))

    def over(self, published: int) -> bool:
        done = published >= self._most or (self.elapsed_s >= self._seconds and published >= self.due())
        return done or self.told_to_stop


def run(load: Load, publisher: Publisher | KafkaPublisher, pace: Pace) -> Report:
    """Publishes at the pace, then waits for the acknowledgements. A broker that stays away ends it early."""
    publish = publishing(load, publisher)
    try:
        while not pace.over(publisher.published):
            due = pace.due()
            while publisher.published < due and not pace.told_to_stop:
                publish(publisher.published)
            publisher.poll()
            time.sleep(SHORTEST_WAIT_S)
        publisher.flush()
    except BrokerUnreachableError:
        pass  # the report says what was acknowledged, which is what counts
    took_s = pace.elapsed_s
    spans = publisher.acknowledged.spans
    return Report(load.plan, publisher.published, spans, load.checksum(numbers_of(spans)), publisher.reconnects, took_s)


def publishing(load: Load, publisher: Publisher | KafkaPublisher) -> Callable[[int], int]:
    """Publishes the message of a number."""
    if isinstance(publisher, KafkaPublisher):
        return lambda number: publisher.publish(*load.keyed(number))
    return lambda number: publisher.publish_encoded(*load.encoded(number))


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulators.load", description="Publishes load whose truth is known."
    )
    parser.add_argument("--host", default="127.0.0.1")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int, help="of an MQTT broker")
    where.add_argument("--kafka", help="host:port, instead of an MQTT broker")
    parser.add_argument("--topic", default="readings", help="of Kafka")
    parser.add_argument("--username")
    parser.add_argument("--password")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--scenario", default="load")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stations", type=int, default=2000)
    parser.add_argument("--start", default="2026-11-02T20:00:00+08:00", help="time of the first round, with zone")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds of event time from round to round")
    parser.add_argument("--rate", type=float, default=2000.0, help="messages a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--count", type=int, default=100_000_000, help="at most so many messages")
    parser.add_argument("--window", type=int, default=1000, help="messages that may wait for acknowledgement")
    parser.add_argument("--patience", type=float, default=30.0, help="seconds to wait for a broker that is away")
    parser.add_argument("--report", type=Path, required=True)
    return parser


def opened(given: argparse.Namespace) -> Publisher | KafkaPublisher:
    if given.kafka is not None:
        return KafkaPublisher(
            given.kafka, given.topic, client_id="jianwei-load", window=given.window, patience_s=given.patience
        )
    return Publisher(
        given.host,
        given.port,
        client_id="jianwei-load",
        username=given.username,
        password=given.password_file.read_text() if given.password_file is not None else given.password,
        window=given.window,
        patience_s=given.patience,
    )


def main(kind: type[Load] = Load) -> None:
    given = arguments().parse_args()
    start = datetime.fromisoformat(given.start)
    if start.tzinfo is None:
        raise SystemExit("--start needs a zone, for example +08:00")
    start_ns = int(start.timestamp()) * SECOND_NS
    load = kind(Plan(given.scenario, given.seed, given.stations, start_ns, int(given.interval * SECOND_NS)))
    publisher = opened(given)
    pace = Pace(given.rate, given.count, given.seconds)
    signal.signal(signal.SIGTERM, lambda *_: setattr(pace, "told_to_stop", True))
    with publisher:
        run(load, publisher, pace).write(given.report)


if __name__ == "__main__":
    main()
