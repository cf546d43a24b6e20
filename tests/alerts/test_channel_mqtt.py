"""The MQTT channel against the embedded broker, and against servers that misbehave in ways no real broker would."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import Queue

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from alerts.channel import DeliveryFailed
from alerts.channels.mqtt import MqttChannel, MqttChannelSettings
from alerts.events import AlertEvent, compose
from alerts.notices import CodesAsNames
from ingest.broker import EmbeddedBroker
from rules.readings import Transition
from tests.alerts.found import NOON_NS, OPENED, story

CONNECT, PUBLISH, PUBACK, DISCONNECT = 1, 3, 4, 14
Answer = Callable[[socket.socket, int, bytes], None]


def event_of(transition: Transition) -> AlertEvent:
    return compose(transition, number=1, recorded_ns=NOON_NS, names=CodesAsNames(), instance="test")


def channel_to(port: int, timeout_s: float = 5.0) -> MqttChannel:
    return MqttChannel("mqtt", MqttChannelSettings(host="127.0.0.1", port=port, timeout_s=timeout_s))


def failure(channel: MqttChannel) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        channel.send(event_of(OPENED))
    channel.close()
    return caught.value


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


class Listener:
    """A subscriber of everything under the topic of alerts."""

    def __init__(self, port: int) -> None:
        self.got: Queue[tuple[str, bytes]] = Queue(maxsize=1000)
        ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _client, _data, message: self.got.put((message.topic, bytes(message.payload)))
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("jianwei/alerts/v1/#", qos=1)
        self._client.loop_start()
        assert ready.wait(10)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_events_arrive_whole_in_order_and_under_their_station(broker: EmbeddedBroker) -> None:
    listener = Listener(broker.port)
    channel = channel_to(broker.port)
    sent = [event_of(t) for t in [*story(1, "上塘河-01"), *story(2, "B")]]
    for event in sent:
        channel.send(event)
    got = [listener.got.get(timeout=10) for _ in sent]
    channel.close()
    listener.stop()
    assert got == [(f"jianwei/alerts/v1/{event.subject}", event.to_bytes()) for event in sent]


def test_a_station_cannot_choose_another_topic(broker: EmbeddedBroker) -> None:
    listener = Listener(broker.port)
    channel = channel_to(broker.port)
    channel.send(event_of(replace(OPENED, station="a b/+#")))
    topic, _ = listener.got.get(timeout=10)
    channel.close()
    listener.stop()
    assert topic == "jianwei/alerts/v1/a%20b%2F%2B%23"


def test_it_comes_back_by_itself_when_the_broker_does(tmp_path: Path) -> None:
    first = EmbeddedBroker(tmp_path)
    first.start()
    port = first.port
    channel = channel_to(port, timeout_s=2)
    channel.send(event_of(OPENED))
    first.stop()
    assert failure(channel).reason in {"unreachable", "timeout"}
    second = EmbeddedBroker(tmp_path, port=port)
    second.start()
    channel.send(event_of(OPENED))
    channel.close()
    second.stop()


def test_nobody_there_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    failed = failure(channel_to(port))
    assert failed.reason == "unreachable"
    assert f"cannot connect to 127.0.0.1:{port}: " in failed.error
    assert "`host` and `port` of this channel" in failed.error


def packet(connection: socket.socket) -> tuple[int, bytes]:
    """One MQTT packet; (0, b"") at the end."""
    head = connection.recv(1)
    if not head:
        return 0, b""
    length, shift = 0, 0
    while True:
        (byte,) = connection.recv(1)
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body))
    return head[0] >> 4, body


@pytest.fixture
def odd_broker() -> Iterator[Callable[[Answer], int]]:
    """A server on a free port that reads MQTT packets and answers as the test says."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(10)
    threads = []

    def serve(answer: Answer) -> None:
        try:
            connection, _ = listening.accept()
        except TimeoutError:
            return  # nobody came, which the test will say
        with connection:
            connection.settimeout(10)
            try:
                while (received := packet(connection))[0] not in {0, DISCONNECT}:
                    answer(connection, *received)
            except OSError:
                return  # one side hung up

    def start(answer: Answer) -> int:
        threads.append(threading.Thread(target=serve, args=(answer,)))
        threads[-1].start()
        port: int = listening.getsockname()[1]
        return port

    yield start
    for thread in threads:
        thread.join(10)
    listening.close()


