"""Events on an MQTT broker: topic `jianwei/alerts/v1/{station}`, QoS 1, MQTT 3.1.1, structured JSON.

paho keeps unacknowledged messages in memory without limit and sends them again after a reconnect. Here one message
is under way at a time, and a failed connection is thrown away with it: the outbox is the queue, not paho.
"""

import socket
import ssl
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
# What to do when a broker refuses us; for all else its log is the place to look.
ADVICE = {
    "Bad user name or password": "check username and password of this channel",
    "Not authorized": "check username and password of this channel, and the rights of this user at the broker",
}


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
        self._broker = f"{settings.host}:{settings.port}"
        self._who = f"user {settings.username!r}" if settings.username is not None else "a client without a username"
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
            self._trust(settings.ca_file)
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
            raise self._failed("client", f"cannot be published on {topic}: {error}", retry_after_s=None) from error
        except (RuntimeError, OSError) as error:  # not connected any more
            raise self._failed("unreachable", f"the connection to {self._broker} is lost: {error}") from error
        if info.is_published():
            return
        if self._client.is_connected():
            told = f"{self._broker} did not acknowledge an event on {topic} within {self._timeout_s:g} s"
            raise self._failed("timeout", f"{told} (look at the broker's load and log)")
        told = f"the connection to {self._broker} ended before an event on {topic} was acknowledged"
        raise self._failed("unreachable", f"{told} (look at the broker's log, and whether {self._who} may write there)")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _open(self, settings: MqttChannelSettings) -> None:
        try:
            self._client.connect(settings.host, settings.port, keepalive=30)
        except TimeoutError as error:
            raise self._failed("timeout", self._not_connected(error)) from error
        except OSError as error:  # refused, unknown name, TLS
            raise self._failed("unreachable", self._not_connected(error)) from error
        self._client.loop_start()
        answered = self._answered.wait(self._timeout_s)
        if answered and not self._refusal:
            return
        self.close()
        if not answered:
            told = f"{self._broker} took the connection and does not answer (is it a broker, and `tls` as it wants it?)"
            raise self._failed("timeout", told)
        told = f"{self._broker} refuses {self._who}: {self._refusal}"
        advice = ADVICE.get(self._refusal, "look at the broker's log")
        raise self._failed("auth" if self._refusal in REFUSED_FOR_AUTH else "server", f"{told} ({advice})")

    def _not_connected(self, error: OSError) -> str:
        match error:
            case ssl.SSLError():
                advice = "look at `tls` and `ca_file` of this channel, and at the broker's certificate and its name"
            case socket.gaierror():
                advice = "check `host` of this channel"
            case _:
                advice = "does the broker run, and are `host` and `port` of this channel right?"
        return f"cannot connect to {self._broker}: {error} ({advice})"

    def _trust(self, ca_file: Path | None) -> None:
        try:
            self._client.tls_set(ca_certs=str(ca_file) if ca_file else None)
        except OSError as error:
            raise self._failed("auth", f"`ca_file` {ca_file} cannot be used: {error}") from error

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
