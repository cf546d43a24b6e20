"""Rules of one's own, for a file or a place that the catalogue does not know: read strictly, watched like all others.

    rules:
      - rule: temperature_span
        check: gross_range
        parameters:
          "w01010": {fail: [-1, 30], suspect: [0, 22]}
      - rule: oxygen_low_at_the_weir
        check: exceedance
        stations: [WEIR]
        parameters:
          "w01009": {low: 5}
        raise_after: {count: 2}

A rule has the form of one in the catalogue; what only the catalogue needs may be left out.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from rules.binding import persistence
from rules.checks import CHECKS
from rules.index import CatalogueProblems, Problem
from rules.limits import ALWAYS_NS, NEVER_NS
from rules.loading import read_file
from rules.readings import Family, Kind, LimitInForce, SeriesKey
from rules.rule_agreement import check_problems
from rules.rule_schema import FAMILIES, LEVELS, FamilyName, Rule
from rules.schema import Mark, Name, StationId, Strict, Text, Word
from rules.thresholds import add_thresholds
from rules.watches import Escalation, Subject, Watch

EXCEEDANCE = "exceedance"


class OwnRule(Rule):
    """`stations`: those it holds for; None: all. An exceedance takes `low`, `high` or both, which still pass."""

    edition: Annotated[int, Field(ge=1)] = 1
    name: Name = Name(zh="自定规则", en="rule of one's own")
    why: Text = "Chosen by whoever looks at the data."
    family: FamilyName = "data_quality"
    station_types: list[Word] = Field(default_factory=list)
    stations: list[StationId] | None = None
    mark: Mark = "P"
    source: Text = "own rules"

    @model_validator(mode="after")
    def _by_name(self) -> Self:
        if self.station_types:
            raise ValueError("own rules hold for stations by name: say stations instead of station_types")
        return self


class OwnRulesFile(Strict):
    """A file of own rules."""

    rules: Annotated[list[OwnRule], Field(min_length=1)]


class Ends(Strict):
    """The lowest and the highest value that pass, in the unit of the parameter."""

    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _an_end(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("give low, high, or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("low is above high: nothing would pass")
        return self


@dataclass(frozen=True, slots=True)
class OwnRules:
    """Rules with their validated thresholds by (rule, parameter), "" where a rule says the same for all."""

    rules: Sequence[OwnRule]
    thresholds: Mapping[tuple[str, str], BaseModel]


def read_own_rules(text: str, path: str, parameters: Collection[str], others: Mapping[str, Rule]) -> OwnRules:
    """The rules that a YAML text says; `path` names it in problems. Raises CatalogueProblems with all of them.

    `parameters`: those that may be named. `others`: rules beside which these will watch; one of these that has the name
    of one of those stands in for it, and so must have its check.
    """
    problems: list[Problem] = []
    thresholds: dict[tuple[str, str], BaseModel] = {}
    content = read_file(path, text, OwnRulesFile, problems)
    rules = content.rules if content else []
    for number, rule in enumerate(rules):
        found = [*_disagreements(path, rule, parameters, others)]
        if [other.rule for other in rules].index(rule.rule) != number:
            found.append(Problem(path, "$.rule", f"there are two rules {rule.rule}"))
        if rule.check in CHECKS:
            shape = Ends if rule.check == EXCEEDANCE else CHECKS[rule.check].thresholds
            found += add_thresholds(path, rule, shape, thresholds)
        problems += [Problem(path, one.path.replace("$", f"$.rules[{number}]", 1), one.what) for one in found]
    if problems:
        raise CatalogueProblems(problems)
    return OwnRules(rules, thresholds)


def _disagreements(
    path: str, rule: OwnRule, parameters: Collection[str], others: Mapping[str, Rule]
) -> Iterator[Problem]:
    yield from check_problems(path, rule)
    for code in rule.parameters or ():
        if code not in parameters:
            yield Problem(path, f"$.parameters.{code}", f"there is no parameter {code}")
    other = others.get(rule.rule)
    if other is not None and other.check != rule.check:
        what = f"the catalogue's rule {rule.rule} is a {other.check}: give this one another name"
        yield Problem(path, "$.check", what)


class OwnWatchlist:
    """A Watchlist: own rules on the stations whose feeds are given."""

    def __init__(
        self, own: OwnRules, intervals_ns: Mapping[tuple[str, Kind], int], unit_of: Callable[[str], str | None]
    ) -> None:
        self._own = own
        self._intervals_ns = intervals_ns
        self._unit_of = unit_of

    def of_series(self, key: SeriesKey) -> Sequence[Watch]:
        """Watches on one parameter of one station in one kind."""
        return [
            self._watch(rule, Subject(*key))
            for rule in self._of("series", key.station, key.kind)
            if rule.parameters is None or key.parameter in rule.parameters
        ]

    def of_feed(self, station: str, kind: Kind) -> Sequence[Watch]:
        """Watches on the arrival of one kind."""
        return [self._watch(rule, Subject(station, kind=kind)) for rule in self._of("feed", station, kind)]

    def of_station(self, station: str) -> Sequence[Watch]:
        """Watches on a station as a whole."""
        return [self._watch(rule, Subject(station)) for rule in self._of("station", station)]

    def feeds(self) -> Collection[tuple[str, Kind]]:
        """Those that were given."""
        return self._intervals_ns.keys()

    def _of(self, subject: str, station: str, kind: Kind | None = None) -> Iterator[OwnRule]:
        for rule in self._own.rules:
            of_kind = kind is None or rule.kinds is None or kind.name.lower() in rule.kinds
            of_station = rule.stations is None or station in rule.stations
            if of_kind and of_station and CHECKS[rule.check].subject == subject:
                yield rule

    def _watch(self, rule: OwnRule, subject: Subject) -> Watch:
        unit = self._unit_of(subject.parameter) if subject.parameter else None
        own = subject.parameter if isinstance(rule.parameters, dict) else ""
        told = self._own.thresholds[rule.rule, own]
        kind = subject.kind
        return Watch(
            rule=rule.rule,
            edition=rule.edition,
            check=rule.check,
            family=Family.EXCEEDANCE if rule.check == EXCEEDANCE else FAMILIES[rule.family],
            subject=subject,
            thresholds=CHECKS[EXCEEDANCE].thresholds() if isinstance(told, Ends) else told,
            interval_ns=self._intervals_ns.get((subject.station, kind), 0) if kind is not None else 0,
            unit=unit or "",
            suspect_level=LEVELS[rule.levels.suspect],
            fail_level=LEVELS[rule.levels.fail],
            raise_after=persistence(rule.raise_after),
            clear_after=persistence(rule.clear_after),
            escalation=tuple(Escalation(step.ratio, LEVELS[step.level]) for step in rule.escalate),
            limits=[_limit(rule, subject, told, unit or "")] if isinstance(told, Ends) else [],
        )


def _limit(rule: OwnRule, subject: Subject, ends: Ends, unit: str) -> LimitInForce:
    """Always in force, and no law: nobody counts its multiples."""
    return LimitInForce(
        limit_id=f"{rule.rule}.{subject.parameter}",
        standard=rule.source,
        edition="",
        clause="",
        mark=rule.mark,
        authority="own",
        low=-math.inf if ends.low is None else ends.low,
        high=math.inf if ends.high is None else ends.high,
        unit=unit,
        valid_from_ns=ALWAYS_NS,
        valid_until_ns=NEVER_NS,
        has_multiple=False,
    )
