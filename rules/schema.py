"""The shapes of the catalogue: what a YAML file may say, key by key.

Strict: unknown keys, numbers in quotes, codes without quotes and numbers that are not finite are refused.

Three marks say how sure we are of a fact: C confirmed in a source, R recalled, P project default. Only what is marked
C may be worded as law. Dates are days of the calendar in Asia/Shanghai, both ends belong to the interval.
"""

from datetime import date
from ipaddress import ip_network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from rules.readings import Kind

Mark = Literal["C", "R", "P"]
Authority = Literal["local", "sector", "general"]
Operator = Literal["<=", "<", ">=", ">", "between"]
KindName = Literal["realtime", "minute", "hour", "day"]
WaterBody = Literal["river", "lake_reservoir"]
FlagLetter = Literal["N", "F", "M", "S", "D", "C", "T", "B"]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.]{0,39}$")]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
StationId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
PositiveSeconds = Annotated[int, Field(ge=1, le=31 * 86400)]
Amount = Annotated[float, Field(ge=-1e15, le=1e15)]  # told in another unit it is still a number


def _network(said: str) -> str:
    """An address of IP or a network such as 10.2.0.0/16, as it stands. Raises ValueError."""
    ip_network(said)
    return said


Network = Annotated[str, AfterValidator(_network)]

KINDS: dict[str, Kind] = {kind.name.lower(): kind for kind in Kind}


class Strict(BaseModel):
    """The manner of every shape here."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


class Name(Strict):
    """What staff see, in Chinese and English."""

    zh: Text
    en: Text


class Unit(Strict):
    """A unit: how it is written, and how many of its dimension's first unit one of it is."""

    zh: Text
    en: Text
    dimension: Word
    factor: Annotated[float, Field(ge=1e-15, le=1e15)]


class UnitsFile(Strict):
    units: dict[Text, Unit]


class Period(Strict):
    """An averaging period of limits, and the kinds of reading that a limit of this period may judge."""

    zh: Text
    en: Text
    judges: list[KindName]


class PeriodsFile(Strict):
    periods: dict[Code, Period]


class ConditionsFile(Strict):
    """What a limit may depend on beside its class: names a station can claim in the register."""

    conditions: dict[Word, Name]


class Parameter(Strict):
    """A measured quantity.

    `unit` is the unit of our readings (a station type may set another), `wire_unit` what HJ 212-2017 prints where that
    differs. Without a mark the row is confirmed in its source.
    """

    code: Code
    old_code: Code | None = None
    zh: Text
    en: Text
    unit: Text | None
    wire_unit: Text | None = None
    total_unit: Text | None = None
    format: Annotated[str, Field(pattern=r"^(N[0-9]+(\.[0-9]+)?|C[0-9]+)$")] | None = None
    media: Annotated[list[Word], Field(min_length=1)]
    source: Text
    mark: Mark = "C"
    local: bool = False  # our placeholder, never on the wire
    multiple: bool = True  # the law defines an exceedance multiple
    note: Text | None = None

    @property
    def precision(self) -> int | None:
        """Decimals that the registry gives the value on the wire; None where it says nothing."""
        if self.format is None or not self.format.startswith("N"):
            return None
        _, _, decimals = self.format.partition(".")
        return int(decimals or 0)


class ParametersFile(Strict):
    parameters: list[Parameter]


class PlantCode(Strict):
    """A device code (ST 21 to 31) or process code (ST 51, 52). xx or x stands for the number of the equipment."""

    code: Code
    zh: Text
    en: Text
    unit: Text | None = None
    format: Text | None = None
    field: Text | None = None
    st: int | None = None
    note: Text | None = None


class PlantCodesFile(Strict):
    codes: list[PlantCode]


class Bound(Strict):
    """A comparison that a value passes: `value op limit`; between takes two values and both ends pass.

    No value: the limit exists, its number is not known yet, and it judges nothing.
    """

    op: Operator
    value: Amount | list[Amount] | None
    unit: Text

    @model_validator(mode="after")
    def _shape(self) -> Self:
        if self.op == "between":
            if not isinstance(self.value, list) or len(self.value) != 2 or self.value[0] > self.value[1]:
                raise ValueError("between needs value: [low, high], low first")
        elif isinstance(self.value, list):
            raise ValueError(f"{self.op} takes one value, not a list")
        return self


