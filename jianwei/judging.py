"""A table file through the engine, without any service: every value with its last word, and the episodes.

A file has no clock but the times in it: a reading counts as received when it was measured, and time passes for rules
on silence when a row shows that it has.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ingest.batching import BatchBuilder
from ingest.table_files import CellProblem, Row
from ingest.table_surveys import Survey
from jianwei.tables import units_of
from rules.binding import Binding
from rules.engine import Engine
from rules.index import Catalogue
from rules.last_words import LastWords, Values
from rules.own_rules import OwnRules, OwnWatchlist
from rules.readings import FLAG_LETTERS, SECOND_NS, Counts, EquipmentFlag, Kind, SeriesKey, Transition, Verdict
from rules.schema import KINDS, KindName, Name, Station
from rules.scratch import CHUNK
from rules.several_watchlists import SeveralWatchlists
from rules.watches import Watchlist

MOST_PROBLEMS = 1_000  # kept; the rest is counted
LONGEST_INTERVAL_S = 31 * 86_400
MOST_LAYOUTS = 50_000  # remembered; bad cells make many
A_GAP = 1.5  # intervals without a row


@dataclass(frozen=True, slots=True)
class FoundEpisode:
    """An episode as it ended, or as it stands at the end of the file (`until_ns` None). `last`: its last transition."""

    last: Transition
    until_ns: int | None


@dataclass(slots=True)
class Account:
    """What came of a file. `problems` are the first of them, `bad` is how many there were; `flags` by QARTOD code."""

    rows: int = 0
    bad: int = 0
    problems: list[CellProblem] = field(default_factory=list)
    flags: dict[int, int] = field(default_factory=lambda: {int(verdict): 0 for verdict in Verdict})
    counts: Counts = field(default_factory=Counts)
    episodes: dict[str, FoundEpisode] = field(default_factory=dict)

    def change(self, transition: Transition) -> None:
        """A change of an episode; it keeps the loudest level that it had."""
        before = self.episodes.get(transition.episode)
        level = max(transition.level, before.last.level) if before else transition.level
        until_ns = transition.at_ns if transition.what == "cleared" else None
        self.episodes[transition.episode] = FoundEpisode(replace(transition, level=level), until_ns)

    def complain(self, problem: CellProblem) -> None:
        """A cell or a line that cannot be read."""
        self.bad += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


@dataclass(frozen=True, slots=True)
class Measure:
    """By what a file is judged: rules of the catalogue for a station type, rules of one's own, or both."""

    catalogue: Catalogue
    station_type: str | None = None
    class_: str | None = None
    own: OwnRules | None = None

    def watchlist(self, kind_name: KindName, survey: Survey) -> SeveralWatchlists:
        """For the stations of a surveyed file. A rule of one's own goes before one of that name in the catalogue."""
        kind = KINDS[kind_name]
        parts: list[Watchlist] = []
        if self.own is not None:
            feeds = {(station, kind): every_ns for station, every_ns in survey.intervals_ns.items() if every_ns}
            parts.append(OwnWatchlist(self.own, feeds, units_of(self.catalogue, self.station_type)))
        if self.station_type is not None:
            stations = {name: self._entry(name, kind_name, every_ns) for name, every_ns in survey.intervals_ns.items()}
            parts.append(Binding(self.catalogue, stations))
        return SeveralWatchlists(*parts)

    def _entry(self, station: str, kind: KindName, interval_ns: int) -> Station:
        """As the register would have it. Without a steady interval nothing is expected of it."""
        interval_s = interval_ns // SECOND_NS
        return Station(
            id=station,
            name=Name(zh=station, en=station),
            station_type=self.station_type or "",
            class_=self.class_,
            feeds={kind: interval_s} if 1 <= interval_s <= LONGEST_INTERVAL_S else {},
        )


class Judging:
    """Takes the rows of one file. Keeps a batch and one value a series, however long the file is."""

    def __init__(self, watchlist: SeveralWatchlists, kind: Kind, survey: Survey, now_ns: int) -> None:
        """`now_ns`: what is measured later than this moment cannot be true."""
        self.account = Account()
        self._watchlist = watchlist
        self._engine = Engine(watchlist)
        self._builder = BatchBuilder(self._engine.place)
        self._last_words = LastWords()
        self._kind = kind
        self._survey = survey
        self._now_ns = now_ns
        self._received_ns: list[int] = []
        self._lines: list[int] = []
        self._places: dict[tuple[str, ...], list[int]] = {}
        self._heard_ns: dict[str, int] = {}
        self._begun_ns: int | None = None

    @property
    def keys(self) -> Sequence[SeriesKey]:
        """The series of the values, by their place."""
        return self._engine.keys

    def values(self, rows: Iterable[Row | CellProblem]) -> Iterator[Values]:
        """Every value with its last word, about in the order of the file. `account` grows on the way."""
        newest_ns = 0
        for row in rows:
            if isinstance(row, CellProblem):
                self.account.complain(row)
                continue
            if self._survey.is_in_order and self._shows_a_gap(row):
                yield self._judged()
                self._tick(row.measured_ns - 1)
            if len(self._builder) + len(row.values) > CHUNK:
                yield self._judged()
            self._take(row)
            newest_ns = max(newest_ns, row.measured_ns)
        yield self._judged()
        if self._survey.is_in_order and self._begun_ns is not None:
            self._tick(newest_ns)
        yield self._counted(self._last_words.rest())

    def _shows_a_gap(self, row: Row) -> bool:
        """Whether the station was silent before this row. The clocks of all begin with the first row."""
        if self._begun_ns is None:
            self._begun_ns = row.measured_ns
            self._tick(row.measured_ns)
        silent_ns = row.measured_ns - self._heard_ns.get(row.station, self._begun_ns)
        self._heard_ns[row.station] = row.measured_ns
        interval_ns = self._survey.intervals_ns.get(row.station, 0)
        return 0 < A_GAP * interval_ns < silent_ns

    def _tick(self, now_ns: int) -> None:
        for transition in self._engine.tick(now_ns):
            self.account.change(transition)

    def _take(self, row: Row) -> None:
        layout = (row.station, *row.values)
        places = self._places.get(layout)
        if places is None:
            if len(self._places) >= MOST_LAYOUTS:
                self._places.clear()
            keys = [SeriesKey(row.station, parameter, self._kind) for parameter in row.values]
            places = self._places[layout] = [self._engine.place(key) for key in keys]
        flags = [int(_flag(row, parameter)) for parameter in row.values] if row.flags else None
        self._builder.extend(places, row.measured_ns, list(row.values.values()), flags)
        self._builder.end_message()
        self._received_ns.append(min(row.measured_ns, self._now_ns))
        self._lines.append(row.line)
        self.account.rows += 1

    def _judged(self) -> Values:
        """What waits for judgement is judged; the values that have their last word by that."""
        batch = self._builder.build(np.array(self._received_ns, np.int64), np.array(self._lines, np.int64))
        self._received_ns, self._lines = [], []
        outcome = self._engine.evaluate(batch, explain=True)
        for transition in outcome.transitions:
            self.account.change(transition)
        self.account.counts += outcome.counts
        return self._counted(self._last_words.settled(outcome, self._watchlist.checks))

    def _counted(self, values: Values) -> Values:
        flags, numbers = np.unique(values["verdict"], return_counts=True)
        for flag, number in zip(flags.tolist(), numbers.tolist(), strict=True):
            self.account.flags[flag] += number
        return values


def _flag(row: Row, parameter: str) -> EquipmentFlag:
    letter = row.flags.get(parameter)
    return EquipmentFlag.NORMAL if letter is None else FLAG_LETTERS[letter]
