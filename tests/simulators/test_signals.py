import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.readings import SECOND_NS
from simulators import signals

SHAPE = signals.Shape(
    base=50.0,
    daily=5.0,
    peak_ns=6 * signals.HOUR_NS,
    tide=2.0,
    wander=3.0,
    wander_ns=2 * signals.HOUR_NS,
    noise=1.0,
    low=0.0,
    high=1e9,
)
MINUTE_NS = 60 * SECOND_NS
START_NS = 1_793_620_800 * SECOND_NS


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**64 - 1), st.lists(st.integers(0, 100_000), min_size=1, max_size=30))
def test_a_moment_needs_no_past(of: int, minutes: list[int]) -> None:
    """Any moments, in any order, alone or together: the same values."""
    times = START_NS + np.array(minutes, dtype=np.int64) * MINUTE_NS
    together = signals.values(SHAPE, of, times, MINUTE_NS)
    alone = [signals.values(SHAPE, of, times[i : i + 1], MINUTE_NS)[0] for i in range(len(times))]
    assert together.tolist() == alone


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_a_signal_stays_within_the_sum_of_its_parts(of: int) -> None:
    times = START_NS + np.arange(0, 5000, dtype=np.int64) * MINUTE_NS
    values = signals.values(SHAPE, of, times, MINUTE_NS)
    assert np.all(np.abs(values - 50.0) <= 5.0 + 2.0 + 3.0 + 1.0)
    assert np.ptp(values) > 5.0


def test_dice_are_even_and_streams_differ() -> None:
    counters = np.arange(20_000, dtype=np.uint64)
    one, two = (signals.uniform(signals.stream(7, name), counters) for name in ("one", "two"))
    assert abs(one.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.03
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.03
    assert 0.0 <= one.min() <= one.max() < 1.0


def test_a_mean_lies_among_the_values_of_its_hour() -> None:
    hour = START_NS + np.arange(60, dtype=np.int64) * MINUTE_NS
    values = signals.values(SHAPE, 5, hour, MINUTE_NS)
    mean = signals.means(SHAPE, 5, np.array([START_NS], dtype=np.int64), signals.HOUR_NS, MINUTE_NS)
    assert np.isclose(mean[0], values.mean())


def test_a_limit_of_the_instrument_is_kept() -> None:
    cut = signals.Shape(50.0, 5.0, 0, 2.0, 3.0, signals.HOUR_NS, 1.0, low=49.0, high=51.0)
    values = signals.values(cut, 5, START_NS + np.arange(2000, dtype=np.int64) * MINUTE_NS, MINUTE_NS)
    assert (values.min(), values.max()) == (49.0, 51.0)
