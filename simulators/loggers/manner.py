"""What a simulated data logger is like: the edition that it speaks, and what it does otherwise than it should. All data."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rules import schema
from rules.readings import SECOND_NS
from rules.schema import ParametersFile, Strict
from rules.strict_yaml import parse
from simulators.durations import Seconds
from simulators.hj212 import MOST_DATA, Check, Edition, Logger

SURFACE_WATER = "21"  # by this and the edition of its Flag a surface-water station is known
SHORTEST_DATA = 200
Share = Annotated[float, Field(ge=0, le=1)]


class Manner(Strict):
    """The data logger of one station.

    `mn`: where it is not the station's id. `check`, `encoding`, `most_data` (bytes, before it splits a frame): how it
    writes. `remark`: a text that it sends as a log whenever it has connected. `offset`: how far its clock is ahead when
    the scenario begins, `drift_ppm`: how much further it goes. `timeout` and `retries`: for how long it waits for an
    answer, and how often it then sends the same again. `heartbeat` (2025, surface water): after how long a silence; 0:
    never.

    Shares of its samples: `lost_answers` do not hear their first answer, after `cuts` the line breaks before the
    answer, before `garbage` there is noise. `writes`: whole frames, single bytes, or two frames at once.
    """

    station: str
    mn: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")] | None = None
    edition: Edition = "2017"
    password: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,24}$", repr=False)] = "123456"  # noqa: S105  # as in every example of the standard
    check: Check = "standard"
    encoding: Literal["utf-8", "gbk"] = "utf-8"
    most_data: int = Field(default=MOST_DATA, ge=SHORTEST_DATA, le=MOST_DATA)
    remark: str = Field(default="", max_length=200, pattern=r"^[^/&#\r\n]*$")
    offset: Seconds = 0
    drift_ppm: float = 0.0
    timeout: Seconds = Field(default=10, gt=0)
    retries: int = Field(default=3, ge=0)
    heartbeat: Seconds = Field(default=0, ge=0)
    lost_answers: Share = 0.0
    cuts: Share = 0.0
    garbage: Share = 0.0
    writes: Literal["whole", "bytes", "joined"] = "whole"
    note: str = ""

    @property
    def name(self) -> str:
        """What it calls itself."""
        return self.mn or self.station

    @model_validator(mode="after")
    def _beats_in_an_edition_that_has_it(self) -> Self:
        if self.heartbeat and self.edition not in {"2025", "surface_water"}:
            raise ValueError(f"edition {self.edition} has no heartbeat; take it out, or say 2025 or surface_water")
        return self

    def entry(self) -> schema.Logger:
        """What the register must say about it."""
        return schema.Logger(
            mn=self.mn,
            edition=self.edition,
            checks=["modbus"] if self.check == "modbus" else [],
            encoding=self.encoding,
        )

    def voice(self, st: str, converted: list[str]) -> Logger:
        """How it speaks; `st`: the system of its station, `converted`: what that reports at the reference oxygen."""
        return Logger(
            mn=self.name,
            st=SURFACE_WATER if self.edition == "surface_water" else st,
            edition=self.edition,
            password=self.password,
            encoding=self.encoding,
            codes=codes_of_2005() if self.edition == "2005" else None,
            converted=frozenset(converted),
            check=self.check,
            most_data=self.most_data,
        )

    def ahead_ns(self, after_ns: int) -> int:
        """How far its clock is ahead, so long after the scenario began, while nobody has set it."""
        return self.offset * SECOND_NS + round(after_ns * self.drift_ppm / 1e6)


@dataclass(frozen=True, slots=True)
class Equipped:
    """A station with its logger: how it speaks, and what it is like."""

    station: str
    voice: Logger
    manner: Manner


@cache
def codes_of_2005() -> Mapping[str, str]:
    """What HJ/T 212-2005 called a parameter of today."""
    folder = resources.files("rules") / "catalogue" / "parameters"
    texts = [entry.read_text(encoding="utf-8") for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    rows = [row for text in texts for row in ParametersFile.model_validate(parse(text)).parameters]
    return {row.code: row.old_code for row in rows if row.old_code}
