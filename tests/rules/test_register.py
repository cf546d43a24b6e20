"""The register of stations is read as strictly as the catalogue, and held against it: every problem, with its place."""

from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jianwei.catalogue_files import read_catalogue
from rules.index import CatalogueProblems
from rules.register import load_stations
from tests.rules.small_catalogue import register_problems, small

REGISTER = """\
stations:
  - id: B-01
    name: {zh: 上游, en: Upstream}
    station_type: brook
    class: "I"
    position: {lon: 121.4, lat: 28.6}
    feeds: {hour: 3600}
  - id: B-02
    name: {zh: 下游, en: Downstream}
    station_type: brook
    classes: {River: "II", Town: park}
    conditions: [warm]
    water_body: lake_reservoir
    permit:
      - {parameter: "w21003", period: "1h", op: "<=", value: 2, unit: "ug/L", permit: P-7, clause: "2", valid_to: 2030-12-31}
"""
SMALL = small()
REAL = read_catalogue()


def test_a_register_that_is_right_is_read_as_it_is_written() -> None:
    stations = load_stations({"stations.yaml": REGISTER}, SMALL)
    assert list(stations) == ["B-01", "B-02"]
    assert stations["B-01"].class_ == "I"
    assert stations["B-01"].feeds == {"hour": 3600}
    assert stations["B-02"].classes == {"River": "II", "Town": "park"}
    assert stations["B-02"].permit[0].value == 2.0


def test_a_register_may_lie_in_several_files_and_be_empty() -> None:
    first, second = REGISTER.split("  - id: B-02")
    texts = {"east.yaml": "stations:\n  - id: B-02" + second, "west.yaml": first, "north.yaml": "stations: []"}
    assert load_stations(texts, SMALL).keys() == {"B-01", "B-02"}
    assert load_stations({}, SMALL) == {}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('class: "I"', 'klass: "I"', "$.stations[0].klass: Extra inputs are not permitted"),
        ('class: "I"', "class: 1", "$.stations[0].class: Input should be a valid string"),
        ('class: "I"', 'class: "IX"', "$.stations[0].class: no standard of brook has a class IX"),
        ("id: B-01", "id: B 01", "$.stations[0].id: String should match pattern"),
        ("id: B-01", "id: 01", "$: line 2, column 9: 01 is no decimal number; a text goes in quotes"),
        ("id: B-02", "id: B-01", "$.stations[1].id: station B-01 is registered twice"),
        ("name: {zh: 上游, en: Upstream}", "name: 上游", "$.stations[0].name: Input should be a valid dictionary"),
        ("station_type: brook\n    class:", "station_type: creek\n    class:", "$.stations[0].station_type: there is no st"),
        ("lon: 121.4", "lon: 221.4", "$.stations[0].position.lon: Input should be less than or equal to 180"),
        ("lon: 121.4", "lon: .nan", "$.stations[0].position.lon: Input should be"),
        ("lon: 121.4", 'lon: "121.4"', "$.stations[0].position.lon: Input should be a valid number"),
        ("{hour: 3600}", "{hour: 0}", "$.stations[0].feeds.hour: Input should be greater than or equal to 1"),
        ("{hour: 3600}", "{hourly: 3600}", "$.stations[0].feeds.hourly"),
        ("{hour: 3600}", "{hour: 1:00:00}", "1:00:00 is no decimal number"),
        ('River: "II"', 'River: "IX"', "$.stations[1].classes.River: River has no class IX"),
        ('River: "II"', 'Rhine: "II"', "$.stations[1].classes.Rhine: Rhine is no family of standards"),
        ("[warm]", "[wet]", "$.stations[1].conditions: condition wet is not in conditions.yaml"),
        ("water_body: lake_reservoir", "water_body: sea", "$.stations[1].water_body: Input should be 'river' or 'lake_r"),
        ('"w21003", period', '"w99999", period', "$.stations[1].permit[0].parameter: parameter w99999 is not in parame"),
        ('period: "1h"', 'period: "2h"', "$.stations[1].permit[0].period: period 2h is not in periods.yaml"),
        ('unit: "ug/L"', 'unit: "ug/l"', "$.stations[1].permit[0].unit: unit ug/l is not in units.yaml"),
        ('unit: "ug/L"', 'unit: "degC"', "$.stations[1].permit[0].unit: cannot be told in the unit of the parameter"),
        ("value: 2,", "value: null,", "$.stations[1].permit[0]: Value error, a permit limit has a value"),
        ("value: 2,", "value: [2, 3],", "$.stations[1].permit[0]: Value error, <= takes one value"),
        (", permit: P-7", "", "$.stations[1].permit[0].permit: Field required"),
        ("valid_to: 2030-12-31", "valid_to: 2030-02-30", "day is out of range for month"),
        ("valid_to: 2030-12-31", 'valid_to: "2030-12-31"', "$.stations[1].permit[0].valid_to: Input should be a valid d"),
        ("stations:\n", "station:\n", "$.stations: Field required"),
        ("conditions: [warm]", "conditions: [warm]\n    conditions: []", "key 'conditions' appears twice"),
    ],
)  # fmt: skip
def test_a_planted_defect_is_told_with_its_place(old: str, new: str, told: str) -> None:
    assert REGISTER.count(old) == 1
    found = register_problems(REGISTER.replace(old, new), SMALL)
    assert any(told in problem for problem in found), found
    assert all(problem.startswith("stations.yaml: $") for problem in found)


