"""The QARTOD checks say what ioos_qc 3.0 says, however the series was cut; words that come a reading later folded in.

Left out, because ioos_qc has no meaning there that one could want: infinite values (masked, yet tested as data), times
that stand still or run backwards (our order of readings comes first), and series of fewer than three readings for
flat line (where even a missing value is called good). Its interval is the median of the whole series, which nobody
knows in advance: ours is the nominal one, so flat line is compared on a regular clock.
"""

import warnings
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.readings import SECOND_NS
from rules.watches import Watch
from tests.rules.histories import CUTS, play
from tests.rules.watching import MINUTE_NS, START_NS, placed, watch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its imports
    from ioos_qc import qartod

compared = settings(max_examples=200, deadline=None)
TENTHS = st.integers(-60, 60).map(lambda tenths: tenths / 10)
VALUES = st.lists(
    st.one_of(TENTHS, st.just(np.nan), st.sampled_from([0.1, 0.3, 1.1]), st.floats(-1e6, 1e6)), min_size=1, max_size=40
)
STANDING = st.lists(st.sampled_from([1.0, 1.0, 1.0, 1.1, 1.2, 2.0, np.nan]), min_size=3, max_size=40)
HEIGHTS = st.one_of(st.none(), st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.5]), st.floats(0, 1e5))
Cuts = frozenset[int]


def our_words(rule: Watch, values: Sequence[float], measured_ns: Sequence[int], cuts: Cuts) -> list[int]:
    rows = [
        (0, at, at + SECOND_NS, value, 0, number)
        for number, (at, value) in enumerate(zip(measured_ns, values, strict=True))
    ]
    told = play(placed([rule]), rows, cuts, explain=True)
    return [told.store.words[0, at][rule.rule] for at in measured_ns]


def minutes(values: Sequence[float]) -> list[int]:
    return [START_NS + at * MINUTE_NS for at in range(len(values))]


def flags(theirs: Any) -> list[int]:
    return [int(flag) for flag in np.ma.getdata(theirs)]


@compared
@given(values=VALUES, ends=st.lists(TENTHS, min_size=4, max_size=4), cuts=CUTS)
def test_gross_range(values: list[float], ends: list[float], cuts: Cuts) -> None:
    lowest, low, high, highest = sorted(ends)
    rule = watch("gross_range", {"fail": (highest, lowest), "suspect": (low, high)})

    theirs = qartod.gross_range_test(values, fail_span=(highest, lowest), suspect_span=(low, high))

    assert our_words(rule, values, minutes(values), cuts) == flags(theirs)


@compared
@given(
    values=VALUES,
    suspect=HEIGHTS,
    fail=HEIGHTS.filter(bool),
    method=st.sampled_from(["average", "differential"]),
    cuts=CUTS,
)
def test_spike(values: list[float], suspect: float | None, fail: float, method: str, cuts: Cuts) -> None:
    rule = watch("spike", {"suspect": suspect, "fail": fail, "method": method})

    with np.errstate(all="ignore"):
        theirs = qartod.spike_test(values, suspect_threshold=suspect, fail_threshold=fail, method=method)

    assert our_words(rule, values, minutes(values), cuts) == flags(theirs)


@compared
@given(
    readings=st.lists(st.tuples(st.integers(1, 4_000_000_000), VALUES.map(lambda v: v[0])), min_size=1, max_size=40),
    suspect=HEIGHTS.filter(lambda height: height is not None),
    fail=HEIGHTS,
    cuts=CUTS,
)
def test_rate_of_change(readings: list[tuple[int, float]], suspect: float, fail: float | None, cuts: Cuts) -> None:
    """Times as they come, under a second apart too."""
    measured_ns = list(accumulate((gap_ns for gap_ns, _ in readings), initial=START_NS))[1:]
    values = [value for _, value in readings]
    rule = watch("rate_of_change", {"suspect": suspect, "fail": fail})

    times = np.array(measured_ns, "datetime64[ns]")
    with np.errstate(all="ignore"):
        theirs = qartod.rate_of_change_test(values, times, threshold=suspect, fail_threshold=fail)

    assert our_words(rule, values, measured_ns, cuts) == flags(theirs)


@compared
@given(
    values=STANDING,
    suspect_s=st.integers(1, 600),
    fail_s=st.integers(1, 900),
    tolerance=st.sampled_from([0, 0.1, 0.15, 0.2, 1.5]),
    cuts=CUTS,
)
def test_flat_line(values: list[float], suspect_s: int, fail_s: int, tolerance: float, cuts: Cuts) -> None:
    rule = watch("flat_line", {"suspect_after_s": suspect_s, "fail_after_s": fail_s, "tolerance": tolerance})

    times = np.array(minutes(values), "datetime64[ns]")
    theirs = qartod.flat_line_test(values, times, suspect_s, fail_s, tolerance)

    assert our_words(rule, values, minutes(values), cuts) == flags(theirs)
