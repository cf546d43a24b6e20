"""A scenario: a fleet of stations, what they measure, and what goes wrong when, with what must be found. All data."""

from collections.abc import Iterator
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import AwareDatetime, Field, model_validator

from rules.readings import SECOND_NS, Kind
from simulators.durations import Declared, Seconds
from simulators.faults import Fault
from simulators.samples import KindName

SPAN_S = {"minute": 60, "hour": 3600, "day": 86400}  # a realtime value stands for its moment


class Text(Declared):
    zh: str
    en: str


class Signal(Declared):
    """How one parameter moves; see `signals.Shape`. `spread`: stations of the group differ by up to this share of the
    base. `peak`: local time of day of the daily top."""

    base: float
    spread: float = 0.0
    daily: float = 0.0
    peak: Seconds = 14 * 3600
    tide: float = 0.0
    wander: float = 0.0
    wander_span: Seconds = 2 * 3600
    noise: float = 0.0
    low: float = float("-inf")
    high: float = float("inf")
    decimals: int = Field(ge=0, le=6)


class Feed(Declared):
    """What is sent how often. A message leaves `delay` to `delay` + `jitter` after it is complete.

    `interval` must be given for realtime; it is the span of the kind otherwise, or a multiple of it.
    """

    kind: KindName
    interval: Seconds = 0
    delay: Seconds = 2
    jitter: Seconds = 3
    parameters: list[str] = []

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


class Group(Declared):
    """Stations of one type. `id` and `name` may hold {n} (the number, from 1); `name` may hold {place}, one of
    `places` in turn. `register` is what the register says about each of them beyond that (class, permit, ...)."""

    station_type: str
    count: int = Field(ge=1)
    id: str
    name: Text
    places: list[Text] = []
    register_entry: dict[str, Any] = Field(default_factory=dict, alias="register")
    signals: dict[str, Signal]
    feeds: list[Feed]

    def ids(self) -> list[str]:
        return [self.id.format(n=n) for n in range(1, self.count + 1)]

    def names(self) -> list[Text]:
        return [self._name(n) for n in range(1, self.count + 1)]

    def _name(self, n: int) -> Text:
        place = self.places[(n - 1) % len(self.places)] if self.places else Text(zh="", en="")
        return Text(zh=self.name.zh.format(n=n, place=place.zh), en=self.name.en.format(n=n, place=place.en))

    @model_validator(mode="after")
    def _feeds_have_signals(self) -> Self:
        for feed in self.feeds:
            unknown = set(feed.parameters) - set(self.signals)
            if unknown:
                raise ValueError(f"feed {feed.kind}: no signal for {sorted(unknown)}")
        return self


class Scenario(Declared):
    """`start` carries the zone in which the stations live: their days begin at its midnight."""

    name: Text
    start: AwareDatetime
    length: Seconds = 12 * 3600
    step: Seconds = 60
    fleet: list[Group]
    faults: list[Fault] = []

    @property
    def start_ns(self) -> int:
        return int(self.start.timestamp()) * SECOND_NS

    @property
    def offset_s(self) -> int:
        return int((self.start.utcoffset() or timedelta()).total_seconds())

    def stations(self) -> Iterator[tuple[str, Text, Group]]:
        for group in self.fleet:
            for station, name in zip(group.ids(), group.names(), strict=True):
                yield station, name, group

    @model_validator(mode="after")
    def _faults_hit_something(self) -> Self:
        groups = {station: group for station, _, group in self.stations()}
        if len(groups) != sum(g.count for g in self.fleet):
            raise ValueError("two stations have the same id")
        for i, fault in enumerate(self.faults):
            if fault.station not in groups:
                raise ValueError(f"faults[{i}]: no station {fault.station}")
            unknown = set(fault.parameters) - set(groups[fault.station].signals)
            if unknown:
                raise ValueError(f"faults[{i}]: {fault.station} does not measure {sorted(unknown)}")
            missing = set(fault.feeds) - {feed.kind for feed in groups[fault.station].feeds}
            if missing:
                raise ValueError(f"faults[{i}]: {fault.station} has no feed {sorted(missing)}")
        return self


def kind_of(name: KindName) -> Kind:
    return Kind[name.upper()]


def shipped() -> list[str]:
    """Names of the scenarios that come with the program."""
    folder = resources.files("simulators") / "scenarios"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_scenario(name: str | Path) -> Scenario:
    """A shipped scenario by its name, or one from a file. Raises OSError, yaml.YAMLError or pydantic.ValidationError
    with every problem and its path."""
    if isinstance(name, str) and name in shipped():
        text = (resources.files("simulators") / "scenarios" / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        text = Path(name).read_text(encoding="utf-8")
    return Scenario.model_validate(yaml.load(text, Loader=_UniqueKeys))  # noqa: S506 - a SafeLoader underneath


class _UniqueKeys(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc] # chosen when run
    """A key that appears twice in a mapping is a slip, not a wish."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT002 - PyYAML's
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {sorted(map(str, twice))}", node.start_mark)
        return super().construct_mapping(node, deep)  # type: ignore[no-any-return]  # PyYAML is loosely typed
