"""Broken packets by the hundred thousand, cut anywhere: what is a message comes out, the rest ends a connection, no more."""

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from ingest.message import Health
from ingest.records import ConnectionLost, PartFailed
from ingest.sources.mqtt.client import BulkClient
from ingest.sources.mqtt.packets import Cut, PacketCutter
from ingest.sources.mqtt.settings import MqttSourceSettings
from tests.brokers_by_packets import DISCONNECT, PINGRESP, PUBACK, ScriptedBroker, connack, packet, publish, suback
from tests.fuzz.endurance import INPUTS, Patience, without_growth
from tests.fuzz.mutations import OF_BYTES, mutated
from tests.fuzz.packet_reading import held, number
from tests.ingest.mqtt_probe import Probe, until

PARTS = 2
MOST = 1_024  # bytes of a packet
TURN = 500  # streams
A_STREAM = 8  # packets, at most one of which is broken on purpose
CONNECTIONS = 120
KINDS = range(0, 256, 16)
PROPERTIES = [
    b"",
    b"\x01\x01",
    b"\x26\0\x01k\0\x01v" * 3,
    b"\x23\0\x05",
    b"\x02\0\0\0\x09\x03\0\x04json",
    b"\x26\0\x01k\0\x01v" * 40,
]


def a_packet(dice: random.Random, *, five: bool) -> bytes:
    """What a broker sends: messages mostly, and answers."""
    what = dice.randrange(12)
    if what < 8:
        topic = dice.choice(("jianwei/v1/S-01/hour", "a", "水/站", "t" * 200))
        payload = bytes(dice.choice((0, 1, 30, 110, 127, 300, 1_400))) if what else b'{"station":"S-01"}'
        mid = dice.choice((0, 1, 9, 0x1234, 65_535))
        return publish(topic, payload, mid, dup=dice.random() < 0.2, five=five, properties=dice.choice(PROPERTIES))
    return dice.choice(
        (
            lambda: suback(
                dice.randrange(1, 65_536), [dice.choice((0, 1, 2, 0x80, 0x87))] * dice.choice((1, 3)), five=five
            ),
            lambda: packet(PINGRESP),
            lambda: packet(PUBACK, b"\0\1"),
            lambda: connack(
                dice.choice((0, 5)), present=dice.random() < 0.5, five=five, properties=dice.choice(PROPERTIES)
            ),
            lambda: packet(DISCONNECT, b"\x8e" if five else b""),
        )
    )()


def a_stream(dice: random.Random, *, five: bool) -> bytes:
    packets = [a_packet(dice, five=five) for _ in range(A_STREAM)]
    if dice.random() < 0.9:
        at = dice.randrange(A_STREAM)
        packets[at] = broken(packets[at], dice)
    return b"".join(packets)


def broken(good: bytes, dice: random.Random) -> bytes:
    """Anywhere; or in its body only, so that it is still cut out where it ends, and somebody must read it."""
    if dice.random() < 0.5:
        return mutated(good, dice, OF_BYTES)
    first = dice.choice(KINDS) if dice.random() < 0.2 else good[0]
    return packet(first, mutated(good[number(good, 1)[1] :], dice, OF_BYTES))


def in_pieces(stream: bytes, dice: random.Random) -> Iterator[bytes]:
    at = 0
    while at < len(stream):
        size = dice.choice((1, 2, 3, 7, 50, 400, 5_000))
        yield stream[at : at + size]
        at += size


class FedClient(BulkClient):
    """Connected to the other end of a pair of sockets."""

    def _create_socket(self) -> socket.socket:
        ours, self.peer = socket.socketpair()
        return ours

    def act_on(self, piece: bytes) -> Cut:
        """As the source does it, once the piece has come."""
        self.peer.sendall(piece)
        _, cut = self.receive()
        self.hand_on(cut)
        return cut


