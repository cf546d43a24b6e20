"""What the Kafka channel writes, and what it does where there is no Kafka; tests/services has it with a real one."""

import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from aiokafka import errors
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from pydantic import ValidationError

from alerts.channel import DeliveryFailed
from alerts.channels.kafka import KafkaChannel, KafkaChannelSettings, records_of
from alerts.events import AlertEvent, compose
from alerts.kafka import Record, reason_of, why
from alerts.notices import CodesAsNames
from rules.readings import Level, Transition
from tests.alerts.found import HOUR_NS, NOON_NS, OPENED, change, changes

SETTINGS = KafkaChannelSettings(topic="changes", state_topic="states")
CLEARED = change(what="cleared", level=Level.NONE)


def event_of(transition: Transition) -> AlertEvent:
    return compose(transition, number=1, recorded_ns=NOON_NS, names=CodesAsNames(), instance="test")


def channel_to(port: int, timeout_s: float = 1.0) -> KafkaChannel:
    return KafkaChannel("events", KafkaChannelSettings(servers=(f"127.0.0.1:{port}",), timeout_s=timeout_s))


def failure(channel: KafkaChannel) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        channel.send(event_of(OPENED))
    channel.close()
    return caught.value


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_a_change_is_one_event_and_one_state() -> None:
    change_record, state_record = records_of(event_of(OPENED), SETTINGS)
    assert (change_record.topic, change_record.key) == ("changes", b"S-01")
    assert (state_record.topic, state_record.key) == ("states", OPENED.episode.encode())
    assert change_record.value == state_record.value
    assert json.loads(change_record.value or b"") == event_of(OPENED).data.model_dump(mode="json")


def test_headers_are_the_attributes() -> None:
    assert dict(records_of(event_of(OPENED), SETTINGS)[0].headers) == {
        "ce_specversion": b"1.0",
        "ce_id": OPENED.id.encode(),
        "ce_source": b"/jianwei/test",
        "ce_type": b"cn.jianwei.episode.opened.v1",
        "ce_subject": b"S-01",
        "ce_time": b"2026-03-01T12:00:00Z",
        "content-type": b"application/json",
        "ce_partitionkey": b"S-01",
        "ce_recordedtime": b"2026-03-01T12:00:00Z",
        "ce_sequence": b"00000000000000000001",
        "ce_severity": b"yellow",
        "ce_historical": b"false",
    }


@given(changes)
def test_what_is_written_is_read_as_the_same_event(transition: Transition) -> None:
    """By the library of CloudEvents. In both topics the key is the attribute `partitionkey`, as its binding asks."""
    event = event_of(transition)
    for record, key in zip(records_of(event, SETTINGS), (event.subject, event.data.episode), strict=False):
        assert record.value is not None
        found = from_binary(KafkaMessage(dict(record.headers), record.key, record.value), JSONFormat())
        said = event.model_dump(exclude={"data"}) | {
            "historical": str(event.historical).lower(),
            "partitionkey": key,
            "recordedtime": event.recordedtime.isoformat().replace("+00:00", "Z"),
        }
        assert found.get_attributes() == said
        assert dict(record.headers)["ce_partitionkey"] == record.key == key.encode()
        assert found.get_data() == event.data.model_dump(mode="json")


@given(changes)
def test_a_record_without_data_is_only_the_end_of_an_episode_and_no_event(transition: Transition) -> None:
    """In binary mode an event without data would delete its key."""
    records = records_of(event_of(transition), SETTINGS)
    if transition.what == "cleared":
        assert records.pop() == Record("states", transition.episode.encode(), None)
    assert len(records) == 2
    assert all(record.value for record in records)


def test_the_state_of_what_is_over_may_be_kept() -> None:
    kept = KafkaChannelSettings(tombstones=False)
    assert [record.value is None for record in records_of(event_of(CLEARED), kept)] == [False, False]
    assert len(records_of(event_of(CLEARED), KafkaChannelSettings(state_topic=""))) == 1


def test_two_parameters_of_a_station_are_two_states() -> None:
    """Station and rule are the same: keyed by them, one would overwrite the other, and end it."""
    one, other = change(episode="1" * 32), change(episode="2" * 32, parameter="codmn", at_ns=NOON_NS + HOUR_NS)
    assert records_of(event_of(one), SETTINGS)[1].key != records_of(event_of(other), SETTINGS)[1].key


def test_the_same_event_is_the_same_bytes() -> None:
    assert records_of(event_of(OPENED), SETTINGS) == records_of(event_of(OPENED), SETTINGS)


