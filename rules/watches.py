"""A watch: one rule of the catalogue applied to one subject. The catalogue makes watches, the engine keeps them.

This is the only thing the engine knows of the catalogue, and the only thing the catalogue knows of the engine.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel

from rules.readings import Family, Kind, Level, LimitInForce, SeriesKey


@dataclass(frozen=True, slots=True)
class Persistence:
    """How long a condition must hold, in event time.

    `count` of the last `of` evaluated readings (of <= 64), and for at least `duration_ns` from the first of them to the present one (0: no duration asked).
    """

    count: int = 1
    of: int = 1
    duration_ns: int = 0


@dataclass(frozen=True, slots=True)
class Escalation:
    """From this share of the limit on (1.5: half over it; for a lower limit the share below it), this level."""

    ratio: float
    level: Level


@dataclass(frozen=True, slots=True)
class Subject:
    """What a watch looks at: a series, a feed (station and kind: silence), or a whole station (equipment state)."""

    station: str
    parameter: str = ""
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """One rule on one subject.

    `thresholds` is the validated `Thresholds` model of the check; `limits` are the limits in force over time (exceedance only), sorted by `valid_from_ns`, not overlapping, at most four.
    """

    rule: str
    edition: int
    check: str
    family: Family
    subject: Subject
    thresholds: BaseModel
    interval_ns: int  # the nominal interval of the feed, 0 where unknown
    unit: str
    suspect_level: Level
    fail_level: Level
    raise_after: Persistence = field(default_factory=Persistence)
    clear_after: Persistence = field(default_factory=Persistence)
    escalation: Sequence[Escalation] = ()
    limits: Sequence[LimitInForce] = ()


class Watchlist(Protocol):
    """What the engine asks. All answers are fixed for the life of the object."""

    def of_series(self, key: SeriesKey) -> Sequence[Watch]:
        """Watches with a series as subject; empty for an unknown station or parameter."""
        ...

    def of_feed(self, station: str, kind: Kind) -> Sequence[Watch]:
        """Watches on the arrival of one kind of a station."""
        ...

    def of_station(self, station: str) -> Sequence[Watch]:
        """Watches on a station as a whole."""
        ...

    def feeds(self) -> Collection[tuple[str, Kind]]:
        """Every (station, kind) of the register from which data are expected, whether it has ever spoken or not."""
        ...
