"""The catalogue says what the law says: well-known figures, looked up the way the engine looks them up."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from alerts.notices import CodesAsNames, notice_text
from jianwei.catalogue_files import read_catalogue
from rules.explaining import worded
from rules.limits import Candidate, candidates, day_ns, in_force
from rules.readings import Family, Kind, Level, LimitInForce, Point, Transition
from rules.schema import Station

CATALOGUE = read_catalogue()
NOON_NS = 12 * 3600 * 10**9
FREE = math.inf
SIX = {
    "surface_water_section",
    "drinking_water_source",
    "city_air",
    "pharma_park_voc",
    "wastewater_outlet",
    "stack_gas",
}


def station(station_type: str, **told: Any) -> Station:
    entry = {"id": "S", "name": {"zh": "站", "en": "S"}, "station_type": station_type, **told}
    return Station.model_validate(entry)


def in_force_on(day: str, parameter: str, kind: Kind, station_type: str, **told: Any) -> LimitInForce | None:
    at = day_ns(date.fromisoformat(day)) + NOON_NS
    spans = in_force(candidates(CATALOGUE, station(station_type, **told), parameter, kind))
    return next((limit for limit in spans if limit.valid_from_ns <= at < limit.valid_until_ns), None)


RIVER = {"station_type": "surface_water_section"}
LAKE = {**RIVER, "water_body": "lake_reservoir"}
SOURCE = {"station_type": "drinking_water_source", "class": "II"}
AIR = {"station_type": "city_air"}
PARK = {"station_type": "pharma_park_voc"}
OUTLET: dict[str, Any] = {"station_type": "wastewater_outlet"}
STACK = {"station_type": "stack_gas"}
LOCAL_COAL = {"classes": {"DB33/2147": "other", "GB 13223": "coal_new"}}
FACTORY = {"conditions": ["built_from_1998", "other_industry"]}
HOUR, DAY, MAY = Kind.HOUR, Kind.DAY, "2026-05-01"

FIGURES = [
    # what                       parameter kind day    station                             low   high   unit     standard, clause, mark
    ("ammonia of class III", "w21003", HOUR, MAY, {**RIVER, "class": "III"}, -FREE, 1.0, "mg/L", "GB 3838-2002 表1 C"),
    ("ammonia of class II", "w21003", HOUR, MAY, {**RIVER, "class": "II"}, -FREE, 0.5, "mg/L", "GB 3838-2002 表1 C"),
    ("oxygen of class III", "w01009", HOUR, MAY, {**RIVER, "class": "III"}, 5.0, FREE, "mg/L", "GB 3838-2002 表1 C"),
    ("pH of any class", "w01001", HOUR, MAY, {**RIVER, "class": "V"}, 6.0, 9.0, "1", "GB 3838-2002 表1 C"),
    ("COD of class IV", "w01018", HOUR, MAY, {**RIVER, "class": "IV"}, -FREE, 30.0, "mg/L", "GB 3838-2002 表1 C"),
    ("permanganate of class III", "w01019", HOUR, MAY, {**RIVER, "class": "III"}, -FREE, 6.0, "mg/L", "GB 3838-2002 表1 C"),
    ("phosphorus in a river", "w21011", HOUR, MAY, {**RIVER, "class": "III"}, -FREE, 0.2, "mg/L", "GB 3838-2002 表1 C"),
    ("phosphorus in a lake", "w21011", HOUR, MAY, {**LAKE, "class": "III"}, -FREE, 0.05, "mg/L", "GB 3838-2002 表1 C"),
    ("nitrogen in a lake", "w21001", HOUR, MAY, {**LAKE, "class": "III"}, -FREE, 1.0, "mg/L", "GB 3838-2002 表1 C"),
    ("sulphate at a source", "w21038", HOUR, MAY, SOURCE, -FREE, 250.0, "mg/L", "GB 3838-2002 表2 C"),
    ("chloride at a source", "w21022", HOUR, MAY, SOURCE, -FREE, 250.0, "mg/L", "GB 3838-2002 表2 C"),
    ("nitrate at a source", "w21007", HOUR, MAY, SOURCE, -FREE, 10.0, "mg/L", "GB 3838-2002 表2 C"),
    ("iron at a source", "w20125", HOUR, MAY, SOURCE, -FREE, 0.3, "mg/L", "GB 3838-2002 表2 C"),
    ("manganese at a source", "w20124", HOUR, MAY, SOURCE, -FREE, 0.1, "mg/L", "GB 3838-2002 表2 C"),
    ("mercury, told in the unit of the readings", "w20111", HOUR, MAY, {**RIVER, "class": "III"}, -FREE, 0.1, "ug/L", "GB 3838-2002 表1 C"),
    ("a day of fine dust in 2025", "a34004", DAY, "2025-05-01", AIR, -FREE, 75.0, "ug/m3", "GB 3095-2012 表1/表2 C"),
    ("a day of fine dust in 2026", "a34004", DAY, MAY, AIR, -FREE, 60.0, "ug/m3", "GB 3095-2026 表1 C"),
    ("a day of fine dust in 2031", "a34004", DAY, "2031-05-01", AIR, -FREE, 50.0, "ug/m3", "GB 3095-2026 表1 C"),
    ("a day of coarse dust in 2026", "a34002", DAY, MAY, AIR, -FREE, 120.0, "ug/m3", "GB 3095-2026 表1 C"),
    ("an hour of ozone", "a05024", HOUR, MAY, AIR, -FREE, 200.0, "ug/m3", "GB 3095-2026 表1 C"),
    ("an hour of ozone in grade 1", "a05024", HOUR, MAY, {**AIR, "class": "1"}, -FREE, 160.0, "ug/m3", "GB 3095-2026 表1 C"),
    ("an hour of carbon monoxide", "a21005", HOUR, MAY, AIR, -FREE, 10.0, "mg/m3", "GB 3095-2026 表1 C"),
    ("an hour of sulphur dioxide in 2031", "a21026", HOUR, "2031-05-01", AIR, -FREE, 150.0, "ug/m3", "GB 3095-2026 表1 C"),
    ("hydrocarbons at a fence", "a24088", HOUR, MAY, PARK, -FREE, 4.0, "mg/m3", "GB 16297-1996 表2 C"),
    ("hydrogen sulphide at a fence", "a21028", HOUR, MAY, PARK, -FREE, 0.06, "mg/m3", "GB 14554-93 表1 C"),
    ("ammonia at a fence", "a21001", HOUR, MAY, PARK, -FREE, 1.5, "mg/m3", "GB 14554-93 表1 C"),
    ("a day of COD of class 1A", "w01018", DAY, MAY, {**OUTLET, "class": "1A"}, -FREE, 50.0, "mg/L", "GB 18918-2002 表1 C"),
    ("a day of COD of class 1B", "w01018", DAY, MAY, {**OUTLET, "class": "1B"}, -FREE, 60.0, "mg/L", "GB 18918-2002 表1 C"),
    ("a day of COD of a factory", "w01018", DAY, MAY, {**OUTLET, "classes": {"GB 8978": "1"}, **FACTORY}, -FREE, 100.0, "mg/L", "GB 8978-1996 表4 C"),
    ("NOx of a gas boiler", "a21002", HOUR, MAY, {**STACK, "class": "gas_special"}, -FREE, 150.0, "mg/m3", "GB 13271-2014 表3 特别排放限值 C"),
    ("dust of coal power in Zhejiang", "a34013", HOUR, MAY, {**STACK, **LOCAL_COAL}, -FREE, 10.0, "mg/m3", "DB33/2147-2018 大气污染物排放限值 C"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("parameter", "kind", "day", "told", "low", "high", "unit", "law"),
    [pytest.param(*row[1:], id=row[0]) for row in FIGURES],
)
def test_a_figure_of_the_law(
    parameter: str, kind: Kind, day: str, told: dict[str, Any], low: float, high: float, unit: str, law: str
) -> None:
    limit = in_force_on(day, parameter, kind, **told)
    assert limit is not None
    assert (limit.low, limit.high, limit.unit) == (low, high, unit)
    assert f"{limit.standard} {limit.clause} {limit.mark}" == law


@pytest.mark.parametrize(
    ("told", "parameter", "kind"),
    [
        pytest.param({**RIVER, "class": "III"}, "w21001", HOUR, id="total nitrogen in a river"),
        pytest.param(RIVER, "w21003", HOUR, id="a section without a target class"),
        pytest.param(AIR, "a34004", HOUR, id="an hour of fine dust"),
        pytest.param({**OUTLET, "class": "1A"}, "w01018", HOUR, id="an hour against a daily limit"),
        pytest.param({**OUTLET, "class": "1A"}, "w21003", DAY, id="ammonia of a plant that has not said how warm"),
        pytest.param({**OUTLET, "class": "1A"}, "w21011", DAY, id="phosphorus of a plant that has not said how old"),
        pytest.param({**STACK, "class": "gas_special", "conditions": []}, "a21002", HOUR, id="NOx as measured"),
        pytest.param(STACK, "a21002", HOUR, id="a stack of nobody knows what"),
    ],
)
def test_where_the_law_says_nothing_there_is_no_limit(told: dict[str, Any], parameter: str, kind: Kind) -> None:
    assert in_force_on(MAY, parameter, kind, **told) is None


@pytest.mark.parametrize(
    ("parameter", "kind", "changes"),
    [
        ("a34004", DAY, [("2026-02-28", 75.0), ("2026-03-01", 60.0), ("2030-12-31", 60.0), ("2031-01-01", 50.0)]),
        ("a34002", DAY, [("2026-02-28", 150.0), ("2026-03-01", 120.0), ("2030-12-31", 120.0), ("2031-01-01", 100.0)]),
        ("a21026", HOUR, [("2026-02-28", 500.0), ("2026-03-01", 500.0), ("2030-12-31", 500.0), ("2031-01-01", 150.0)]),
        ("a21004", DAY, [("2026-02-28", 80.0), ("2026-03-01", 80.0), ("2030-12-31", 80.0), ("2031-01-01", 50.0)]),
    ],
)
def test_the_air_standard_changes_on_its_days(parameter: str, kind: Kind, changes: list[tuple[str, float]]) -> None:
    found = [(day, in_force_on(day, parameter, kind, **AIR)) for day, _ in changes]
    assert [(day, limit.high) for day, limit in found if limit] == changes
    assert [limit.standard for _, limit in found if limit] == ["GB 3095-2012"] + ["GB 3095-2026"] * 3


@pytest.mark.parametrize(("day", "high"), [("2019-12-31", 20.0), ("2020-01-01", 10.0)])
def test_older_coal_units_had_until_2020_before_the_local_standard_held(day: str, high: float) -> None:
    coal: dict[str, Any] = {**STACK, "classes": {"DB33/2147": "other", "GB 13223": "coal_special"}}
    limit = in_force_on(day, "a34013", HOUR, **coal)
    assert limit is not None
    assert (limit.high, limit.authority) == (high, "sector" if day < "2020" else "local")


def test_the_amendment_of_2026_is_known_from_its_first_day_and_judges_nothing_without_numbers() -> None:
    plant = station("wastewater_outlet", **{"class": "1A"})
    for parameter in ("w01018", "w21003", "w21001", "w21011"):
        [known] = [
            c for c in candidates(CATALOGUE, plant, parameter, HOUR) if c.limit.standard.startswith("GB 18918-2002 修改单")
        ]  # fmt: skip
        assert known.excluded == "it has no value yet"
        assert known.limit.valid_from_ns == day_ns(date(2026, 3, 1))


def test_ammonia_of_a_plant_depends_on_how_warm_the_water_is() -> None:
    """6.2 mg/L is over the limit of warm water and within that of cold."""
    highs = {
        said: limit.high
        for said in ("water_above_12c", "water_up_to_12c")
        if (limit := in_force_on(MAY, "w21003", DAY, **{**OUTLET, "class": "1A", "conditions": [said]}))
    }
    assert highs == {"water_above_12c": 5.0, "water_up_to_12c": 8.0}


def test_a_section_is_as_good_as_its_worst_quantity_and_nitrogen_does_not_count_in_a_river() -> None:
    measured = {
        "w01001": 7.4,
        "w01009": 6.5,
        "w01019": 5.2,
        "w01018": 18,
        "w21003": 0.62,
        "w21011": 0.15,
        "w21001": 2.1,
    }
    best: dict[str, str] = {}
    for parameter, value in measured.items():
        for class_ in ("V", "IV", "III", "II", "I"):
            limit = in_force_on(MAY, parameter, HOUR, **{**RIVER, "class": class_})
            if limit and limit.low <= value <= limit.high:
                best[parameter] = class_
    assert best == {
        "w01001": "I", "w01009": "II", "w01019": "III", "w01018": "III", "w21003": "III", "w21011": "III",
    }  # fmt: skip


def test_a_gas_boiler_that_passes_as_measured_fails_when_converted() -> None:
    """148 mg/m3 at 5 % oxygen are 161.88 mg/m3 at the 3.5 % that the standard refers to."""
    [reference] = {
        limit.reference_oxygen
        for limit in CATALOGUE.standards["GB 13271-2014"].limits
        if (limit.class_, limit.parameter) == ("gas_special", "a21002")
    }
    limit = in_force_on(MAY, "a21002", HOUR, **{**STACK, "class": "gas_special"})
    assert reference == 3.5
    assert limit is not None
    assert 148 <= limit.high < round(148 * (21 - reference) / (21 - 5.0), 2) == 161.88


def test_how_much_there_is() -> None:
    assert len(CATALOGUE.parameters) == 310
    assert (len(CATALOGUE.devices), len(CATALOGUE.processes)) == (42, 145)
    assert sum(len(standard.limits) for standard in CATALOGUE.standards.values()) == 797
    assert Counter(standard.authority for standard in CATALOGUE.standards.values()) == {
        "general": 7, "sector": 6, "local": 4,
    }  # fmt: skip
    assert CATALOGUE.station_types.keys() == SIX


def test_every_station_type_is_watched_in_every_way() -> None:
    for name in SIX:
        rules = [rule for rule in CATALOGUE.rules.values() if name in rule.station_types]
        assert {rule.check for rule in rules} == {
            "gross_range", "spike", "rate_of_change", "flat_line", "exceedance", "silence", "impossible_time", "equipment_flag",
        }, name  # fmt: skip


def test_whatever_a_type_expects_has_a_plausible_range() -> None:
    for name, station_type in CATALOGUE.station_types.items():
        rules = [r for r in CATALOGUE.rules.values() if name in r.station_types and r.check == "gross_range"]
        known = {parameter for rule in rules for parameter in rule.parameters or ()}
        expected = {parameter for feed in station_type.feeds.values() for parameter in feed.parameters}
        assert expected <= known, name


def test_a_multiple_is_defined_but_for_acid_oxygen_and_warmth() -> None:
    without = {row.en for row in CATALOGUE.parameters.values() if not row.multiple}
    assert without == {"pH", "Dissolved oxygen", "Water temperature"}


def everything_that_may_judge() -> Iterator[tuple[Kind, Candidate]]:
    """Every limit that may judge a station of some type, class and family, which claims all conditions there are."""
    for name, station_type in CATALOGUE.station_types.items():
        parameters = [code for code, medium in CATALOGUE.limits if medium == station_type.medium]
        for applied in station_type.standards:
            for class_ in sorted(CATALOGUE.classes()[applied.family]):
                it = station(name, classes={applied.family: class_}, conditions=list(CATALOGUE.conditions))
                for parameter in parameters:
                    for kind in Kind:
                        found = candidates(CATALOGUE, it, parameter, kind)
                        yield from ((kind, candidate) for candidate in found if not candidate.excluded)


JUDGING = list(everything_that_may_judge())


def test_what_was_recalled_or_chosen_is_never_worded_as_law() -> None:
    """Every limit that may judge, in `explain` and in a notice of an exceedance."""
    limits = {candidate.limit.limit_id: candidate.limit for _, candidate in JUDGING}
    assert {limit.mark for limit in limits.values()} == {"C", "R"}
    for limit in limits.values():
        law = limit.mark == "C"
        assert worded(limit).startswith("legal limit") is law
        notice = notice_text(exceedance_of(limit), CodesAsNames())
        assert ("标准限值" in notice.zh) is law, limit
        assert (limit.standard in notice.zh) is law, limit
        assert ("the limit of" in notice.en) is law, limit


def exceedance_of(limit: LimitInForce) -> Transition:
    known = replace(limit, low=min(limit.low, 1e6), high=min(limit.high, 1e6))
    worst = Point(0, 2e6, 0)
    return Transition(
        id="", episode="", what="opened", rule="r", edition=1, check="exceedance", family=Family.EXCEEDANCE, station="S",
        parameter="p", kind=HOUR, level=Level.YELLOW, at_ns=0, since_ns=0, found_ns=0, first=worst, worst=worst,
        last=worst, limit=known, multiple=1.0, unit=limit.unit,
    )  # fmt: skip


def test_a_limit_judges_values_of_its_own_period() -> None:
    """Whatever the station. Means over eight hours, a quarter or a year judge nothing yet."""
    judged: dict[str, set[Kind]] = {}
    for kind, candidate in JUDGING:
        judged.setdefault(candidate.period, set()).add(kind)
    momentary = {Kind.REALTIME, Kind.MINUTE, Kind.HOUR}
    assert judged == {"1h": {Kind.HOUR}, "24h": {Kind.DAY}, "instant": momentary, "one_off": momentary}
