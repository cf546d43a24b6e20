"""Receivers that hang, refuse or are slow delay nobody else, and have every alert once they are back."""

import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from ingest.broker import EmbeddedBroker
from jianwei.clock import wall_ns
from rules.readings import SECOND_NS
from simulators import wire
from simulators.load import Load, Plan
from simulators.publish import Publisher
from tests.kill.service import SETTINGS, SOURCE, Service, wait_until
from tests.services.kafka import Kafka
from tests.services.kafka_topics import make_topic
from tests.services.receivers import Consumer, Inbox, Manner, Subscriber, Webhook

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

STATIONS = 250
EVERY_S = 0.2  # a station goes out of range, or comes back
QUIET_S = 30.0
BAD_S, LOAD_S = 60.0, 75.0
PH, OUT_OF_RANGE, FINE = "w01001", 15.2, 7.3
MOST_S = 2.0  # for 99 of 100 changes, on a machine with much else to do
TO_OPEN, TO_CLEAR = 2, 3  # readings in a row

HOOK = """
[channels.{name}]
type = "webhook"
url = "http://127.0.0.1:{port}/"
secret = "not so secret"
timeout_s = {timeout_s}
"""
OTHERS = """
[channels.mqtt]
type = "mqtt"
host = "127.0.0.1"
port = {port}
[channels.kafka]
type = "kafka"
servers = ["{kafka}"]
topic = "{topic}"
state_topic = ""
"""


class Place:
    """A broker, a service that finds episodes in what is said to it, and receivers of all kinds."""

    def __init__(
        self, folder: Path, kafka: Kafka, exits: ExitStack, hooks: dict[str, Webhook], timeout_s: float
    ) -> None:
        self.broker = exits.enter_context(EmbeddedBroker(folder / "broker"))
        topic = f"alerts.{uuid.uuid4().hex}"
        make_topic(kafka.address, topic, 3)
        self.hooks = {"good": Webhook(), **hooks}
        self.others: dict[str, Inbox] = {
            "mqtt": exits.enter_context(closing(Subscriber(self.broker.port))),
            "kafka": exits.enter_context(closing(Consumer(kafka.address, topic))),
        }
        for hook in self.hooks.values():
            exits.callback(hook.close)
        settings = SETTINGS.format(source=SOURCE, port=self.broker.port, resend_after_s=5.0)
        settings += OTHERS.format(port=self.broker.port, kafka=kafka.address, topic=topic)
        settings += "".join(
            HOOK.format(name=name, port=hook.port, timeout_s=timeout_s) for name, hook in self.hooks.items()
        )
        self.stations = Load(Plan("load", 1, STATIONS, 0, SECOND_NS)).stations
        self.service = exits.enter_context(closing(Service(folder / "site", settings, self.stations)))
        self.service.start_and_subscribe()
        self._messages = 0

    @property
    def receivers(self) -> dict[str, Inbox]:
        return {**self.hooks, **self.others}

    def speak(self, for_s: float) -> Iterator[float]:
        """One station after the other goes out of range, then one after the other comes back; seconds that went by."""
        first_ns = wall_ns() - 3_600 * SECOND_NS
        with Publisher("127.0.0.1", self.broker.port) as publisher:
            began_s = time.monotonic()
            turn = 0
            while (passed_s := time.monotonic() - began_s) < for_s:
                yield passed_s
                is_bad = turn // STATIONS % 2 == 0
                station = self.stations[turn % STATIONS].id
                for n in range(TO_OPEN if is_bad else TO_CLEAR):
                    when = wire.text_of_time(first_ns + (turn * TO_CLEAR + n) * SECOND_NS, 0)
                    values = {PH: OUT_OF_RANGE if is_bad else FINE}
                    body = {"station": station, "kind": "realtime", "time": when, "values": values}
                    publisher.publish(wire.topic_of(station, "realtime"), wire.dumped(body))
                turn += 1
                publisher.poll()
                time.sleep(max(0.0, turn * EVERY_S - (time.monotonic() - began_s)))
            publisher.flush()

    def found(self) -> list[str]:
        """Ids of all changes that the ledger knows."""
        return [transition.id for transition in self.service.transitions()]

    def await_everywhere(self, timeout_s: float) -> list[str]:
        """Returns when every receiver has every change, once; the ids. What is found meanwhile (silence) counts."""
        found: list[str] = []

        def is_everywhere() -> bool:
            found[:] = self.found()
            return all(set(inbox.ids) >= set(found) for inbox in self.receivers.values())

        missing = wait_until(is_everywhere, timeout_s=timeout_s)
        assert missing, {name: len(set(found) - set(inbox.ids)) for name, inbox in self.receivers.items()}
        for name, inbox in self.receivers.items():
            assert len(inbox.ids) == len(set(inbox.ids)), f"{name} had some more than once"
        return found

    def check_order(self) -> None:
        """A station's changes came to all in the order in which they were recorded."""
        order: dict[str, list[str]] = {}
        for transition in self.service.transitions():
            order.setdefault(transition.station, []).append(transition.id)
        some = list(order)[:10]
        for inbox in self.receivers.values():
            assert [inbox.of_station(station) for station in some] == [
                self.hooks["good"].of_station(station) for station in some
            ]


