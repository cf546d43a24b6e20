"""Which limit holds for a series, and from when to when.

Every limit of the catalogue on the parameter in the station's medium, and every one of its permit, is a candidate.
What keeps a candidate from judging is told with it, so that `explain` can say why a limit lost. Of those that may
judge, the highest authority wins (permit, local, sector, general), and within one authority the strictest.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise

from rules.index import Catalogue, validity
from rules.readings import SECOND_NS, Kind, LimitInForce
from rules.schema import Bound, Limit, PermitLimit, StandardFile, Station
from rules.units import convert

ALWAYS_NS = -(2**62)  # the year 1823: before anything was measured
NEVER_NS = 2**63 - 1  # the year 2262: has no end
MOST_LIMITS = 4
AUTHORITIES = ("permit", "local", "sector", "general")
_DAY_NS = 86_400 * SECOND_NS
_EPOCH = date(1970, 1, 1).toordinal()
# Asia/Shanghai has been UTC+8 without summer time since 1992; a database of zones would be a file to read.
_SHANGHAI_NS = 8 * 3600 * SECOND_NS


class TooManyLimits(ValueError):  # it says what there is too much of
    """More limits follow each other in one series than the engine keeps."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A limit that might hold, told in the unit of the series. `excluded` says why it cannot judge ("": it can)."""

    limit: LimitInForce
    class_: str
    period: str
    excluded: str


def day_ns(day: date) -> int:
    """When this day begins in Asia/Shanghai: ns since 1970 UTC."""
    return (day.toordinal() - _EPOCH) * _DAY_NS - _SHANGHAI_NS


def classes_of(catalogue: Catalogue, station: Station, standard: StandardFile) -> frozenset[str]:
    """The classes of this standard that hold for the station; none where the standard does not apply to it."""
    applied = {entry.family: entry for entry in catalogue.station_types[station.station_type].standards}
    if standard.family not in applied and standard.family not in station.classes:
        return frozenset()
    default = applied.get(standard.family)
    said = [station.classes.get(standard.family, station.class_), default.class_ if default else None]
    own = next((name for name in said if name in standard.classes), None)
    classes = {name for name in (own, *(default.also if default else ())) if name in standard.classes}
    return frozenset(classes | {"all"}) if classes else frozenset()


def conditions_of(catalogue: Catalogue, station: Station) -> frozenset[str]:
    """What the station claims of itself, or its type for it."""
    station_type = catalogue.station_types[station.station_type]
    claimed = station_type.conditions if station.conditions is None else station.conditions
    water_body = station.water_body or station_type.water_body
    return frozenset(claimed) | ({water_body} if water_body else frozenset())


def candidates(catalogue: Catalogue, station: Station, parameter: str, kind: Kind) -> list[Candidate]:
    """Every limit on this parameter in the station's medium, those of its permit first."""
    if parameter not in catalogue.parameters:
        return []
    claimed = conditions_of(catalogue, station)
    found: list[Candidate] = []
    for number, bound in enumerate(station.permit):
        if bound.parameter == parameter:
            excluded = _why_not_by_period(catalogue, bound.period, kind)
            found.append(Candidate(_of_permit(catalogue, station, number, bound), "", bound.period, excluded))
    medium = catalogue.station_types[station.station_type].medium
    for standard, limit in catalogue.limits.get((parameter, medium), ()):
        excluded = (
            _why_not_by_class(limit, standard, classes_of(catalogue, station, standard))
            or _why_not_by_period(catalogue, limit.period, kind)
            or _why_not_by_value(limit)
            or _why_not_by_condition(limit, claimed)
        )
        told = _of_standard(catalogue, station, parameter, standard, limit)
        found.append(Candidate(told, limit.class_, limit.period, excluded))
    return found


def in_force(possible: Sequence[Candidate]) -> list[LimitInForce]:
    """The limits that hold, one after another, not overlapping, sorted by time. Raises TooManyLimits."""
    judging = [candidate.limit for candidate in possible if not candidate.excluded]
    edges = sorted({edge for limit in judging for edge in (limit.valid_from_ns, limit.valid_until_ns)})
    spans: list[LimitInForce] = []
    for start, end in pairwise(edges):
        standing = [limit for limit in judging if limit.valid_from_ns <= start and end <= limit.valid_until_ns]
        if not standing:
            continue
        winner = min(standing, key=precedence)
        if spans and spans[-1].limit_id == winner.limit_id and spans[-1].valid_until_ns == start:
            spans[-1] = replace(spans[-1], valid_until_ns=end)
        else:
            spans.append(replace(winner, valid_from_ns=start, valid_until_ns=end))
    if len(spans) > MOST_LIMITS:
        told = ", ".join(span.limit_id for span in spans)
        raise TooManyLimits(f"more than {MOST_LIMITS} limits follow each other: {told}")
    return spans


