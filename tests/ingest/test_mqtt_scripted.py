"""The MQTT source against a broker whose every packet is written here: the traps that a real one springs rarely."""

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.records import Connected, ConnectionLost, PartFailed, PossibleLoss, Record
from ingest.sources import Surroundings, open_source
from ingest.sources.mqtt import MqttSource
from jianwei.clock import wall_ns
from tests.brokers_by_packets import (
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    SUBSCRIBE,
    Line,
    ScriptedBroker,
    connack,
    packet,
    publish,
    read_connect,
    suback,
)
from tests.ingest.mqtt_probe import Probe, until

SESSION_EXPIRY, RECEIVE_MAXIMUM, TOPIC_ALIAS_MAXIMUM, MAXIMUM_PACKET_SIZE = 0x11, 0x21, 0x22, 0x27
SERVER_KEEPALIVE_1_S = b"\x13\0\x01"


@pytest.fixture
def broker() -> Iterator[ScriptedBroker]:
    with ScriptedBroker() as scripted:
        yield scripted


def messages(mids: range, size: int = 1) -> list[bytes]:
    return [publish("jianwei/v1/S/minute", b"%d" % mid + bytes(size), mid) for mid in mids]


# What we say of ourselves


def test_3_1_1_asks_for_a_persistent_session_at_qos_1(broker: ScriptedBroker) -> None:
    with Probe(broker.port, topics=("a/#", "b/+"), username="u", password="p", keepalive_s=20):
        line = broker.accept()
        asked = read_connect(line.expect(CONNECT).body)
        assert (asked.version, asked.clean, asked.client_id) == (4, False, "probe")
        assert (asked.username, asked.password, asked.keepalive_s) == ("u", "p", 20)
        line.send(connack())
        assert line.answer_subscribe((1, 1))[2:] == b"\0\x03a/#\x01\0\x03b/+\x01"


def test_mqtt_5_sends_receive_maximum_and_session_expiry_and_no_limit_of_size(broker: ScriptedBroker) -> None:
    """A broker throws away what is larger than we say, and tells nobody."""
    with Probe(
        broker.port, protocol="5", window_messages=300, session_expiry_s=7_200, most_packet_bytes=5_000
    ) as probe:
        asked = broker.accept().greet()
        assert asked.version == 5
        assert asked.properties[RECEIVE_MAXIMUM] == 300
        assert asked.properties[SESSION_EXPIRY] == 7_200
        assert MAXIMUM_PACKET_SIZE not in asked.properties
        assert asked.properties.get(TOPIC_ALIAS_MAXIMUM, 0) == 0
        probe.well()


def test_p1_no_connection_ever_starts_clean_in_mqtt_5(broker: ScriptedBroker) -> None:
    for _process in range(2):
        with Probe(broker.port, protocol="5"):
            for _connection in range(2):
                line = broker.accept()
                assert not line.greet().clean
                line.close()


def test_mqtt_5_properties_of_messages_are_skipped(broker: ScriptedBroker) -> None:
    user_property = b"\x26\0\x01k\0\x01v" * 40  # more than 127 bytes
    with Probe(broker.port, protocol="5") as probe:
        line = broker.accept()
        line.greet()
        line.send(publish("t", b"one", 1, five=True, properties=user_property), publish("t", b"two", 2, five=True))
        probe.take_and_acknowledge(2)
        assert probe.payloads == [b"one", b"two"]
        assert line.acknowledged(2) == [1, 2]


