"""Events on an MQTT broker: topic `jianwei/alerts/v1/{station}`, QoS 1, MQTT 3.1.1, structured JSON.

paho keeps unacknowledged messages in memory without limit and sends them again after a reconnect. Here one message
is under way at a time, and a failed connection is thrown away with it: the outbox is the queue, not paho.
"""

import time
from pathlib import Path
from threading import Event
from typing import Any, Literal, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from alerts.channel import DeliveryFailed, Reason
from alerts.credentials import secret_of
from alerts.events import AlertEvent

# What a level of a topic cannot hold; NATS as a broker refuses spaces as well.
TOPIC_UNSAFE = {ord(letter): f"%{ord(letter):02X}" for letter in "+#/% \0"}
REFUSED_FOR_AUTH = frozenset({"Bad user name or password", "Not authorized", "Banned"})


class MqttChannelSettings(BaseModel):
    """Where the broker is. With `tls` the broker's certificate is checked, against `ca_file` or the system's list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["mqtt"] = "mqtt"
    host: str
    port: int = Field(default=1883, gt=0, lt=65536)
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None  # read at every connection
    tls: bool = False
    ca_file: Path | None = None
    topic: str = "jianwei/alerts/v1"
    timeout_s: float = Field(default=10.0, gt=0, le=120)  # for the connection, and for each acknowledgement

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password, password_file: give one of them")
        if self.username is None and (self.password is not None or self.password_file is not None):
            raise ValueError("a password needs a username")
        return self


class MqttChannel:
    """Connects when there is something to send."""

    def __init__(self, name: str, settings: MqttChannelSettings) -> None:
        self._name = name
        self._settings = settings
        self._connection: Connection | None = None

    def send(self, event: AlertEvent) -> None:
        """Returns when the broker has acknowledged."""
        topic = f"{self._settings.topic}/{event.subject.translate(TOPIC_UNSAFE)}"
        try:
            if self._connection is None:
                self._connection = Connection(self._name, self._settings)
            self._connection.publish(topic, event.to_bytes())
        except DeliveryFailed:
            self.close()
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Connection:
    """One connection from CONNECT to its end; never reused after a failure."""

    def __init__(self, name: str, settings: MqttChannelSettings) -> None:
        self._name = name
        self._timeout_s = settings.timeout_s
        self._answered = Event()
        self._refusal = ""
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311, reconnect_on_failure=False)
        self._client = client
        client.connect_timeout = settings.timeout_s
        client.on_connect = self._on_connect
        if settings.username is not None:
            client.username_pw_set(settings.username, self._password(settings))
        if settings.tls:
            client.tls_set(ca_certs=str(settings.ca_file) if settings.ca_file else None)
        self._open(settings)

    def publish(self, topic: str, payload: bytes) -> None:
        """Returns when the broker has acknowledged."""
        try:
            info = self._client.publish(topic, payload, qos=1)
            deadline_s = time.monotonic() + self._timeout_s
            # Waiting in short steps, because paho does not wake a waiter when the connection ends.
            while not info.is_published() and self._client.is_connected() and time.monotonic() < deadline_s:
                info.wait_for_publish(0.1)
        except ValueError as error:  # too long for a packet, or no topic
            raise self._failed("client", str(error), retry_after_s=None) from error
        except (RuntimeError, OSError) as error:  # not connected any more
            raise self._failed("unreachable", str(error)) from error
        if not info.is_published():
            lost = not self._client.is_connected()
            raise self._failed("unreachable" if lost else "timeout", "no acknowledgement from the broker")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _open(self, settings: MqttChannelSettings) -> None:
        try:
            self._client.connect(settings.host, settings.port, keepalive=30)
        except TimeoutError as error:
            raise self._failed("timeout", str(error)) from error
        except OSError as error:  # refused, unknown name, TLS
            raise self._failed("unreachable", str(error)) from error
        self._client.loop_start()
        answered = self._answered.wait(self._timeout_s)
        if answered and not self._refusal:
            return
        self.close()
        if not answered:
            raise self._failed("timeout", "the broker does not answer CONNECT")
        raise self._failed("auth" if self._refusal in REFUSED_FOR_AUTH else "server", self._refusal)

    def _on_connect(self, _client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self._refusal = str(code) if code.is_failure else ""
        self._answered.set()

    def _password(self, settings: MqttChannelSettings) -> str | None:
        try:
            return secret_of(settings.password, settings.password_file)
        except (OSError, UnicodeDecodeError) as error:
            raise self._failed("auth", f"the password cannot be read: {error}") from error

    def _failed(self, reason: Reason, error: str, *, retry_after_s: float | None = 0.0) -> DeliveryFailed:
        return DeliveryFailed(self._name, reason, error, retry_after_s=retry_after_s)
