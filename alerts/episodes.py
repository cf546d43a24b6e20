"""An episode as it is now: the fold of its transitions."""

from dataclasses import dataclass
from typing import Any

from alerts.bodies import as_text, limit_from, point_from
from rules.readings import Family, Kind, Level, LimitInForce, Point, Transition


@dataclass(frozen=True, slots=True)
class Episode:
    """What was found, of whom, how bad. Times are event times; `level` is that of the newest transition."""

    id: str
    state: str  # open | cleared
    rule: str
    edition: int
    check: str
    family: Family
    station: str
    parameter: str
    kind: Kind | None
    level: Level
    worst_level: Level
    since_ns: int
    cleared_ns: int | None
    first: Point | None
    worst: Point | None
    last: Point | None
    limit: LimitInForce | None
    unit: str
    multiple: float | None
    reason: str


def moved(before: Episode | None, transition: Transition) -> Episode:
    """The episode after one more transition; `before` is None where this ledger did not know it."""
    cleared = transition.what == "cleared"
    return Episode(
        id=transition.episode,
        state="cleared" if cleared else "open",
        rule=transition.rule,
        edition=transition.edition,
        check=transition.check,
        family=transition.family,
        station=transition.station,
        parameter=transition.parameter,
        kind=transition.kind,
        level=transition.level,
        worst_level=max(transition.level, before.worst_level if before else Level.NONE),
        since_ns=transition.since_ns,
        cleared_ns=transition.at_ns if cleared else None,
        first=transition.first or (before.first if before else None),
        worst=transition.worst or (before.worst if before else None),
        last=transition.last or (before.last if before else None),
        limit=transition.limit or (before.limit if before else None),
        unit=transition.unit,
        multiple=transition.multiple,
        reason=transition.reason,
    )


def row_of(episode: Episode) -> dict[str, Any]:
    """Columns of the table `episodes`."""
    row = {name: getattr(episode, name) for name in Episode.__slots__ if name != "limit"}
    row.update({name: as_text(row[name]) for name in ("first", "worst", "last")})
    row["limit_in_force"] = as_text(episode.limit)
    return row


def episode_from(row: Any) -> Episode:
    """The reverse of `row_of`."""
    columns = dict(row._mapping)  # noqa: SLF001  # the public name of a row's mapping, so called to spare column names
    columns["limit"] = limit_from(columns.pop("limit_in_force"))
    for name in ("first", "worst", "last"):
        columns[name] = point_from(columns[name])
    columns["family"] = Family(columns["family"])
    columns["kind"] = None if columns["kind"] is None else Kind(columns["kind"])
    columns["level"], columns["worst_level"] = Level(columns["level"]), Level(columns["worst_level"])
    return Episode(**columns)