def test_a_password_file_is_read_at_every_connection(broker: ScriptedBroker, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("first\n")
    with Probe(broker.port, username="u", password_file=str(secret)):
        line = broker.accept()
        assert read_connect(line.expect(CONNECT).body).password == "first"
        secret.write_text("second\n")
        line.close()
        assert read_connect(broker.accept().expect(CONNECT).body).password == "second"


# What must not be lost


def test_queued_messages_before_suback_are_kept(broker: ScriptedBroker) -> None:
    """A broker sends what it kept for us right after CONNACK, before it has seen our SUBSCRIBE."""
    with Probe(broker.port) as probe:
        line = broker.accept()
        line.expect(CONNECT)
        line.send(connack(present=True), *messages(range(1, 4)))
        line.answer_subscribe()
        probe.take_and_acknowledge(3)
        assert line.acknowledged(3) == [1, 2, 3]
        probe.well()


def test_qos_0_is_delivered_and_not_acknowledged(broker: ScriptedBroker) -> None:
    with Probe(broker.port) as probe:
        line = broker.accept()
        line.greet()
        line.send(publish("t", b"zero"), publish("t", b"one", 5), publish("t", b"zero"))
        probe.take_and_acknowledge(3)
        assert probe.payloads == [b"zero", b"one", b"zero"]
        assert line.acknowledged(1) == [5]
        assert line.is_quiet(0.2)


def test_p4_no_acknowledgement_crosses_a_reconnect(broker: ScriptedBroker) -> None:
    """The new connection uses number 1 for another message, which is not durable."""
    with Probe(broker.port) as probe:
        first = broker.accept()
        first.greet()
        first.send(publish("t", b"old", 1), publish("t", b"older", 2))
        old = probe.take_messages(2)
        first.close()
        second = broker.accept()
        second.greet(present=True)
        second.send(publish("t", b"new", 1))
        new = probe.take_messages(3)
        for token in old:
            probe.source.acknowledge(token)
        assert second.is_quiet(0.3)
        for token in new:
            probe.source.acknowledge(token)
        assert second.acknowledged(1) == [1]


def test_p5_what_became_durable_while_the_line_was_cut_is_acknowledged_when_it_comes_again(
    broker: ScriptedBroker,
) -> None:
    with Probe(broker.port, reconnect_min_s=0.3, reconnect_max_s=0.6) as probe:
        line = broker.accept()
        line.greet()
        line.send(publish("t", b"x", 1))
        tokens = probe.take_messages(1)
        line.close()
        until(lambda: probe.told(ConnectionLost))
        for token in tokens:
            probe.source.acknowledge(token)
        line = broker.accept()
        line.greet(present=True)
        assert line.is_quiet(0.2)
        line.send(publish("t", b"x", 1, dup=True))
        probe.take_and_acknowledge(2)
        assert line.acknowledged(1) == [1]
        assert probe.payloads == [b"x", b"x"]


def test_p7_acknowledgements_keep_the_order_of_arrival(broker: ScriptedBroker) -> None:
    """Whatever becomes durable first. And those of a batch come in one segment."""
    with Probe(broker.port) as probe:
        line = broker.accept()
        line.greet()
        tokens = []
        for mids in (range(9, 4, -1), range(5_000, 5_010), range(1, 3)):
            line.send(*messages(mids))
            tokens += probe.take_messages(len(probe.payloads) + len(mids))
        for token in reversed(tokens[1:]):
            probe.source.acknowledge(token)
        assert line.is_quiet(0.2)
        probe.source.acknowledge(tokens[0])
        assert line.acknowledged(17) == [9, 8, 7, 6, 5, *range(5_000, 5_010), 1, 2]


def test_p8_an_unacknowledged_message_is_held_and_acknowledged_late(broker: ScriptedBroker) -> None:
    """A broker does not send again on a living connection, so nothing may be dropped here, however long it takes."""
    with Probe(broker.port, keepalive_s=1) as probe:
        line = broker.accept()
        line.greet()
        line.send(*messages(range(1, 3)))
        tokens = probe.take_messages(2)
        assert line.is_quiet(2.5)
        for token in tokens:
            probe.source.acknowledge(token)
        assert line.acknowledged(2) == [1, 2]


def test_a_message_that_comes_again_while_it_waits_is_dropped_and_acknowledged_once(broker: ScriptedBroker) -> None:
    """NATS sends again on a living connection. Without the mark it is kept, and still acknowledged once."""
    with Probe(broker.port) as probe:
        line = broker.accept()
        line.greet()
        line.send(publish("t", b"x", 1), publish("t", b"y", 2))
        first = probe.take_messages(2)
        line.send(publish("t", b"x", 1, dup=True), publish("t", b"zero"), publish("t", b"y", 2), publish("t", b"z", 3))
        second = probe.take_messages(5)
        assert probe.payloads == [b"x", b"y", b"zero", b"y", b"z"]
        for token in first + second:
            probe.source.acknowledge(token)
        assert line.acknowledged(3) == [1, 2, 3]
        assert line.is_quiet(0.2)
        line.send(publish("t", b"x", 1, dup=True))  # the number is free again: this may be another message
        probe.take_and_acknowledge(6)
        assert line.acknowledged(1) == [1]


def test_it_stays_away_until_the_broker_is_ready_to_send_again(broker: ScriptedBroker, tmp_path: Path) -> None:
    """After a connection, and at a start where an earlier process was connected; not before the very first one."""
    slow = {"resend_after_s": 0.5, "session_file": str(tmp_path / "session")}
    with Probe(broker.port, **slow) as probe:
        began_s = time.monotonic()
        line = broker.accept()
        line.greet()
        probe.well()
        assert time.monotonic() - began_s < 0.4
        began_s = time.monotonic()
        line.close()
        broker.accept().greet(present=True)
        assert time.monotonic() - began_s >= 0.5
        assert probe.told(ConnectionLost)[0].retry_in_s == 0.5
    began_s = time.monotonic()
    with Probe(broker.port, **slow):
        broker.accept()
        assert time.monotonic() - began_s >= 0.5


def test_stop_sends_what_is_due_and_leaves_the_session(broker: ScriptedBroker) -> None:
    with Probe(broker.port, protocol="5") as probe:
        line = broker.accept()
        line.greet()
        line.send(publish("t", b"x", 1, five=True), publish("t", b"y", 2, five=True))
        first, *_ = [probe.take_messages(2)]
        for token in first:
            probe.source.acknowledge(token)
        probe.source.stop()
        assert line.acknowledged(2) == [1, 2]
        goodbye = line.expect(DISCONNECT)
        assert goodbye.body in {b"", b"\0", b"\0\0"}  # normal, and no property that would end the session
        assert line.closes()
        probe.source.stop()  # a second time changes nothing


# Back-pressure


def filled(line: Line, most_bytes: int, size: int) -> int:
    """Sends messages until the other side reads no more; the number of bytes that it took."""
    line.sock.settimeout(0.5)
    one, sent = publish("t", bytes(size), 1), 0
    try:
        while sent < most_bytes:
            sent += line.sock.send(one * 100)
    except TimeoutError:
        pass
    line.sock.settimeout(10)
    return sent


@pytest.mark.parametrize(("window", "size"), [({"window_messages": 500}, 600), ({"window_bytes": 300_000}, 600)])
def test_p9_a_full_window_stops_reading_and_pings_go_on(
    broker: ScriptedBroker, window: dict[str, int], size: int
) -> None:
    """Memory holds the window and one read more; the rest stays in the kernel's buffers and with the broker."""
    with Probe(broker.port, keepalive_s=1, **window) as probe:
        line = broker.accept()
        line.greet()
        probe.well()
        assert filled(line, 200_000_000, size) < 200_000_000
        time.sleep(2.0)  # more than 1.5 keep-alives: nobody gives up, for nobody is mute
        taken = probe.take()
        held = sum(len(block) for block in taken.blocks)
        assert 500 <= held <= 500 + 65_536 // size
        assert line.pings_so_far() >= 2
        assert not probe.told(ConnectionLost)
        probe.source.acknowledge(taken.token)
        began_s = time.monotonic()
        probe.take()
        assert time.monotonic() - began_s < 0.5  # it goes on at once


def test_a_window_that_stays_full_is_told(broker: ScriptedBroker) -> None:
    with Probe(broker.port, window_messages=10, silence_s=0.3) as probe:
        line = broker.accept()
        line.greet()
        line.send(*messages(range(1, 11)))
        until(lambda: "wait to become durable" in probe.health.why)
        probe.take_and_acknowledge(10)
        assert line.acknowledged(10) == list(range(1, 11))  # answers the pings on the way
        probe.well()


# Sessions and subscriptions


def test_p14_every_connection_subscribes(broker: ScriptedBroker) -> None:
    with Probe(broker.port) as probe:
        for present in (False, True, True):
            line = broker.accept()
            line.greet(present=present)
            probe.well()
            line.close()
        until(lambda: len(probe.told(ConnectionLost)) == 3)
    assert [record.session_present for record in probe.told(Connected)] == [False, True, True]
    assert not probe.told(PossibleLoss)


@pytest.mark.parametrize("code", [0x80, 0x00])
def test_a_refused_or_weaker_subscription_is_told(broker: ScriptedBroker, code: int) -> None:
    with Probe(broker.port, topics=("good/#", "secret/#")) as probe:
        broker.accept().greet(granted=(1, code))
        until(lambda: "secret/#" in probe.health.why)
        assert not probe.health.ok
        assert "good/#" not in probe.health.why


def test_a_refused_subscription_is_asked_for_again(broker: ScriptedBroker) -> None:
    with Probe(broker.port, keepalive_s=1) as probe:
        line = broker.accept()
        line.greet(granted=(0x80,))
        line.answer_subscribe()
        probe.well()


def test_a_forgotten_session_is_a_possible_loss_but_the_first_connection_is_none(broker: ScriptedBroker) -> None:
    with Probe(broker.port) as probe:
        line = broker.accept()
        line.greet(present=False)
        probe.well()
        assert not probe.told(PossibleLoss)
        line.close()
        broker.accept().greet(present=False)
        until(lambda: probe.told(PossibleLoss))
        assert "'probe'" in probe.told(PossibleLoss)[0].why


def test_a_session_is_remembered_over_restarts(broker: ScriptedBroker, tmp_path: Path) -> None:
    known = {"session_file": str(tmp_path / "session")}
    with Probe(broker.port, **known) as probe:
        broker.accept().greet(present=False)
        probe.well()
    with Probe(broker.port, **known) as probe:
        broker.accept().greet(present=True)
        probe.well()
    assert not probe.told(PossibleLoss)
    with Probe(broker.port, **known) as probe:
        broker.accept().greet(present=False)
        until(lambda: probe.told(PossibleLoss))
    with Probe(broker.port, client_id="another", **known) as probe:
        broker.accept().greet(present=False)
        probe.well()
    assert not probe.told(PossibleLoss)


def test_a_session_file_that_cannot_be_written_does_not_end_the_source(broker: ScriptedBroker, tmp_path: Path) -> None:
    with Probe(broker.port, session_file=str(tmp_path / "missing" / "session")) as probe:
        broker.accept().greet()
        probe.well()
        assert "session file" in probe.told(PartFailed)[0].error


# Peers that go wrong


def test_a_peer_that_never_answers_connect_is_given_up(broker: ScriptedBroker) -> None:
    with Probe(broker.port, silence_s=0.3) as probe:
        line = broker.accept()
        line.expect(CONNECT)
        assert line.closes()
        until(lambda: probe.told(ConnectionLost))
        assert "nothing was heard" in probe.told(ConnectionLost)[0].why
        assert not probe.health.ok
        broker.accept()  # and it tries again


def test_a_peer_that_goes_mute_is_given_up_and_pings_tell(broker: ScriptedBroker) -> None:
    with Probe(broker.port, silence_s=0.6) as probe:
        line = broker.accept()
        line.greet()
        probe.well()
        assert line.receive().kind == PINGREQ
        line.send(packet(PINGRESP))
        answered_s = time.monotonic()
        assert line.receive().kind == PINGREQ
        assert line.closes()
        assert 0.4 < time.monotonic() - answered_s < 5
        until(lambda: probe.told(ConnectionLost))
        assert not probe.health.ok


def test_an_idle_but_living_broker_is_kept_by_pings(broker: ScriptedBroker) -> None:
    with Probe(broker.port, keepalive_s=1, silence_s=0.5) as probe:
        line = broker.accept()
        line.greet()
        probe.well()
        assert line.is_quiet(2.0)  # answers pings
        assert probe.health.ok
        assert not probe.told(ConnectionLost)


def test_silence_makes_health_red_even_when_the_thread_believes_all_is_well(broker: ScriptedBroker) -> None:
    with Probe(broker.port, keepalive_s=60) as probe:
        broker.accept().greet()
        probe.well()
        later = probe.source.health(wall_ns() + 100_000_000_000)
        assert not later.ok
        assert "nothing was heard" in later.why


def test_the_broker_may_shorten_the_keepalive(broker: ScriptedBroker) -> None:
    with Probe(broker.port, protocol="5", keepalive_s=600):
        line = broker.accept()
        line.greet(properties=SERVER_KEEPALIVE_1_S)
        assert line.receive(within_s=3).kind == PINGREQ


@pytest.mark.parametrize(
    ("protocol", "code", "words"),
    [
        ("3.1.1", 2, "look at its rules for client ids"),
        ("3.1.1", 4, "user name or password (check `username`"),
        ("3.1.1", 5, "Not authorized (check `username`"),
        ("5", 0x86, "user name or password (check `username`"),
        ("5", 0x8A, "look at its log"),
    ],
)
def test_a_refused_connection_is_told_in_words_and_what_to_do(
    broker: ScriptedBroker, protocol: str, code: int, words: str
) -> None:
    with Probe(broker.port, protocol=protocol) as probe:
        line = broker.accept()
        line.expect(CONNECT)
        line.send(connack(code, five=protocol == "5"))
        until(lambda: words in probe.health.why)
        assert not probe.health.ok
        assert line.closes()


def test_a_broker_without_mqtt_5_is_told(broker: ScriptedBroker) -> None:
    with Probe(broker.port, protocol="5") as probe:
        line = broker.accept()
        line.expect(CONNECT)
        line.send(connack(1))
        until(lambda: "MQTT 5" in probe.health.why or "protocol version" in probe.health.why)


def test_a_session_taken_over_is_an_error_and_waits_long(broker: ScriptedBroker) -> None:
    with Probe(broker.port, protocol="5", reconnect_min_s=0.01, reconnect_max_s=30) as probe:
        line = broker.accept()
        line.greet()
        probe.well()
        line.send(packet(DISCONNECT, b"\x8e\0"))
        until(lambda: probe.told(PartFailed) and probe.told(ConnectionLost))
        assert "another client uses the client id 'probe'" in probe.health.why
        assert probe.told(ConnectionLost)[0].retry_in_s >= 30


def test_a_broker_that_closes_without_a_word_again_and_again_may_know_another_client_by_our_id(
    broker: ScriptedBroker,
) -> None:
    """That is how 3.1.1 tells of a session taken over. Once or twice may be anything; and refusals count apart."""
    with Probe(broker.port, reconnect_max_s=5) as probe:
        for times in range(1, 7):
            line = broker.accept()
            if times == 3:
                line.expect(CONNECT)  # not accepted: a new count begins
            else:
                line.greet(present=True)
            if times == 5:
                line.sock.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )  # as with unread bytes
            line.close()
            until(lambda: len(probe.told(ConnectionLost)) == times)  # noqa: B023  # called in this turn only
    suspected = ["another client uses the client id 'probe'" in lost.why for lost in probe.told(ConnectionLost)]
    assert suspected == [False, False, False, False, False, True]


