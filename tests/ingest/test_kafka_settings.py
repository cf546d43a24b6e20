"""What a settings file may say about a Kafka source, and what the client is told of it."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from aiokafka import errors
from pydantic import ValidationError

from ingest.sources.kafka import KafkaSourceSettings
from ingest.sources.kafka.reasons import why


def settings(**said: Any) -> KafkaSourceSettings:
    return KafkaSourceSettings.model_validate({"client_id": "c", "topics": ["t"], **said})


SCRAM = {"sasl_mechanism": "SCRAM-SHA-512", "username": "u", "password": "very secret"}


@pytest.mark.parametrize(
    "said",
    [
        {"topics": []},
        {"topics": ["t"], "pattern": "t.*"},
        {"topics": ["a/b"]},
        {"topics": [".."]},
        {"topics": ["t" * 250]},
        {"topics": [], "pattern": "("},
        {"topics": [], "pattern": ""},
        {"servers": []},
        {"servers": ["kafka"]},
        {"servers": ["kafka:0"]},
        {"servers": ["kafka:9092,other:9092"]},
        {"servers": ["kafka:99999"]},
        {"servers": ["kafka:٣"]},
        {"group": ""},
        {"username": "u", "password": "p"},
        {"sasl_mechanism": "PLAIN"},
        {"sasl_mechanism": "PLAIN", "username": "u"},
        {"sasl_mechanism": "PLAIN", "password": "p"},
        {"sasl_mechanism": "GSSAPI", "username": "u", "password": "p"},
        {**SCRAM, "password_file": "f"},
        {"tls": {"key": "k"}},
        {"tls": {"insecure": True}},
        {"session_timeout_s": 5},
        {"revoke_wait_s": 31},
        {"reconnect_min_s": 5, "reconnect_max_s": 1},
        {"window_messages": 0},
        {"colour": 1},
    ],
)
def test_broken_settings_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**said)


@pytest.mark.parametrize("server", ["kafka:9092", "10.0.0.1:1", "[::1]:9092", "kafka-1.example:65535"])
def test_servers_have_a_host_and_a_port(server: str) -> None:
    assert settings(servers=[server]).servers == (server,)


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ({"topics": ["city.air", "city"]}, ["city", "city.air"]),
        ({"topics": [], "pattern": "city[.]"}, ["city.air", "city.water.v1"]),
        ({"topics": [], "pattern": "city$|.*v1"}, ["city", "city.water.v1"]),
    ],
)
def test_it_is_known_which_topics_are_taken(said: dict[str, Any], taken: list[str]) -> None:
    every = ["city", "city.air", "city.water.v1", "my.city.air"]
    assert [topic for topic in every if settings(**said).takes(topic)] == taken


def test_records_before_the_first_commit_are_read_unless_somebody_says_otherwise() -> None:
    assert settings().auto_offset_reset == "earliest"


def test_the_group_waits_longer_for_a_member_than_a_session_lasts() -> None:
    """The client's own default is the session's ten seconds, in which a journal that is slow costs the membership."""
    said = settings()
    assert said.rebalance_timeout_s >= 60
    assert said.revoke_wait_s < said.rebalance_timeout_s / 2
    assert said.heartbeat_s <= said.session_timeout_s / 3


@pytest.mark.parametrize(
    ("said", "protocol"),
    [({}, "PLAINTEXT"), ({"tls": {}}, "SSL"), (SCRAM, "SASL_PLAINTEXT"), ({"tls": {}, **SCRAM}, "SASL_SSL")],
)
def test_the_protocol_follows_from_what_is_said(said: dict[str, Any], protocol: str) -> None:
    told = settings(**said).security()
    assert told["security_protocol"] == protocol
    assert ("ssl_context" in told) == ("tls" in said)
    assert ("sasl_plain_password" in told) == ("username" in said)


def test_a_broker_s_certificate_and_name_are_always_checked() -> None:
    context = settings(tls={}).security()["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_password_is_read_from_its_file_whenever_a_member_starts(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("one\n")
    said = settings(sasl_mechanism="PLAIN", username="u", password_file=str(tmp_path / "secret"))
    assert said.security()["sasl_plain_password"] == "one"
    (tmp_path / "secret").write_text("two\r\n")
    assert said.security()["sasl_plain_password"] == "two"


def test_a_password_is_not_printed() -> None:
    said = settings(**SCRAM)
    assert "very secret" not in repr(said) + str(said.model_dump()) + said.model_dump_json()
    assert said.secret() == "very secret"


@pytest.mark.parametrize(
    ("error", "last_words", "asked_for"),
    [
        (errors.UnknownTopicOrPartitionError(), "", ["t is not there", "make it"]),
        (errors.TopicAuthorizationFailedError("t"), "", ["user 'u' may not read", "ACL"]),
        (errors.GroupAuthorizationFailedError("g"), "", ["may not join the group 'jianwei'", "ACL"]),
        (errors.KafkaConnectionError("Unable"), 'Unable connect to "k:1": refused', ["cannot connect", "k:1"]),
        (
            errors.KafkaConnectionError("Unable"),
            "[Error 58] SaslAuthenticationFailed",
            ["refused user 'u'", "password"],
        ),
        (errors.CorruptRecordException("Invalid CRC - t"), "", ["damaged", "t"]),
        (FileNotFoundError(2, "No such file", "ca.pem"), "", ["a file of the settings", "ca.pem"]),
        (ZeroDivisionError(), "", ["ZeroDivisionError"]),
    ],
)
def test_what_went_wrong_is_told_with_what_to_do(error: Exception, last_words: str, asked_for: list[str]) -> None:
    told = why(error, settings(group_instance_id="m1", **SCRAM), last_words)
    assert [words for words in asked_for if words not in told] == []
    assert "very secret" not in told
