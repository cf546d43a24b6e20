"""`[requests]` of the settings file: what stations are asked, by whom, and how long it is tried."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class OnConnection(BaseModel):
    """What a station is told when it connects, once for each setting; the clock at most once a day. None: nothing.

    Off until asked for: a logger has these from whoever set it up, and may serve another platform with them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    set_clock: bool = False
    time_out_s: int | None = Field(default=None, ge=1, le=99_999)
    repeats: int | None = Field(default=None, ge=0, le=99)
    realtime_interval_s: int | None = Field(default=None, ge=30, le=3_600)
    minute_interval_min: Literal[1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30] | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.time_out_s is None) != (self.repeats is None):
            raise ValueError("time_out_s and repeats are one command: give both, or none")
        return self

    def asked(self) -> Iterator[tuple[str, dict[str, str]]]:
        """As commands with their fields."""
        if self.set_clock:
            yield "1012", {}
        if self.time_out_s is not None:
            yield "1000", {"OverTime": str(self.time_out_s), "ReCount": str(self.repeats)}
        if self.realtime_interval_s is not None:
            yield "1062", {"RtdInterval": str(self.realtime_interval_s)}
        if self.minute_interval_min is not None:
            yield "1064", {"MinInterval": str(self.minute_interval_min)}


class RequestSettings(BaseModel):
    """What stations are asked. A request waits `wait_h` for a station that is not connected.

    With `fetch_gaps`, what was missed while a station was silent is asked for `grace_s` after the silence has ended, as far
    as it has not come by itself: at most `longest_gap_d`, in pieces of `piece_periods`, of `most_at_once` stations at
    once, `tries` times every `retry_s`; it waits `gap_wait_h` for a station that is gone again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    wait_h: float = Field(default=1.0, gt=0, le=8_760)
    fetch_gaps: bool = True
    grace_s: float = Field(default=120.0, ge=0, le=86_400)
    longest_gap_d: float = Field(default=7.0, gt=0, le=366)
    piece_periods: int = Field(default=144, ge=1, le=1_440)
    most_at_once: int = Field(default=4, ge=1, le=1_000)
    tries: int = Field(default=3, ge=1, le=100)
    retry_s: float = Field(default=900.0, ge=1, le=86_400)
    gap_wait_h: float = Field(default=24.0, gt=0, le=8_760)
    on_connection: OnConnection = OnConnection()
