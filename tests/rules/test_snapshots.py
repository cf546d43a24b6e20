"""What an engine has learnt outlives it, also under a watchlist that has changed meanwhile."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.engine import RULE_IS_GONE, Engine
from rules.readings import SECOND_NS, Kind, Level, SeriesKey, Transition
from rules.snapshots import SnapshotUnreadable
from rules.watches import Persistence
from tests.rules.histories import (
    FEEDS,
    HOUR_NS,
    KEYS,
    LONGEST,
    MANNERS,
    MOVES,
    Manners,
    Move,
    history,
    of_series,
    of_station,
    play,
    watches,
    watching,
)
from tests.rules.watching import START_NS, Handmade, key, minutely, placed, told, verdicts, watch

RULES = sorted({w.rule for w in [*of_series(KEYS[0]), *of_station(KEYS[0])]} - {"impossible_time"})  # it orders others
LATER_NS = START_NS + 100 * HOUR_NS


@settings(max_examples=100, deadline=None)
@given(moves=MOVES, manners=MANNERS, at=st.integers(0, LONGEST), gone=st.sets(st.sampled_from(RULES)))
def test_rules_that_stay_know_what_they_knew_and_others_are_cleared(
    moves: list[Move], manners: Manners, at: int, gone: set[str]
) -> None:
    steps = history(moves)
    before, after = watches(manners), [w for w in watches(manners, edition=2) if w.rule not in gone]
    added = replace(of_series(KEYS[1])[1], rule="added")

    undisturbed = watching(before)
    play(undisturbed, steps[:at])
    changed = Engine.restore(undisturbed.snapshot(), Handmade([added, *after], FEEDS))
    were_open = undisturbed.open_episodes()
    assert [e.episode for e in changed.open_episodes()] == [e.episode for e in were_open]
    whole = play(undisturbed, [*steps[at:], LATER_NS], explain=True)
    rest = play(changed, [*steps[at:], LATER_NS], explain=True)

    released = [t for t in rest.transitions if t.reason]
    assert {t.episode for t in released} == {e.episode for e in were_open if e.rule in gone}
    assert all(t.what == "cleared" and t.reason == RULE_IS_GONE for t in released)
    assert facts(rest.transitions, {*gone, "added"}) == facts(whole.transitions, gone)
    for name, words in whole.store.words.items():
        assert without(rest.store.words.get(name, {}), {"added"}) == without(words, gone)


def facts(transitions: Iterable[Transition], without: Collection[str]) -> list[tuple[object, ...]]:
    """All that does not hang on the edition."""
    return [(t.rule, t.what, t.level, t.at_ns, t.since_ns) for t in transitions if t.rule not in without]


def without(words: Mapping[str, int], rules: Collection[str]) -> dict[str, int]:
    return {rule: word for rule, word in words.items() if rule not in rules}


@settings(max_examples=100, deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255))
def test_a_snapshot_with_one_changed_byte_is_refused(at: float, bits: int) -> None:
    engine = placed([watch("spike", {"fail": 3})])
    engine.evaluate(minutely([1, 9, 1]))
    snapshot = bytearray(engine.snapshot())
    snapshot[int(at * len(snapshot))] ^= bits

    with pytest.raises(SnapshotUnreadable):
        Engine.restore(bytes(snapshot), Handmade([]))


@pytest.mark.parametrize("end", [0, 3, 20, -1])
def test_half_a_snapshot_is_refused(end: int) -> None:
    snapshot = placed([]).snapshot()

    with pytest.raises(SnapshotUnreadable):
        Engine.restore(snapshot[:end], Handmade([]))


def test_places_outlive_the_engine() -> None:
    keys = [SeriesKey("S1", "p0", Kind.HOUR), SeriesKey("S0", "p9", Kind.MINUTE), SeriesKey("S1", "p0", Kind.DAY)]
    engine = placed([], keys)

    restored = Engine.restore(engine.snapshot(), Handmade([watch("gross_range", {"fail": (0, 1)}, series=keys[1])]))

    assert [restored.place(k) for k in keys] == [0, 1, 2]
    assert restored.place(key(7)) == 3
    assert list(restored.keys) == [*keys, key(7)]


def test_an_open_episode_keeps_its_id_when_the_rule_has_a_new_edition() -> None:
    engine = placed([watch("gross_range", {"fail": (0, 10)})])
    opened = engine.evaluate(minutely([20])).transitions[0]

    changed = Engine.restore(engine.snapshot(), Handmade([watch("gross_range", {"fail": (0, 10)}, edition=2)]))
    cleared, again = changed.evaluate(minutely([5, 30], start=1)).transitions

    assert (cleared.what, cleared.episode, cleared.edition) == ("cleared", opened.episode, 1)
    assert (again.what, again.edition) == ("opened", 2)


def test_a_pending_episode_goes_on_pending() -> None:
    listed = Handmade([watch("gross_range", {"fail": (0, 10)}, raise_after=Persistence(3, 3))])
    engine = Engine(listed)
    engine.place(key())
    engine.evaluate(minutely([20, 20]))

    opened = Engine.restore(engine.snapshot(), listed).evaluate(minutely([20], start=2)).transitions

    assert [(t.what, t.since_ns) for t in opened] == [("opened", START_NS)]


def test_episodes_of_a_rule_that_is_gone_wait_for_the_tick_through_another_stop() -> None:
    engine = placed([watch("gross_range", {"fail": (0, 10)})])
    opened = engine.evaluate(minutely([20])).transitions[0]

    once = Engine.restore(engine.snapshot(), Handmade([]))
    twice = Engine.restore(once.snapshot(), Handmade([]))
    cleared = twice.tick(START_NS + HOUR_NS)

    assert [e.episode for e in once.open_episodes()] == [opened.episode]
    assert [(t.what, t.episode, t.at_ns) for t in cleared] == [("cleared", opened.episode, START_NS + HOUR_NS)]
    assert not twice.tick(START_NS + 2 * HOUR_NS)
    assert not twice.open_episodes()


def test_a_rule_that_moved_to_another_series_starts_anew() -> None:
    engine = placed([watch("rate_of_change", {"fail": 1})], [key(0), key(1)])
    engine.evaluate(minutely([0]))

    moved = Engine.restore(engine.snapshot(), Handmade([watch("rate_of_change", {"fail": 1}, series=key(1))]))

    assert verdicts(moved.evaluate(minutely([1000], series=0, start=1))) == [2]
    assert verdicts(moved.evaluate(minutely([1000], series=1, start=1))) == [1]


@pytest.mark.parametrize("seconds", [180, 240, 300])
def test_a_window_of_another_size_keeps_the_newest_readings(seconds: int) -> None:
    flat = {"fail_after_s": 240, "tolerance": 0.5}
    engine = placed([watch("flat_line", flat)])
    assert verdicts(engine.evaluate(minutely([9, 8, 7, 1, 1, 1]))) == [1] * 6

    changed = Engine.restore(engine.snapshot(), Handmade([watch("flat_line", flat | {"fail_after_s": seconds})]))
    words = verdicts(changed.evaluate(minutely([1, 1, 1], start=6)))

    needed = seconds // 60 + 1
    assert words == [4 if 3 + more >= needed else 1 for more in (1, 2, 3)]


def test_a_rule_that_was_added_begins_with_the_readings_to_come() -> None:
    engine = placed([watch("gross_range", {"fail": (0, 10)})])
    engine.evaluate(minutely([20, 1]))
    both = [watch("gross_range", {"fail": (0, 10)}), watch("gross_range", {"fail": (0, 0.5)}, rule="stricter")]

    changed = Engine.restore(engine.snapshot(), Handmade(both))

    assert told(changed.evaluate(minutely([1], start=2)).transitions) == [("stricter", "opened", Level.YELLOW)]


def test_silence_goes_on_being_counted_while_nobody_runs() -> None:
    listed = Handmade([watch("silence", {"fail_after": 10})], [("S1", Kind.MINUTE)])
    engine = Engine(listed)
    engine.place(key())
    engine.evaluate(minutely([1]))

    opened = Engine.restore(engine.snapshot(), listed).tick(LATER_NS)

    assert [(t.what, t.since_ns, t.at_ns) for t in opened] == [("opened", START_NS + SECOND_NS, LATER_NS)]


def test_a_flag_that_the_rule_names_only_now_counts_from_the_newest_reading_on() -> None:
    fault = {"flags": ["M", "D"], "says": "suspect"}
    engine = placed([watch("equipment_flag", fault | {"flags": ["M"]})], [key(0), key(1)])
    engine.evaluate(minutely([1], flags=[4]))

    changed = Engine.restore(engine.snapshot(), Handmade([watch("equipment_flag", fault)]))

    assert [t.what for t in changed.evaluate(minutely([1], series=1, start=1)).transitions] == ["opened"]
    assert [t.what for t in changed.evaluate(minutely([1], start=2)).transitions] == ["cleared"]