def accept(connection: socket.socket, kind: int, _body: bytes) -> None:
    if kind == CONNECT:
        connection.sendall(b"\x20\x02\x00\x00")


@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [
        (4, "auth", "Bad user name or password (check username and password of this channel)"),
        (5, "auth", "Not authorized (check username and password of this channel, and the rights of this user"),
        (3, "server", "Server unavailable (look at the broker's log)"),
    ],
)
def test_a_refusal_has_its_class_and_tells_where_who_and_what_to_do(
    odd_broker: Callable[[Answer], int], code: int, reason: str, told: str
) -> None:
    def refuse(connection: socket.socket, _kind: int, _body: bytes) -> None:
        connection.sendall(bytes([0x20, 2, 0, code]))

    port = odd_broker(refuse)
    said = {"host": "127.0.0.1", "port": port, "username": "duty", "password": "correct horse"}
    failed = failure(MqttChannel("mqtt", MqttChannelSettings.model_validate(said)))
    assert failed.reason == reason
    assert f"127.0.0.1:{port} refuses user 'duty': {told}" in failed.error
    assert "correct horse" not in str(failed)


def test_a_certificate_that_is_not_there_is_named() -> None:
    said = {"host": "127.0.0.1", "port": 9, "tls": True, "ca_file": "/nowhere/ca.pem"}
    failed = failure(MqttChannel("mqtt", MqttChannelSettings.model_validate(said)))
    assert failed.reason == "auth"
    assert "`ca_file` /nowhere/ca.pem cannot be used: " in failed.error


def test_a_broker_that_never_answers_is_a_timeout(odd_broker: Callable[[Answer], int]) -> None:
    began_s = time.monotonic()
    assert failure(channel_to(odd_broker(lambda *_: None), timeout_s=0.3)).reason == "timeout"
    assert time.monotonic() - began_s < 5


def test_sent_means_acknowledged(odd_broker: Callable[[Answer], int]) -> None:
    """A broker that takes the event and says nothing does not have it."""
    port = odd_broker(accept)
    failed = failure(channel_to(port, timeout_s=0.3))
    assert failed.reason == "timeout"
    assert f"127.0.0.1:{port} did not acknowledge an event on jianwei/alerts/v1/S-01 within 0.3 s" in failed.error


def test_a_connection_lost_before_the_acknowledgement_is_told_at_once(odd_broker: Callable[[Answer], int]) -> None:
    def hang_up(connection: socket.socket, kind: int, body: bytes) -> None:
        accept(connection, kind, body)
        if kind == PUBLISH:
            connection.shutdown(socket.SHUT_RDWR)

    began_s = time.monotonic()
    assert failure(channel_to(odd_broker(hang_up), timeout_s=8)).reason == "unreachable"
    assert time.monotonic() - began_s < 5


def test_a_failed_event_is_not_sent_again_behind_our_back(odd_broker: Callable[[Answer], int]) -> None:
    """The next connection carries only what delivery sends on it."""
    published: list[bytes] = []

    def keep(connection: socket.socket, kind: int, body: bytes) -> None:
        accept(connection, kind, body)
        if kind == PUBLISH:
            published.append(body)
            if len(published) > 1:
                length = int.from_bytes(body[:2], "big")
                connection.sendall(bytes([PUBACK << 4, 2]) + body[2 + length : 4 + length])

    port = odd_broker(keep)
    channel = channel_to(port, timeout_s=0.5)
    with pytest.raises(DeliveryFailed):
        channel.send(event_of(OPENED))
    odd_broker(keep)
    other = event_of(story(5, "B")[0])
    channel.send(other)
    channel.close()
    assert len(published) == 2
    assert published[1].endswith(other.to_bytes())


def test_the_password_is_not_shown() -> None:
    made = MqttChannelSettings.model_validate({"host": "h", "username": "u", "password": "correct horse"})
    assert "correct horse" not in repr(made) + str(made.model_dump())
