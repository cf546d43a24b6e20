"""Records to Kafka from plain code: every replica in sync has them, or it is told within a time of our own.

An idempotent producer never gives a record up. So a record that was not acknowledged in time is left with it, and
who sends the same again waits for that one: it is not written twice, and nothing overtakes it. After an error that
the producer does not mend by itself (a gap in its sequence is one), and when it has been mute for long, a new one begins.
"""

import asyncio
import logging
import re
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from typing import Annotated, Any, Literal, Self

from aiokafka import AIOKafkaProducer, errors
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from alerts.channel import DeliveryFailed, Reason
from alerts.credentials import secret_of
from alerts.turning import Turning

BATCH_BYTES = 64 * 1024
MUTE_S = 120.0  # the addresses that a producer knows may all be out of date
CLOSE_S = 1.0
NO_LIMIT = 2**31 - 1  # how large a record may be is the brokers' word, and their answer leads to no retry

AUTH = (
    FileNotFoundError,  # of a password or a certificate
    PermissionError,
    UnicodeDecodeError,
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.ClusterAuthorizationFailedError,
    errors.SaslAuthenticationFailed,
    errors.TopicAuthorizationFailedError,
    errors.UnsupportedSaslMechanismError,
)
UNREACHABLE = (errors.KafkaConnectionError, errors.NodeNotReadyError, errors.NoBrokersAvailable, OSError)
TOO_LATE = (errors.KafkaTimeoutError, errors.RequestTimedOutError, TimeoutError)
TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.RecordTooLargeError)

SERVER = re.compile(r"(\[[0-9A-Fa-f:]+\]|[^\s:,/]+):([0-9]{1,5})")


