"""Silence: data are expected and do not come; only ticks and arrivals count, in received time."""

from rules.engine import Engine
from rules.readings import SECOND_NS, Kind, Level, Transition
from rules.watches import Persistence
from tests.rules.watching import MINUTE_NS, START_NS, Handmade, Row, batch, key, minutely, watch

THRESHOLDS = {"suspect_after": 3, "fail_after": 10, "grace_s": 30}
HEARD_NS = START_NS + SECOND_NS  # by `minutely`, a second after it was measured


def expecting(clear_after: Persistence | None = None) -> Engine:
    engine = Engine(Handmade([watch("silence", THRESHOLDS, clear_after=clear_after)], [("S1", Kind.MINUTE)]))
    engine.place(key())
    return engine


def after(engine: Engine, minutes: float) -> list[Transition]:
    return engine.tick(HEARD_NS + round(minutes * MINUTE_NS))


def test_it_opens_once_gets_worse_once_and_ends_with_the_next_arrival() -> None:
    engine = expecting()
    engine.evaluate(minutely([1]))

    found = [t for minute in range(1, 31) for t in after(engine, minute)]
    found += engine.evaluate(minutely([1, 1], start=31)).transitions

    assert [(t.what, t.level, t.at_ns - HEARD_NS) for t in found] == [
        ("opened", Level.BLUE, 4 * MINUTE_NS),
        ("worsened", Level.YELLOW, 11 * MINUTE_NS),
        ("cleared", Level.YELLOW, 31 * MINUTE_NS),
    ]
    assert {t.since_ns for t in found} == {HEARD_NS}
    assert {(t.station, t.parameter, t.kind, t.first) for t in found} == {("S1", "", Kind.MINUTE, None)}


def test_the_grace_is_granted_to_the_last_nanosecond() -> None:
    engine = expecting()
    engine.evaluate(minutely([1]))

    assert not after(engine, 3.5)
    assert engine.tick(HEARD_NS + 210 * SECOND_NS + 1)


def test_a_feed_that_never_spoke_is_expected_from_the_first_tick_on() -> None:
    engine = expecting()

    assert not after(engine, 100)
    assert not after(engine, 103)
    assert [(t.what, t.since_ns) for t in after(engine, 104)] == [("opened", HEARD_NS + 100 * MINUTE_NS)]


def test_without_ticks_nobody_is_silent() -> None:
    engine = expecting()

    assert not engine.evaluate(minutely([1, 1], step_ns=1000 * MINUTE_NS)).transitions


def test_what_was_measured_when_does_not_matter() -> None:
    engine = expecting()
    engine.evaluate(minutely([1]))
    late: Row = (0, START_NS - 500 * MINUTE_NS, HEARD_NS + 3 * MINUTE_NS, 1.0, 0, 9)

    engine.evaluate(batch([late]))

    assert not after(engine, 6)


def test_another_kind_of_the_station_does_not_speak_for_this_one() -> None:
    engine = expecting()
    hourly = engine.place(key()._replace(kind=Kind.HOUR))
    engine.evaluate(minutely([1]))
    engine.evaluate(minutely([1], series=hourly, start=3))

    assert [t.what for t in after(engine, 4)] == ["opened"]


def test_a_message_of_many_readings_is_one_arrival() -> None:
    """Two arrivals are asked for; a second reading of the same message is not the second."""
    engine = expecting(clear_after=Persistence(2, 2))
    engine.evaluate(minutely([1]))
    after(engine, 5)
    message: list[Row] = [(0, START_NS + n * MINUTE_NS, HEARD_NS + 6 * MINUTE_NS, 1.0, 0, n) for n in (4, 5, 6)]

    first = engine.evaluate(batch(message)).transitions
    second = engine.evaluate(minutely([1], start=7)).transitions

    assert not first
    assert [t.what for t in second] == ["cleared"]


def test_silence_has_no_word_on_a_reading() -> None:
    outcome = expecting().evaluate(minutely([1]), explain=True)

    assert list(outcome.words["silence"]) == [0]
