"""A scenario: a fleet of stations, what they measure, and what goes wrong when, with what must be found. All data."""

from collections.abc import Iterator
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any, Self

from pydantic import AwareDatetime, Field, model_validator

from rules.readings import SECOND_NS
from rules.schema import KindName, Name, Station, Strict
from rules.strict_yaml import parse
from simulators.durations import Seconds
from simulators.faults import Fault
from simulators.loggers.manner import Manner

SPAN_S = {"minute": 60, "hour": 3600, "day": 86400}  # a realtime value stands for its moment


class Signal(Strict):
    """How one parameter moves; see `signals.Shape`.

    `spread`: stations of the group differ by up to this share of the base. `peak`: local time of day of the daily top.
    """

    base: float
    spread: float = 0.0
    daily: float = 0.0
    peak: Seconds = 14 * 3600
    tide: float = 0.0
    wander: float = 0.0
    wander_span: Seconds = 2 * 3600
    noise: float = 0.0
    low: float = 0.0
    high: float = 1e9
    decimals: int = Field(ge=0, le=6)


class Feed(Strict):
    """What is sent how often. A message leaves `delay` to `delay` + `jitter` after it is complete.

    `interval` must be given for realtime; it is the span of the kind otherwise, or a multiple of it. No `parameters`:
    all that the group measures.
    """

    kind: KindName
    interval: Seconds = 0
    delay: Seconds = 2
    jitter: Seconds = 3
    parameters: list[str] = Field(default_factory=list)

    @property
    def span_s(self) -> int:
        return SPAN_S.get(self.kind, 0)

    @property
    def interval_s(self) -> int:
        return self.interval or self.span_s

    @model_validator(mode="after")
    def _interval_fits(self) -> Self:
        if self.interval_s <= 0:
            raise ValueError("a realtime feed needs an interval")
        if self.span_s and self.interval_s % self.span_s:
            raise ValueError(f"the interval must be a multiple of {self.span_s} s")
        return self


class Group(Strict):
    """Stations of one type.

    `id` and `name` may hold {n} (the number, from 1), `name` also {place}, one of `places` in turn. `register` is what
    the register says about each of them beyond that (class, permit, ...). `st` is their system in HJ 212, `converted`
    the parameters that they report at the reference oxygen content.
    """

    station_type: str
    count: int = Field(ge=1)
    id: str
    name: Name
    places: list[Name] = Field(default_factory=list)
    said: dict[str, Any] = Field(default_factory=dict, alias="register")
    signals: dict[str, Signal]
    feeds: list[Feed] = Field(min_length=1)
    st: str = Field(default="32", pattern=r"^\d{2}$")
    converted: list[str] = Field(default_factory=list)

    def members(self) -> Iterator[tuple[str, Name]]:
        """Each station's id and name."""
        for n in range(1, self.count + 1):
            zh = en = ""
            if self.places:
                place = self.places[(n - 1) % len(self.places)]
                zh, en = place.zh, place.en
            name = Name(zh=self.name.zh.format(n=n, place=zh), en=self.name.en.format(n=n, place=en))
            yield self.id.format(n=n), name

    def entry(self, station: str, name: Name, manner: Manner | None = None) -> Station:
        """What the register says about one of the stations; `manner`: of its logger, where the scenario tells of one."""
        feeds = {feed.kind: feed.interval_s for feed in self.feeds}
        given = {"id": station, "name": name, "station_type": self.station_type, "feeds": feeds}
        if manner is not None:
            given["logger"] = manner.entry()
        return Station.model_validate({**self.said, **given})

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for feed in self.feeds:
            unknown = set(feed.parameters) - set(self.signals)
            if unknown:
                raise ValueError(f"feed {feed.kind}: no signal for {sorted(unknown)}")
        if unknown := set(self.converted) - set(self.signals):
            raise ValueError(f"converted: no signal for {sorted(unknown)}")
        if len({feed.kind for feed in self.feeds}) != len(self.feeds):
            raise ValueError("two feeds of the same kind")
        for station, name in self.members():
            self.entry(station, name)
        return self


class Scenario(Strict):
    """`start` carries the zone in which the stations live: their days begin at its midnight.

    `loggers`: the stations that speak HJ 212, and how.
    """

    name: Name
    start: AwareDatetime
    length: Seconds = 12 * 3600
    step: Seconds = 60
    fleet: list[Group] = Field(min_length=1)
    faults: list[Fault] = Field(default_factory=list)
    loggers: list[Manner] = Field(default_factory=list)

    @property
    def start_ns(self) -> int:
        return int(self.start.timestamp()) * SECOND_NS

    @property
    def offset_s(self) -> int:
        """How far local time is ahead of UTC."""
        return int((self.start.utcoffset() or timedelta()).total_seconds())

    def stations(self) -> Iterator[tuple[str, Name, Group]]:
        for group in self.fleet:
            for station, name in group.members():
                yield station, name, group

    @model_validator(mode="after")
    def _faults_hit_something(self) -> Self:
        groups = {station: group for station, _, group in self.stations()}
        if len(groups) != sum(group.count for group in self.fleet):
            raise ValueError("two stations have the same id")
        for i, fault in enumerate(self.faults):
            if fault.station not in groups:
                raise ValueError(f"faults[{i}]: no station {fault.station}")
            group = groups[fault.station]
            unknown = set(fault.parameters) - set(group.signals)
            unfed = set(fault.feeds) - {feed.kind for feed in group.feeds}
            if unknown or unfed:
                raise ValueError(f"faults[{i}]: {fault.station} does not send {sorted({*unknown, *unfed})}")
        return self

    @model_validator(mode="after")
    def _loggers_belong_to_stations(self) -> Self:
        stations = {station for station, _, _ in self.stations()}
        manners = {manner.station: manner for manner in self.loggers}
        if len(manners) != len(self.loggers):
            raise ValueError("loggers: a station has two")
        if unknown := manners.keys() - stations:
            raise ValueError(f"loggers: no station {', '.join(sorted(unknown))}")
        names = [(manners[station].name if station in manners else station).upper() for station in stations]
        if len(set(names)) != len(names):
            raise ValueError("loggers: two call themselves the same")
        return self


def shipped() -> list[str]:
    """Names of the scenarios that come with the program."""
    folder = resources.files("simulators") / "scenarios"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_scenario(name: str | Path) -> Scenario:
    """A shipped scenario by its name, or one from a file.

    Where it says `fleet: city`, it takes the fleet of that one; `faults: city` likewise.

    Raises OSError, or ValueError (YamlError, pydantic.ValidationError) with every problem and its path.
    """
    content = parse(_text_of(name))
    if isinstance(content, dict):
        for part in ("fleet", "faults"):
            if isinstance(content.get(part), str):
                content[part] = parse(_text_of(content[part])).get(part)
    return Scenario.model_validate(content)


def _text_of(name: str | Path) -> str:
    if isinstance(name, str) and name in shipped():
        return (resources.files("simulators") / "scenarios" / f"{name}.yaml").read_text(encoding="utf-8")
    return Path(name).read_text(encoding="utf-8")
