"""A message that is too large for us costs only itself: it is kept in part, acknowledged, and what follows comes."""

from collections.abc import Iterator

import pytest

from ingest.formats.json_v1 import JsonV1
from ingest.records import ConnectionLost
from tests.brokers_by_packets import ScriptedBroker, publish
from tests.ingest.json_reading import ReadColumns
from tests.ingest.mqtt_probe import Probe

TOPIC = "jianwei/v1/SW-01/minute"
LARGE, KEPT = b"z" * 5_000, b"z" * (1_000 - len(publish("t", b"z" * 5_000, 1)) + 5_000)


@pytest.fixture
def broker() -> Iterator[ScriptedBroker]:
    with ScriptedBroker() as scripted:
        yield scripted


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_what_stands_before_and_behind_a_large_message_comes_and_all_are_acknowledged(
    broker: ScriptedBroker, protocol: str
) -> None:
    """With the limits of every day: the format refuses what was kept, by its size, so it lies in quarantine."""
    five = protocol == "5"
    with Probe(broker.port, protocol=protocol) as probe:
        line = broker.accept()
        line.greet()
        line.send(
            publish(TOPIC, b"good", 1, five=five),
            publish(TOPIC, b"z" * 5_000_000, 2, five=five),
            publish(TOPIC, b"good too", 3, five=five),
        )
        probe.take_and_acknowledge(3)
        assert line.acknowledged(3) == [1, 2, 3]
        assert probe.topics == [TOPIC] * 3
        assert (probe.payloads[0], probe.payloads[2]) == (b"good", b"good too")
        assert 0 < probe.settings.most_packet_bytes - len(probe.payloads[1]) < 50
        problems = JsonV1().decode(TOPIC, probe.payloads[1], ReadColumns())
        assert [(place, reason.split(":")[0]) for place, reason in problems] == [("$", "too large")]
        assert not probe.told(ConnectionLost)
        probe.well()


def test_several_in_a_row_at_any_qos_cost_only_themselves(broker: ScriptedBroker) -> None:
    with Probe(broker.port, most_packet_bytes=1_000) as probe:
        line = broker.accept()
        line.greet()
        line.send(*(publish("t", LARGE, mid) for mid in (1, 2, 0, 3)), publish("t", b"good", 4))
        probe.take_and_acknowledge(5)
        assert probe.payloads == [KEPT, KEPT, KEPT + b"zz", KEPT, b"good"]
        assert line.acknowledged(4) == [1, 2, 3, 4]
        assert not probe.told(ConnectionLost)


def test_a_large_message_waits_for_room_as_any_other_does(broker: ScriptedBroker) -> None:
    with Probe(broker.port, most_packet_bytes=1_000, window_messages=1) as probe:
        line = broker.accept()
        line.greet()
        line.send(publish("t", b"good", 1))
        (token,) = probe.take_messages(1)
        line.send(publish("t", LARGE, 2), publish("t", b"good too", 3))
        assert probe.nothing_comes(0.3)
        probe.source.acknowledge(token)
        probe.take_and_acknowledge(3)
        assert probe.payloads == [b"good", KEPT, b"good too"]
        assert line.acknowledged(3) == [1, 2, 3]


def test_the_window_counts_what_is_kept(broker: ScriptedBroker) -> None:
    with Probe(broker.port, most_packet_bytes=1_000, window_bytes=1_500) as probe:
        line = broker.accept()
        line.greet()
        for mid in (1, 2):
            line.send(publish("t", LARGE, mid))
            probe.take_messages(mid)  # the second comes although the first waits: 5,000 bytes would fill the window
        line.send(publish("t", b"x", 3))
        assert probe.nothing_comes(0.3)


def test_of_a_large_message_that_a_lost_connection_cut_nothing_remains(broker: ScriptedBroker) -> None:
    large = publish("t", LARGE, 1)
    with Probe(broker.port, most_packet_bytes=1_000) as probe:
        for present, end in ((False, 500), (True, 3_000), (True, len(large) - 1)):
            line = broker.accept()
            line.greet(present=present)
            line.send(large[:end])
            assert probe.nothing_comes(0.1)
            line.close()
        line = broker.accept()
        line.greet(present=True)
        line.send(publish("t", b"good", 2), publish("t", LARGE, 1, dup=True))
        probe.take_and_acknowledge(2)
        assert probe.payloads == [b"good", KEPT]
        assert line.acknowledged(2) == [2, 1]


def test_a_large_message_that_comes_slowly_is_a_sign_of_life(broker: ScriptedBroker) -> None:
    """Its bytes are heard; a broker cannot answer a ping in the middle of a packet."""
    with Probe(broker.port, most_packet_bytes=1_000, silence_s=0.6) as probe:
        line = broker.accept()
        line.greet()
        probe.well()
        large = publish("t", LARGE, 1)
        line.send(large[:1_000])
        for at in range(1_000, len(large), 250):
            line.send(large[at : at + 250])
            probe.nothing_comes(0.1)
            assert probe.health.ok
        probe.take_and_acknowledge(1)
        assert probe.payloads == [KEPT]
        assert not probe.told(ConnectionLost)
