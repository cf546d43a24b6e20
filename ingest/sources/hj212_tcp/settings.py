"""What a settings file may say about a port for data loggers of HJ 212."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ingest.tls import ServerTls

LONGEST_DATA = 8_192  # what the format takes: a longer frame would be answered, and nobody could read it


class Hj212TcpSourceSettings(BaseModel):
    """One port that data loggers connect to. Port 0: any free one.

    `window_messages` and `window_bytes` bound what is held of all connections until it is durable, `share_messages` and
    `share_bytes` what is held of one, so that a logger that sends without end waits for itself alone.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    type: Literal["hj212_tcp"] = "hj212_tcp"
    name: str = Field(default="hj212", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=9_212, ge=0, lt=65_536)
    tls: ServerTls | None = None
    most_connections: int = Field(default=5_000, ge=1, le=50_000)
    most_of_one_address: int = Field(default=500, ge=1)  # loggers behind one router share an address
    most_data_bytes: int = Field(default=LONGEST_DATA, ge=64, le=LONGEST_DATA)  # of a frame; the standard has 1,024
    frame_time_s: float = Field(default=10.0, gt=0, le=600)  # a frame whose end does not come within is given up
    first_frame_s: float = Field(default=300.0, gt=0)  # a connection without a frame of a registered station is closed
    idle_s: float = Field(default=3_900.0, gt=0)  # so is one from which no more frames come
    handshake_s: float = Field(default=10.0, gt=0, le=120)  # of TLS
    window_messages: int = Field(default=20_000, ge=1)
    window_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    share_messages: int = Field(default=500, ge=1)
    share_bytes: int = Field(default=1024 * 1024, ge=1)
    most_garbage_bytes: int = Field(default=64 * 1024, ge=1)  # that are no frames, in a row, before it is closed
    most_refused: int = Field(default=100, ge=1)  # frames in a row of loggers that may not speak, before it is closed
    most_unread_bytes: int = Field(default=256 * 1024, ge=1_024)  # of our answers, that the other side does not read
    seen_every_s: float = Field(default=30.0, gt=0)  # how often the register is told that a logger is there
    clock_limit_s: float = Field(default=60.0, ge=1)  # a clock that is more wrong is set, where the register says so
    clock_every_s: float = Field(default=3_600.0, ge=1)  # at most so often
    stop_s: float = Field(default=2.0, ge=0, le=60)  # a stop waits so long for answers to leave

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.share_messages > self.window_messages or self.share_bytes > self.window_bytes:
            raise ValueError("the share of one connection is greater than the window of all")
        return self
