"""Rows of CSV files by a map: what a cell should not hold is told with line and column, and costs only itself."""

import gzip
from math import isnan, nan
from pathlib import Path
from typing import Any

import pytest

from ingest.instants import instant_ns
from ingest.table_files import CellProblem, Convert, Row, read_header, read_rows
from ingest.table_maps import TableMap, guessed_map

MIDNIGHT_NS = instant_ns("2020-01-31T00:00:00-07:00")
HOUR_NS = 3_600 * 10**9
MAP: dict[str, Any] = {
    "time": {"column": "datetime", "zone": "-07:00"},
    "station": "S-01",
    "kind": "hour",
    "columns": [{"name": "temp", "parameter": "w01010"}, {"name": "ph", "parameter": "w01001"}],
}
HEADER = "datetime,temp,ph\n"


def a_map(**changed: Any) -> TableMap:
    return TableMap.model_validate({**MAP, **changed})


def with_flags(**changed: Any) -> TableMap:
    return a_map(columns=[{"name": "ph", "parameter": "w01001", "flag": "state"}], **changed)


def rows_of(
    folder: Path,
    text: str | bytes,
    table_map: TableMap | None = None,
    convert: Convert | None = None,
    name: str = "t.csv",
) -> list[Row | CellProblem]:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_rows(path, table_map or a_map(), convert))


def row(line: int, hour: int, flags: dict[str, str] | None = None, /, station: str = "S-01", **values: float) -> Row:
    return Row(line, station, MIDNIGHT_NS + hour * HOUR_NS, values, flags or {})


def test_rows_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = HEADER + "2020-01-31 01:00,16.5,7.42\n2020-01-31 00:00,16.4,7\n"
    assert rows_of(tmp_path, text) == [row(2, 1, w01010=16.5, w01001=7.42), row(3, 0, w01010=16.4, w01001=7.0)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_line_ends_and_packing_do_not_matter(tmp_path: Path, end: str, name: str) -> None:
    text = (HEADER + '2020-01-31 00:00,"16.5", 7.42 \n\n2020-01-31 01:00,17,7').replace("\n", end).encode()
    content = gzip.compress(text) if name.endswith("gz") else text
    expected = [row(2, 0, w01010=16.5, w01001=7.42), row(4, 1, w01010=17.0, w01001=7.0)]
    assert rows_of(tmp_path, content, name=name) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "U8", "utf_8_sig", "utf-16", "gb18030", "big5"])
def test_a_file_is_read_in_the_encoding_of_the_map(tmp_path: Path, encoding: str) -> None:
    columns = [{"name": "水溫", "parameter": "w01010"}]
    text = "datetime,水溫\n2020-01-31 00:00,16.5\n".encode(encoding)
    assert rows_of(tmp_path, text, a_map(encoding=encoding, columns=columns)) == [row(2, 0, w01010=16.5)]


