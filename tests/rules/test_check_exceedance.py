"""Exceedance: the limit in force on the day, below or above, and its multiple where the law defines one."""

import numpy as np
import pytest

from rules.readings import Level, LimitInForce
from rules.watches import Escalation
from tests.rules.watching import MINUTE_NS, START_NS, START_S, limit, minutely, placed, told, verdicts, watch


def test_both_ends_of_a_range_such_as_ph_pass() -> None:
    engine = placed([watch("exceedance", limits=[limit(6, 9)])])

    assert verdicts(engine.evaluate(minutely([5.99, 6, 7.5, 9, 9.01]))) == [4, 1, 1, 1, 4]


def test_a_lower_limit_such_as_dissolved_oxygen_is_broken_below_it() -> None:
    engine = placed([watch("exceedance", limits=[limit(low=5, has_multiple=False)])])

    outcome = engine.evaluate(minutely([4.9, 5, 1000]))

    assert verdicts(outcome) == [4, 1, 1]
    assert outcome.transitions[0].multiple is None


def test_the_multiple_is_that_of_the_worst_reading_over_an_upper_limit() -> None:
    engine = placed([watch("exceedance", limits=[limit(high=20)])])

    opened, cleared = engine.evaluate(minutely([30, 50, 40, 10])).transitions

    assert (opened.multiple, cleared.multiple) == (0.5, 1.5)
    assert cleared.worst
    assert cleared.worst.value == 50
    assert cleared.limit == limit(high=20)


@pytest.mark.parametrize(("limit", "value"), [(limit(high=20, has_multiple=False), 30.0), (limit(low=5), 1.0)])
def test_there_is_no_multiple_where_the_law_defines_none(limit: LimitInForce, value: float) -> None:
    engine = placed([watch("exceedance", limits=[limit])])

    assert engine.evaluate(minutely([value])).transitions[0].multiple is None


def test_the_limit_of_the_day_judges_and_between_limits_nobody_does() -> None:
    old, new = limit(high=10, until_s=START_S + 120), limit(high=5, from_s=START_S + 180, clause="5")
    engine = placed([watch("exceedance", limits=[old, new])])

    outcome = engine.evaluate(minutely([7, 7, 7, 7]))  # the old one ends before the third minute

    assert verdicts(outcome) == [1, 1, 2, 4]
    assert [t.limit for t in outcome.transitions] == [new]


def test_a_late_reading_is_judged_by_the_limit_of_its_own_day() -> None:
    old, new = limit(high=10, until_s=START_S + 120), limit(high=5, from_s=START_S + 120)
    engine = placed([watch("exceedance", limits=[old, new])])
    engine.evaluate(minutely([1], start=5))

    assert verdicts(engine.evaluate(minutely([7, 7, 7]))) == [1, 1, 4]


@pytest.mark.parametrize("flag", range(1, 8))
def test_an_equipment_state_raises_no_exceedance(flag: int) -> None:
    engine = placed([watch("exceedance", limits=[limit(high=20)])])

    outcome = engine.evaluate(minutely([500, 500], flags=[flag, flag]))

    assert not outcome.transitions
    assert set(verdicts(outcome)) <= {2, 3}


def test_a_missing_value_is_no_proof_of_good_conduct() -> None:
    engine = placed([watch("exceedance", limits=[limit(high=20)])])

    outcome = engine.evaluate(minutely([30, np.nan, np.inf, 30]))

    assert verdicts(outcome) == [4, 9, 9, 4]
    assert told(outcome.transitions) == [("exceedance", "opened", Level.YELLOW)]


def test_levels_rise_with_the_share_over_the_limit_and_never_fall() -> None:
    steps = [Escalation(1.5, Level.ORANGE), Escalation(2, Level.RED)]
    engine = placed([watch("exceedance", limits=[limit(high=0.1)], escalation=steps)])

    outcome = engine.evaluate(minutely([0.11, 0.15, 0.12, 0.2, 0.11, 0.1]))

    assert [(t.what, t.level) for t in outcome.transitions] == [
        ("opened", Level.YELLOW),
        ("worsened", Level.ORANGE),
        ("worsened", Level.RED),
        ("cleared", Level.RED),
    ]


def test_for_a_lower_limit_the_share_below_it_counts() -> None:
    steps = [Escalation(0.5, Level.RED)]
    engine = placed([watch("exceedance", limits=[limit(low=5)], escalation=steps)])

    assert [t.level for t in engine.evaluate(minutely([2.6, 2.5])).transitions] == [Level.YELLOW, Level.RED]


def test_five_limits_over_time_are_refused() -> None:
    limits = [limit(high=n, from_s=n, until_s=n + 1) for n in range(5)]

    with pytest.raises(ValueError, match="5 limits over time"):
        placed([watch("exceedance", limits=limits)])


def test_an_episode_tells_all_that_a_person_needs() -> None:
    engine = placed([watch("exceedance", limits=[limit(high=20, standard="GB 18918", clause="4.1.3", mark="C")])])

    (opened,) = engine.evaluate(minutely([30], start=3)).transitions

    assert (opened.station, opened.parameter, opened.unit) == ("S1", "p0", "mg/L")
    assert (opened.since_ns, opened.at_ns) == (START_NS + 3 * MINUTE_NS,) * 2
    assert opened.first == opened.worst == opened.last
    assert opened.limit
    assert (opened.limit.standard, opened.limit.clause, opened.limit.mark) == ("GB 18918", "4.1.3", "C")
