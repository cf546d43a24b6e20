"""Equipment flag: a station that is maintained raises its own state, and nothing else."""

from rules.engine import Engine
from rules.readings import EquipmentFlag, Kind, SeriesKey
from rules.watches import Persistence
from tests.rules.watching import MINUTE_NS, START_NS, Row, batch, key, limit, minutely, placed, told, verdicts, watch

M, D = int(EquipmentFlag.MAINTENANCE), int(EquipmentFlag.FAULT)
HOURLY = SeriesKey("S1", "p0", Kind.HOUR)


def maintained(raise_after: Persistence | None = None) -> Engine:
    rules = [watch("equipment_flag", {"flags": ["M", "C"], "says": "not_evaluated"}, raise_after=raise_after)]
    return placed([*rules, watch("exceedance", limits=[limit(high=20)])], [key(0), key(1), HOURLY])


def at(series: int, minute: int, flag: int) -> Row:
    measured_ns = START_NS + minute * MINUTE_NS
    return (series, measured_ns, measured_ns, 1.0, flag, 100 * minute + series)


def test_maintenance_raises_its_own_state_and_no_exceedance() -> None:
    engine = maintained()

    outcome = engine.evaluate(minutely([1, 500, 500, 1], flags=[0, M, M, 0]))

    assert verdicts(outcome) == [1, 2, 2, 1]
    assert [(r, w) for r, w, _ in told(outcome.transitions)] == [
        ("equipment_flag", "opened"),
        ("equipment_flag", "cleared"),
    ]
    assert {(t.station, t.parameter, t.kind) for t in outcome.transitions} == {("S1", "", None)}


def test_a_flag_that_no_rule_names_still_keeps_a_value_from_being_judged() -> None:
    outcome = maintained().evaluate(minutely([500, 500], flags=[D, int(EquipmentFlag.STOPPED)]))

    assert verdicts(outcome) == [3, 2]
    assert not outcome.transitions


def test_a_rule_may_call_a_flagged_reading_suspect() -> None:
    engine = placed([watch("equipment_flag", {"flags": ["M"], "says": "suspect"})])

    outcome = engine.evaluate(minutely([1], flags=[M]))

    assert verdicts(outcome) == [3]
    assert list(outcome.judged.raised) == [1 << 6]


def test_the_state_lasts_until_the_last_series_is_normal() -> None:
    rows = [at(0, 0, M), at(1, 0, M), at(0, 1, 0), at(1, 1, M), at(1, 2, 0)]

    opened, cleared = maintained().evaluate(batch(rows)).transitions

    assert (opened.what, opened.at_ns) == ("opened", START_NS)
    assert (cleared.what, cleared.at_ns) == ("cleared", START_NS + 2 * MINUTE_NS)


def test_a_late_flag_changes_no_state() -> None:
    outcome = maintained().evaluate(batch([at(0, 5, 0), at(0, 3, M)]))

    assert not outcome.transitions
    assert verdicts(outcome) == [1, 2]


def test_an_hourly_value_flagged_like_the_minutes_before_opens_an_episode_of_its_own() -> None:
    """Its time is the beginning of the hour, when the first episode began too."""
    rows = [at(0, 0, M), at(0, 1, 0), at(2, 0, M), at(2, 60, 0)]

    transitions = maintained().evaluate(batch(rows)).transitions

    assert [t.what for t in transitions] == ["opened", "cleared", "opened", "cleared"]
    assert len({t.id for t in transitions}) == 4
    assert transitions[2].since_ns == START_NS + MINUTE_NS


def test_a_passing_flag_raises_nothing_where_a_duration_is_asked() -> None:
    engine = maintained(raise_after=Persistence(duration_ns=10 * MINUTE_NS))

    outcome = engine.evaluate(minutely([1, 1, 1], flags=[M, M, 0]))

    assert not outcome.transitions
