"""Rules meet stations: who is watched, by what, with which limits; and the same for all that are alike."""

import math
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from jianwei.catalogue_files import read_catalogue
from rules.binding import Binding, alike, expected_feeds
from rules.checks import CHECKS
from rules.engine import Engine
from rules.index import Catalogue
from rules.limits import day_ns
from rules.readings import SECOND_NS, Kind, Level, SeriesKey, Transition
from rules.rule_schema import LEVELS
from rules.schema import Station
from rules.watches import Persistence, Subject, Watch
from tests.rules.small_catalogue import small
from tests.rules.watching import batch

REAL = read_catalogue()
HOUR_NS = 3600 * SECOND_NS
TODAY_NS = day_ns(date(2026, 5, 1))


def station(name: str = "S", station_type: str = "brook", **told: Any) -> Station:
    return Station.model_validate({"id": name, "name": {"zh": "站", "en": name}, "station_type": station_type, **told})


def bound(catalogue: Catalogue, *stations: Station, only: set[str] | None = None) -> Binding:
    return Binding(catalogue, {s.id: s for s in stations}, only=only)


def rules_of(watches: Any) -> list[str]:
    return [watch.rule for watch in watches]


def test_a_series_is_watched_by_the_rules_of_its_type_and_parameter() -> None:
    binding = bound(small(), station())
    assert rules_of(binding.of_series(SeriesKey("S", "w01001", Kind.HOUR))) == ["brook_over", "brook_range"]
    assert rules_of(binding.of_series(SeriesKey("S", "w21003", Kind.HOUR))) == ["brook_over"]
    assert rules_of(binding.of_series(SeriesKey("S", "w01001", Kind.MINUTE))) == ["brook_range"]


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        pytest.param("Z", "w01001", id="an unknown station"),
        pytest.param("S", "w99999", id="an unknown parameter"),
        pytest.param("S", "", id="no parameter"),
        pytest.param("S", "w20143", id="a parameter of which no rule speaks by the hour"),
    ],
)
def test_what_nobody_knows_nobody_watches(name: str, parameter: str) -> None:
    assert not bound(small(), station()).of_series(SeriesKey(name, parameter, Kind.HOUR))


def test_only_the_rules_that_are_asked_for_watch() -> None:
    key = SeriesKey("S", "w01001", Kind.HOUR)
    assert rules_of(bound(small(), station(), only={"brook_range"}).of_series(key)) == ["brook_range"]
    assert rules_of(bound(small(), station(), only=set()).of_series(key)) == []


def test_an_exceedance_without_a_limit_watches_nothing() -> None:
    catalogue = small(("station_types/brook.yaml", '{family: River, class: "II"}', "{family: River}"))
    assert rules_of(bound(catalogue, station()).of_series(SeriesKey("S", "w21003", Kind.HOUR))) == []


def test_a_watch_carries_what_the_files_say() -> None:
    section = station(station_type="surface_water_section", **{"class": "III"})
    [over] = bound(REAL, section, only={"surface_water_over"}).of_series(SeriesKey("S", "w21003", Kind.HOUR))
    assert over.subject == Subject("S", "w21003", Kind.HOUR)
    assert (over.edition, over.check, over.unit, over.interval_ns) == (1, "exceedance", "mg/L", HOUR_NS)
    assert (over.raise_after, over.clear_after) == (Persistence(2, 2), Persistence(2, 2))
    assert [(step.ratio, step.level) for step in over.escalation] == [(2.0, Level.ORANGE)]
    assert over.fail_level is Level.YELLOW
    assert [limit.limit_id for limit in over.limits] == ["L0023"]


def test_a_threshold_of_one_parameter_is_not_that_of_another() -> None:
    binding = bound(REAL, station(station_type="surface_water_section"), only={"plausible_range_water"})
    spans = {code: binding.of_series(SeriesKey("S", code, Kind.HOUR))[0].thresholds for code in ("w01001", "w01009")}
    assert [spans[code].model_dump()["fail"] for code in spans] == [(0, 14), (0, 25)]


