"""Why a series is watched as it is: which rules with which thresholds, which limit, and why the others lost."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from rules.binding import Binding, expected_feeds
from rules.index import Catalogue
from rules.limits import Candidate, candidates, day_ns, in_force
from rules.readings import Kind, LimitInForce, SeriesKey
from rules.schema import Name, Station
from rules.watches import Persistence, Watch

NOON_NS = 12 * 3600 * 10**9


@dataclass(frozen=True, slots=True)
class Watching:
    """One rule on one kind of the series, on the arrival of that kind, or (no kind) on the station.

    `mark` and `source` are those of its thresholds, not of a limit.
    """

    rule: str
    edition: int
    name: Name
    check: str
    family: str
    why: str
    kind: Kind | None
    expected: bool  # the register expects this kind
    thresholds: dict[str, Any]
    raise_after: Persistence
    clear_after: Persistence
    mark: str
    source: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A limit that does not hold, and the reason."""

    limit: LimitInForce
    class_: str
    period: str
    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Values of one kind on that day: the limit in force (None: no limit, which is not compliance), and the others.

    `class_` and `period` are the limit's own. `judged_by`: rules that compare with it; a limit without one is known and
    not watched.
    """

    kind: Kind
    limit: LimitInForce | None
    class_: str
    period: str
    wording: str
    validity_mark: str  # how sure the dates of its validity are; "" for a permit
    judged_by: Sequence[str]
    lost: Sequence[Lost]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is watched of one parameter of one station on one day. `around`: what is watched of the station itself."""

    station: str
    parameter: str
    name: Name
    unit: str
    on: date
    watching: Sequence[Watching]
    standings: Sequence[Standing]
    around: Sequence[Watching]


def explain(catalogue: Catalogue, station: Station, parameter: str, on: date) -> Explanation:
    """What is watched, with which limits, and why these ones, on a day in Asia/Shanghai.

    Raises KeyError for a parameter or a station type that the catalogue has not.
    """
    row = catalogue.parameters[parameter]
    binding = Binding(catalogue, {station.id: station})
    feeds = expected_feeds(catalogue, station)
    watching: list[Watching] = []
    standings: list[Standing] = []
    for kind in Kind:
        watches = binding.of_series(SeriesKey(station.id, parameter, kind))
        watching += [_watching(catalogue, watch, kind, expected=kind in feeds) for watch in watches]
        judged_by = [watch.rule for watch in watches if watch.check == "exceedance"]
        possible = candidates(catalogue, station, parameter, kind)
        if possible and (kind in feeds or any(not candidate.excluded for candidate in possible)):
            standings.append(_standing(catalogue, possible, kind, judged_by, day_ns(on) + NOON_NS))
    return Explanation(
        station=station.id,
        parameter=parameter,
        name=Name(zh=row.zh, en=row.en),
        unit=catalogue.unit_of(station.station_type, parameter) or "",
        on=on,
        watching=watching,
        standings=standings,
        around=[_watching(catalogue, watch, kind, expected=True) for kind, watch in _around(binding, station, feeds)],
    )


def _around(binding: Binding, station: Station, feeds: Collection[Kind]) -> Iterator[tuple[Kind | None, Watch]]:
    """Watches on the arrival of what is expected, and on the station as a whole."""
    for kind in sorted(feeds):
        for watch in binding.of_feed(station.id, kind):
            yield kind, watch
    for watch in binding.of_station(station.id):
        yield None, watch


def worded(limit: LimitInForce) -> str:
    """How sure one may sound: only a confirmed limit is called one, and a permit stands as the register tells it."""
    if limit.authority == "permit":
        return "permit limit, as the register says"
    match limit.mark:
        case "C":
            return "legal limit"
        case "R":
            return "reference value, recalled and not confirmed in the text"
        case _:
            return "project default, not a legal limit"


def _watching(catalogue: Catalogue, watch: Watch, kind: Kind | None, *, expected: bool) -> Watching:
    rule = catalogue.rules[watch.rule]
    return Watching(
        rule=watch.rule,
        edition=watch.edition,
        name=rule.name,
        check=watch.check,
        family=rule.family,
        why=rule.why,
        kind=kind,
        expected=expected,
        thresholds=watch.thresholds.model_dump(mode="json"),
        raise_after=watch.raise_after,
        clear_after=watch.clear_after,
        mark=rule.mark,
        source=rule.source,
    )


def _standing(
    catalogue: Catalogue, possible: Sequence[Candidate], kind: Kind, judged_by: Sequence[str], at_ns: int
) -> Standing:
    holding = (limit for limit in in_force(possible) if limit.valid_from_ns <= at_ns < limit.valid_until_ns)
    winner = next(holding, None)
    lost = [
        Lost(candidate.limit, candidate.class_, candidate.period, _why_lost(candidate, winner, at_ns))
        for candidate in possible
        if winner is None or candidate.limit.limit_id != winner.limit_id
    ]
    own = next((one for one in possible if winner and one.limit.limit_id == winner.limit_id), None)
    return Standing(
        kind=kind,
        limit=winner,
        class_=own.class_ if own else "",
        period=own.period if own else "",
        wording=worded(winner) if winner else "",
        validity_mark=_validity_mark(catalogue, winner),
        judged_by=judged_by,
        lost=lost,
    )


def _validity_mark(catalogue: Catalogue, limit: LimitInForce | None) -> str:
    if limit is None:
        return ""
    return next((s.validity_mark for s in catalogue.standards.values() if s.standard == limit.standard), "")


def _why_lost(candidate: Candidate, winner: LimitInForce | None, at_ns: int) -> str:
    limit = candidate.limit
    if candidate.excluded:
        return candidate.excluded
    if not limit.valid_from_ns <= at_ns < limit.valid_until_ns:
        return "it is not yet valid" if at_ns < limit.valid_from_ns else "it is no longer valid"
    if winner is not None and winner.authority != limit.authority:
        return f"{winner.authority} goes before {limit.authority}"
    return "another one of the same authority is stricter"
