"""Histories of a few stations with everything that goes wrong, a watchlist with every check, and a way to play them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np
from hypothesis import strategies as st

from rules.engine import Engine
from rules.readings import SECOND_NS, Counts, EquipmentFlag, Kind, Level, SeriesKey, Transition
from rules.watches import Escalation, Persistence, Watch
from tests.rules.watching import MINUTE_NS, START_NS, START_S, Folded, Handmade, Row, batch, limit, watch

Step = Row | int  # a reading, or a tick at that time of the received clock
Move = tuple[int, str, float, int, int]  # series, deed, value, flag, pause in seconds

HOUR_NS = 60 * MINUTE_NS
KEYS = [
    SeriesKey("S1", "p0", Kind.MINUTE),
    SeriesKey("S1", "p1", Kind.MINUTE),
    SeriesKey("S2", "p0", Kind.MINUTE),
    SeriesKey("S2", "p1", Kind.MINUTE),  # nobody watches it
    SeriesKey("S3", "p0", Kind.HOUR),  # nobody knows the station
]
FEEDS = [("S1", Kind.MINUTE), ("S2", Kind.MINUTE), ("S4", Kind.HOUR)]  # S4 never speaks
ACCURATE, UNORDERED = ("gross_range", "exceedance"), ("equipment_flag", "silence")
DEEDS = (*["next"] * 10, "again", "corrected", "late", "future", "too early", "tick")
PERSISTENCES = [
    Persistence(),
    Persistence(2, 3),
    Persistence(duration_ns=2 * MINUTE_NS),
    Persistence(3, 3),
    Persistence(2, 5, MINUTE_NS),
]
LONGEST = 60
Manners = Sequence[tuple[Persistence, Persistence]]

MOVE: st.SearchStrategy[Move] = st.tuples(
    st.sampled_from([0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 3, 4]),
    st.sampled_from(DEEDS),
    st.sampled_from([2.0, 2.0, 2.0, 5.0, 5.0, 9.0, 20.0, np.nan]),
    st.sampled_from([*[0] * 9, EquipmentFlag.STOPPED, EquipmentFlag.MAINTENANCE, EquipmentFlag.FAULT]),
    st.sampled_from([0, 1, 60, 60, 400]),
)
MOVES: st.SearchStrategy[list[Move]] = st.integers(0, LONGEST).flatmap(
    lambda length: st.lists(MOVE, min_size=length, max_size=length)  # long ones as often as short ones
)
MANNERS: st.SearchStrategy[Manners] = st.lists(
    st.tuples(st.sampled_from(PERSISTENCES), st.sampled_from(PERSISTENCES)), min_size=1, max_size=5
)
CUTS = st.frozensets(st.integers(0, LONGEST))


def of_series(key: SeriesKey, edition: int = 1) -> list[Watch]:
    """Watches of every check on one series, some checks twice."""
    limits = [limit(0, 4, 0, START_S + 600), limit(3, 8, START_S + 900)]
    steps = [Escalation(1.5, Level.ORANGE), Escalation(2.0, Level.RED)]
    flat = {"suspect_after_s": 60, "fail_after_s": 180, "tolerance": 0.5}
    return [
        watch("gross_range", {"fail": (0, 15), "suspect": (1, 8)}, series=key, edition=edition),
        watch("gross_range", {"fail": (0, 4)}, rule="narrow", series=key, edition=edition),
        watch("spike", {"suspect": 2, "fail": 5}, series=key, edition=edition),
        watch("spike", {"fail": 3, "method": "differential"}, rule="steps", series=key, edition=edition),
        watch("rate_of_change", {"suspect": 3, "fail": 10, "per_s": 60}, series=key, edition=edition),
        watch("flat_line", flat, series=key, levels=(Level.NONE, Level.RED), edition=edition),
        watch("exceedance", rule="limits", series=key, limits=limits, escalation=steps, edition=edition),
    ]


def of_station(key: SeriesKey, edition: int = 1) -> list[Watch]:
    """Watches on the station of a series, and on its feed, whose clock may be wrong."""
    return [
        watch("equipment_flag", {"flags": ["M", "D"], "says": "suspect"}, series=key, edition=edition),
        watch("equipment_flag", {"flags": ["F"], "says": "not_evaluated"}, rule="stopped", series=key, edition=edition),
        watch("silence", {"suspect_after": 3, "fail_after": 10}, series=key, edition=edition),
        watch("impossible_time", {"ahead_s": 3600, "earliest": "2020-01-01"}, series=key, edition=edition),
    ]


def persisting(watches: Sequence[Watch], manners: Manners) -> list[Watch]:
    """The watches, raising and clearing in these manners by turns."""
    return [
        Watch(**{name: getattr(w, name) for name in Watch.__slots__} | {"raise_after": after, "clear_after": until})
        for w, (after, until) in zip(watches, cycle(manners), strict=False)
    ]


def watches(manners: Manners, *, stations: bool = True, edition: int = 1) -> list[Watch]:
    found = [w for key in KEYS[:3] for w in of_series(key, edition)]
    if stations:
        found += [w for key in (KEYS[0], KEYS[2], SeriesKey("S4", "", Kind.HOUR)) for w in of_station(key, edition)]
    return persisting(found, manners)


def watching(watches: Sequence[Watch]) -> Engine:
    engine = Engine(Handmade(watches, FEEDS))
    for key in KEYS:
        engine.place(key)
    return engine


def history(moves: Sequence[Move]) -> list[Step]:
    """What the moves are in the journal: received in the order of the clock, measured as it comes."""
    clock_ns = START_NS
    newest = dict.fromkeys(range(len(KEYS)), START_NS - MINUTE_NS)
    last: dict[int, Row] = {}
    steps: list[Step] = []
    for position, (series, deed, value, flag, pause_s) in enumerate(moves):
        clock_ns += pause_s * SECOND_NS
        if deed == "tick":
            steps.append(clock_ns)
            continue
        measured_ns = max(clock_ns, newest[series] + SECOND_NS)
        if deed in ("again", "corrected") and series in last:
            measured_ns = last[series][1]
        elif deed == "late":
            measured_ns = newest[series] - (pause_s or 30) * SECOND_NS
        elif deed == "future":
            measured_ns = clock_ns + 10 * HOUR_NS + position
        elif deed == "too early":
            measured_ns = (1_000_000 + position) * SECOND_NS
        else:
            newest[series] = measured_ns
        said = last[series][3:5] if deed == "again" and series in last else (value, int(flag))
        last[series] = (series, measured_ns, clock_ns, *said, position)
        steps.append(last[series])
    return steps


@dataclass
class Told:
    """All that an engine said of a history."""

    store: Folded = field(default_factory=Folded)
    transitions: list[Transition] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    def plain(self) -> object:
        """Comparable: nan equals nan."""
        return self.store.plain(), self.store.words, [repr(t) for t in self.transitions], self.counts

    def ids(self) -> list[str]:
        return [t.id for t in self.transitions]


def play(
    engine: Engine, steps: Sequence[Step], cuts: Collection[int] = (), *, times: int = 1, explain: bool = False
) -> Told:
    """Feeds the steps, cut before these and at ticks; each batch so many times."""
    told = Told()
    rows: list[Row] = []

    def feed() -> None:
        for _ in range(times if rows else 0):
            outcome = engine.evaluate(batch(rows), explain=explain)
            told.store.write(outcome)
            told.transitions += outcome.transitions
            told.counts += outcome.counts
        rows.clear()

    for at, step in enumerate(steps):
        if isinstance(step, int):
            feed()
            told.transitions += engine.tick(step)
            continue
        if at in cuts:
            feed()
        rows.append(step)
    feed()
    return told