def test_a_reason_for_disconnecting_is_told(broker: ScriptedBroker) -> None:
    with Probe(broker.port, protocol="5") as probe:
        line = broker.accept()
        line.greet()
        probe.well()
        line.send(publish("t", b"last words", 1, five=True) + packet(DISCONNECT, b"\x8b\0"))
        until(lambda: probe.told(ConnectionLost))
        assert "shutting down" in probe.told(ConnectionLost)[0].why
        probe.take_messages(1)


def test_p19_a_topic_that_is_not_utf_8_ends_the_connection_not_the_source(broker: ScriptedBroker) -> None:
    with Probe(broker.port) as probe:
        line = broker.accept()
        line.greet()
        line.send(publish("t", b"good", 1), publish(b"t/\xff", b"bad", 2))
        assert line.closes()
        until(lambda: probe.told(ConnectionLost))
        assert "UTF-8" in probe.told(ConnectionLost)[0].why
        assert not probe.told(PartFailed)
        line = broker.accept()
        line.greet(present=True)
        line.send(publish("t", b"after", 3))
        probe.take_messages(2)
        assert probe.payloads == [b"good", b"after"]


def test_a_message_before_the_broker_accepted_us_ends_the_connection(broker: ScriptedBroker) -> None:
    with Probe(broker.port) as probe:
        line = broker.accept()
        line.expect(CONNECT)
        line.send(publish("t", b"x", 1))
        assert line.closes()
        until(lambda: probe.told(ConnectionLost))


