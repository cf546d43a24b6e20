"""Mosquitto as a site runs it, killed: what it keeps of what it acknowledged, and what each account may do."""

import threading
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.services.mosquitto import DUTY, GATEWAY, SERVICE, Mosquitto
from tests.services.program import HOST

pytestmark = pytest.mark.services

TOPIC = "jianwei/v1/SW-01/realtime"
PATIENCE_S = 20.0
LONGEST_LOSS_S = 2.5  # what deploy/mosquitto/mosquitto.conf says, and time to notice
KEEPS_S = 5.0  # what the same file advises a station
ROUND = 1_000  # messages between two kills


class Client:
    """A paho client that notes what it hears and what was acknowledged, and when."""

    def __init__(self, broker: Mosquitto, user: str, client_id: str, *, stays: bool = False) -> None:
        self.heard: list[int] = []
        self.acknowledged: dict[int, float] = {}  # number, when
        self._numbers: dict[int, int] = {}
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id, clean_session=not stays)
        self._client.username_pw_set(user, broker.password(user))
        self._client.on_message = lambda _c, _u, message: self.heard.append(int(message.payload))
        self._client.on_publish = lambda _c, _u, mid, *_: self._note(mid)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect(HOST, broker.port)
        self._client.loop_start()

    def subscribe(self, topics: str = "jianwei/v1/#") -> None:
        self._client.subscribe(topics, qos=1)
        assert self._subscribed.wait(PATIENCE_S)

    def publish(self, number: int, topic: str = TOPIC) -> None:
        self._numbers[self._client.publish(topic, str(number), qos=1).mid] = number

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _note(self, mid: int) -> None:
        for _ in range(1_000):  # the acknowledgement may be quicker than the note of the number
            if mid in self._numbers:
                break
            time.sleep(0.001)
        self.acknowledged[self._numbers[mid]] = time.monotonic()


def away(broker: Mosquitto) -> None:
    """The broker knows the service, which is not there."""
    service = Client(broker, SERVICE, "service", stays=True)
    service.subscribe()
    service.close()


def until(is_so: Callable[[], bool], *, timeout_s: float = PATIENCE_S) -> bool:
    end_s = time.monotonic() + timeout_s
    while not is_so() and time.monotonic() < end_s:
        time.sleep(0.02)
    return is_so()


def test_a_message_that_waits_for_the_service_survives_a_kill(a_mosquitto: Callable[..., Mosquitto]) -> None:
    broker = a_mosquitto()
    away(broker)
    gateway = Client(broker, GATEWAY, "gateway")
    gateway.publish(1)
    assert until(lambda: 1 in gateway.acknowledged)
    time.sleep(LONGEST_LOSS_S)
    broker.kill()
    gateway.close()
    broker.start()
    back = Client(broker, SERVICE, "service", stays=True)
    assert until(lambda: back.heard == [1])
    back.close()


def test_a_kill_while_the_service_is_away_costs_at_most_the_last_seconds(a_mosquitto: Callable[..., Mosquitto]) -> None:
    broker = a_mosquitto()
    away(broker)
    gateway = Client(broker, GATEWAY, "gateway")
    for number in range(1_500):
        gateway.publish(number)
        time.sleep(0.003)
    killed_s = time.monotonic()
    broker.kill()
    gateway.close()
    broker.start()
    back = Client(broker, SERVICE, "service", stays=True)
    until(lambda: len(back.heard) == len(gateway.acknowledged), timeout_s=3)
    lost = gateway.acknowledged.keys() - set(back.heard)
    back.close()
    assert len(lost) < 1_500
    assert max((killed_s - gateway.acknowledged[number] for number in lost), default=0) < LONGEST_LOSS_S


