"""Episodes and verdicts are what a slow and plain telling of the same sentences finds."""

from collections.abc import Sequence
from math import nan

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.checks import CHECKS
from rules.readings import EquipmentFlag, Level, Point, Transition
from rules.watches import Escalation
from tests.rules import slow_episodes as slow
from tests.rules.histories import (
    CUTS,
    KEYS,
    LONGEST,
    MANNERS,
    MOVES,
    Manners,
    Move,
    history,
    persisting,
    play,
    watches,
    watching,
)
from tests.rules.watching import START_S, limit, watch

FAIL, SUSPECT = (0.0, 15.0), (1.0, 8.0)
LIMITS = [limit(0, 4, 0, START_S + 600), limit(3, 8, START_S + 900)]
STEPS = [Escalation(1.25, Level.ORANGE), Escalation(2.0, Level.RED)]
LEVELS = st.tuples(st.sampled_from(Level), st.sampled_from(Level))
WORST_LAST = [9, 2, 1, 3, 4]
VALUES, DEEDS = [2.0, 2.0, 5.0, 6.0, 9.0, 20.0, nan], ["next"] * 9 + ["late"]
ONE_SERIES: st.SearchStrategy[list[Move]] = st.integers(0, LONGEST).flatmap(
    lambda length: st.lists(
        st.tuples(st.just(0), st.sampled_from(DEEDS), st.sampled_from(VALUES), st.just(0), st.sampled_from([30, 60])),
        min_size=length,
        max_size=length,
    )
)


@settings(max_examples=300, deadline=None)
@given(moves=st.one_of(ONE_SERIES, MOVES), manners=MANNERS, levels=LEVELS, cuts=CUTS)
def test_episodes_are_those_of_the_slow_telling(
    moves: list[Move], manners: Manners, levels: tuple[Level, Level], cuts: frozenset[int]
) -> None:
    steps = history(moves)
    rules = persisting(
        [
            watch("gross_range", {"fail": FAIL, "suspect": SUSPECT}, levels=levels),
            watch("exceedance", limits=LIMITS, escalation=STEPS, levels=levels),
            watch("spike", {"suspect": 2, "fail": 5}, levels=levels),
        ],
        manners,
    )

    told = play(watching(rules), steps, cuts)

    rows = [step for step in steps if not isinstance(step, int) and KEYS[step[0]] == KEYS[0]]
    spoken = [slow.ranged(rows, FAIL, SUSPECT), slow.limited(rows, LIMITS), slow.spiked(rows, 2.0, 5.0)]
    for rule, readings in zip(rules, spoken, strict=True):
        assert [plain(t) for t in told.transitions if t.rule == rule.rule] == slow.changes(rule, readings)


def plain(change: Transition) -> slow.Change:
    assert change.first
    assert change.worst
    assert change.last
    points = point(change.first), point(change.worst), point(change.last)
    return (change.what, change.level, change.at_ns, change.since_ns, *points)


def point(shown: Point) -> slow.Point:
    return shown.measured_ns, shown.value, shown.position


@settings(max_examples=100, deadline=None)
@given(moves=MOVES, manners=MANNERS, cuts=CUTS)
def test_a_row_carries_the_worst_word_of_its_rules(moves: list[Move], manners: Manners, cuts: frozenset[int]) -> None:
    """And a bit for each check that raised it; what cannot be judged says why: missing, or the equipment's flag."""
    rules = watches(manners)
    checks = {rule.rule: CHECKS[rule.check] for rule in rules}

    told = play(watching(rules), history(moves), cuts, explain=True)

    for name, (value, flag, verdict, raised) in told.store.rows.items():
        words = told.store.words[name]
        by_flag = [word for rule, word in words.items() if checks[rule].name == "equipment_flag"]
        by_value = [word for rule, word in words.items() if checks[rule].name != "equipment_flag"]
        assert raised == sum({1 << checks[rule].bit for rule, word in words.items() if word in (3, 4)})
        assert verdict == expected(value, flag, by_value, by_flag)


def expected(value: float, flag: int, by_value: Sequence[int], by_flag: Sequence[int]) -> int:
    worst = max([2, *by_value], key=WORST_LAST.index)
    if flag == EquipmentFlag.NORMAL and value == value:  # noqa: PLR0124  # it is there
        return worst
    unable = 9
    if flag != EquipmentFlag.NORMAL:
        of_itself = 3 if flag in (EquipmentFlag.FAULT, EquipmentFlag.ABOVE_RANGE, EquipmentFlag.NO_CONTACT) else 2
        unable = max(by_flag, key=WORST_LAST.index) if by_flag else of_itself
    return max(worst if worst in (3, 4) else 9, unable, key=WORST_LAST.index)