@pytest.mark.parametrize("encoding", ["utf-8", "U8"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path, encoding: str) -> None:
    text = ("\ufeff" + HEADER + "2020-01-31 00:00,16.5,7.42\n").encode()
    assert rows_of(tmp_path, text, a_map(encoding=encoding)) == [row(2, 0, w01010=16.5, w01001=7.42)]


def test_lines_that_are_passed_over_are_counted_all_the_same(tmp_path: Path) -> None:
    text = "Logan River\nraw, of 2020\n#\n" + HEADER + "# gauge cleaned\n2020-01-31 00:00,16.5,x\n"
    assert rows_of(tmp_path, text, a_map(skip_lines=2, comment="#")) == [
        CellProblem(6, "ph", "bad value: 'x' is no number, and no mark of a missing one"),
        row(6, 0, w01010=16.5),
    ]


def test_columns_that_the_map_does_not_name_and_their_order_do_not_matter(tmp_path: Path) -> None:
    text = "remark;ph;datetime;temp\nÖl;7,5;2020-01-31 00:00;16.5\n"
    assert rows_of(tmp_path, text, a_map(delimiter=";")) == [
        CellProblem(2, "ph", "bad value: '7,5' is no number, and no mark of a missing one"),
        row(2, 0, w01010=16.5),
    ]


@pytest.mark.parametrize(
    ("cell", "is_missing"),
    [
        ("", False),  # not among the marks here
        ("NULL", True),
        (" NULL ", True),
        ("null", False),
        ("-9999", True),
        ("-9999.00", True),
        ("-9.999e3", True),
        ("-9998", False),
        ("99.9", True),
        ("99.90", True),
        ("n/a", True),
    ],
)
def test_marks_of_missing_values(tmp_path: Path, cell: str, *, is_missing: bool) -> None:
    """A mark that is a number stands for it however it is written, a text only for itself."""
    found = rows_of(tmp_path, HEADER + f"2020-01-31 00:00,16.5,{cell}\n", a_map(missing=["NULL", -9999, "99.9", "n/a"]))
    last = found[-1]
    assert isinstance(last, Row)
    assert ("w01001" in last.values and isnan(last.values["w01001"])) == is_missing
    assert last.values["w01010"] == 16.5


@pytest.mark.parametrize(
    "cell",
    ["abc", "1_000", "٧", "7.5.1", "nan", "NaN", "inf", "-Infinity", "1e999", "0x10", '"7,5"', "true", "NULL"],
)
def test_what_is_no_number_costs_only_itself(tmp_path: Path, cell: str) -> None:
    shown = cell.strip('"')
    assert rows_of(tmp_path, HEADER + f"2020-01-31 00:00,16.5,{cell}\n") == [
        CellProblem(2, "ph", f"bad value: {shown!r} is no number, and no mark of a missing one"),
        row(2, 0, w01010=16.5),
    ]


def test_a_row_of_bad_cells_only_is_no_row(tmp_path: Path) -> None:
    found = rows_of(tmp_path, HEADER + "2020-01-31 00:00,a,b\n2020-01-31 01:00,1,2\n")
    assert [type(one) for one in found] == [CellProblem, CellProblem, Row]


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("2020-01-31 00:00,16.5", "", "2 cells, and the header has 3"),
        ("2020-01-31 00:00,16.5,7.5,1", "", "4 cells, and the header has 3"),
        ("31.01.2020,16.5,7.5", "datetime", "bad time: '31.01.2020' is not in the form"),
        (",16.5,7.5", "datetime", "bad time: '' is not in the form"),
        ("2020-02-30,16.5,7.5", "datetime", "day is out of range for month"),
    ],
)
def test_a_bad_line_costs_only_itself(tmp_path: Path, line: str, column: str, reason: str) -> None:
    problem, good = rows_of(tmp_path, f"{HEADER}{line}\n2020-01-31 01:00,17,7\n")
    assert isinstance(problem, CellProblem)
    assert (problem.line, problem.column) == (2, column)
    assert reason in problem.reason
    assert good == row(3, 1, w01010=17.0, w01001=7.0)


def test_stations_may_stand_in_a_column(tmp_path: Path) -> None:
    text = "datetime,who,temp,ph\n2020-01-31, A-1 ,1,2\n2020-01-31,椒江,1,2\n2020-01-31,,1,2\n"
    assert rows_of(tmp_path, text, a_map(station=None, station_column="who")) == [
        row(2, 0, w01010=1.0, w01001=2.0, station="A-1"),
        CellProblem(3, "who", "bad station: '椒江'"),
        CellProblem(4, "who", "bad station: ''"),
    ]


def test_without_a_station_in_the_map_rows_name_none(tmp_path: Path) -> None:
    assert rows_of(tmp_path, HEADER + "2020-01-31,1,2\n", a_map(station=None)) == [
        row(2, 0, w01010=1.0, w01001=2.0, station="")
    ]


def test_flags_are_letters_and_no_letter_is_normal(tmp_path: Path) -> None:
    text = "datetime,ph,state\n" + "".join(
        f"2020-01-31 0{n}:00,7.{n},{s}\n" for n, s in enumerate(["N", "", "M", " C ", "-"])
    )
    assert rows_of(tmp_path, text, with_flags(missing=["", "-"])) == [
        row(2, 0, w01001=7.0),
        row(3, 1, w01001=7.1),
        row(4, 2, {"w01001": "M"}, w01001=7.2),
        row(5, 3, {"w01001": "C"}, w01001=7.3),
        row(6, 4, w01001=7.4),
    ]


@pytest.mark.parametrize("letter", ["X", "m", "MC", "0"])
def test_a_value_whose_flag_is_bad_is_not_taken_for_normal(tmp_path: Path, letter: str) -> None:
    assert rows_of(tmp_path, f"datetime,ph,state\n2020-01-31,7,{letter}\n", with_flags()) == [
        CellProblem(2, "state", f"bad flag: {letter!r}, say one of N F M S D C T B")
    ]


def test_a_missing_value_keeps_its_flag(tmp_path: Path) -> None:
    [read] = rows_of(tmp_path, "datetime,ph,state\n2020-01-31,,D\n", with_flags())
    assert isinstance(read, Row)
    assert isnan(read.values["w01001"])
    assert read.flags == {"w01001": "D"}


def celsius(parameter: str, unit: str, value: float) -> float:
    if unit != "°F":
        raise ValueError(f"{unit} is no temperature")
    return (value - 32) / 1.8 if value < 1e6 else value**100


def in_unit(unit: str) -> TableMap:
    return a_map(missing=[-99], columns=[{"name": "temp", "parameter": "w01010", "unit": unit}])


