"""The shapes of rules and of the cases beside them: what to watch, how long, how loud, and the proof."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from rules.readings import Family, Level
from rules.schema import Code, KindName, Mark, Name, PermitLimit, Strict, Text, WaterBody, Word

LevelName = Literal["blue", "yellow", "orange", "red"]
FamilyName = Literal["exceedance", "data_quality", "equipment"]
Duration = Annotated[str, Field(pattern=r"^[0-9]{1,6}(s|min|h|d)$")]

LEVELS: dict[str, Level] = {level.name.lower(): level for level in Level}
FAMILIES: dict[str, Family] = {family.name.lower(): family for family in Family}


class Hold(Strict):
    """How long something must hold.

    `count` of the last `of` evaluated readings, and at least `for_s` seconds of event time.
    """

    count: Annotated[int, Field(ge=1, le=64)] = 1
    of: Annotated[int, Field(ge=1, le=64)] | None = None  # None: as many as count
    for_s: Annotated[int, Field(ge=0, le=31 * 86400)] = 0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.of is not None and self.count > self.of:
            raise ValueError(f"count {self.count} of the last {self.of} can never hold")
        return self


class Levels(Strict):
    """How loud: the level of an episode of suspect readings, and of failed ones. none: flagged, but no episode."""

    suspect: LevelName | Literal["none"] = "blue"
    fail: LevelName | Literal["none"] = "yellow"


class Escalate(Strict):
    """From this share of the limit on, this level."""

    ratio: Annotated[float, Field(gt=0)]
    level: LevelName


class Rule(Strict):
    """One rule.

    `thresholds` are what its check asks for, in the unit of each parameter. A map of `parameters` adds to them or
    replaces them for one parameter, a list uses them as they are, none at all watches every parameter.
    """

    rule: Word
    edition: Annotated[int, Field(ge=1)]
    name: Name
    why: Text
    family: FamilyName
    check: Word
    station_types: Annotated[list[Word], Field(min_length=1)]
    kinds: Annotated[list[KindName], Field(min_length=1)] | None = None  # None: all
    parameters: list[Code] | dict[Code, dict[str, Any]] | None = None
    thresholds: dict[str, Any] = Field(default_factory=dict)
    levels: Levels = Levels()
    raise_after: Hold = Hold()
    clear_after: Hold = Hold()
    escalate: list[Escalate] = Field(default_factory=list)
    mark: Mark
    source: Text
    note: Text | None = None


class CaseStation(Strict):
    """The station of a case: what a rule may depend on. Its only feed is the kind of the case, at its interval."""

    type: Word
    class_: Annotated[Text | None, Field(alias="class")] = None
    classes: dict[Text, Text] = Field(default_factory=dict)
    conditions: list[Word] | None = None
    water_body: WaterBody | None = None
    permit: list[PermitLimit] = Field(default_factory=list)


class Expected(Strict):
    """One expected change of an episode, so long after the start, in event time. Exactly one of the three."""

    at: Annotated[str, Field(pattern=r"^\+[0-9]{1,6}(s|min|h|d)$")]
    opens: LevelName | None = None
    worsens: LevelName | None = None
    clears: Literal[True] | None = None
    parameter: Code | None = None

    @model_validator(mode="after")
    def _one_change(self) -> Self:
        if [self.opens, self.worsens, self.clears].count(None) != 2:
            raise ValueError("say exactly one of opens, worsens, clears")
        return self


class Case(Strict):
    """A short history and the transitions of the rule beside which it stands.

    `series` is in the notation of `rules/notation.py`; the first slot is at `start`, the next `every` later. `ticks`:
    the clock ticks at each slot; `then_silent`: it goes on ticking for so long after the last slot.
    """

    case: Text
    station: CaseStation
    start: datetime
    every: Duration
    kind: KindName = "hour"
    series: Annotated[dict[Code, Text], Field(min_length=1)]
    ticks: bool = False
    then_silent: Duration | None = None
    expect: list[Expected]

    @field_validator("start")
    @classmethod
    def _aware(cls, start: datetime) -> datetime:
        if start.tzinfo is None:
            raise ValueError("start needs a zone, such as +08:00")
        return start


class CasesFile(Strict):
    cases: Annotated[list[Case], Field(min_length=1)]