def test_nobody_there_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    failed = failure(channel_to(port))
    assert failed.reason == "unreachable"
    assert f"cannot connect to 127.0.0.1:{port}: do the brokers run, and are `servers`" in failed.error


def test_who_never_answers_is_given_up_in_time(mute: socket.socket) -> None:
    began_s = time.monotonic()
    assert failure(channel_to(mute.getsockname()[1])).reason in {"timeout", "unreachable"}
    assert time.monotonic() - began_s < 3


def test_a_channel_can_be_closed_while_its_thread_was_left_behind_sending(mute: socket.socket) -> None:
    channel = channel_to(mute.getsockname()[1], timeout_s=2)
    failed: list[DeliveryFailed] = []
    sending = threading.Thread(target=lambda: failed.append(failure(channel)))
    sending.start()
    time.sleep(0.3)
    channel.close()
    sending.join(5)
    assert len(failed) == 1


def test_files_that_cannot_be_read_are_a_matter_of_who_we_are() -> None:
    said = {"sasl_mechanism": "PLAIN", "username": "u", "password_file": "/nowhere"}
    found = failure(KafkaChannel("events", KafkaChannelSettings.model_validate(said)))
    assert found.reason == "auth"
    assert "/nowhere" in found.error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.TopicAuthorizationFailedError(), "auth"),
        (errors.SaslAuthenticationFailed(), "auth"),
        (errors.RequestTimedOutError(), "timeout"),
        (errors.KafkaTimeoutError(), "timeout"),
        (errors.KafkaConnectionError(), "unreachable"),
        (errors.MessageSizeTooLargeError(), "client"),
        (errors.UnknownTopicOrPartitionError(), "server"),
        (errors.OutOfOrderSequenceNumber(), "server"),
        (errors.NotEnoughReplicasError(), "server"),
    ],
)
def test_a_failure_has_its_class(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


@pytest.mark.parametrize(
    ("error", "last_words", "told"),
    [
        (errors.UnknownTopicOrPartitionError(), "", "the topic changes is not there: make it, or mend its name"),
        (errors.TopicAuthorizationFailedError(), "", "user 'u' may not write the topic changes: let them by an ACL"),
        (errors.ClusterAuthorizationFailedError(), "", "an ACL for IdempotentWrite on the cluster (kafka.example:1"),
        (errors.MessageSizeTooLargeError(), "", "too large for the topic changes: raise its max.message.bytes"),
        (errors.NotEnoughReplicasError(), "", "the topic changes has fewer replicas in sync than it must have"),
        (errors.RequestTimedOutError(), "", "kafka.example:1 did not acknowledge within 10 s"),
        (errors.KafkaConnectionError(), "", "cannot connect to kafka.example:1"),
        (errors.KafkaConnectionError(), "Authentication failed", "kafka.example:1 refused user 'u': look at username"),
        (errors.OutOfOrderSequenceNumber(), "", "kafka.example:1 answered for the topic changes: "),
    ],
)
def test_a_failure_tells_where_who_which_topic_and_what_to_do(error: Exception, last_words: str, told: str) -> None:
    said = {"servers": ["kafka.example:1"], "sasl_mechanism": "PLAIN", "username": "u", "password": "correct horse"}
    error.add_note("changes")
    found = why(error, KafkaChannelSettings.model_validate(said), last_words)
    assert told in found
    assert "correct horse" not in found


@pytest.mark.parametrize(
    "said",
    [
        {"servers": []},
        {"servers": ["kafka.example"]},
        {"servers": ["kafka.example:0"]},
        {"servers": ["http://kafka.example:9092"]},
        {"servers": ["kafka example:9092"]},
        {"servers": ["kafka.example:٣"]},
        {"servers": ["::1:9092"]},
        {"topic": "t", "state_topic": "t"},
        {"topic": "a/b"},
        {"topic": ""},
        {"state_topic": "a b"},
        {"username": "u"},
        {"username": "u", "password": "p"},
        {"sasl_mechanism": "PLAIN", "username": "u"},
        {"sasl_mechanism": "PLAIN", "username": "u", "password": "p", "password_file": "f"},
        {"sasl_mechanism": "GSSAPI", "username": "u", "password": "p"},
        {"acks": 1},
    ],
)
def test_what_settings_may_not_say(said: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        KafkaChannelSettings.model_validate(said)


def test_the_password_is_not_shown() -> None:
    said = {"sasl_mechanism": "SCRAM-SHA-512", "username": "u", "password": "correct horse"}
    made = KafkaChannelSettings.model_validate(said)
    assert made.for_client()["sasl_plain_password"] == "correct horse"
    assert "correct horse" not in repr(made) + str(made.model_dump())