@pytest.mark.parametrize("five", [False, True])
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0x10, 0xFF), st.binary(max_size=12)), min_size=1, max_size=3), st.booleans())
def test_packets_of_nonsense_never_end_the_source(
    broker: ScriptedBroker, five: bool, nonsense: list[tuple[int, bytes]], greeted: bool
) -> None:
    with Probe(broker.port, protocol="5" if five else "3.1.1", reconnect_min_s=0.001, reconnect_max_s=0.001) as probe:
        line = broker.accept()
        if greeted:
            line.greet()
        line.send(*(packet(first, body) for first, body in nonsense), b"\xff" * 6)
        assert line.closes()
        broker.accept().greet()
        probe.well()
        assert not probe.told(PartFailed)


# The thread


def test_p2_an_error_while_telling_does_not_end_the_thread(broker: ScriptedBroker) -> None:
    probe = Probe(broker.port)
    failures = ["disk of the log is full"]

    def emit(record: Record) -> None:
        if failures:
            raise RuntimeError(failures.pop())
        probe.note(record)

    probe.source = MqttSource(probe.settings, wall_ns, emit)
    with probe:
        line = broker.accept()
        line.greet()
        assert line.closes()
        broker.accept().greet(present=True)
        probe.well()
        assert "disk of the log" in probe.told(PartFailed)[0].error