def seconds_to_arrive(inbox: Inbox) -> list[float]:
    """From when we could know to the receiver, sorted."""
    return sorted(a.came_ns / SECOND_NS - datetime.fromisoformat(a.found).timestamp() for a in inbox.arrivals)


def middle(sorted_s: list[float]) -> float:
    return sorted_s[len(sorted_s) // 2]


def high(sorted_s: list[float]) -> float:
    return sorted_s[int(len(sorted_s) * 0.99)]


@contextmanager
def place(
    folder: Path, kafka: Kafka, hooks: dict[str, Webhook] | None = None, *, timeout_s: float = 2.0
) -> Iterator[Place]:
    with ExitStack() as exits:
        yield Place(folder, kafka, exits, hooks or {}, timeout_s)


def test_a_minute_of_bad_receivers_delays_nobody_and_costs_them_nothing(tmp_path: Path, kafka: Kafka) -> None:
    with place(tmp_path / "quiet", kafka) as quiet:
        for _ in quiet.speak(QUIET_S):
            pass
        assert len(quiet.await_everywhere(60)) >= QUIET_S / EVERY_S / 2
        calm = {name: seconds_to_arrive(inbox) for name, inbox in quiet.receivers.items()}
    bad = {
        "hangs": Webhook("hangs"),
        "drips": Webhook("drips"),
        "refuses": Webhook("refuses"),
        "slow": Webhook(slow_s=0.25),
    }
    with place(tmp_path / "loud", kafka, bad) as loud:
        for passed_s in loud.speak(LOAD_S):
            if passed_s > BAD_S and bad["hangs"].manner == "hangs":
                assert [hook.ids for name, hook in bad.items() if name != "slow"] == [[]] * 3
                for hook in bad.values():
                    hook.is_well_again()
        busy = {name: seconds_to_arrive(loud.receivers[name]) for name in calm}
        found = loud.await_everywhere(240)
        loud.check_order()
        assert loud.service.stop() == 0
    rows = [f"{len(found)} changes; seconds to arrive, median and 99 %, alone and beside four bad receivers:"]
    for name, alone in calm.items():
        beside = busy[name]
        rows.append(f"  {name:6} {middle(alone):.3f} {high(alone):.3f}  {middle(beside):.3f} {high(beside):.3f}")
    told = "\n".join(rows)
    sys.stdout.write(told + "\n")
    assert all(high(busy[name]) < max(MOST_S, 3 * high(alone)) for name, alone in calm.items()), told
    asked = {name: hook.asked for name, hook in bad.items()}
    assert max(asked.values()) < len(found) + 60, f"asked again and again while they were bad: {asked}"


@pytest.mark.parametrize("manner", ["hangs", "drips"])
def test_a_service_ends_in_time_while_receivers_hang(tmp_path: Path, kafka: Kafka, manner: Manner) -> None:
    bad = {f"bad{n}": Webhook(manner) for n in range(6)}
    with place(tmp_path, kafka, bad, timeout_s=60.0) as site:
        for _ in site.speak(2.0):
            pass
        assert wait_until(lambda: all(hook.asked for hook in bad.values()), timeout_s=10)
        began_s = time.monotonic()
        assert site.service.stop() == 0
        took_s = time.monotonic() - began_s
        for hook in bad.values():
            hook.is_well_again()
        site.service.start()
        site.await_everywhere(90)
    assert took_s < 25, f"{took_s:.1f} s: was each of six waited for alone?"
