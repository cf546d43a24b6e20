"""The MQTT source with the site's Mosquitto: sessions, windows, and every kind of message that a station may send."""

import re
import socket
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.records import Connected, PartFailed, PossibleLoss
from tests.brokers_by_packets import HOST, Line, connect
from tests.ingest.mqtt_probe import Probe, until
from tests.services.mosquitto import DEPLOY, GATEWAY, SERVICE, Mosquitto
from tests.services.proxy import Proxy, delivered
from tests.services.recording import as_service, publish_as_gateway

pytestmark = pytest.mark.services
EACH = pytest.mark.parametrize("protocol", ["3.1.1", "5"])
LARGE_BYTES = 3 * 1024 * 1024


@pytest.fixture
def session(mosquitto: Mosquitto, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings of a source with a session of this test's own on the broker that tests share."""
    client_id = f"s{zlib.crc32(request.node.name.encode()):08x}"
    return {"client_id": client_id, "topics": (f"jianwei/v1/{client_id}/#",), **as_service(mosquitto)}


def numbered(session: dict[str, Any], start: int, stop: int) -> list[tuple[str, bytes]]:
    return [(f"jianwei/v1/{session['client_id']}/minute", b"%d" % n) for n in range(start, stop)]


def numbers(start: int, stop: int) -> list[bytes]:
    return [b"%d" % n for n in range(start, stop)]


def forget(broker: Mosquitto, client_id: str) -> None:
    """As an operator or another program does who connects once with this client id and a clean start."""
    line = Line(socket.create_connection((HOST, broker.port)))
    line.send(connect(client_id, clean=True, username=SERVICE, password=broker.password(SERVICE)))
    assert line.receive().body == b"\0\0"
    line.close()


def said_goodbye(broker: Mosquitto, client_id: str) -> bool:
    """The broker has read its last connection to the end, the acknowledgements before the goodbye too.

    Who connects again sooner takes the session over, and what the broker has not read of the old connection is gone.
    """
    last = [line for line in broker.said().splitlines() if client_id in line][-1:]
    return bool(last) and "disconnected" in last[0]


# Sessions


@EACH
def test_p1_the_next_process_finds_the_session_and_what_came_meanwhile(
    mosquitto: Mosquitto, session: dict[str, Any], protocol: str, tmp_path: Path
) -> None:
    """Also what the first one took and did not acknowledge, before what is newer."""
    session |= {"protocol": protocol, "session_file": str(tmp_path / "session")}
    with Probe(mosquitto.port, **session) as probe:
        probe.well()
        publish_as_gateway(mosquitto, numbered(session, 0, 100))
        probe.take_and_acknowledge(100)
        publish_as_gateway(mosquitto, numbered(session, 100, 200))
        probe.take_messages(200)
    publish_as_gateway(mosquitto, numbered(session, 200, 2_000))
    with Probe(mosquitto.port, **session) as probe:
        probe.take_and_acknowledge(1_900)
        assert probe.payloads == numbers(100, 2_000)
        assert [record.session_present for record in probe.told(Connected)] == [True]
        assert not probe.told(PossibleLoss)


@EACH
def test_a_session_deleted_at_the_broker_is_a_possible_loss_in_the_next_process(
    mosquitto: Mosquitto, session: dict[str, Any], protocol: str, tmp_path: Path
) -> None:
    session |= {"protocol": protocol, "session_file": str(tmp_path / "session")}
    with Probe(mosquitto.port, **session) as probe:
        probe.well()
        assert not probe.told(PossibleLoss)
    publish_as_gateway(mosquitto, numbered(session, 0, 5))
    forget(mosquitto, session["client_id"])
    with Probe(mosquitto.port, **session) as probe:
        until(lambda: probe.told(PossibleLoss))
        assert session["client_id"] in probe.told(PossibleLoss)[0].why
        probe.well()
        assert probe.nothing_comes(0.3)  # they are lost indeed
        publish_as_gateway(mosquitto, numbered(session, 5, 10))
        probe.take_and_acknowledge(5)


@EACH
def test_a_session_deleted_under_a_living_process_is_a_possible_loss(
    mosquitto: Mosquitto, session: dict[str, Any], protocol: str
) -> None:
    with Probe(mosquitto.port, protocol=protocol, **session) as probe:
        probe.well()
        forget(mosquitto, session["client_id"])
        until(lambda: probe.told(PossibleLoss))
        until(lambda: probe.health.ok)
        publish_as_gateway(mosquitto, numbered(session, 0, 10))
        probe.take_and_acknowledge(10)


# Windows


@pytest.mark.parametrize(("protocol", "of_broker", "of_source"), [("5", 1_000, 50), ("3.1.1", 50, 20_000)])
def test_m2_the_broker_waits_when_so_many_are_on_the_way(
    a_mosquitto: Callable[..., Mosquitto], protocol: str, of_broker: int, of_source: int
) -> None:
    """MQTT 5: as many as the source says (receive maximum). 3.1.1 has no word for it: what the broker is set to."""
    broker = a_mosquitto(settings={"max_inflight_messages": str(of_broker)})
    with (
        Proxy(broker.port) as proxy,
        Probe(proxy.own_port, protocol=protocol, window_messages=of_source, **as_service(broker)) as probe,
    ):
        probe.well()
        publish_as_gateway(broker, [("jianwei/v1/S/minute", number) for number in numbers(0, 500)])
        tokens = probe.take_messages(50)
        assert probe.nothing_comes(0.3)
        assert len(delivered(proxy.passages[0])) == 50
        for token in tokens:
            probe.source.acknowledge(token)
        probe.take_and_acknowledge(500)
        assert probe.payloads == numbers(0, 500)


@EACH
def test_m2_what_the_source_holds_is_bounded_by_itself_whatever_the_broker_does(
    mosquitto: Mosquitto, session: dict[str, Any], protocol: str
) -> None:
    """Mosquitto 2.0.11 keeps to the receive maximum until the first acknowledgement, and sends the whole queue then."""
    size = 2_000
    with Probe(mosquitto.port, protocol=protocol, window_messages=50, **session) as probe:
        probe.well()
        publish_as_gateway(mosquitto, [(topic, number.ljust(size)) for topic, number in numbered(session, 0, 3_000)])
        while len(probe.payloads) < 3_000:
            taken = probe.take()
            assert sum(map(len, taken.blocks)) <= 50 + 65_536 // size
            probe.source.acknowledge(taken.token)
        assert [payload.rstrip() for payload in probe.payloads] == numbers(0, 3_000)


def test_m2_in_mqtt_5_the_source_may_have_more_on_the_way_than_the_broker_is_set_to(
    a_mosquitto: Callable[..., Mosquitto],
) -> None:
    broker = a_mosquitto(settings={"max_inflight_messages": "20"})
    with Probe(broker.port, protocol="5", window_messages=300, **as_service(broker)) as probe:
        probe.well()
        publish_as_gateway(broker, [("jianwei/v1/S/minute", number) for number in numbers(0, 300)])
        probe.take_messages(300)


@EACH
def test_what_waits_is_twenty_times_what_mosquitto_keeps_by_itself_and_nothing_is_dropped(
    mosquitto: Mosquitto, session: dict[str, Any], protocol: str
) -> None:
    with Probe(mosquitto.port, protocol=protocol, **session) as probe:
        probe.well()
    publish_as_gateway(mosquitto, numbered(session, 0, 20_000))
    with Probe(mosquitto.port, protocol=protocol, **session) as probe:
        probe.take_and_acknowledge(20_000)
        assert probe.payloads == numbers(0, 20_000)


@EACH
def test_m1_a_queue_that_is_full_drops_what_was_acknowledged_to_the_publisher(
    a_mosquitto: Callable[..., Mosquitto], protocol: str
) -> None:
    """So the site's queue is large. What is kept are the oldest."""
    broker = a_mosquitto(settings={"max_queued_messages": "200"})
    with Probe(broker.port, protocol=protocol, **as_service(broker)) as probe:
        probe.well()
    publish_as_gateway(broker, [("jianwei/v1/S/minute", number) for number in numbers(0, 500)])  # all acknowledged
    with Probe(broker.port, protocol=protocol, **as_service(broker)) as probe:
        probe.take_and_acknowledge(200)
        assert probe.nothing_comes(1)
        assert probe.payloads == numbers(0, 200)
        assert not probe.told(PossibleLoss)  # nobody tells us


def test_m1_m6_m8_the_sites_file_keeps_much_without_unlimited_and_forgets_who_does_not_come_back() -> None:
    lines = (DEPLOY / "mosquitto.conf").read_text().splitlines()
    said = dict(line.split(" ", 1) for line in lines if re.match(r"[a-z]", line))
    assert int(said["max_queued_messages"]) >= 1_000_000
    assert int(said["max_queued_bytes"]) >= 1 << 30
    assert re.fullmatch(r"[1-9]\d*[dwm]", said["persistent_client_expiration"])


@EACH
def test_m5_qos_0_is_kept_for_nobody_who_is_away(mosquitto: Mosquitto, session: dict[str, Any], protocol: str) -> None:
    with Probe(mosquitto.port, protocol=protocol, **session) as probe:
        probe.well()
        publish_as_gateway(mosquitto, numbered(session, 0, 10), qos=0)
        probe.take_and_acknowledge(10)
    publish_as_gateway(mosquitto, numbered(session, 10, 20), qos=0)
    publish_as_gateway(mosquitto, numbered(session, 20, 30))
    with Probe(mosquitto.port, protocol=protocol, **session) as probe:
        probe.take_and_acknowledge(10)
        assert probe.nothing_comes(0.3)
        assert probe.payloads == numbers(20, 30)


# Messages


class Station:
    """What a station's own software would do, with paho: any QoS, properties, a will."""

    def __init__(self, broker: Mosquitto, protocol: str, will: tuple[str, bytes] | None = None) -> None:
        version = MQTTProtocolVersion.MQTTv5 if protocol == "5" else MQTTProtocolVersion.MQTTv311
        self._five = protocol == "5"
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
        self._client.username_pw_set(GATEWAY, broker.password(GATEWAY))
        if will is not None:
            self._client.will_set(*will, qos=1)
        self._client.connect(HOST, broker.port)
        self._client.loop_start()

    def says(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        properties = None
        if self._five:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no types here
            properties.UserProperty = [("schema", "json_v1"), ("仪器", "比色法" * 40)]
            properties.ContentType = "application/json"
            properties.MessageExpiryInterval = 3_600
        self._client.publish(topic, payload, qos, retain, properties).wait_for_publish(10)

    def goes(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def dies(self) -> None:
        self._client.loop_stop()
        sock = self._client.socket()
        assert sock is not None
        sock.close()


@EACH
@pytest.mark.parametrize("speaks", ["3.1.1", "5"])
def test_p6_messages_of_every_qos_come_and_are_acknowledged(
    mosquitto: Mosquitto, session: dict[str, Any], protocol: str, speaks: str
) -> None:
    """QoS 2 comes at QoS 1, so no half-finished exchange can keep a place. With user properties in MQTT 5."""
    with Probe(mosquitto.port, protocol=protocol, **session) as probe:
        probe.well()
        station = Station(mosquitto, speaks)
        for n in range(300):
            station.says(session["topics"][0].replace("#", "minute"), b"%d" % n, qos=n % 3)
        station.goes()
        probe.take_and_acknowledge(300)
        assert sorted(probe.payloads, key=int) == numbers(0, 300)
        assert not probe.told(PartFailed)
    until(lambda: said_goodbye(mosquitto, session["client_id"]))
    with Probe(mosquitto.port, protocol=protocol, **session) as again:
        again.well()
        assert again.nothing_comes(0.5)


@EACH
def test_a_retained_message_comes_with_a_new_subscription_and_with_3_1_1_at_every_connection(
    mosquitto: Mosquitto, session: dict[str, Any], protocol: str
) -> None:
    """MQTT 5 can say that it was seen. With 3.1.1 the journal has it again, and the store once."""
    topic = session["topics"][0].replace("#", "minute")
    station = Station(mosquitto, protocol)
    station.says(topic, b"kept", retain=True)
    with Probe(mosquitto.port, protocol=protocol, **session) as probe:
        probe.take_and_acknowledge(1)
        assert probe.payloads == [b"kept"]
    with Probe(mosquitto.port, protocol=protocol, **session) as probe:
        assert probe.nothing_comes(0.5) == (protocol == "5")
    station.says(topic, b"", retain=True)  # forgets it
    station.goes()


@EACH
def test_a_will_is_a_message_like_others(mosquitto: Mosquitto, session: dict[str, Any], protocol: str) -> None:
    topic = session["topics"][0].replace("#", "minute")
    with Probe(mosquitto.port, protocol=protocol, **session) as probe:
        probe.well()
        Station(mosquitto, protocol, will=(topic, b"I am gone")).dies()
        probe.take_and_acknowledge(1)
        assert probe.payloads == [b"I am gone"]


@EACH
def test_of_a_large_message_the_beginning_comes_and_its_neighbours_whole(
    a_mosquitto: Callable[..., Mosquitto], protocol: str
) -> None:
    """Also with MQTT 5, where the source could forbid it, and the broker would drop it without a word."""
    broker = a_mosquitto(settings={"message_size_limit": str(2 * LARGE_BYTES)})
    sizes = [10, 1_000_000, LARGE_BYTES, 20]
    with Probe(broker.port, protocol=protocol, **as_service(broker)) as probe:
        probe.well()
        publish_as_gateway(broker, [("jianwei/v1/S/minute", bytes(size)) for size in sizes])
        probe.take_and_acknowledge(4)
        kept = [len(payload) for payload in probe.payloads]
        assert kept[:2] + kept[3:] == [10, 1_000_000, 20]
        assert probe.settings.most_packet_bytes - 100 < kept[2] < probe.settings.most_packet_bytes