def test_what_is_said_of_one_parameter_goes_before_what_is_said_of_all() -> None:
    rule = "rules/brook_range.yaml"
    catalogue = small((rule, "suspect: [5, 10]}", "suspect: [5, 10]}\nthresholds: {fail: [-1, 15], suspect: [0, 1]}"))
    [watch] = bound(catalogue, station(), only={"brook_range"}).of_series(SeriesKey("S", "w01001", Kind.HOUR))
    assert watch.thresholds.model_dump() == {"fail": (0.0, 14.0), "suspect": (5.0, 10.0)}
    catalogue = small((rule, ", suspect: [5, 10]}", "}\nthresholds: {fail: [-1, 15], suspect: [1, 12]}"))
    [watch] = bound(catalogue, station(), only={"brook_range"}).of_series(SeriesKey("S", "w01001", Kind.HOUR))
    assert watch.thresholds.model_dump() == {"fail": (0.0, 14.0), "suspect": (1.0, 12.0)}


ALIKE: list[tuple[str, dict[str, Any], bool]] = [
    ("nothing", {}, True),
    ("its place on the map", {"position": {"lon": 121.0, "lat": 28.0}}, True),
    ("its owner", {"enterprise": "厂", "outlet": "1", "jurisdiction": "区", "note": "x"}, True),
    ("how often it speaks", {"feeds": {"hour": 14_400}}, True),
    ("its class", {"class": "II"}, False),
    ("its classes", {"classes": {"Town": "park"}}, False),
    ("what it claims", {"conditions": ["warm"]}, False),
    ("that it claims nothing", {"conditions": []}, False),
    ("its water", {"water_body": "lake_reservoir"}, False),
    (
        "its permit",
        {"permit": [{"parameter": "w21003", "period": "1h", "op": "<=", "value": 2, "unit": "mg/L", "permit": "P", "clause": "1"}]},
        False,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("told", "same"), [pytest.param(*row[1:], id=row[0]) for row in ALIKE])
def test_stations_are_alike_where_all_that_decides_their_watches_is(told: dict[str, Any], same: bool) -> None:
    one, other = station("A", **{"class": "I"}), station("B", **{"class": "I", **told})
    assert (alike(one) == alike(other)) is same


@pytest.mark.parametrize(("told", "same"), [pytest.param(*row[1:], id=row[0]) for row in ALIKE])
def test_alike_stations_share_their_watches_and_nobody_gets_those_of_another(told: dict[str, Any], same: bool) -> None:
    """Bound together they have what each has when it is bound alone."""
    one, other = station("A", **{"class": "I"}), station("B", **{"class": "I", **told})
    together = bound(small(), one, other)
    for code in small().parameters:
        for kind in Kind:
            keys = SeriesKey("A", code, kind), SeriesKey("B", code, kind)
            ours = [list(together.of_series(key)) for key in keys]
            alone = [list(bound(small(), it).of_series(key)) for it, key in zip((one, other), keys, strict=True)]
            assert ours == alone
            if same and "feeds" not in told:
                assert ours[0] == [replace(watch, subject=Subject(*keys[0])) for watch in ours[1]]


def test_feeds_of_the_register_replace_those_of_the_type() -> None:
    catalogue = small()
    assert expected_feeds(catalogue, station()) == {Kind.HOUR: 3600}
    told = station(feeds={"minute": 60, "day": 86_400})
    assert expected_feeds(catalogue, told) == {Kind.MINUTE: 60, Kind.DAY: 86_400}
    assert set(bound(catalogue, told, station("T")).feeds()) == {("S", Kind.MINUTE), ("S", Kind.DAY), ("T", Kind.HOUR)}
    assert not bound(catalogue, station(feeds={})).feeds()


def test_silence_watches_the_feeds_that_are_expected_and_flags_the_whole_station() -> None:
    binding = bound(REAL, station(station_type="wastewater_outlet", feeds={"hour": 3600}))
    assert rules_of(binding.of_feed("S", Kind.HOUR)) == ["impossible_time", "silence_hourly"]
    assert rules_of(binding.of_feed("S", Kind.DAY)) == ["impossible_time"]
    assert rules_of(binding.of_feed("Z", Kind.HOUR)) == []
    assert {watch.check for watch in binding.of_station("S")} == {"equipment_flag"}
    assert not binding.of_station("Z")


def test_a_flat_line_watches_only_kinds_whose_interval_is_known() -> None:
    """It counts readings back, so it must know how far apart they are."""
    section = station(station_type="surface_water_section", feeds={"hour": 3600})
    binding = bound(REAL, section)
    by_hour = binding.of_series(SeriesKey("S", "w01009", Kind.HOUR))
    unexpected = binding.of_series(SeriesKey("S", "w01009", Kind.REALTIME))
    assert "flat_line" in {watch.check for watch in by_hour}
    assert {watch.check for watch in unexpected}
    assert "flat_line" not in {watch.check for watch in unexpected}


def test_every_watch_of_every_type_can_be_bound() -> None:
    for name, station_type in REAL.station_types.items():
        binding = bound(REAL, station(station_type=name))
        for code in REAL.parameters:
            for kind in Kind:
                for watch in binding.of_series(SeriesKey("S", code, kind)):
                    spec = CHECKS[watch.check]
                    assert isinstance(watch.thresholds, spec.thresholds)
                    assert watch.unit == (REAL.unit_of(station_type.station_type, code) or "")
                    assert watch.fail_level in (*LEVELS.values(), Level.NONE)


def found(
    parameter: str, values: list[float], *, kind: Kind = Kind.HOUR, start_ns: int = TODAY_NS, **told: Any
) -> list[Transition]:
    """What the limits of a brook find in hourly values, through the engine."""
    engine = Engine(bound(small(), station(**told), only={"brook_over"}))
    place = engine.place(SeriesKey("S", parameter, kind))
    times = [start_ns + at * HOUR_NS for at in range(len(values))]
    rows = [(place, at, at, value, 0, n) for n, (at, value) in enumerate(zip(times, values, strict=True))]
    return list(engine.evaluate(batch(rows)).transitions)


def permit(op: str, value: object, parameter: str = "w21003", unit: str = "mg/L") -> dict[str, Any]:
    bound = {"parameter": parameter, "period": "1h", "op": op, "value": value, "unit": unit}
    return {"permit": [{**bound, "permit": "P-1", "clause": "7"}]}


@pytest.mark.parametrize(
    ("op", "limit", "passes", "fails"),
    [
        ("<=", 3.0, 3.0, math.nextafter(3.0, 4)),
        ("<", 3.0, math.nextafter(3.0, 0), 3.0),
        (">=", 3.0, 3.0, math.nextafter(3.0, 0)),
        (">", 3.0, math.nextafter(3.0, 4), 3.0),
        ("between", [1, 3], 1.0, math.nextafter(1.0, 0)),
        ("between", [1, 3], 3.0, math.nextafter(3.0, 4)),
    ],
)
def test_an_end_passes_or_fails_to_the_last_bit(op: str, limit: object, passes: float, fails: float) -> None:
    assert found("w21003", [passes], **permit(op, limit)) == []
    assert [change.what for change in found("w21003", [fails], **permit(op, limit))] == ["opened"]


def test_a_multiple_is_told_where_the_law_defines_one() -> None:
    [ammonia] = found("w21003", [2.5])
    assert ammonia.multiple == pytest.approx(1.5)
    [oxygen] = found("w01009", [2.5])
    assert oxygen.multiple is None
    [acid] = found("w01001", [3.0])
    assert acid.multiple is None
    [too_little] = found("w21003", [2.5], **permit(">=", 3.0))
    assert too_little.multiple is None


def test_the_limit_of_the_day_judges_to_the_last_nanosecond() -> None:
    midnight = day_ns(date(2020, 1, 1))
    assert found("w21003", [1.5], start_ns=midnight - 1) == []
    [change] = found("w21003", [1.5], start_ns=midnight)
    assert change.limit is not None
    assert (change.limit.limit_id, change.limit.standard, change.limit.edition) == ("B1", "River 2020", "2020")


def test_an_hourly_limit_says_nothing_of_other_kinds() -> None:
    for kind in (Kind.REALTIME, Kind.MINUTE, Kind.DAY):
        assert found("w21003", [99.0], kind=kind, **permit("<=", 3.0)) == []


def test_an_exceedance_carries_what_a_person_needs() -> None:
    [change] = found("w21003", [0.5, 2.5], **permit("<=", 2000, unit="ug/L"))
    assert change.limit is not None
    said = change.limit
    assert (said.authority, said.standard, said.clause, said.mark, said.high) == ("permit", "P-1", "7", "C", 2.0)
    assert (change.parameter, change.unit, change.level, change.since_ns) == (
        "w21003",
        "mg/L",
        Level.YELLOW,
        TODAY_NS + HOUR_NS,
    )
    assert change.first == change.worst
    assert change.multiple == pytest.approx(0.25)


def watch_of(binding: Binding) -> Watch:
    [watch] = binding.of_series(SeriesKey("S", "w21003", Kind.HOUR))
    return watch


def test_asking_twice_gives_the_same_answer() -> None:
    binding = bound(small(), station())
    assert watch_of(binding) == watch_of(binding)