def _topic(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", text) or text in {".", ".."}:
        raise ValueError("a topic of Kafka has 1 to 249 letters, digits and . _ -")
    return text


def _server(text: str) -> str:
    found = SERVER.fullmatch(text)
    if found is None or not 0 < int(found[2]) < 65_536:
        raise ValueError("say host:port, such as kafka-1.example:9092")
    return text


Topic = Annotated[str, AfterValidator(_topic)]
Servers = Annotated[tuple[Annotated[str, AfterValidator(_server)], ...], Field(min_length=1)]


class TlsFileUnusable(OSError):
    """A certificate or key of the settings."""


class Tls(BaseModel):
    """The brokers' certificates and names are always checked, against `ca` or the system's list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ca: Path | None = None
    cert: Path | None = None  # our own, when the brokers ask for one
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Raises TlsFileUnusable, which names setting and file."""
        for setting, path in (("ca", self.ca), ("cert", self.cert), ("key", self.key)):
            try:
                _ = path.read_bytes() if path is not None else b""  # the library would not say which
            except OSError as error:
                raise TlsFileUnusable(f"tls.{setting}: {path} cannot be read: {error.strerror}") from error
        setting, path = "ca", self.ca
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                setting, path = "cert", self.cert
                context.load_cert_chain(self.cert, self.key)
        except ssl.SSLError as error:
            raise TlsFileUnusable(f"tls.{setting}: {path} cannot be used: {error}") from error
        return context


class KafkaConnection(BaseModel):
    """Where the brokers are and who we are; `timeout_s` is for the acknowledgement of what is sent, connecting included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    servers: Servers = ("127.0.0.1:9092",)
    client_id: str = Field(default="jianwei", min_length=1, max_length=200)
    tls: Tls | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    username: str | None = Field(default=None, min_length=1)
    password: SecretStr | None = None
    password_file: Path | None = None  # read for every producer that begins
    timeout_s: float = Field(default=10.0, ge=1, le=120)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password, password_file: give one of them")
        has_password = self.password is not None or self.password_file is not None
        if len({has_password, self.username is not None, self.sasl_mechanism is not None}) > 1:
            raise ValueError("sasl_mechanism, username, and password_file or password go together")
        return self

    def for_client(self) -> dict[str, Any]:
        """The client's words for it. Raises OSError and UnicodeDecodeError for files that cannot be used."""
        protocol = ("SASL_" if self.sasl_mechanism else "") + ("SSL" if self.tls else "PLAINTEXT")
        said: dict[str, Any] = {
            "bootstrap_servers": list(self.servers),
            "client_id": self.client_id,
            "security_protocol": protocol,
            "request_timeout_ms": round(self.timeout_s * 750),  # its own word says more than our deadline
        }
        if self.tls is not None:
            said["ssl_context"] = self.tls.context()
        if self.sasl_mechanism is not None:
            said["sasl_mechanism"] = self.sasl_mechanism
            said["sasl_plain_username"] = self.username
            said["sasl_plain_password"] = secret_of(self.password, self.password_file)
        return said


@dataclass(frozen=True, slots=True)
class Record:
    """`value` None deletes the key from a compacted topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Producer:
    """Connects when there is something to send. Used by one thread at a time; its event loop turns while one sends."""

    def __init__(self, name: str, settings: KafkaConnection) -> None:
        self._name = name
        self._settings = settings
        self._turning = Turning()
        self._client: AIOKafkaProducer | None = None
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._heard_s = 0.0  # when the brokers last acknowledged, or this producer began

    def send(self, name: str, records: Sequence[Record]) -> None:
        """Returns when all of them are acknowledged; raises DeliveryFailed.

        `name` stands for the records: after a failure the same name with the same records may be sent again.
        """
        heard = _LastWords()
        try:
            with heard:
                self._turning.run(self._send(name, records))
        except (errors.KafkaError, OSError, UnicodeDecodeError) as error:
            if not isinstance(error, _Overdue) or time.monotonic() - self._heard_s > MUTE_S:
                self.close()
            raise _failed(self._name, self._settings, error, heard.text) from error
        self._heard_s = time.monotonic()

    def close(self) -> None:
        """What is under way is left to its fate; the next `send` begins anew."""
        with _LastWords():
            self._turning.end(self._stop)

    async def _send(self, name: str, records: Sequence[Record]) -> None:
        """Raises _Overdue where the producer may go on."""
        self._under_way = {known: task for known, task in self._under_way.items() if known == name or not task.done()}
        timeout = asyncio.timeout(self._settings.timeout_s)
        try:
            async with timeout:
                client = self._client or await self._begin()
                if name not in self._under_way:
                    self._under_way[name] = asyncio.create_task(_publish(client, records))
                await asyncio.shield(self._under_way[name])
        except TimeoutError as error:
            if timeout.expired() and self._client is not None:
                raise _Overdue("not acknowledged in time") from error
            raise
        del self._under_way[name]

    async def _begin(self) -> AIOKafkaProducer:
        client = AIOKafkaProducer(
            acks="all",
            enable_idempotence=True,
            linger_ms=0,  # whoever sends waits: there is nothing to wait for
            max_batch_size=BATCH_BYTES,
            max_request_size=NO_LIMIT,
            **self._settings.for_client(),
        )
        try:
            await client.start()
        except BaseException:
            await client.stop()
            raise
        self._client = client
        self._heard_s = time.monotonic()
        return client

    async def _stop(self) -> None:
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        self._under_way = {}
        client, self._client = self._client, None
        if client is not None:
            with suppress(TimeoutError):  # it would wait for ever for what cannot be acknowledged
                await asyncio.wait_for(client.stop(), CLOSE_S)
            await client.client.close()


class _Overdue(TimeoutError):
    """Not acknowledged in time; the producer goes on trying."""


async def _publish(client: AIOKafkaProducer, records: Sequence[Record]) -> None:
    acknowledged = []
    for record in records:
        with _on(record.topic):
            acknowledged.append(await client.send(record.topic, record.value, record.key, headers=list(record.headers)))
    answers = await asyncio.gather(*acknowledged, return_exceptions=True)
    for record, answer in zip(records, answers, strict=True):
        if isinstance(answer, BaseException):
            with _on(record.topic):
                raise answer


@contextmanager
def _on(topic: str) -> Iterator[None]:
    """An error bears the topic as a note: the library's own words seldom name it."""
    try:
        yield
    except errors.KafkaError as error:
        error.add_note(topic)
        raise


class _LastWords(logging.Handler):
    """Keeps the library's newest warning on this thread: why it cannot connect it tells its log alone."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""
        self._thread = get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.text = record.getMessage()[:300]

    def __enter__(self) -> Self:
        logging.getLogger("aiokafka").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("aiokafka").removeHandler(self)


def _failed(name: str, settings: KafkaConnection, error: Exception, last_words: str) -> DeliveryFailed:
    reason = reason_of(error)
    if reason in {"unreachable", "timeout"} and "uthentication" in last_words:
        reason = "auth"
    told = why(error, settings, last_words if reason != "server" else "")
    return DeliveryFailed(name, reason, told, retry_after_s=None if isinstance(error, TOO_LARGE) else 0.0)


def why(error: Exception, settings: KafkaConnection, last_words: str) -> str:
    """Which brokers, who and which topic, and what to do. Holds no secret: the library does not print any."""
    servers = ", ".join(settings.servers)
    who = f"user {settings.username!r}" if settings.username is not None else "we, without a username,"
    topic = "the topic " + next(iter(getattr(error, "__notes__", ())), "of the settings")
    told = " ".join(str(error).split()) or repr(error)
    more = f"{told}; {last_words}" if last_words else told
    match error:
        case errors.UnknownTopicOrPartitionError():
            return f"{topic} is not there: make it, or mend its name in the settings ({servers}: {told})"
        case errors.TopicAuthorizationFailedError():
            return f"{who} may not write {topic}: let them by an ACL for Write and Describe ({servers}: {told})"
        case errors.ClusterAuthorizationFailedError():
            return f"{who} may not write: let them by an ACL for IdempotentWrite on the cluster ({servers}: {told})"
        case _ if isinstance(error, TOO_LARGE):
            return f"a record is too large for {topic}: raise its max.message.bytes ({servers}: {told})"
        case errors.NotEnoughReplicasError() | errors.NotEnoughReplicasAfterAppendError():
            return f"{topic} has fewer replicas in sync than it must have: look for nodes that are away ({servers}: {told})"
        case FileNotFoundError() | PermissionError() | UnicodeDecodeError() | TlsFileUnusable():
            return f"a file of the settings cannot be used: {told}"
        case _ if "uthentication" in more or "SASL" in more or "Sasl" in more:
            return f"{servers} refused {who}: look at username, password and sasl_mechanism ({more})"
        case _ if isinstance(error, TOO_LATE):
            return f"{servers} did not acknowledge within {settings.timeout_s:g} s: look at the brokers ({more})"
        case _ if isinstance(error, UNREACHABLE):
            return f"cannot connect to {servers}: do the brokers run, and are `servers` and `tls` right? ({more})"
    return f"{servers} answered for {topic}: {more}"


def reason_of(error: Exception) -> Reason:
    """The class of failure of an error of the client."""
    if isinstance(error, AUTH):
        return "auth"
    if isinstance(error, TOO_LATE):
        return "timeout"
    if isinstance(error, UNREACHABLE):
        return "unreachable"
    return "client" if isinstance(error, TOO_LARGE) else "server"
