"""Findings: what the kernel of episodes wrote down, as transitions for people, with ids that follow from the facts."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from rules.readings import Family, Kind, Level, LimitInForce, Point, Transition
from rules.state import Moved
from rules.watches import Subject, Watch


@dataclass(frozen=True, slots=True)
class OpenEpisode:
    """An episode as it stands, for a board. `episode` is the id that its transitions carry."""

    episode: str
    rule: str
    edition: int
    check: str
    family: Family
    station: str
    parameter: str
    kind: Kind | None
    level: Level
    since_ns: int
    first: Point | None
    worst: Point | None
    last: Point | None
    limit: LimitInForce | None
    multiple: float | None
    unit: str


def identity(*facts: str | int) -> str:
    return sha256("\x1f".join(str(fact) for fact in facts).encode()).hexdigest()[:32]


def episode_id(rule: str, edition: int, subject: Subject, since_ns: int) -> str:
    """First 32 hex digits of sha256 over rule, edition at opening, station, parameter, kind name and start."""
    kind = "" if subject.kind is None else subject.kind.name.lower()
    return identity(rule, edition, subject.station, subject.parameter, kind, since_ns)


def point(episode: np.void, which: str) -> Point:
    """The first, worst or last reading of an EPISODE record."""
    return Point(int(episode[f"{which}_ns"]), float(episode[f"{which}_value"]), int(episode[f"{which}_position"]))


def limit_at(watch: Watch, measured_ns: int) -> LimitInForce | None:
    """The limit in force at a time, if there is one."""
    return next((limit for limit in watch.limits if limit.valid_from_ns <= measured_ns < limit.valid_until_ns), None)


def multiple_of(limit: LimitInForce | None, value: float) -> float | None:
    """(value - limit) / limit over an upper limit, where the law defines it."""
    if limit is None or not limit.has_multiple or not value > limit.high or limit.high <= 0:
        return None
    return (value - limit.high) / limit.high


def describe_open(watch: Watch, moved: Moved, episode: np.void) -> OpenEpisode:
    """An EPISODE record, open, in words. The limit is the one in force when the worst reading was measured."""
    edition, since_ns = int(episode["edition"]), int(episode["since_ns"])
    subject = watch.subject

    shown = moved is not Moved.BY_TICK  # nothing came, so nothing can be shown
    worst = point(episode, "worst") if shown else None
    limit = limit_at(watch, worst.measured_ns) if worst else None
    return OpenEpisode(
        episode=episode_id(watch.rule, edition, subject, since_ns),
        rule=watch.rule,
        edition=edition,
        check=watch.check,
        family=watch.family,
        station=subject.station,
        parameter=subject.parameter,
        kind=subject.kind,
        level=Level(int(episode["level"])),
        since_ns=since_ns,
        first=point(episode, "first") if shown else None,
        worst=worst,
        last=point(episode, "last") if shown else None,
        limit=limit,
        multiple=multiple_of(limit, worst.value) if worst else None,
        unit=watch.unit,
    )


def transition(found: OpenEpisode, what: str, at_ns: int, found_ns: int, reason: str = "") -> Transition:
    """A change of an episode. Its id: sha256 over (episode id, what, level, at_ns), first 32 hex digits."""
    return Transition(
        id=identity(found.episode, what, int(found.level), at_ns),
        episode=found.episode,
        what=what,
        rule=found.rule,
        edition=found.edition,
        check=found.check,
        family=found.family,
        station=found.station,
        parameter=found.parameter,
        kind=found.kind,
        level=found.level,
        at_ns=at_ns,
        since_ns=found.since_ns,
        found_ns=found_ns,
        first=found.first,
        worst=found.worst,
        last=found.last,
        limit=found.limit,
        multiple=found.multiple,
        unit=found.unit,
        reason=reason,
    )
