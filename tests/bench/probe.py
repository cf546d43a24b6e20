"""From publish to the alert in somebody's hand, in milliseconds: a process of its own beside the load.

Its stations speak of every hour in turn: one value above the permit, which opens an episode at once, then four good ones,
the last of which ends it; a fifth of them begins at a time. So two of five messages must bring an alert, and each that
does not come is an error.

python -m tests.bench.probe --port 1883 --alerts-port 1883 --count 1000 --rate 100 --report FILE
"""

import argparse
import json
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import numpy as np

from jianwei.clock import wall_ns
from rules.readings import SECOND_NS
from rules.schema import Station
from simulators import wire
from simulators.kafka import KafkaPublisher
from simulators.load import Load, Plan
from simulators.publish import Publisher
from tests import brokers_by_packets as mqtt

STATIONS = 200
HOUR_NS = 3_600 * SECOND_NS
CODE, LIMIT, BAD, GOOD = "w01018", 60.0, 95.0, 20.0
RULE = "wastewater_over"
CYCLE = (BAD, GOOD, GOOD, GOOD, GOOD)
CHANGES = {0: "opened", 4: "cleared"}  # by the place in the cycle
MOST_TURNS = 24 * 365  # of all runs of a service
PATIENCE_S = 60.0
HOST = "127.0.0.1"

Change = tuple[str, str]  # station and what


def stations() -> list[Station]:
    """For the register: outlets that tell an hourly value, which the permit for single samples judges as well."""
    found = []
    for station in Load(Plan("load", 1, STATIONS, 0, 1)).stations:
        permit = [limit for limit in station.permit if limit.parameter == CODE]
        name = station.id.replace("LD-", "PB-")
        found.append(station.model_copy(update={"id": name, "permit": permit, "feeds": {"hour": 3_600}}))
    assert all(p.value == LIMIT for station in found for p in station.permit)
    return found


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds, of the alerts that came; `missing`: alerts that did not."""

    published: int
    taken_ms: list[float]
    missing: int

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.taken_ms, percent))


def read_latencies(path: Path) -> Latencies:
    return Latencies(**json.loads(path.read_text()))


class Cycles:
    """What the stations say, message after message, and which alert each must bring. Message 0 is of a year ago."""

    def __init__(self) -> None:
        self._first_ns = (wall_ns() // HOUR_NS - MOST_TURNS) * HOUR_NS
        self._names = [station.id for station in stations()]

    def message(self, number: int) -> tuple[str, bytes, Change | None]:
        turn, place = divmod(number, STATIONS)
        station, step = self._names[place], (turn + place) % len(CYCLE)
        said = {
            "station": station,
            "kind": "hour",
            "time": wire.text_of_time(self._first_ns + turn * HOUR_NS, 8 * 3_600),
            "values": {CODE: CYCLE[step] + place % 7 / 10},
        }
        brings = step in CHANGES and turn >= step  # what was never opened is not cleared
        return station, wire.dumped(said), (station, CHANGES[step]) if brings else None


class Moments:
    """When each change was published, or came: its first time, its second, and so on."""

    def __init__(self) -> None:
        self.at_s: dict[tuple[Change, int], float] = {}
        self._times: Counter[Change] = Counter()

    def note(self, change: Change, at_s: float) -> None:
        self.at_s[change, self._times[change]] = at_s
        self._times[change] += 1


Publish = Callable[[str, bytes], None]


@contextmanager
def publishing(given: argparse.Namespace) -> Iterator[Publish]:
    """Each message is handed to the broker at once, and is acknowledged when the context ends."""
    if given.kafka is not None:
        with KafkaPublisher(given.kafka, given.topic, client_id="bench-probe") as kafka:

            def to_kafka(station: str, payload: bytes) -> None:
                kafka.publish(station.encode(), payload)
                kafka.poll()

            yield to_kafka
            kafka.flush()
        return
    password = given.password_file.read_text()
    with Publisher(HOST, given.port, client_id="bench-probe", username=given.username, password=password) as broker:

        def to_mqtt(station: str, payload: bytes) -> None:
            broker.publish(wire.topic_of(station, "hour"), payload)
            broker.poll()

        yield to_mqtt
        broker.flush()


def publish_all(given: argparse.Namespace, sent: Moments) -> None:
    """At the rate, each message at its time; when each that must bring an alert was published goes into `sent`."""
    cycles = Cycles()
    with publishing(given) as publish:
        began_s = time.monotonic()
        for number in range(given.count):
            station, payload, change = cycles.message(given.first + number)
            time.sleep(max(0.0, began_s + number / given.rate - time.monotonic()))
            if change is not None:
                sent.note(change, time.monotonic())
            publish(station, payload)


class Listener:
    """A client that subscribes to alerts at QoS 1 and notes when each came first."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self._line = mqtt.Line(socket.create_connection((HOST, port)))
        self._line.send(mqtt.connect("bench-listener", username=user, password=password))
        assert self._line.receive().body == b"\0\0"
        self._line.send(mqtt.packet(0x82, b"\0\1" + mqtt.text("jianwei/alerts/v1/#") + b"\1"))
        assert self._line.expect(mqtt.SUBACK).body == b"\0\1\1"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._line.sock, selectors.EVENT_READ)
        self.came = Moments()

    def listen(self, for_s: float) -> None:
        if not self._selector.select(for_s):
            return
        packet = self._line.receive()
        now_s = time.monotonic()
        if packet.kind != mqtt.PUBLISH:
            return
        end = 2 + int.from_bytes(packet.body[:2], "big")
        self._line.send(mqtt.packet(mqtt.PUBACK, packet.body[end : end + 2]))
        said = json.loads(packet.body[end + 2 :])
        data = said["data"]
        if data["rule"] == RULE:
            self.came.note((data["station"]["id"], data["what"]), now_s)


def measured(given: argparse.Namespace) -> Latencies:
    listener = Listener(given.alerts_port, given.alerts_user, given.alerts_password_file.read_text())
    sent, came = Moments(), listener.came
    speaking = Thread(target=publish_all, args=(given, sent))
    speaking.start()
    end_s = time.monotonic() + given.count / given.rate + PATIENCE_S
    while (speaking.is_alive() or len(came.at_s) < len(sent.at_s)) and time.monotonic() < end_s:
        listener.listen(0.05)
    speaking.join()
    taken_ms = [(came.at_s[one] - at_s) * 1_000 for one, at_s in sent.at_s.items() if one in came.at_s]
    return Latencies(given.count, taken_ms, len(sent.at_s) - len(taken_ms))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.probe")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int, help="of an MQTT broker")
    where.add_argument("--kafka", help="host:port, instead")
    parser.add_argument("--topic")
    parser.add_argument("--username")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--alerts-port", type=int, required=True)
    parser.add_argument("--alerts-user", required=True)
    parser.add_argument("--alerts-password-file", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0, help="messages of earlier runs")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="messages a second; two alerts of five")
    parser.add_argument("--report", type=Path, required=True)
    given = parser.parse_args(arguments)
    latencies = measured(given)
    given.report.write_text(json.dumps({name: getattr(latencies, name) for name in Latencies.__slots__}))


if __name__ == "__main__":
    main()