def test_p3_an_error_that_is_no_oserror_does_not_end_the_thread() -> None:
    """A host name with an empty label is a UnicodeError."""
    with Probe(1883, host="a..b") as probe:
        until(lambda: len(probe.told(PartFailed)) >= 2)
        assert "unexpected error" in probe.health.why


def test_p13_reconnects_are_jittered_and_grow() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    with Probe(port, reconnect_min_s=0.002, reconnect_max_s=0.064) as probe:
        until(lambda: len(probe.told(ConnectionLost)) >= 40)
        assert "cannot connect" in probe.health.why
    pauses_s = [record.retry_in_s for record in probe.told(ConnectionLost)]
    assert pauses_s[0] <= 0.002
    assert all(0 <= pause_s <= 0.064 for pause_s in pauses_s)
    assert len(set(pauses_s)) > 30
    assert max(pauses_s[6:]) > 0.016 > min(pauses_s[6:])


def test_a_source_is_started_once_and_says_when_it_does_not_run(broker: ScriptedBroker) -> None:
    probe = Probe(broker.port)
    assert not probe.health.ok
    assert probe.source.take() is None
    with probe:
        broker.accept().greet()
        probe.well()
        with pytest.raises(RuntimeError):
            probe.source.start()
    assert not probe.health.ok


