"""Late, repeated and corrected readings: what is stored, who judges them, and how they are counted."""

import numpy as np

from rules.engine import Engine
from rules.readings import Counts, Outcome
from tests.rules.watching import MINUTE_NS, START_NS, Folded, Row, batch, key, limit, minutely, placed, verdicts, watch


def judging() -> Engine:
    """Two checks that need no order, two that do."""
    return placed(
        [
            watch("gross_range", {"fail": (0, 50)}),
            watch("exceedance", limits=[limit(high=20)]),
            watch("rate_of_change", {"fail": 10, "per_s": 60}),
            watch("flat_line", {"fail_after_s": 60, "tolerance": 0.1}),
        ]
    )


def at(minute: int, value: float, flag: int = 0) -> Row:
    measured_ns = START_NS + minute * MINUTE_NS
    return (0, measured_ns, START_NS + 1000 * MINUTE_NS, value, flag, minute)


def stored(*outcomes: Outcome) -> dict[int, tuple[float, int]]:
    """Value and verdict by minute."""
    store = Folded()
    for outcome in outcomes:
        store.write(outcome)
    return {(name[1] - START_NS) // MINUTE_NS: (row[0], row[2]) for name, row in store.rows.items()}


def test_a_late_reading_is_judged_by_checks_that_need_no_order_and_counted() -> None:
    engine = judging()
    engine.evaluate(batch([at(0, 1), at(5, 1)]))

    outcome = engine.evaluate(batch([at(2, 30), at(3, 5)]), explain=True)

    assert outcome.counts == Counts(judged=2, late=2)
    assert list(outcome.judged.late) == [True, True]
    assert verdicts(outcome) == [4, 1]
    assert {rule: list(words) for rule, words in outcome.words.items()} == {
        "gross_range": [1, 1],
        "exceedance": [4, 1],
        "rate_of_change": [2, 2],
        "flat_line": [2, 2],
    }


def test_a_late_reading_moves_no_episode_and_no_memory() -> None:
    engine, undisturbed = judging(), judging()
    engine.evaluate(batch([at(0, 1), at(5, 2), at(3, 500)]))
    undisturbed.evaluate(batch([at(0, 1), at(5, 2)]))

    assert not engine.open_episodes()
    assert verdicts(engine.evaluate(batch([at(6, 9)]))) == verdicts(undisturbed.evaluate(batch([at(6, 9)])))
    assert engine.snapshot() == undisturbed.snapshot()


def test_a_late_reading_that_is_stored_already_keeps_its_verdict() -> None:
    engine = judging()

    first = engine.evaluate(batch([at(0, 1), at(1, 15), at(2, 1)]))  # a jump, said when it was in order
    again = engine.evaluate(batch([at(1, 15)]))

    assert stored(first)[1] == stored(first, again)[1] == (15, 4)


def test_a_late_reading_with_another_value_or_flag_is_stored() -> None:
    engine = judging()
    first = engine.evaluate(batch([at(0, 1), at(1, 2), at(2, 3)]))

    corrected = engine.evaluate(batch([at(1, 30), at(0, 1, flag=2)]))

    assert stored(first, corrected) == {0: (1, 2), 1: (30, 4), 2: (3, 1)}


def test_a_duplicate_changes_nothing() -> None:
    engine = judging()
    engine.evaluate(batch([at(0, 1), at(1, 30)]))
    before = engine.snapshot()

    outcome = engine.evaluate(batch([at(1, 30), at(1, 30)]))

    assert len(outcome.judged) == 0
    assert not outcome.transitions
    assert outcome.counts == Counts(duplicates=2)
    assert engine.snapshot() == before


def test_a_missing_value_that_comes_again_is_a_duplicate_too() -> None:
    outcome = judging().evaluate(batch([at(0, np.nan), at(0, np.nan), at(0, np.inf)]))

    assert outcome.counts == Counts(judged=1, duplicates=2)


def test_the_same_time_with_another_value_stores_the_newer_and_counts() -> None:
    engine = judging()

    outcome = engine.evaluate(batch([at(0, 1), at(1, 2), at(1, 30), at(2, 3)]))

    assert outcome.counts == Counts(judged=4, conflicts=1)
    assert stored(outcome) == {0: (1, 1), 1: (30, 4), 2: (3, 1)}
    assert not outcome.transitions  # a correction moves no episode, and the rate goes on from what came in order


def test_the_same_value_with_another_flag_is_a_correction() -> None:
    outcome = judging().evaluate(batch([at(0, 1), at(0, 1, flag=2)]))

    assert outcome.counts.conflicts == 1
    assert stored(outcome) == {0: (1, 2)}


def test_readings_that_nobody_watches_are_stored_and_counted() -> None:
    engine = placed([watch("gross_range", {"fail": (0, 10)})], [key(0), key(7)])

    outcome = engine.evaluate(minutely([99, np.nan], series=1))

    assert outcome.counts == Counts(judged=2, unwatched=2)
    assert verdicts(outcome) == [2, 9]
    assert not outcome.transitions


def test_nothing_in_gives_nothing_out() -> None:
    outcome = judging().evaluate(batch([]), explain=True)

    assert (len(outcome.judged), list(outcome.transitions), outcome.counts) == (0, [], Counts())
