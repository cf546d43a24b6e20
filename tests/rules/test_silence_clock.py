"""A wall clock that is set back while a station is silent: received times fall, ticks do not."""

from rules.engine import Engine
from rules.readings import SECOND_NS
from tests.rules.watching import START_NS, Handmade, batch, key, watch


def silent_engine() -> Engine:
    """Heard at the start, found silent 200 s later."""
    engine = Engine(Handmade([watch("silence", {"suspect_after": 2.0})], [(key().station, key().kind)]))
    engine.place(key())
    engine.evaluate(batch([(0, START_NS, START_NS, 1.0, 0, 0)]))
    assert [change.what for change in engine.tick(START_NS + 200 * SECOND_NS)] == ["opened"]
    return engine


def test_a_station_that_speaks_after_the_clock_was_set_back_is_not_found_silent_again() -> None:
    for set_back_s in (10, 150, 1_000):
        engine = silent_engine()
        received_ns = START_NS + (210 - set_back_s) * SECOND_NS

        spoken = engine.evaluate(batch([(0, START_NS + SECOND_NS, received_ns, 2.0, 0, 1)])).transitions

        assert [change.what for change in spoken] == ["cleared"]
        assert engine.tick(START_NS + 200 * SECOND_NS) == []


def test_after_that_it_is_silent_since_the_tick_before_it_spoke() -> None:
    engine = silent_engine()
    engine.evaluate(batch([(0, START_NS + SECOND_NS, START_NS - SECOND_NS, 2.0, 0, 1)]))

    found = engine.tick(START_NS + 400 * SECOND_NS)

    assert [(change.what, change.since_ns) for change in found] == [("opened", START_NS + 200 * SECOND_NS)]
