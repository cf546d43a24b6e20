"""A map of a table says all that is wrong with it, and what it does not know it does not guess."""

from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.table_maps import Column, TableMap, TableMapProblems, TimeColumn, guessed_map, read_map

WHOLE = """
time: {column: datetime, zone: "-07:00", format: "%m/%d/%Y %H:%M"}
station: MAIN-STREET
kind: realtime
missing: ["NULL", -9999]
delimiter: ";"
encoding: gb18030
skip_lines: 3
comment: "#"
columns:
  - {name: 温度, parameter: w01010, unit: "°C", flag: 状态}
  - {name: ph, parameter: w01001}
"""
SMALL: dict[str, Any] = {"time": {"column": "t"}, "kind": "hour", "columns": [{"name": "ph", "parameter": "w01001"}]}
TWICE = [{"name": "ph", "parameter": "w01001"}, {"name": "pH", "parameter": "w01001"}]


def said(**changed: Any) -> str:
    return yaml.safe_dump({**SMALL, **changed}, allow_unicode=True)


def problems(text: str) -> list[tuple[str, str]]:
    with pytest.raises(TableMapProblems) as told:
        read_map(text, "map.yaml")
    assert {problem.file for problem in told.value.problems} == {"map.yaml"}
    assert str(told.value).splitlines()[0].startswith("map.yaml: $")
    return [(problem.path, problem.what) for problem in told.value.problems]


def test_everything_that_a_map_may_say_is_read() -> None:
    assert read_map(WHOLE, "map.yaml") == TableMap(
        time=TimeColumn(column="datetime", zone="-07:00", format="%m/%d/%Y %H:%M"),
        station="MAIN-STREET",
        kind="realtime",
        missing=["NULL", -9999],
        delimiter=";",
        encoding="gb18030",
        skip_lines=3,
        comment="#",
        columns=[
            Column(name="温度", parameter="w01010", unit="°C", flag="状态"),
            Column(name="ph", parameter="w01001"),
        ],
    )


def test_what_need_not_be_said_has_its_meaning() -> None:
    small = read_map(said(), "map.yaml")
    assert (small.time.zone, small.time.format, small.station, small.station_column) == (None,) * 4
    assert (small.missing, small.delimiter, small.encoding, small.skip_lines, small.comment) == (
        [""],
        ",",
        "utf-8",
        0,
        None,
    )


def test_all_problems_are_told_at_once() -> None:
    text = """
time: {column: NULL, zone: Mars, format: "%H:%M"}
kind: week
station: a b
missing: [NULL, no]
delimiter: ab
encoding: klingon
skip_lines: -1
comment: ""
colour: red
columns:
  - {name: "", parameter: 温度}
  - {name: ph, parameter: w01001, unit: ""}
"""
    assert [path for path, _ in problems(text)] == [
        "$.colour",
        "$.columns[0].name",
        "$.columns[0].parameter",
        "$.columns[1].unit",
        "$.comment",
        "$.delimiter",
        "$.encoding",
        "$.kind",
        "$.missing[0]",
        "$.missing[1]",
        "$.skip_lines",
        "$.station",
        "$.time.column",
        "$.time.format",
        "$.time.zone",
    ]


