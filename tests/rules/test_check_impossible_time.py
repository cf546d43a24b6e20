"""Impossible time: from the future, or from before there was a station. It never moves the clock of its series."""

import pytest

from rules.engine import Engine
from rules.readings import SECOND_NS
from tests.rules.watching import MINUTE_NS, START_NS, Folded, Row, batch, placed, verdicts, watch

LONG_AGO_NS = 10**9 * SECOND_NS  # 2001


def clocked(*more: str) -> Engine:
    rules = [watch("impossible_time", {"ahead_s": 60, "earliest": "2020-01-01"})]
    return placed([*rules, *(watch(check, {"fail": 5}) for check in more)])


def reading(minute: int, ahead_ns: int = 0, value: float = 1.0) -> Row:
    received_ns = START_NS + minute * MINUTE_NS
    return (0, received_ns + ahead_ns, received_ns, value, 0, minute)


def test_a_minute_ahead_may_be_and_a_nanosecond_more_may_not() -> None:
    engine = clocked()

    assert verdicts(engine.evaluate(batch([reading(0, MINUTE_NS), reading(5, MINUTE_NS + 1)]))) == [1, 4]


def test_the_first_day_that_can_be_true_begins_at_midnight_utc() -> None:
    midnight_ns = 1_577_836_800 * SECOND_NS
    rows = [(0, midnight_ns - 1, START_NS, 1.0, 0, 0), (0, midnight_ns, START_NS, 1.0, 0, 1)]

    assert verdicts(clocked().evaluate(batch(rows))) == [4, 1]


def test_one_wrong_clock_does_not_make_all_later_readings_late() -> None:
    engine = clocked("rate_of_change")

    outcome = engine.evaluate(batch([reading(0), reading(1, 10**6 * MINUTE_NS, 900.0), reading(2), reading(3)]))

    assert verdicts(outcome) == [1, 4, 1, 1]
    assert outcome.counts.late == 0
    assert not outcome.judged.late.any()


def test_its_episodes_move_in_received_time() -> None:
    engine = clocked()

    opened, cleared = engine.evaluate(batch([reading(0), reading(1, LONG_AGO_NS - START_NS), reading(2)])).transitions

    assert (opened.what, opened.since_ns) == ("opened", START_NS + MINUTE_NS)
    assert (cleared.what, cleared.at_ns) == ("cleared", START_NS + 2 * MINUTE_NS)
    assert opened.first
    assert opened.first.measured_ns == LONG_AGO_NS + MINUTE_NS


def test_a_wrong_reading_that_comes_again_opens_nothing() -> None:
    engine = clocked()
    wrong = reading(0, 60 * MINUTE_NS)
    engine.evaluate(batch([wrong, reading(1)]))

    assert not engine.evaluate(batch([wrong])).transitions


def test_an_episode_that_begins_with_the_message_that_ended_one_has_an_id_of_its_own() -> None:
    wrong, right = reading(0, 60 * MINUTE_NS), reading(0)
    again = (*wrong[:1], wrong[1] + 1, *wrong[2:])

    transitions = clocked().evaluate(batch([wrong, right, again])).transitions

    assert [t.what for t in transitions] == ["opened", "cleared", "opened"]
    assert len({t.id for t in transitions}) == 3
    assert len({t.episode for t in transitions}) == 2


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_a_clock_that_is_set_back_brings_no_older_value_back_wherever_a_batch_is_cut(cut: int) -> None:
    """The same time comes again with another value when, by our clock, it lies ahead; then a spike is amended."""
    engine, store = clocked("spike"), Folded()
    set_back = (0, START_NS + MINUTE_NS, START_NS - 1000 * MINUTE_NS, 7.0, 0, 9)
    rows = [reading(0), reading(1, value=99.0), set_back, reading(2)]

    for part in (rows[:cut], rows[cut:]):
        store.write(engine.evaluate(batch(part)))

    assert [row[0] for row in store.rows.values()] == [1.0, 7.0, 1.0]
