"""What a settings file may say about an MQTT source."""

from typing import Any

import pytest
from pydantic import ValidationError

from ingest.sources.mqtt import MqttSourceSettings


def settings(**said: Any) -> MqttSourceSettings:
    return MqttSourceSettings.model_validate({"client_id": "c", **said})


@pytest.mark.parametrize(
    "topic", ["a", "#", "+", "a/+/b", "a/#", "/", "+/+/#", "$share/g/a/#", "$share/g//", "$shared", "站/#"]
)
def test_topic_filters_of_the_standard_are_taken(topic: str) -> None:
    assert settings(topics=[topic]).topics == (topic,)


@pytest.mark.parametrize("topic", ["", "a#", "#/a", "a/#/b", "a+", "+a/b", "a\0", "a" * 65_536])
def test_broken_topic_filters_are_refused(topic: str) -> None:
    with pytest.raises(ValidationError):
        settings(topics=[topic])


@pytest.mark.parametrize("topic", ["$share", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/g#/a"])
def test_shared_subscriptions_that_no_message_would_match_are_refused(topic: str) -> None:
    with pytest.raises(ValidationError, match=r"\$share/GROUP/FILTER"):
        settings(topics=[topic])


@pytest.mark.parametrize(
    "said",
    [
        {"port": "1883"},
        {"port": 0},
        {"client_id": ""},
        {"topics": []},
        {"protocol": "3.1"},
        {"password": "x"},
        {"username": "u", "password": "x", "password_file": "f"},
        {"reconnect_min_s": 5, "reconnect_max_s": 1},
        {"tls": {"insecure": True}},
        {"window": 5},
        {"keepalive_s": 0},
    ],
)
def test_broken_settings_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**said)


def test_a_password_is_not_printed() -> None:
    said = settings(username="u", password="very secret")
    assert "very secret" not in repr(said) + str(said.model_dump()) + said.model_dump_json()
    assert said.secret() == "very secret"


def test_a_broker_may_send_at_most_what_a_packet_identifier_can_count() -> None:
    assert settings(window_messages=100).receive_maximum == 100
    assert settings(window_messages=1_000_000).receive_maximum == 65_535


def test_silence_is_one_and_a_half_keepalives_unless_said() -> None:
    assert settings(keepalive_s=20).longest_silence_s == 30
    assert settings(keepalive_s=20, silence_s=7).longest_silence_s == 7


@pytest.mark.parametrize("name", ["../x", "a/b", ".", "..", "", "a b", "x" * 65])
def test_a_name_of_a_source_is_a_name_and_no_path(name: str) -> None:
    """A file in the data folder is called by it."""
    with pytest.raises(ValidationError):
        MqttSourceSettings(name=name, client_id="c")