def test_all_problems_of_all_files_are_told_at_once() -> None:
    texts = {
        "b.yaml": REGISTER.replace("[warm]", "[wet]").replace('"I"', '"IX"'),
        "a.yaml": "stations: [",
        "c.yaml": REGISTER,
    }
    with pytest.raises(CatalogueProblems) as refused:
        load_stations(texts, SMALL)
    assert [(problem.file, problem.path) for problem in refused.value.problems] == [
        ("a.yaml", "$"),
        ("b.yaml", "$.stations[0].class"),
        ("b.yaml", "$.stations[1].conditions"),
        ("c.yaml", "$.stations[0].id"),
        ("c.yaml", "$.stations[1].id"),
    ]


def test_a_permit_that_ends_before_it_begins_is_told() -> None:
    text = REGISTER.replace("valid_to: 2030-12-31", "valid_from: 2031-01-01, valid_to: 2030-12-31")
    assert register_problems(text, SMALL) == ["stations.yaml: $.stations[1].permit[0].valid_to: ends before it begins"]


def test_more_limits_in_a_row_than_the_engine_keeps_are_told() -> None:
    row = '      - {parameter: "w21003", period: "1h", op: "<=", value: 2, unit: "mg/L", permit: P, clause: "2", valid_from: 20YY-01-01, valid_to: 20YY-12-31}\n'
    years = "".join(row.replace("YY", str(year)) for year in (21, 23, 25))
    [told] = register_problems(REGISTER.replace("2030-12-31", "2019-12-31") + years, SMALL)
    assert told.startswith("stations.yaml: $.stations[1]: w21003 hour: more than 4 limits follow each other: ")


def test_a_feed_that_speaks_every_second_is_no_problem() -> None:
    text = "stations: [{id: S, name: {zh: 站, en: S}, station_type: stack_gas, feeds: {realtime: 1}}]"
    assert register_problems(text, REAL) == []


def one(station_type: str, more: str) -> list[str]:
    return register_problems(
        f"stations: [{{id: S, name: {{zh: 站, en: S}}, station_type: {station_type}, {more}}}]", REAL
    )


@pytest.mark.parametrize(
    ("station_type", "class_", "meant"),
    [
        ("wastewater_outlet", '"3"', "GB 18918 and of GB 8978"),
        ("stack_gas", "coal_special", "GB 13223 and of GB 13271"),
    ],
)
def test_a_class_that_two_standards_have_must_be_told_with_its_standard(
    station_type: str, class_: str, meant: str
) -> None:
    """A factory of class 3 of one standard is no sewage works of class 3 of the other."""
    first, second = meant.split(" and of ")
    [told] = one(station_type, f"class: {class_}")
    assert told.endswith(f"is a class of {meant}: name the standard in classes")
    assert one(station_type, f"classes: {{{first}: {class_}}}") == []
    assert one(station_type, f"classes: {{{first}: {class_}, {second}: {class_}}}") == []


def test_a_class_of_standards_that_a_type_obeys_anyway_may_stand_alone() -> None:
    assert one("pharma_park_voc", "class: general") == []


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_register_is_read_or_refused(data: st.DataObject) -> None:
    lines = REGISTER.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    match data.draw(st.sampled_from(["drop", "double", "cut", "change", "shift"])):
        case "drop":
            del lines[at]
        case "double":
            lines.insert(at, lines[at])
        case "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
        case "shift":
            lines[at] = "  " + lines[at]
        case _:
            where = data.draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:where] + data.draw(st.text(max_size=4)) + lines[at][where + 1 :]
    texts: Mapping[str, str] = {"stations.yaml": "\n".join(lines)}
    with suppress(CatalogueProblems):
        load_stations(texts, SMALL)