def test_values_are_turned_into_the_catalogues_unit(tmp_path: Path) -> None:
    """A mark of a missing value is one in the unit of the file."""
    text = "datetime,temp\n2020-01-31,50\n2020-01-31,-99\n2020-01-31,1e30\n"
    first, second, third = rows_of(tmp_path, text, in_unit("°F"), celsius)
    assert first == row(2, 0, w01010=10.0)
    assert isinstance(second, Row)
    assert isnan(second.values["w01010"])
    assert isinstance(third, CellProblem)
    assert third.reason.startswith("bad value: ")
    assert rows_of(tmp_path, text, in_unit("°F"))[0] == row(2, 0, w01010=50.0)  # nobody turns it


def test_a_map_that_is_not_of_this_file_gives_problems_and_no_row(tmp_path: Path) -> None:
    text = "time,temp,temp\n2020-01-31,1,2\n"
    columns = [{"name": "temp", "parameter": "w01010", "unit": "m"}, {"name": "ph", "parameter": "w01001", "flag": "q"}]
    columns.append({"name": "time", "parameter": "w01018", "unit": "m"})
    found = rows_of(tmp_path, text, a_map(columns=columns, station=None, station_column="who"), celsius)
    names = "the map names this column, and it stands in the header"
    assert found == [
        CellProblem(1, "datetime", f"{names} not among time, temp, temp"),
        CellProblem(1, "who", f"{names} not among time, temp, temp"),
        CellProblem(1, "temp", f"{names} more than once"),
        CellProblem(1, "ph", f"{names} not among time, temp, temp"),
        CellProblem(1, "q", f"{names} not among time, temp, temp"),
        CellProblem(1, "temp", "its unit cannot be turned into that of w01010: m is no temperature"),
        CellProblem(1, "time", "its unit cannot be turned into that of w01018: m is no temperature"),
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "# all\n#comment\n"])
def test_a_file_without_a_header_says_so(tmp_path: Path, text: str) -> None:
    found = rows_of(tmp_path, text, a_map(comment="#"))
    assert found == [CellProblem(1, "", "no header is left after what the map passes over")]


def test_a_damaged_packed_file_is_read_up_to_the_damage(tmp_path: Path) -> None:
    lines = "".join(f"2020-01-31 {n % 24:02}:{n % 60:02},{n},{n * 7919 % 1000}\n" for n in range(5_000))
    packed = gzip.compress((HEADER + lines).encode())
    found = rows_of(tmp_path, packed[: len(packed) // 2], name="t.csv.gz")
    *rows, last = found
    assert len(rows) > 500
    assert all(isinstance(one, Row) for one in rows)
    assert isinstance(last, CellProblem)
    assert last.line == len(rows) + 2
    assert last.reason.startswith("the packed file is damaged here: ")


def test_a_file_that_is_not_packed_is_told(tmp_path: Path) -> None:
    first, second = rows_of(tmp_path, HEADER, name="t.csv.gz")
    assert isinstance(first, CellProblem)
    assert first.reason.startswith("the packed file is damaged here: ")
    assert isinstance(second, CellProblem)


def test_a_file_of_another_encoding_is_told(tmp_path: Path) -> None:
    found = rows_of(tmp_path, HEADER + "2020-01-31,1,2\n", a_map(encoding="utf-16"))
    assert found[0] == CellProblem(1, "", "not utf-16 from here on: UTF-16 stream does not start with BOM")


def test_a_cell_beyond_all_measure_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    text = HEADER + f"2020-01-31,1,{'7' * 200_000}\n2020-01-31 01:00,17,7\n"
    problem, good = rows_of(tmp_path, text)
    assert problem == CellProblem(2, "", "not CSV: field larger than field limit (131072)")
    assert good == row(3, 1, w01010=17.0, w01001=7.0)


def test_a_file_that_cannot_be_opened_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_rows(tmp_path / "none.csv", a_map()))
    with pytest.raises(OSError):
        read_header(tmp_path)


def test_a_header_is_enough_for_a_map(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress("\ufefftime,w01001,note\n2020-01-31T00:00:00-07:00,7.5,x\n".encode()))
    assert read_header(path) == ["time", "w01001", "note"]
    assert list(read_rows(path, guessed_map(read_header(path)))) == [row(2, 0, w01001=7.5, station="")]


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08", b"time,w01001\n", gzip.compress(b"time")[:-3]])
def test_a_packed_file_without_a_readable_header_has_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(content)
    assert read_header(path) in ([], ["time"])


def test_missing_is_nan(tmp_path: Path) -> None:
    [read] = rows_of(tmp_path, HEADER + "2020-01-31,,7\n")
    assert isinstance(read, Row)
    assert repr(read.values["w01010"]) == repr(nan)