class Limit(Bound):
    """One limit of a standard.

    `also` are further codes of the same quantity (total and dissolved metals have two codes and one limit). `item`
    stands for `parameter` where no code is known; `of` says what of the parameter is limited: its value, or its
    emission rate, which no station reports. Such limits are kept, and judge nothing. A limit with conditions judges
    only stations that claim all of them.
    """

    id: Code
    parameter: Code | None = None
    also: list[Code] = []
    item: Text | None = None
    of: Literal["value", "emission_rate"] = "value"
    class_: Annotated[Text, Field(alias="class")]
    period: Code
    clause: Text
    mark: Mark
    medium: Word | None = None  # where it differs from the file's
    source: Code | None = None  # where it differs from the file's
    conditions: list[Word] = []
    reference_oxygen: Annotated[float, Field(gt=0, lt=21)] | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if (self.parameter is None) == (self.item is None):
            raise ValueError("a limit names a parameter, or an item for which no code is known")
        return self


class StandardFile(Strict):
    """One edition of one standard.

    `family` joins the editions that replace each other. The class "all" holds for every station to which the standard
    applies, and it applies to a station that has one of its other classes.
    """

    family: Text
    standard: Text
    edition: Text
    title: Name
    authority: Authority
    medium: Word
    valid_from: date | None  # None: not known, taken as always
    valid_to: date | None = None
    validity_mark: Mark
    source: Code | None = None
    classes: dict[Text, Name]
    note: Text | None = None
    limits: list[Limit]


class SourcesFile(Strict):
    """Where facts were seen: short name to a sentence."""

    sources: dict[Code, Text]


class Feed(Strict):
    """Messages of one kind: how often a station sends them, and what is usually in them."""

    interval_s: PositiveSeconds
    parameters: list[Code] = []


class Applied(Strict):
    """A family of standards that a station type obeys.

    `class` holds where the station names no class that the standard knows; `also` beside the station's own.
    """

    family: Text
    class_: Annotated[Text | None, Field(alias="class")] = None
    also: list[Text] = []


class StationType(Strict):
    """A sort of station.

    `systems` are the numbers of the watched systems in the plan. `conditions` and `water_body` hold where the register
    entry says nothing; `units` where this type reports another unit than the parameter's own.
    """

    station_type: Word
    name: Name
    systems: list[Annotated[int, Field(ge=1, le=24)]]
    medium: Word
    standards: list[Applied]
    conditions: list[Word] = []
    water_body: WaterBody | None = None
    feeds: dict[KindName, Feed]
    units: dict[Code, Text] = {}
    note: Text | None = None


class PermitLimit(Bound):
    """A limit that the permit of this one station sets. It goes before every standard."""

    parameter: Code
    period: Code
    permit: Text
    clause: Text
    valid_from: date | None = None
    valid_to: date | None = None

    @model_validator(mode="after")
    def _has_a_value(self) -> Self:
        if self.value is None:
            raise ValueError("a permit limit has a value")
        return self


class Position(Strict):
    lon: Annotated[float, Field(ge=-180, le=180)]
    lat: Annotated[float, Field(ge=-90, le=90)]


class Logger(Strict):
    """The data logger of a station that speaks HJ 212, and what it does otherwise than the standard.

    `mn` is what it calls itself, where that is not the station's id. `checks` are taken beside that of the standard.
    `flags` are all its data flags, by what they mean in letters of HJ 212; `codes` its own names of parameters;
    `units` what its values are in, where that is not the unit of our readings. `addresses`: networks that it may
    connect from, none: any. `clock`: whether a clock that is wrong is only reported, or also set.
    """

    mn: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")] | None = None
    edition: Literal["2005", "2017", "2025", "surface_water"] | None = None
    checks: list[Literal["hj212_swapped", "modbus", "modbus_swapped"]] = []
    encoding: Literal["utf-8", "gbk"] = "utf-8"
    flags: dict[Annotated[str, Field(pattern=r"^[!-~]{1,4}$")], FlagLetter] | None = None
    codes: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]{1,20}$")], Code] = {}
    units: dict[Code, Text] = {}
    addresses: list[Network] = []
    clock: Literal["report", "correct"] = "report"


class Station(Strict):
    """A register entry.

    `class` is the class in every standard of the station's type that knows it, `classes` the class by family of
    standard where it differs or where the type does not name the family. Where several standards know the class, `classes`
    says which is meant, unless the type applies all of them anyway. `feeds` (kind to seconds) replaces the feeds
    of the type, and so do `conditions` and `water_body` with theirs.
    """

    id: StationId
    name: Name
    station_type: Word
    class_: Annotated[Text | None, Field(alias="class")] = None
    classes: dict[Text, Text] = {}
    conditions: list[Word] | None = None
    water_body: WaterBody | None = None
    position: Position | None = None
    jurisdiction: Text | None = None
    enterprise: Text | None = None
    outlet: Text | None = None
    permit: list[PermitLimit] = []
    feeds: dict[KindName, PositiveSeconds] | None = None
    logger: Logger | None = None
    note: Text | None = None

    @property
    def mn(self) -> str:
        """What its logger calls itself in HJ 212, as far as it has one."""
        return (self.logger and self.logger.mn) or self.id
