"""What a settings file may say about a Kafka source."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from ingest.tls import FilePath, Tls

TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
SERVER = re.compile(r"(\[[0-9A-Fa-f:]+\]|[^\s:,/]+):([0-9]{1,5})")


def _topic(text: str) -> str:
    if not TOPIC.fullmatch(text) or text in {".", ".."}:
        raise ValueError("a topic of Kafka has 1 to 249 letters, digits and . _ -; for many topics use pattern")
    return text


def _server(text: str) -> str:
    found = SERVER.fullmatch(text)
    if found is None or not 0 < int(found[2]) < 65_536:
        raise ValueError("say host:port, such as kafka-1.example:9092")
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    return text


# A settings file knows texts and lists only, so these are not strict.
Topics = Annotated[tuple[Annotated[str, AfterValidator(_topic)], ...], Field(strict=False)]
Servers = Annotated[tuple[Annotated[str, AfterValidator(_server)], ...], Field(strict=False, min_length=1)]


class KafkaSourceSettings(BaseModel):
    """One member of a consumer group; offsets are committed for what the journal holds, and for nothing else.

    Say `topics`, or one regular expression as `pattern`. `group` is the name under which Kafka remembers how far we
    are: processes that share the work have the same one, each with a data folder of its own. `group_instance_id` makes
    a member keep its partitions over a restart: one for each process, and never the same twice. `window_messages` and
    `window_bytes` bound what is held in memory until it is durable.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    type: Literal["kafka"] = "kafka"
    name: str = Field(default="kafka", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    servers: Servers = ("127.0.0.1:9092",)
    topics: Topics = ()
    pattern: Annotated[str, AfterValidator(_pattern)] | None = Field(default=None, min_length=1)
    group: str = Field(default="jianwei", min_length=1, max_length=200)
    group_instance_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{1,200}$")
    client_id: str = Field(min_length=1, max_length=200)  # a name in the brokers' logs and quotas
    tls: Tls | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    username: str | None = Field(default=None, min_length=1)
    password: SecretStr | None = None
    password_file: FilePath | None = None  # read at every start of the member
    auto_offset_reset: Literal["earliest", "latest"] = "earliest"  # where the group has no offset yet
    isolation_level: Literal["read_uncommitted", "read_committed"] = "read_committed"
    session_timeout_s: float = Field(default=30.0, ge=6, le=300)  # a member that is not heard for so long is dead
    rebalance_timeout_s: float = Field(default=60.0, ge=6, le=600)  # for others to come back when partitions are dealt
    max_poll_interval_s: float = Field(default=300.0, ge=10, le=3_600)
    revoke_wait_s: float = Field(default=10.0, ge=0, le=300)  # for the journal, before partitions are given away
    commit_every_s: float = Field(default=0.2, gt=0, le=60)
    request_timeout_s: float = Field(default=20.0, ge=1, le=300)
    metadata_max_age_s: float = Field(default=60.0, ge=1, le=3_600)  # new topics and partitions are noticed so late
    silence_s: float = Field(default=20.0, gt=0)  # health is red when no broker answered for so long
    window_messages: int = Field(default=20_000, ge=1)
    window_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    most_message_bytes: int = Field(
        default=2 * 1024 * 1024, ge=64
    )  # of a larger value, key or set of headers the beginning
    most_partition_bytes: int = Field(
        default=1024 * 1024, ge=1
    )  # fetched ahead for a partition; a larger record comes too
    most_fetch_bytes: int = Field(default=16 * 1024 * 1024, ge=1)  # the same of all partitions of a broker
    nap_ms: float = Field(default=4.0, ge=0, le=1_000)  # after a fetch, so that the next one takes many; costs latency
    reconnect_min_s: float = Field(default=1.0, gt=0)
    reconnect_max_s: float = Field(default=60.0, gt=0)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if bool(self.topics) == (self.pattern is not None):
            raise ValueError("topics, pattern: give one of them")
        if self.reconnect_min_s > self.reconnect_max_s:
            raise ValueError("reconnect_min_s is greater than reconnect_max_s")
        if self.revoke_wait_s > self.rebalance_timeout_s / 2:
            raise ValueError("revoke_wait_s is more than half of rebalance_timeout_s: the group would not wait for us")
        return self

    @model_validator(mode="after")
    def _credentials_agree(self) -> Self:
        passwords = [said for said in (self.password, self.password_file) if said is not None]
        if len(passwords) > 1:
            raise ValueError("password and password_file: give one of them")
        if passwords and self.username is None:
            raise ValueError("a password needs a username")
        if self.username is not None and (self.sasl_mechanism is None or not passwords):
            raise ValueError("a username needs sasl_mechanism, and password_file or password")
        if self.sasl_mechanism is not None and self.username is None:
            raise ValueError("sasl_mechanism needs a username, and password_file or password")
        return self

    def takes(self, topic: str) -> bool:
        """Whether it reads this topic: as the client does, which asks a pattern for the beginning of a name only."""
        return topic in self.topics if self.pattern is None else re.match(self.pattern, topic) is not None

    @property
    def heartbeat_s(self) -> float:
        return min(3.0, self.session_timeout_s / 3)

    @property
    def look_every_s(self) -> float:
        """Brokers are asked for the ends of partitions so often, and by that whether they are there."""
        return min(5.0, self.silence_s / 4)

    def secret(self) -> str | None:
        """The password. Raises OSError when its file cannot be read."""
        if self.password_file is not None:
            return self.password_file.read_text().rstrip("\r\n")
        return self.password.get_secret_value() if self.password is not None else None

    def security(self) -> dict[str, Any]:
        """What the client is told of TLS and of who we are. Raises OSError for files that cannot be used."""
        said: dict[str, Any] = {
            "security_protocol": ("SASL_" if self.sasl_mechanism else "") + ("SSL" if self.tls else "PLAINTEXT")
        }
        if self.tls is not None:
            said["ssl_context"] = self.tls.context()
        if self.sasl_mechanism is not None:
            said |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.secret(),
            }
        return said