@pytest.mark.parametrize("listens", [True, False], ids=["the service listens", "the service is away"])
def test_a_sender_that_keeps_a_sample_for_five_seconds_more_loses_nothing(
    a_mosquitto: Callable[..., Mosquitto], *, listens: bool
) -> None:
    broker = a_mosquitto()
    service = Client(broker, SERVICE, "service", stays=True)
    service.subscribe()
    time.sleep(LONGEST_LOSS_S)  # a session is saved no sooner than a message
    published, heard = 0, set[int]()
    keeps: dict[int, float] = {}  # number, when acknowledged
    for _ in range(3):
        if not listens:
            service.close()
        gateway = Client(broker, GATEWAY, "gateway")
        again = list(keeps)
        for number in again + list(range(published, published + ROUND)):
            gateway.publish(number)
            time.sleep(0.0003)
        published += ROUND
        broker.kill()
        gateway.close()
        now_s = time.monotonic()
        told = gateway.acknowledged
        unknown = [number for number in range(published) if number in keeps or number >= published - ROUND]
        keeps = {n: told.get(n, now_s) for n in unknown if now_s - told.get(n, now_s) < KEEPS_S}
        heard |= set(service.heard)
        broker.start()
        if listens:
            service.close()
        service = Client(broker, SERVICE, "service", stays=True)
        time.sleep(0.5)
        heard |= set(service.heard)
    last = Client(broker, GATEWAY, "gateway")
    for number in keeps:
        last.publish(number)
    until(lambda: heard | set(service.heard) == set(range(published)))
    assert heard | set(service.heard) == set(range(published))
    last.close()
    service.close()


def test_a_station_speaks_under_its_own_name_only(a_mosquitto: Callable[..., Mosquitto]) -> None:
    broker = a_mosquitto(stations=("SW-01", "SW-02"))
    service = Client(broker, SERVICE, "service", stays=True)
    service.subscribe()
    station = Client(broker, "SW-02", "station")
    station.publish(1, "jianwei/v1/SW-01/hour")
    station.publish(2, "jianwei/v1/SW-02/hour/more")
    station.publish(3, "jianwei/alerts/v1/SW-02")
    station.publish(4, "jianwei/v1/SW-02/hour")
    assert until(lambda: service.heard == [4])
    station.close()
    service.publish(5, "jianwei/v1/SW-01/hour")  # the service reads
    gateway = Client(broker, GATEWAY, "gateway")
    gateway.publish(6)
    assert until(lambda: 6 in service.heard)
    assert service.heard == [4, 6]
    for client in (gateway, service):
        client.close()


def test_nobody_hears_what_is_not_for_them(a_mosquitto: Callable[..., Mosquitto]) -> None:
    broker = a_mosquitto(stations=("SW-01",))
    others = {name: Client(broker, name, name) for name in (DUTY, GATEWAY, "SW-01")}
    for client in others.values():
        client.subscribe("#")
        client.subscribe("jianwei/#")
    service = Client(broker, SERVICE, "service")
    service.publish(1, "jianwei/alerts/v1/SW-01")
    gateway = Client(broker, GATEWAY, "speaks")
    gateway.publish(2)
    assert until(lambda: others[DUTY].heard == [1])
    time.sleep(0.2)
    assert {name: client.heard for name, client in others.items()} == {DUTY: [1], GATEWAY: [], "SW-01": []}
    for client in (service, gateway, *others.values()):
        client.close()


def test_a_wrong_password_and_no_password_stay_outside(mosquitto: Mosquitto) -> None:
    for user, word in ((SERVICE, "guessed"), (None, None)):
        answers: list[Any] = []
        client = paho.Client(CallbackAPIVersion.VERSION2, "stranger", reconnect_on_failure=False)
        client.username_pw_set(user, word)
        client.on_connect = lambda _c, _u, _f, code, _p, told=answers: told.append(code)
        client.connect(HOST, mosquitto.port)
        client.loop_start()
        assert until(lambda told=answers: bool(told))  # type: ignore[misc]
        client.loop_stop()
        assert answers[0].is_failure
