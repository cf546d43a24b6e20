"""What a settings file may say about an MQTT source."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from ingest.tls import FilePath, Tls

MQTT_MOST_PACKET_BYTES = 268_435_460  # the longest that the length field can say, and its header
SHARE = "$share"


def _topic_filter(text: str) -> str:
    """The rules of MQTT 5, 4.7 and 4.8.2: `+` stands for a whole level, `#` for all the last ones.

    Brokers take a shared subscription that is none for an ordinary filter, which no message ever matches.
    """
    levels = text.split("/")
    if levels[0] == SHARE and (len(levels) < 3 or not levels[1] or set(levels[1]) & set("+#") or levels[2:] == [""]):
        raise ValueError("a shared subscription is `$share/GROUP/FILTER`; GROUP is a name without `/`, `+` and `#`")
    if not text or "\0" in text or len(text.encode()) > 65_535:
        raise ValueError("a topic filter has 1 to 65535 bytes and no U+0000")
    if any("#" in level for level in levels[:-1]) or any(len(level) > 1 and set(level) & set("+#") for level in levels):
        raise ValueError("`+` stands for a whole level of a topic, `#` for all the last ones")
    return text


# A settings file knows texts and lists only, so this one is not strict.
TopicFilters = Annotated[tuple[Annotated[str, AfterValidator(_topic_filter)], ...], Field(strict=False, min_length=1)]


class MqttSourceSettings(BaseModel):
    """One connection to one broker, with a persistent session and QoS 1.

    `client_id` is the name of the session: keep it, and give it to one process only. `window_messages` and
    `window_bytes` bound what is held in memory until it is durable. `session_file` remembers, over restarts, that
    the broker knew us, so that a forgotten session can be reported.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    type: Literal["mqtt"] = "mqtt"
    name: str = Field(default="mqtt", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=1883, gt=0, lt=65_536)
    client_id: str = Field(min_length=1, max_length=200)
    protocol: Literal["3.1.1", "5"] = "3.1.1"
    username: str | None = None
    password: SecretStr | None = None
    password_file: FilePath | None = None  # read at every connection
    tls: Tls | None = None
    topics: TopicFilters = ("jianwei/v1/#",)
    keepalive_s: int = Field(default=30, ge=1, le=3_600)
    silence_s: float | None = Field(default=None, gt=0)  # a peer is given up after this; default 1.5 keepalive_s
    session_expiry_s: int = Field(default=86_400, ge=60, le=0xFFFF_FFFF)  # MQTT 5; a 3.1.1 broker has its own
    window_messages: int = Field(default=20_000, ge=1)
    window_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    # Of a larger message only the beginning is kept. Leave it above what the format takes, so that it is refused for
    # its size, not read in part.
    most_packet_bytes: int = Field(default=2 * 1024 * 1024, ge=64, le=MQTT_MOST_PACKET_BYTES)
    nap_ms: float = Field(default=4.0, ge=0, le=1_000)  # after a read, so that the next one takes many; costs latency
    reconnect_min_s: float = Field(default=1.0, gt=0)
    reconnect_max_s: float = Field(default=60.0, gt=0)
    # NATS sends unacknowledged messages again only when its `ack_wait` is over, and newer ones before them. Staying
    # away for so long keeps the order. 0 for brokers that send them first, as the standard asks.
    resend_after_s: float = Field(default=0.0, ge=0, le=60)
    session_file: FilePath | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file: give one of them")
        if self.username is None and (self.password is not None or self.password_file is not None):
            raise ValueError("a password needs a username")
        if self.reconnect_min_s > self.reconnect_max_s:
            raise ValueError("reconnect_min_s is greater than reconnect_max_s")
        return self

    @property
    def longest_silence_s(self) -> float:
        return self.silence_s if self.silence_s is not None else 1.5 * self.keepalive_s

    @property
    def receive_maximum(self) -> int:
        """MQTT 5: how many unacknowledged messages the broker may send us."""
        return min(self.window_messages, 65_535)

    def secret(self) -> str | None:
        """The password. Raises OSError when its file cannot be read."""
        if self.password_file is not None:
            return self.password_file.read_text().rstrip("\r\n")
        return self.password.get_secret_value() if self.password is not None else None
