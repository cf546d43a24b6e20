"""Episodes by examples: when they open, get worse and end, and what a gap means (nothing)."""

from collections.abc import Sequence

import numpy as np
import pytest

from rules.readings import Level
from rules.watches import Persistence
from tests.rules.watching import MINUTE_NS, START_NS, key, minutely, placed, watch

NAN = np.nan
OK, BAD, WORSE = 5.0, 12.0, 20.0  # of a range with suspect over 10 and fail over 15


def found(
    values: Sequence[float],
    raise_after: Persistence | None = None,
    clear_after: Persistence | None = None,
    levels: tuple[Level, Level] = (Level.BLUE, Level.RED),
) -> list[tuple[str, int]]:
    """What happened, and in which minute."""
    rule = watch(
        "gross_range",
        {"fail": (0, 15), "suspect": (0, 10)},
        levels=levels,
        raise_after=raise_after,
        clear_after=clear_after,
    )
    engine = placed([rule])
    return [(t.what, (t.at_ns - START_NS) // MINUTE_NS) for t in engine.evaluate(minutely(values)).transitions]


def test_one_bad_reading_opens_and_one_good_one_ends() -> None:
    assert found([OK, BAD, BAD, OK, OK]) == [("opened", 1), ("cleared", 3)]


def test_two_of_three_need_not_follow_each_other() -> None:
    assert found([BAD, OK, BAD], Persistence(2, 3)) == [("opened", 2)]
    assert found([BAD, OK, OK, BAD, OK, OK], Persistence(2, 3)) == []


def test_a_duration_is_counted_from_the_first_bad_reading() -> None:
    hold = Persistence(duration_ns=3 * MINUTE_NS)

    assert found([OK, BAD, BAD, BAD, BAD], hold) == [("opened", 4)]
    assert found([BAD, BAD, BAD, OK, BAD, BAD, BAD], hold) == []


def test_a_duration_over_several_readings_forgives_one_good_one() -> None:
    hold = Persistence(count=3, of=5, duration_ns=4 * MINUTE_NS)

    assert found([BAD, OK, BAD, OK, BAD], hold) == [("opened", 4)]
    assert found([BAD, BAD, BAD, BAD, BAD], hold) == [("opened", 4)]


def test_it_ends_when_it_was_good_for_long_enough() -> None:
    hold = Persistence(duration_ns=2 * MINUTE_NS)

    assert found([BAD, OK, OK, BAD, OK, OK, OK], clear_after=hold) == [("opened", 0), ("cleared", 6)]


def test_it_ends_after_two_good_ones_of_three() -> None:
    assert found([BAD, OK, BAD, OK, OK], clear_after=Persistence(2, 3)) == [("opened", 0), ("cleared", 3)]


@pytest.mark.parametrize("gap", [[NAN], [NAN] * 100])
def test_a_gap_neither_ends_nor_interrupts_nor_raises(gap: list[float]) -> None:
    last = 2 + len(gap)

    assert found([BAD, *gap, BAD, OK]) == [("opened", 0), ("cleared", last)]
    assert found([BAD, *gap, BAD], Persistence(2, 2)) == [("opened", last - 1)]
    assert found([BAD, OK, *gap, OK], clear_after=Persistence(2, 2)) == [("opened", 0), ("cleared", last)]


def test_it_gets_worse_once_and_never_better() -> None:
    assert found([BAD, WORSE, BAD, WORSE, OK]) == [("opened", 0), ("worsened", 1), ("cleared", 4)]


def test_it_opens_with_the_loudest_level_it_has_had_while_pending() -> None:
    rule = watch("gross_range", {"fail": (0, 15), "suspect": (0, 10)}, raise_after=Persistence(2, 2))

    (opened,) = placed([rule]).evaluate(minutely([WORSE, BAD])).transitions

    assert opened.level is Level.YELLOW
    assert opened.since_ns == START_NS
    assert opened.first == opened.worst
    assert opened.last
    assert (opened.last.value, opened.last.position) == (BAD, 1)


def test_a_word_without_a_level_raises_nothing_and_ends_like_a_good_one() -> None:
    hint = (Level.NONE, Level.RED)

    assert found([BAD, BAD], levels=hint) == []
    assert found([WORSE, BAD], levels=hint) == [("opened", 0), ("cleared", 1)]


def test_ids_follow_from_the_facts_and_from_nothing_else() -> None:
    rule = watch("gross_range", {"fail": (0, 10)})

    one, again = (placed([rule]).evaluate(minutely([20, 1, 20, 1])).transitions for _ in range(2))

    assert [t.id for t in one] == [t.id for t in again]
    assert len({t.id for t in one}) == 4
    assert one[0].episode == one[1].episode != one[2].episode == one[3].episode
    assert all(len(t.id) == len(t.episode) == 32 for t in one)


def test_ids_differ_for_another_rule_edition_or_series() -> None:
    rules = [
        watch("gross_range", {"fail": (0, 10)}),
        watch("gross_range", {"fail": (0, 10)}, rule="other"),
        watch("gross_range", {"fail": (0, 10)}, rule="third", edition=2),
        watch("gross_range", {"fail": (0, 10)}, rule="third", edition=3, series=key(1)),
    ]
    engine = placed(rules, [key(0), key(1)])

    found = [*engine.evaluate(minutely([20])).transitions, *engine.evaluate(minutely([20], series=1)).transitions]

    assert len({t.id for t in found}) == len({t.episode for t in found}) == 4


def test_open_episodes_stand_oldest_first_as_their_transitions_told() -> None:
    engine = placed([watch("gross_range", {"fail": (0, 10)}, series=key(n)) for n in (0, 1)], [key(0), key(1)])
    engine.evaluate(minutely([1, 20], series=0))
    opened = engine.evaluate(minutely([20, 1, 30], series=1)).transitions[-1]

    first, second = engine.open_episodes()

    assert (first.parameter, second.parameter) == ("p0", "p1")
    assert (second.episode, second.since_ns, second.first) == (opened.episode, opened.since_ns, opened.first)


@pytest.mark.parametrize("hold", [Persistence(2, 1), Persistence(0, 1), Persistence(1, 65), Persistence(1, 1, -1)])
def test_a_persistence_that_can_never_hold_is_refused(hold: Persistence) -> None:
    with pytest.raises(ValueError, match="can never hold"):
        placed([watch("gross_range", {"fail": (0, 10)}, raise_after=hold)])


def test_sixty_four_readings_are_the_most_that_count() -> None:
    assert found([BAD] * 64, Persistence(64, 64)) == [("opened", 63)]
    assert found([BAD] * 63, Persistence(64, 64)) == []


def test_hundreds_of_episodes_run_at_once() -> None:
    keys = [key(n) for n in range(900)]
    engine = placed([watch("gross_range", {"fail": (0, 10)}, series=k) for k in keys[::3]], keys)

    opened = [t for n in range(0, 900, 3) for t in engine.evaluate(minutely([20], series=n)).transitions]

    assert len({t.id for t in opened}) == len(engine.open_episodes()) == 300
