"""The engine is a fold: how its input was cut, mixed, repeated or interrupted leaves no trace in what it says."""

from collections import defaultdict
from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rules.engine import Engine
from rules.readings import Transition
from rules.scratch import CHUNK
from rules.watches import Persistence
from tests.rules.fixed_history import moves as fixed_moves
from tests.rules.histories import (
    CUTS,
    FEEDS,
    KEYS,
    LONGEST,
    MANNERS,
    MOVES,
    Manners,
    Move,
    Step,
    history,
    play,
    watches,
    watching,
)
from tests.rules.watching import Handmade

AT_ONCE: Manners = [(Persistence(), Persistence())]
thorough = settings(max_examples=100, deadline=None)


@thorough
@given(moves=MOVES, manners=MANNERS, cuts=CUTS, explain=st.booleans())
def test_cutting_a_batch_anywhere_changes_nothing(
    moves: list[Move], manners: Manners, cuts: frozenset[int], explain: bool
) -> None:
    steps = history(moves)

    whole = play(watching(watches(manners)), steps, explain=explain)
    cut = play(watching(watches(manners)), steps, cuts, explain=explain)
    single = play(watching(watches(manners)), steps, range(LONGEST), explain=explain)

    assert cut.plain() == whole.plain()
    assert single.plain() == whole.plain()


@thorough
@given(moves=MOVES, manners=MANNERS, cuts=CUTS)
def test_asking_why_changes_no_answer(moves: list[Move], manners: Manners, cuts: frozenset[int]) -> None:
    steps = history(moves)

    plain = play(watching(watches(manners)), steps, cuts)
    asked = play(watching(watches(manners)), steps, cuts, explain=True)

    assert asked.store.plain() == plain.store.plain()
    assert asked.ids() == plain.ids()


@thorough
@given(moves=MOVES, manners=MANNERS)
@example(moves=[(0, "future", 2.0, 0, 0), (0, "next", 2.0, 0, 0), (0, "future", 2.0, 0, 0)], manners=AT_ONCE)
@example(moves=[(0, "next", 2.0, 2, 0), (0, "next", 2.0, 0, 0), (1, "next", 2.0, 2, 0)], manners=AT_ONCE)
def test_no_two_changes_have_one_id(moves: list[Move], manners: Manners) -> None:
    told = play(watching(watches(manners)), history(moves))

    assert len(set(told.ids())) == len(told.ids())


def mixed(steps: Sequence[Step], threads: Sequence[int], draw: st.DataObject) -> list[Step]:
    """The steps with another order of the threads (by series), but the same within each, and between the ticks."""
    found: list[Step] = []
    waiting: dict[int, list[Step]] = defaultdict(list)

    def let_go() -> None:
        order = draw.draw(st.permutations([thread for thread in waiting for _ in waiting[thread]]))
        found.extend(waiting[thread].pop(0) for thread in order)
        waiting.clear()

    for step in steps:
        if isinstance(step, int):
            let_go()
            found.append(step)
        else:
            waiting[threads[step[0]]].append(step)
    let_go()
    return found


def by_subject(transitions: Sequence[Transition], *names: str) -> dict[object, list[str]]:
    found: dict[object, list[str]] = defaultdict(list)
    for change in transitions:
        found[tuple(getattr(change, name) for name in names)].append(repr(change))
    return found


@thorough
@given(moves=MOVES, manners=MANNERS, data=st.data())
def test_in_which_order_stations_speak_changes_nothing(
    moves: list[Move], manners: Manners, data: st.DataObject
) -> None:
    steps = history(moves)
    stations = sorted({key.station for key in KEYS})
    threads = [stations.index(key.station) for key in KEYS]

    straight = play(watching(watches(manners)), steps, explain=True)
    shuffled = play(watching(watches(manners)), mixed(steps, threads, data), explain=True)

    assert shuffled.store.plain() == straight.store.plain()
    assert shuffled.store.words == straight.store.words
    assert shuffled.counts == straight.counts
    assert by_subject(shuffled.transitions, "station") == by_subject(straight.transitions, "station")


@thorough
@given(moves=MOVES, manners=MANNERS, data=st.data())
def test_in_which_order_series_of_a_station_speak_changes_nothing_of_a_series(
    moves: list[Move], manners: Manners, data: st.DataObject
) -> None:
    steps = history(moves)
    series = ("station", "parameter", "kind")

    straight = play(watching(watches(manners, stations=False)), steps, explain=True)
    shuffled = play(watching(watches(manners, stations=False)), mixed(steps, range(len(KEYS)), data), explain=True)

    assert shuffled.store.plain() == straight.store.plain()
    assert shuffled.store.words == straight.store.words
    assert by_subject(shuffled.transitions, *series) == by_subject(straight.transitions, *series)


@thorough
@given(moves=MOVES, manners=MANNERS, cuts=CUTS)
def test_a_batch_that_comes_twice_finds_nothing_new(moves: list[Move], manners: Manners, cuts: frozenset[int]) -> None:
    steps = history(moves)

    once = play(watching(watches(manners)), steps, cuts)
    twice = play(watching(watches(manners)), steps, cuts, times=2)

    assert twice.store.plain() == once.store.plain()
    assert list(dict.fromkeys(twice.ids())) == once.ids()


@thorough
@given(moves=MOVES, manners=MANNERS, cuts=CUTS, at=st.integers(0, LONGEST))
def test_stopping_and_going_on_from_a_snapshot_leaves_no_trace(
    moves: list[Move], manners: Manners, cuts: frozenset[int], at: int
) -> None:
    steps = history(moves)
    listed = Handmade(watches(manners), FEEDS)

    one = watching(listed.watches)
    whole = play(one, steps, {at}, explain=True)
    other = watching(listed.watches)
    before = play(other, steps[:at], cuts, explain=True)
    other = Engine.restore(other.snapshot(), listed)
    after = play(other, steps[at:], explain=True)

    assert [repr(t) for t in before.transitions + after.transitions] == [repr(t) for t in whole.transitions]
    assert before.counts + after.counts == whole.counts
    assert other.snapshot() == one.snapshot()
    assert repr(other.open_episodes()) == repr(one.open_episodes())


def test_a_batch_longer_than_the_desk_is_judged_like_short_ones() -> None:
    rows = [step for step in history(fixed_moves(3 * CHUNK)) if not isinstance(step, int)]
    assert len(rows) > 2 * CHUNK

    whole = play(watching(watches(AT_ONCE)), rows)

    for length in (1000, CHUNK + 1):
        assert play(watching(watches(AT_ONCE)), rows, range(0, len(rows), length)).plain() == whole.plain()