@contextmanager
def fed(*, five: bool) -> Iterator[FedClient]:
    settings = MqttSourceSettings(client_id="c", port=1, protocol="5" if five else "3.1.1", most_packet_bytes=MOST)
    client = FedClient(settings, 5)
    try:
        yield client
    finally:
        client.give_up("end of test")
        client.peer.close()


def through_a_client(stream: bytes, dice: random.Random, *, five: bool, patience: Patience) -> bool:
    """Everything up to the end of the connection is as the witness reads it. True: the connection lives."""
    messages, others, error = [], 0, ""
    with fed(five=five) as client:
        for piece in in_pieces(stream, dice):
            with patience:
                cut = client.act_on(piece)
            mids = iter(cut.mids)
            messages += list(zip(cut.topics, cut.payloads, strict=True))
            assert all(1 <= mid <= 65_535 for mid in mids)
            others, error = others + len(cut.others), cut.error
            if client.ended:
                break
        lives = not client.ended
        assert lives or client.why_ended, "an end without a reason"
    expected = held(stream, five=five, most=MOST)
    said = [(topic, payload) for topic, payload, _ in expected.messages]
    assert messages == said[: len(messages)]
    if lives:
        assert (messages, others, expected.broken) == (said, len(expected.others), False)
    assert not error or expected.broken
    return lives


def through_a_cutter(stream: bytes, dice: random.Random, *, five: bool, patience: Patience) -> None:
    """Everything, identifiers and other packets too, is as the witness reads it."""
    cutter, whole = PacketCutter(version5=five, most_packet_bytes=MOST), Cut()
    for piece in in_pieces(stream, dice):
        with patience:
            cut = cutter.feed(piece)
        whole.topics += cut.topics
        whole.payloads += cut.payloads
        whole.mids += cut.mids
        whole.others += cut.others
        whole.error = cut.error
    expected = held(stream, five=five, most=MOST)
    assert list(zip(whole.topics, whole.payloads, strict=True)) == [(t, p) for t, p, _ in expected.messages]
    assert whole.mids == [mid for *_, mid in expected.messages if mid]
    assert whole.others == expected.others
    if expected.broken:
        assert whole.error


@pytest.mark.timeout(900)
@pytest.mark.parametrize("five", [False, True], ids=["3.1.1", "5"])
@pytest.mark.parametrize("part", range(PARTS))
def test_a_broken_stream_gives_its_messages_and_then_at_most_ends_the_connection(part: int, five: bool) -> None:
    dice, patience = random.Random(f"mqtt {part} {five}"), Patience()
    lived = []

    def a_turn(_number: int) -> None:
        for _ in range(TURN):
            stream = a_stream(dice, five=five)
            through_a_cutter(stream, dice, five=five, patience=patience)
            lived.append(through_a_client(stream, dice, five=five, patience=patience))

    without_growth(max(2, INPUTS // PARTS // 2 // A_STREAM // TURN), a_turn)
    assert 0.05 < sum(lived) / len(lived) < 0.95, "streams that all live, or all die, try only half of the client"


@pytest.mark.parametrize("five", [False, True], ids=["3.1.1", "5"])
def test_after_many_broken_connections_a_source_lives_and_takes_the_next_good_message(five: bool) -> None:
    dice = random.Random(f"source {five}")
    with (
        ScriptedBroker() as broker,
        Probe(broker.port, protocol="5" if five else "3.1.1", most_packet_bytes=MOST, reconnect_max_s=0.02) as probe,
    ):
        for _ in range(CONNECTIONS):
            line = broker.accept()
            line.greet()
            with suppress(OSError):  # the other side may have closed before the last piece
                for piece in in_pieces(a_stream(dice, five=five), dice):
                    line.send(piece)
            line.close()
            probe.source.take()
        line = broker.accept()
        line.greet()
        line.send(publish("t", b"good", 7, five=five))
        while b"good" not in probe.payloads:
            probe.take()
        until(lambda: probe.health == Health(ok=True))
        assert len(probe.told(ConnectionLost)) == CONNECTIONS
        assert not [failed for failed in probe.told(PartFailed) if "another client" not in failed.error]
