"""A secret may lie in a file, is read when it is used, and its absence is a failure that says so."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from alerts.channel import DeliveryFailed
from alerts.channels.mqtt import MqttChannel, MqttChannelSettings
from alerts.channels.webhook import WebhookChannel, WebhookSettings
from alerts.credentials import secret_of
from alerts.events import compose
from alerts.notices import CodesAsNames
from tests.alerts.found import NOON_NS, OPENED

EVENT = compose(OPENED, number=1, recorded_ns=NOON_NS, names=CodesAsNames(), instance="main")


def test_a_secret_is_what_the_file_says_now_without_its_last_line_break(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(" 见微 secret \r\n", encoding="utf-8")
    assert secret_of(None, path) == " 见微 secret "
    path.write_text("another", encoding="utf-8")
    assert secret_of(None, path) == "another"
    assert secret_of(SecretStr("given"), None) == "given"
    assert secret_of(None, None) is None


@pytest.mark.parametrize("content", [None, b"short\n", b"\xff" * 20])
def test_a_webhook_whose_secret_cannot_be_had_sends_nothing_unsigned(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    settings = WebhookSettings.model_validate({"url": "http://127.0.0.1:9/", "secret_file": path})
    channel = WebhookChannel("hook", settings, lambda: NOON_NS)
    with pytest.raises(DeliveryFailed) as failed:
        channel.send(EVENT)
    assert failed.value.reason == "auth"
    assert failed.value.retry_after_s == 0.0, "somebody may mend the file"
    channel.close()


def test_an_mqtt_channel_whose_password_cannot_be_had_does_not_try_without(tmp_path: Path) -> None:
    settings = MqttChannelSettings(host="127.0.0.1", port=9, username="u", password_file=tmp_path / "none")
    channel = MqttChannel("mqtt", settings)
    with pytest.raises(DeliveryFailed, match="password cannot be read") as failed:
        channel.send(EVENT)
    assert failed.value.reason == "auth"
