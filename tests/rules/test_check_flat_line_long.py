"""A flat line over more readings than are kept one by one: blocks of readings, a little late and never early."""

from itertools import pairwise
from math import isfinite, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.checks.flat_line import MOST_POINTS, Thresholds, points
from rules.engine import Engine
from rules.readings import SECOND_NS
from tests.rules.watching import Handmade, minutely, placed, verdicts, watch

TOLERANCE = 0.5
GOOD, FAIL = 1, 4


def standing(values: list[float]) -> list[int]:
    """For each reading, how many of the newest stand still with it."""
    found = []
    for at in range(len(values)):
        low, high, still = np.inf, -np.inf, 0
        for x in reversed(values[: at + 1]):
            if isfinite(x):
                low, high = min(low, x), max(high, x)
                if high - low >= TOLERANCE:
                    break
            still += 1
        found.append(still)
    return found


def judged(engine: Engine, values: list[float], cuts: list[int]) -> list[int]:
    words: list[int] = []
    edges = sorted({0, len(values), *(cut for cut in cuts if cut < len(values))})
    for start, stop in pairwise(edges):
        words += verdicts(engine.evaluate(minutely(values[start:stop], start=start)))
    return words


def still_for(count: int) -> Engine:
    return placed([watch("flat_line", {"fail_after_s": 60 * count, "tolerance": TOLERANCE})])


runs = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 3.0, nan]), st.integers(1, 400)), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(runs, st.integers(MOST_POINTS, 900), st.lists(st.integers(1, 3000), max_size=4))
def test_a_long_run_is_told_at_most_a_block_late_and_never_early(
    told: list[tuple[float, int]], count: int, cuts: list[int]
) -> None:
    values = [value for value, times in told for _ in range(times)]
    block = -(-(count + 1) // (MOST_POINTS // 2 - 1))
    words = judged(still_for(count), values, cuts)
    for value, still, word in zip(values, standing(values), words, strict=True):
        if isfinite(value):
            assert word == FAIL or still < count + block
            assert word == GOOD or still > count


@settings(max_examples=20, deadline=None)
@given(runs, st.lists(st.integers(1, 3000), max_size=4))
def test_cutting_changes_nothing(told: list[tuple[float, int]], cuts: list[int]) -> None:
    values = [value for value, times in told for _ in range(times)]
    assert judged(still_for(700), values, cuts) == judged(still_for(700), values, [])


@pytest.mark.parametrize("seconds", [255, 256, 300, 7_200, 86_400, 31 * 86_400])
def test_no_window_needs_more_than_is_kept(seconds: int) -> None:
    watching = watch("flat_line", {"fail_after_s": seconds, "tolerance": 1.0}, interval_ns=SECOND_NS)
    assert 0 < points(Thresholds(fail_after_s=seconds, tolerance=1.0), watching) <= MOST_POINTS


def test_a_window_that_changes_its_blocks_begins_anew_and_one_that_does_not_goes_on() -> None:
    values = [1.0] * 600
    engine = still_for(500)
    engine.evaluate(minutely(values[:400]))
    for count, flagged in ((500, 600 - 505), (900, 0)):
        later = Handmade([watch("flat_line", {"fail_after_s": 60 * count, "tolerance": TOLERANCE})], [])
        words = np.array(verdicts(Engine.restore(engine.snapshot(), later).evaluate(minutely(values[400:], start=400))))
        assert abs(int((words == FAIL).sum()) - flagged) <= 5
