"""Gross range, spike, rate of change and flat line by examples; test_against_ioos_qc.py compares them with the reference."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from rules.checks import CHECKS
from rules.readings import SECOND_NS
from tests.rules.watching import MINUTE_NS, START_NS, Folded, minutely, placed, told, verdicts, watch

NAN = np.nan


def judged(check: str, thresholds: dict[str, Any], values: Sequence[float], **more: Any) -> list[int]:
    return verdicts(placed([watch(check, thresholds)]).evaluate(minutely(values, **more)))


def test_the_ends_of_a_range_pass_and_fail_stands_over_suspect() -> None:
    spans = {"fail": (0, 14), "suspect": (6, 9)}

    assert judged("gross_range", spans, [-0.1, 0, 5.9, 6, 9, 9.1, 14, 14.1]) == [4, 3, 3, 1, 1, 3, 3, 4]


def test_a_reversed_span_is_sorted_and_an_end_may_be_open() -> None:
    assert judged("gross_range", {"fail": (10, 0)}, [-1, 5, 11]) == [4, 1, 4]
    assert judged("gross_range", {"fail": (0, np.inf)}, [-1, 1e300]) == [4, 1]


def test_a_spike_is_not_evaluated_first_and_known_a_reading_later() -> None:
    engine, store = placed([watch("spike", {"suspect": 2, "fail": 5})]), Folded()

    first = engine.evaluate(minutely([1, 1, 9]))
    second = engine.evaluate(minutely([1], start=3))
    for outcome in (first, second):
        store.write(outcome)

    assert verdicts(first) == [2, 3, 2]  # a big spike lends half its height to its neighbours
    assert verdicts(second) == [4, 2]
    assert list(second.judged.measured_ns) == [START_NS + 2 * MINUTE_NS, START_NS + 3 * MINUTE_NS]
    assert [row[2] for row in store.rows.values()] == [2, 3, 4, 2]
    assert [(t.what, t.at_ns - START_NS) for t in second.transitions] == [("worsened", 2 * MINUTE_NS)]


def test_an_amendment_keeps_what_other_rules_raised() -> None:
    engine = placed([watch("spike", {"fail": 5}), watch("gross_range", {"fail": (0, 15), "suspect": (0, 8)})])
    engine.evaluate(minutely([1, 9]))

    amended = engine.evaluate(minutely([1], start=2)).judged

    assert (amended.verdict[0], amended.raised[0]) == (4, 1 << CHECKS["spike"].bit | 1 << CHECKS["gross_range"].bit)


def test_a_word_that_changes_nothing_is_no_row_unless_one_asks_why() -> None:
    rules = [watch("spike", {"fail": 5}), watch("gross_range", {"fail": (0, 15)})]
    quiet, asked = placed(rules), placed(rules)
    for engine in (quiet, asked):
        engine.evaluate(minutely([1, 1]))

    assert len(quiet.evaluate(minutely([1], start=2)).judged) == 1
    assert len(asked.evaluate(minutely([1], start=2), explain=True).judged) == 2


def test_a_value_that_was_corrected_meanwhile_is_not_brought_back_by_an_amendment() -> None:
    engine, store = placed([watch("spike", {"fail": 5})]), Folded()
    for readings in (minutely([1, 9]), minutely([2], start=1), minutely([1], start=2)):
        store.write(engine.evaluate(readings))

    assert store.rows[0, START_NS + MINUTE_NS][0] == 2


@pytest.mark.parametrize("method", ["average", "differential"])
def test_a_spike_beside_a_gap_stays_not_evaluated(method: str) -> None:
    assert judged("spike", {"fail": 5, "method": method}, [1, 1, NAN, 1, 1]) == [2, 2, 9, 2, 2]


def test_a_differential_spike_does_not_flag_its_neighbours() -> None:
    assert judged("spike", {"fail": 3, "method": "differential"}, [1, 1, 9, 1, 1]) == [2, 1, 4, 1, 2]
    assert judged("spike", {"fail": 3}, [1, 1, 9, 1, 1]) == [2, 4, 4, 4, 2]


def test_a_rate_is_a_change_within_a_time_and_never_taken_across_a_gap() -> None:
    thresholds = {"suspect": 6, "fail": 60, "per_s": 60}

    assert judged("rate_of_change", thresholds, [0, 6, 12.5, 100, NAN, 0]) == [1, 1, 3, 4, 9, 1]
    assert judged("rate_of_change", thresholds, [0, 12.5], step_ns=3 * MINUTE_NS) == [1, 1]


def test_readings_under_a_second_apart_count_as_a_second_apart() -> None:
    assert judged("rate_of_change", {"fail": 1}, [0, 1, 2.5], step_ns=10) == [1, 1, 4]


def test_the_first_readings_of_a_flat_run_are_never_flagged() -> None:
    thresholds = {"suspect_after_s": 120, "fail_after_s": 240, "tolerance": 0.5}

    assert judged("flat_line", thresholds, [1, 1, 1.4, 1, 1.4, 1, 2, 2]) == [1, 1, 3, 3, 4, 4, 1, 1]


def test_a_standing_value_across_gaps_still_stands() -> None:
    assert judged("flat_line", {"fail_after_s": 180, "tolerance": 0.5}, [1, NAN, NAN, 1, 1]) == [1, 9, 9, 4, 4]


def test_no_tolerance_finds_no_flat_line() -> None:
    assert judged("flat_line", {"fail_after_s": 60, "tolerance": 0}, [1] * 9) == [1] * 9


def test_a_flat_line_ends_with_the_first_reading_that_moves() -> None:
    engine = placed([watch("flat_line", {"fail_after_s": 120, "tolerance": 0.5})])

    opened, cleared = engine.evaluate(minutely([1, 1, 1, 1, 5, 5])).transitions

    assert (opened.what, opened.since_ns) == ("opened", START_NS + 2 * MINUTE_NS)
    assert (cleared.what, cleared.at_ns) == ("cleared", START_NS + 4 * MINUTE_NS)


def test_a_flat_line_needs_to_know_how_often_the_feed_speaks() -> None:
    rule = watch("flat_line", {"fail_after_s": 86_400, "tolerance": 0.5}, rule="stuck", interval_ns=SECOND_NS // 2)

    with pytest.raises(ValueError, match="stuck: flat_line needs the nominal interval of the feed, a second at least"):
        placed([rule])


@pytest.mark.parametrize("check", ["gross_range", "spike", "rate_of_change", "exceedance"])
def test_a_flagged_reading_is_not_judged_as_a_value(check: str) -> None:
    thresholds: dict[str, Any] = {"gross_range": {"fail": (0, 10)}, "spike": {"fail": 1}, "rate_of_change": {"fail": 0}}
    engine = placed([watch(check, thresholds.get(check))])

    assert not engine.evaluate(minutely([1, 500, 1, 1], flags=[0, 2, 0, 0])).transitions


@pytest.mark.parametrize(
    ("check", "thresholds"),
    [
        ("gross_range", {"fail": (6, 9), "suspect": (0, 14)}),
        ("gross_range", {"fail": (NAN, 1)}),
        ("spike", {}),
        ("spike", {"suspect": 0}),
        ("rate_of_change", {"fail": -1}),
        ("rate_of_change", {"fail": 1, "per_s": 0}),
        ("flat_line", {"tolerance": 1}),
        ("flat_line", {"fail_after_s": 0, "tolerance": 1}),
        ("silence", {"grace_s": 5}),
        ("equipment_flag", {"flags": ["N"], "says": "suspect"}),
        ("equipment_flag", {"flags": ["M"], "says": "fail"}),
        ("impossible_time", {"ahead_s": -1, "earliest": "2020-01-01"}),
        ("exceedance", {"limit": 5}),
    ],
)
def test_thresholds_that_test_nothing_or_make_no_sense_are_refused(check: str, thresholds: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        watch(check, thresholds)


def test_each_rule_of_a_check_has_its_own_word() -> None:
    engine = placed([watch("gross_range", {"fail": (0, 9)}), watch("gross_range", {"fail": (0, 5)}, rule="narrow")])

    outcome = engine.evaluate(minutely([7]), explain=True)

    assert {rule: list(words) for rule, words in outcome.words.items()} == {"gross_range": [1], "narrow": [4]}
    assert [rule for rule, _, _ in told(outcome.transitions)] == ["narrow"]
