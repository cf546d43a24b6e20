"""The vocabulary of the domain: what a reading is, what is said about it, what a rule found.

Everything else in the house speaks in these words. Times are int64 nanoseconds since 1970-01-01T00:00:00Z
("measured": when the station says it happened; "received": when the journal took it). A station keeps its own
local time at the edge only: formats turn it to UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]
Float64s = NDArray[np.float64]
UInt8s = NDArray[np.uint8]
UInt64s = NDArray[np.uint64]
Bools = NDArray[np.bool_]

SECOND_NS = 1_000_000_000


class Kind(IntEnum):
    """Over what span a reading stands. The name in lower case is its name on the wire."""

    REALTIME = 0
    MINUTE = 1
    HOUR = 2
    DAY = 3


class EquipmentFlag(IntEnum):
    """The equipment's own word on a reading (HJ 212-2017 data flags). It is an input, never our verdict."""

    NORMAL = 0  # N
    STOPPED = 1  # F: the source or the unit does not run
    MAINTENANCE = 2  # M
    SET_BY_HAND = 3  # S
    FAULT = 4  # D
    CALIBRATION = 5  # C
    ABOVE_RANGE = 6  # T
    NO_CONTACT = 7  # B: between instrument and logger
    UNKNOWN = 8  # a word of a vendor that nobody explained: not normal, and no more is known


# UNKNOWN has no letter: nobody can send it, it is what a format makes of a word it does not know.
FLAG_LETTERS: dict[str, EquipmentFlag] = dict(zip("NFMSDCTB", list(EquipmentFlag)[:8], strict=True))


class Verdict(IntEnum):
    """Our word on a reading, in the codes of QARTOD."""

    GOOD = 1
    NOT_EVALUATED = 2
    SUSPECT = 3
    FAIL = 4
    MISSING = 9


# The worst word of several wins in this order: 9 < 2 < 1 < 3 < 4 (QARTOD aggregate).
RANK = np.zeros(10, dtype=np.uint8)
RANK[[9, 2, 1, 3, 4]] = [0, 1, 2, 3, 4]


class Level(IntEnum):
    """How loud an episode is. NONE: nothing is open."""

    NONE = 0
    BLUE = 1
    YELLOW = 2
    ORANGE = 3
    RED = 4


class Family(IntEnum):
    """What sort of problem an episode is; enforcement staff treat them differently."""

    EXCEEDANCE = 0
    DATA_QUALITY = 1
    EQUIPMENT = 2


class SeriesKey(NamedTuple):
    """One parameter of one station in one kind. `parameter` is a catalogue code such as "w01018"."""

    station: str
    parameter: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings as columns, in the order of arrival. All columns have length n.

    `series` are places given by `Engine.place`; `value` is in the catalogue's unit, nan where the station said
    "missing"; `position` is where the message lies in the journal (entry << 20 | index of the message in it).
    """

    series: Int64s
    measured_ns: Int64s
    received_ns: Int64s
    value: Float64s
    flag: UInt8s
    position: Int64s

    def __len__(self) -> int:
        return int(self.series.size)

    def rows(self, start: int, stop: int) -> "Batch":
        """The rows from `start` up to `stop`, as views."""
        cut = slice(start, stop)
        return Batch(
            self.series[cut],
            self.measured_ns[cut],
            self.received_ns[cut],
            self.value[cut],
            self.flag[cut],
            self.position[cut],
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """Readings with our word on them: what the store keeps.

    All columns have length n; no (series, time) twice unless the later row shall replace the earlier one.

    `raised` has bit `CHECKS[name].bit` set for each check that said SUSPECT or FAIL.
    `late` rows are older than the newest of their series: a store that holds the same value and equipment flag at that
    key already keeps its own verdict (it was judged in order), otherwise it takes the row.
    """

    series: Int64s
    measured_ns: Int64s
    value: Float64s
    flag: UInt8s
    verdict: UInt8s
    raised: UInt64s
    late: Bools

    def __len__(self) -> int:
        return int(self.series.size)


@dataclass(frozen=True, slots=True)
class Point:
    """One reading as evidence."""

    measured_ns: int
    value: float
    position: int


@dataclass(frozen=True, slots=True)
class LimitInForce:
    """A limit as it stood for one series in one span of time, and where it is written.

    A value passes when low <= value <= high (a bound that excludes its end was moved by one ulp when bound).
    `mark`: C confirmed in a source, R recalled, P project default; only C may be worded as a legal limit.
    """

    limit_id: str
    standard: str
    edition: str
    clause: str
    mark: str
    authority: str  # permit | local | sector | general
    low: float
    high: float
    unit: str
    valid_from_ns: int
    valid_until_ns: int
    has_multiple: bool  # the law defines an exceedance multiple (not for pH, dissolved oxygen, temperature)
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of an episode. `id` and `episode` are functions of what was found, so finding it again is harmless.

    `what`: opened | worsened | cleared. `at_ns`: event time of the change. `since_ns`: start of the episode.
    `parameter` is "" for what concerns a whole station, `kind` then is the kind of the feed, or None.
    """

    id: str
    episode: str
    what: str
    rule: str
    edition: int
    check: str
    family: Family
    station: str
    parameter: str
    kind: Kind | None
    level: Level
    at_ns: int
    since_ns: int
    found_ns: int  # received time of the message, or the tick, that made us find it
    first: Point | None
    worst: Point | None
    last: Point | None
    limit: LimitInForce | None
    multiple: float | None  # (worst - limit) / limit, where the law defines one
    unit: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """What happened to the readings of a batch beside being judged."""

    judged: int = 0
    late: int = 0
    duplicates: int = 0
    conflicts: int = 0  # same time, another value: the newer is stored
    unwatched: int = 0  # no rule watches the series (or the station is unknown)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.judged + other.judged,
            self.late + other.late,
            self.duplicates + other.duplicates,
            self.conflicts + other.conflicts,
            self.unwatched + other.unwatched,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `Engine.evaluate` found.

    Rows for the store (amendments of earlier rows included, after the rows they follow), and changes of episodes in the
    order they were found.
    """

    judged: Judged
    transitions: Sequence[Transition] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    # When asked for: each rule's own word, aligned with the rows of `judged`; 0 where it says nothing (new) of a row.
    words: Mapping[str, UInt8s] = field(default_factory=dict)