@pytest.mark.parametrize(
    ("changed", "path", "what"),
    [
        ({"station": "A", "station_column": "s"}, "$", "either station or station_column: not both"),
        ({"columns": TWICE}, "$", "more than one column holds w01001"),
        (
            {"station": "A", "station_column": "s", "columns": TWICE},
            "$",
            "either station or station_column: not both; more than one column holds w01001",
        ),
        ({"columns": []}, "$.columns", "at least 1 item"),
        ({"missing": [float("nan")]}, "$.missing[0]", "finite number"),
        ({"missing": [True]}, "$.missing[0]", "put it in quotes"),
        ({"skip_lines": "3"}, "$.skip_lines", "valid integer"),
        ({"delimiter": "\n"}, "$.delimiter", "pattern"),
        ({"delimiter": '"'}, "$.delimiter", "pattern"),
        ({"encoding": "rot13"}, "$.encoding", "'rot13' is no encoding of text"),
        ({"encoding": "base64"}, "$.encoding", "'base64' is no encoding of text"),
        ({"time": {"column": "t", "zone": "Asia"}}, "$.time.zone", "'Asia' is no zone"),
        ({"time": {"column": "t", "zone": "+25:00"}}, "$.time.zone", "is no offset from UTC"),
        ({"time": {"column": "t", "format": "%Q"}}, "$.time.format", "not a form of strptime"),
        ({"time": {"column": "t", "format": "%"}}, "$.time.format", "not a form of strptime"),
        ({"time": {"column": "t", "format": "%d.%m. %H:%M"}}, "$.time.format", "does not say year, month and day"),
        ({"time": {"column": "t", "format": "%Y %H:%M"}}, "$.time.format", "does not say year, month and day"),
        ({"time": {"column": "t", "format": "%Y-%m-%d %Z"}}, "$.time.format", "means something else on every machine"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*year.*:DeprecationWarning")  # of forms without one, from Python 3.13 on
def test_what_a_map_must_not_say(changed: dict[str, Any], path: str, what: str) -> None:
    assert any(where == path and what in why for where, why in problems(said(**changed)))


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "7", "time: {", "a: 1\na: 2", "!!python/none x", "time: -10:00", "\x00"]
)
def test_what_is_no_map_at_all_is_told_as_a_whole(text: str) -> None:
    assert problems(text)[0][0] == "$"


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d %H:%M:%S%z", "%d/%m/%y", "%d %b %Y %I:%M %p", "%Y%j", "%G-W%V-%u", "%m/%d/%Y %f"]
)
def test_every_form_that_says_a_day_is_taken(form: str) -> None:
    assert read_map(said(time={"column": "t", "format": form}), "map.yaml").time.format == form


@settings(deadline=None, max_examples=200)
@given(
    st.text(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*TableMap.model_fields]), inner, max_size=4)
        ),
    ).map(yaml.safe_dump)
)
def test_any_text_is_a_map_or_told_why_not(text: str) -> None:
    with suppress(TableMapProblems):
        assert isinstance(read_map(text, "map.yaml"), TableMap)


# A map made from a header.


def test_a_header_of_codes_is_its_own_map() -> None:
    header = ["station_id", "DateTime", "w01001", "w01018", "w01018_flag", "remark", "x.level"]
    assert guessed_map(header) == TableMap(
        time=TimeColumn(column="DateTime"),
        station_column="station_id",
        kind="realtime",
        columns=[
            Column(name="w01001", parameter="w01001"),
            Column(name="w01018", parameter="w01018", flag="w01018_flag"),
            Column(name="x.level", parameter="x.level"),
        ],
    )


def test_the_catalogue_decides_what_a_code_is() -> None:
    header = ["time", "w01001", "w99999", "Level"]
    assert [column.name for column in guessed_map(header, {"w01001", "Level"}).columns] == ["w01001", "Level"]
    assert guessed_map(header, {"Level"}).station_column is None


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ([], ["no column is named by a parameter code", "no column is named time or datetime or timestamp"]),
        (["w01001"], ["no column is named time or datetime or timestamp"]),
        (["time", "ph"], ["no column is named by a parameter code"]),
        (["time", "W01001", "w0100", "x.", "x." + "a" * 39], ["no column is named by a parameter code"]),
        (
            ["time", *(f"w{number:05}" for number in range(1_001))],
            ["more than 1000 columns are named by parameter codes"],
        ),
    ],
)
def test_a_header_that_says_too_little_asks_for_a_map(header: list[str], what: list[str]) -> None:
    with pytest.raises(TableMapProblems) as told:
        guessed_map(header)
    assert [problem.what.removesuffix(": write a map") for problem in told.value.problems] == what


names = st.sampled_from(["time", "Timestamp", "station", "w01001", "w01001_flag", "x.a", " w01018 "]) | st.text(
    max_size=50
)


@settings(deadline=None)
@given(st.lists(names, max_size=8), st.none() | st.sets(st.sampled_from(["w01001", "w01018", "x.a"])))
def test_any_header_is_a_map_or_asks_for_one(header: list[str], codes: set[str] | None) -> None:
    with suppress(TableMapProblems):
        assert {column.parameter for column in guessed_map(header, codes).columns} <= {name.strip() for name in header}
