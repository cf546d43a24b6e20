"""The catalogue and a register of stations as a watchlist: which rules watch which series, feeds and stations."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from rules.checks import CHECKS, no_points
from rules.index import Catalogue
from rules.limits import candidates, in_force
from rules.readings import SECOND_NS, Family, Kind, Level, LimitInForce, SeriesKey
from rules.rule_schema import FAMILIES, LEVELS, Hold, Rule
from rules.schema import KINDS, Station
from rules.state import Moved
from rules.watches import Escalation, Persistence, Subject, Watch


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A watch but for its station: made once for all stations that are alike."""

    rule: Rule
    family: Family
    thresholds: BaseModel
    unit: str
    suspect_level: Level
    fail_level: Level
    raise_after: Persistence
    clear_after: Persistence
    escalation: Sequence[Escalation]
    limits: Sequence[LimitInForce]

    def on(self, subject: Subject, interval_ns: int) -> Watch:
        return Watch(
            rule=self.rule.rule,
            edition=self.rule.edition,
            check=self.rule.check,
            family=self.family,
            subject=subject,
            thresholds=self.thresholds,
            interval_ns=interval_ns,
            unit=self.unit,
            suspect_level=self.suspect_level,
            fail_level=self.fail_level,
            raise_after=self.raise_after,
            clear_after=self.clear_after,
            escalation=self.escalation,
            limits=self.limits,
        )


class Binding:
    """A Watchlist: the rules of a catalogue on the stations of a register.

    `only`: the names of the rules to apply; all where it is None. Answers are fixed for the life of the object and
    made when first asked. Limits are fitted when a series is first asked for and may raise TooManyLimits, which a
    register read by `load_stations` never does.
    """

    def __init__(
        self, catalogue: Catalogue, stations: Mapping[str, Station], *, only: Collection[str] | None = None
    ) -> None:
        self._catalogue = catalogue
        self._stations = stations
        self._rules: dict[tuple[str, str], list[Rule]] = {}
        for name, rule in sorted(catalogue.rules.items()):
            if only is None or name in only:
                for station_type in rule.station_types:
                    self._rules.setdefault((station_type, CHECKS[rule.check].subject), []).append(rule)
        self._patterns: dict[tuple[object, ...], list[_Pattern]] = {}
        self._feeds = {
            (station.id, kind): interval_s * SECOND_NS
            for station in stations.values()
            for kind, interval_s in expected_feeds(catalogue, station).items()
        }

    def of_series(self, key: SeriesKey) -> Sequence[Watch]:
        """Watches on one parameter of one station in one kind; empty for an unknown station or parameter.

        A check that counts readings back (flat line) needs the nominal interval: it does not watch a kind that the
        station is not expected to send.
        """
        station = self._stations.get(key.station)
        if station is None or key.parameter not in self._catalogue.parameters:
            return ()
        likeness = (alike(station), key.parameter, key.kind)
        patterns = self._patterns.get(likeness)
        if patterns is None:
            patterns = self._patterns[likeness] = self._series_patterns(station, key.parameter, key.kind)
        interval_ns = self._feeds.get((key.station, key.kind), 0)
        subject = Subject(*key)
        return [
            pattern.on(subject, interval_ns)
            for pattern in patterns
            if interval_ns or CHECKS[pattern.rule.check].points is no_points
        ]

    def of_feed(self, station: str, kind: Kind) -> Sequence[Watch]:
        """Watches on the messages of one kind; empty for an unknown station.

        Nobody waits for a kind that the station is not expected to send.
        """
        entry = self._stations.get(station)
        rules = self._rules.get((entry.station_type, "feed"), ()) if entry else ()
        interval_ns = self._feeds.get((station, kind), 0)
        subject = Subject(station, kind=kind)
        return [
            self._whole(rule).on(subject, interval_ns)
            for rule in rules
            if _is_of_kind(rule, kind) and (interval_ns or CHECKS[rule.check].moved is not Moved.BY_TICK)
        ]

    def of_station(self, station: str) -> Sequence[Watch]:
        """Watches on a station as a whole; empty for an unknown one."""
        entry = self._stations.get(station)
        rules = self._rules.get((entry.station_type, "station"), ()) if entry else ()
        return [self._whole(rule).on(Subject(station), 0) for rule in rules]

    def feeds(self) -> Collection[tuple[str, Kind]]:
        """Every (station, kind) from which data are expected, by the register entry or else by the station type."""
        return self._feeds.keys()

    def _series_patterns(self, station: Station, parameter: str, kind: Kind) -> list[_Pattern]:
        unit = self._catalogue.unit_of(station.station_type, parameter) or ""
        found: list[_Pattern] = []
        for rule in self._rules.get((station.station_type, "series"), ()):
            if not _is_of_kind(rule, kind) or (rule.parameters is not None and parameter not in rule.parameters):
                continue
            limits: Sequence[LimitInForce] = ()
            if rule.check == "exceedance":
                limits = in_force(candidates(self._catalogue, station, parameter, kind))
                if not limits:
                    continue
            own = parameter if isinstance(rule.parameters, dict) else ""
            found.append(_pattern(rule, self._catalogue.thresholds[rule.rule, own], unit, limits))
        return found

    def _whole(self, rule: Rule) -> _Pattern:
        return _pattern(rule, self._catalogue.thresholds[rule.rule, ""])


def expected_feeds(catalogue: Catalogue, station: Station) -> dict[Kind, int]:
    """Seconds between messages of each kind that the station shall send: its own word, else that of its type."""
    if station.feeds is not None:
        return {KINDS[name]: interval_s for name, interval_s in station.feeds.items()}
    feeds = catalogue.station_types[station.station_type].feeds
    return {KINDS[name]: feed.interval_s for name, feed in feeds.items()}


def alike(station: Station) -> tuple[object, ...]:
    """Whatever of a station the choice of rules and limits depends on: equal for stations that are watched alike."""
    return (
        station.station_type,
        station.class_,
        tuple(sorted(station.classes.items())),
        None if station.conditions is None else frozenset(station.conditions),
        station.water_body,
        station.id if station.permit else "",
    )


def _is_of_kind(rule: Rule, kind: Kind) -> bool:
    return rule.kinds is None or kind.name.lower() in rule.kinds


def _pattern(rule: Rule, thresholds: BaseModel, unit: str = "", limits: Sequence[LimitInForce] = ()) -> _Pattern:
    return _Pattern(
        rule=rule,
        family=FAMILIES[rule.family],
        thresholds=thresholds,
        unit=unit,
        suspect_level=LEVELS[rule.levels.suspect],
        fail_level=LEVELS[rule.levels.fail],
        raise_after=persistence(rule.raise_after),
        clear_after=persistence(rule.clear_after),
        escalation=tuple(Escalation(step.ratio, LEVELS[step.level]) for step in rule.escalate),
        limits=limits,
    )


def persistence(hold: Hold) -> Persistence:
    """What a file says of how long, as a watch has it."""
    return Persistence(hold.count, hold.of or hold.count, hold.for_s * SECOND_NS)
