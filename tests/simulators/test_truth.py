from rules.readings import Kind
from simulators.samples import Outgoing
from simulators.truth import ExpectedEpisode, Explained, Found, Tally, Truth, score

EXPECTED = ExpectedEpisode("fault", "A", frozenset(), frozenset({"spike"}), frozenset({"x"}), 10, 20, by_ns=30)
ALSO = Explained("fault", "A", frozenset({"x_rate"}), frozenset(), frozenset(), 10, 20)
TRUTH = Truth([EXPECTED], [ALSO])
HIT = Found("A", "x", "x_spike", "spike", 15)


def test_an_expected_episode_is_found_missed_or_pending() -> None:
    assert score(TRUTH, [HIT], 30).found == 1
    assert (score(TRUTH, [], 30).missed, score(TRUTH, [], 30).pending) == (1, 0)
    assert (score(TRUTH, [], 29).missed, score(TRUTH, [], 29).pending) == (0, 1)
    assert score(TRUTH, [], 30).missed_ones == [EXPECTED]


def test_an_early_find_counts() -> None:
    early = score(TRUTH, [HIT], 16)
    assert (early.found, early.missed, early.pending, early.false) == (1, 0, 0, 0)


def test_a_consequence_is_neither_found_nor_false() -> None:
    outcome = score(TRUTH, [Found("A", "y", "x_rate", "rate_of_change", 12)], 16)
    assert (outcome.found, outcome.false) == (0, 0)


def test_what_no_fault_explains_is_false() -> None:
    """Another station, parameter, check or time."""
    strangers = [
        Found("B", "x", "x_spike", "spike", 15),
        Found("A", "y", "x_spike", "spike", 15),
        Found("A", "x", "x_range", "gross_range", 15),
        Found("A", "x", "x_spike", "spike", 21),
        Found("A", "x", "x_spike", "spike", 9),
    ]
    outcome = score(TRUTH, strangers, 30)
    assert (outcome.found, outcome.missed, outcome.false) == (0, 1, 5)
    assert outcome.false_ones == strangers


def test_a_tally_counts_each_reading_once() -> None:
    tally = Tally()
    message = Outgoing("t", b"", 9, "A", Kind.HOUR, 5, ("x", "y"))
    for sent in (message, message, Outgoing("t", b"", 9, "A", Kind.DAY, 5, ("x",), problems=1)):
        tally.add(sent)
    assert (tally.messages, tally.expected_stored, tally.expected_quarantined) == (3, 3, 1)
