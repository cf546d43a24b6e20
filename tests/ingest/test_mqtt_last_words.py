"""What a broker had sent before its connection broke is heard out: killed, it may not know of it when it is back."""

import socket
import struct
from collections.abc import Iterator

import pytest

from ingest.records import ConnectionLost
from tests.brokers_by_packets import Line, ScriptedBroker, publish
from tests.ingest.mqtt_probe import Probe, until

MESSAGES = 30  # less than a socket holds: what it does not hold goes with the process
PAYLOADS = [b"%d " % number + b"x" * 1_000 for number in range(MESSAGES)]


@pytest.fixture
def broker() -> Iterator[ScriptedBroker]:
    with ScriptedBroker() as scripted:
        yield scripted


def break_off(line: Line) -> None:
    """As the kernel does for a process that was killed, and had not read everything."""
    line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.sock.close()


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_messages_that_had_come_are_kept_when_an_acknowledgement_finds_the_line_broken(
    broker: ScriptedBroker, protocol: str
) -> None:
    five = protocol == "5"
    with Probe(broker.port, protocol=protocol, window_messages=1) as probe:
        line = broker.accept()
        line.greet()
        line.send(publish("t", PAYLOADS[0], 1, five=five))
        (token,) = probe.take_messages(1)  # the window is full: the source reads no more
        line.send(*(publish("t", PAYLOADS[number], number + 1, five=five) for number in range(1, MESSAGES)))
        break_off(line)
        probe.source.acknowledge(token)
        until(lambda: probe.told(ConnectionLost))
        probe.take_messages(MESSAGES)
        assert probe.payloads == PAYLOADS


def test_what_was_heard_last_is_not_acknowledged_on_the_next_connection(broker: ScriptedBroker) -> None:
    with Probe(broker.port, window_messages=1) as probe:
        line = broker.accept()
        line.greet()
        line.send(publish("t", b"one", 1))
        (first,) = probe.take_messages(1)
        line.send(publish("t", b"two", 2))
        break_off(line)
        probe.source.acknowledge(first)
        (second,) = probe.take_messages(2)
        again = broker.accept()
        probe.source.acknowledge(second)  # makes room in the window, and nothing more
        again.greet()
        again.send(publish("t", b"three", 3))
        (third,) = probe.take_messages(3)
        probe.source.acknowledge(third)
        assert again.acknowledged(1) == [3]


def test_half_a_message_at_the_end_is_nothing(broker: ScriptedBroker) -> None:
    with Probe(broker.port, window_messages=1) as probe:
        line = broker.accept()
        line.greet()
        line.send(publish("t", b"one", 1))
        (token,) = probe.take_messages(1)
        line.send(publish("t", b"two", 2), publish("t", b"three", 3)[:-1])
        break_off(line)
        probe.source.acknowledge(token)
        (second,) = probe.take_messages(2)
        probe.source.acknowledge(second)
        broker.accept().greet()
        assert probe.nothing_comes(0.2)
        assert probe.payloads == [b"one", b"two"]