def test_only_tokens_of_a_source_are_acknowledged(broker: ScriptedBroker) -> None:
    with pytest.raises(TypeError):
        Probe(broker.port).source.acknowledge(7)


def test_one_received_time_a_read_and_a_nap_makes_reads_large(broker: ScriptedBroker) -> None:
    with Probe(broker.port, nap_ms=100) as probe:
        line = broker.accept()
        line.greet()
        probe.well()
        before_ns = wall_ns()
        line.send(*messages(range(1, 2)))
        probe.take_messages(1)
        for mid in range(2, 22):
            line.send(*messages(range(mid, mid + 1)))
        taken = probe.take()
        assert len(taken.blocks) == 1
        assert len(taken.blocks[0]) == 20
        assert before_ns <= taken.blocks[0].received_ns <= wall_ns()


def test_the_table_of_sources_opens_it(broker: ScriptedBroker) -> None:
    source = open_source(Probe(broker.port).settings, Surroundings(wall_ns, lambda _record: None))
    assert isinstance(source, MqttSource)
    source.start()
    line = broker.accept()
    line.expect(CONNECT)
    line.send(connack())
    line.send(suback(int.from_bytes(line.expect(SUBSCRIBE).body[:2], "big"), [1]))
    until(lambda: source.health(wall_ns()).ok)
    source.stop()
    line.expect(DISCONNECT)
