"""What was done to the fleet, what therefore must be found, and how an account of findings compares with it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rules.readings import Transition
from simulators.samples import Outgoing


@dataclass(frozen=True, slots=True)
class Found:
    """An episode as the rules found it. `parameter` is "" where it concerns a feed or a whole station."""

    station: str
    parameter: str
    rule: str
    check: str
    since_ns: int
    cleared_ns: int | None = None


def found_in(transitions: Iterable[Transition]) -> list[Found]:
    """One entry for each episode that was opened, in the order of opening."""
    changes = list(transitions)
    cleared = {t.episode: t.at_ns for t in changes if t.what == "cleared"}
    return [
        Found(t.station, t.parameter, t.rule, t.check, t.since_ns, cleared.get(t.episode))
        for t in changes
        if t.what == "opened"
    ]


@dataclass(frozen=True, slots=True)
class Explained:
    """Episodes of one station that a declared fault accounts for.

    They are of these rules or checks, on these parameters (empty: any), and begin from `from_ns` to `until_ns`.
    """

    fault: str
    station: str
    rules: frozenset[str]
    checks: frozenset[str]
    parameters: frozenset[str]
    from_ns: int
    until_ns: int

    def covers(self, found: Found) -> bool:
        return (
            found.station == self.station
            and (not self.parameters or found.parameter in self.parameters)
            and (found.rule in self.rules or found.check in self.checks)
            and self.from_ns <= found.since_ns <= self.until_ns
        )


@dataclass(frozen=True, slots=True)
class ExpectedEpisode(Explained):
    """One episode that must be found, on exactly one parameter (or ""), not later than `by_ns`."""

    by_ns: int


@dataclass(frozen=True, slots=True)
class Truth:
    """All that a fleet declares about its faults. `expected` are in order of `by_ns`."""

    expected: Sequence[ExpectedEpisode]
    explained: Sequence[Explained]


@dataclass(frozen=True, slots=True)
class Score:
    """How well the faults were found.

    `found`: expected episodes that were found; `missed`: others that were due; `pending`: others that were not due
    yet; `false`: episodes that no declared fault explains.
    """

    found: int
    missed: int
    false: int
    pending: int
    missed_ones: Sequence[ExpectedEpisode] = ()
    false_ones: Sequence[Found] = ()


def score(truth: Truth, found: Iterable[Found], until_ns: int) -> Score:
    """Compares. An expected episode that was found early counts as found even before it was due."""
    episodes = list(found)
    hits = [e for e in truth.expected if any(e.covers(f) for f in episodes)]
    rest = [e for e in truth.expected if e not in hits]
    missed = [e for e in rest if e.by_ns <= until_ns]
    false = [f for f in episodes if not any(e.covers(f) for e in (*truth.expected, *truth.explained))]
    return Score(len(hits), len(missed), len(false), len(rest) - len(missed), missed, false)


@dataclass(slots=True)
class Tally:
    """Counts what was handed to the other side, so that "nothing was lost" can be said exactly.

    Memory grows with the distinct readings: meant for a scenario, not for a month of load.
    """

    messages: int = 0
    expected_quarantined: int = 0
    _stored: set[tuple[str, int, int, str]] = field(default_factory=set)

    def add(self, message: Outgoing) -> None:
        self.messages += 1
        self.expected_quarantined += message.problems
        for parameter in message.stored:
            self._stored.add((message.station, message.kind, message.measured_ns, parameter))

    @property
    def expected_stored(self) -> int:
        """Distinct readings by (station, kind, time, parameter): missing and flagged ones are readings too."""
        return len(self._stored)