def precedence(limit: LimitInForce) -> tuple[int, float, float, str]:
    """Sorts the limit that goes first to the front: authority, then the lower upper end, then the higher lower end."""
    return AUTHORITIES.index(limit.authority), limit.high, -limit.low, limit.limit_id


def _of_permit(catalogue: Catalogue, station: Station, number: int, bound: PermitLimit) -> LimitInForce:
    row = catalogue.parameters[bound.parameter]
    unit = catalogue.unit_of(station.station_type, bound.parameter)
    low, high = _ends(catalogue, bound, unit)
    start, until = _span(bound.valid_from, bound.valid_to)
    return LimitInForce(
        limit_id=f"permit-{number + 1}",
        standard=bound.permit,
        edition="",
        clause=bound.clause,
        mark="C",  # the permit is the station's own law
        authority="permit",
        low=low,
        high=high,
        unit=unit or "",
        valid_from_ns=start,
        valid_until_ns=until,
        has_multiple=row.multiple and bound.op in ("<=", "<"),
    )


def _of_standard(
    catalogue: Catalogue, station: Station, parameter: str, standard: StandardFile, limit: Limit
) -> LimitInForce:
    row = catalogue.parameters[parameter]
    unit = catalogue.unit_of(station.station_type, parameter) if limit.of == "value" else limit.unit
    low, high = _ends(catalogue, limit, unit)
    start, until = _span(*validity(standard, limit))
    return LimitInForce(
        limit_id=limit.id,
        standard=standard.standard,
        edition=standard.edition,
        clause=limit.clause,
        mark=limit.mark,
        authority=standard.authority,
        low=low,
        high=high,
        unit=unit or "",
        valid_from_ns=start,
        valid_until_ns=until,
        has_multiple=row.multiple and limit.op in ("<=", "<"),
        condition=", ".join(limit.conditions),
    )


def _ends(catalogue: Catalogue, bound: Bound, unit: str | None) -> tuple[float, float]:
    """The lowest and the highest value that pass. An end that does not pass itself is moved by one ulp."""
    if bound.value is None:
        return -math.inf, math.inf
    if isinstance(bound.value, list):
        low, high = (convert(end, bound.unit, unit, catalogue.units) for end in bound.value)
        return low, high
    end = convert(bound.value, bound.unit, unit, catalogue.units)
    match bound.op:
        case "<=":
            return -math.inf, end
        case "<":
            return -math.inf, math.nextafter(end, -math.inf)
        case ">=":
            return end, math.inf
        case _:
            return math.nextafter(end, math.inf), math.inf


def _span(first: date | None, last: date | None) -> tuple[int, int]:
    """From the first moment of the first day up to, not including, the first moment after the last day."""
    start = ALWAYS_NS if first is None or first == date.min else max(ALWAYS_NS, day_ns(first))
    until = NEVER_NS if last is None or last == date.max else min(NEVER_NS, day_ns(last) + _DAY_NS)
    return start, until


def _why_not_by_class(limit: Limit, standard: StandardFile, classes: Collection[str]) -> str:
    if not classes:
        return f"{standard.standard} does not apply to this station"
    return "" if limit.class_ in classes else f"it is for class {limit.class_}"


def _why_not_by_period(catalogue: Catalogue, period: str, kind: Kind) -> str:
    judged = catalogue.periods[period].judges
    return "" if kind.name.lower() in judged else f"its period {period} does not judge {kind.name.lower()} values"


def _why_not_by_value(limit: Limit) -> str:
    if limit.value is None:
        return "it has no value yet"
    return "" if limit.of == "value" else "it limits the emission rate, which is not reported"


def _why_not_by_condition(limit: Limit, claimed: Collection[str]) -> str:
    lacking = [name for name in limit.conditions if name not in claimed]
    return (
        f"it holds only under {', '.join(lacking)}, which the register does not say of this station" if lacking else ""
    )
