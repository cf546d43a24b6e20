"""Any bytes as a table file: never an exception but OSError; and what was written is read."""

import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from math import isnan
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.table_files import CellProblem, Row, read_header, read_rows
from ingest.table_maps import Column, TableMap, TableMapProblems, TimeColumn, guessed_map
from rules.readings import FLAG_LETTERS

CODES = ["w01001", "w01018", "x.level", "a21026"]
ENCODINGS = [
    "utf-8",
    "utf-16",
    "utf-16-le",
    "utf-32",
    "utf-7",
    "gb18030",
    "big5",
    "cp1252",
    "ascii",
    "idna",
    "punycode",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


class Written(NamedTuple):
    """A file, its map, and the rows that it holds."""

    name: str
    content: bytes
    table_map: TableMap
    rows: list[Row]


values = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**12), 10**12).map(float)
letters = st.sampled_from(sorted(FLAG_LETTERS))
marks = st.sampled_from(["", "NULL", "-9999", "n/a", "--"])
seconds = st.integers(0, 2**32)


@st.composite
def tables(draw: st.DrawFn) -> Written:
    """A table as some program writes it: any order of columns, delimiter, quotes, line ends, encoding, packed or not."""
    codes = draw(st.lists(st.sampled_from(CODES), min_size=1, unique=True))
    flagged = [code for code in codes if draw(st.booleans())]
    has_stations, mark, offset = draw(st.booleans()), draw(marks), draw(st.integers(-14, 14))
    titles = {code: draw(st.sampled_from([code, f"{code}, mg/L", f'"{code}"', f"测 {code}"])) for code in codes}
    header = [
        "when",
        *(["站"] if has_stations else []),
        *titles.values(),
        *(f"{code} flag" for code in flagged),
        "note",
    ]
    order = draw(st.permutations(header))
    delimiter, encoding = (
        draw(st.sampled_from(",;\t|")),
        draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"])),
    )
    out = io.StringIO()
    quoting: Literal[0, 1] = csv.QUOTE_ALL if draw(st.booleans()) else csv.QUOTE_MINIMAL
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(order)
    rows: list[Row] = []
    for line in range(2, 2 + draw(st.integers(0, 5))):
        second, station = draw(seconds), draw(st.sampled_from(["A-1", "b", "S.7_x"])) if has_stations else "S-01"
        said = {code: draw(values) for code in codes}
        flags = {code: draw(letters) for code in flagged}
        local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second, hours=offset)
        cells = {
            "when": local.strftime("%Y-%m-%d %H:%M:%S"),
            "站": station,
            "note": draw(st.sampled_from(["", "a b", 'x"y', ","])),
        }
        for code in codes:
            value = said[code]
            # A mark of a missing value is none that is measured.
            cells[titles[code]] = mark if value is None or value == -9999 else repr(value)
        cells |= {f"{code} flag": flags[code] if flags[code] != "N" or draw(st.booleans()) else "" for code in flagged}
        writer.writerow([cells[name] for name in order])
        numbers = {code: float("nan") if v is None or v == -9999 else v for code, v in said.items()}
        told = {code: letter for code, letter in flags.items() if letter != "N"}
        rows.append(Row(line, station, second * 10**9, numbers, told))
    columns = [
        Column(name=title, parameter=code, flag=f"{code} flag" if code in flagged else None)
        for code, title in titles.items()
    ]
    table_map = TableMap(
        time=TimeColumn(column="when", zone=f"{'-' if offset < 0 else '+'}{abs(offset):02}:00"),
        station=None if has_stations else "S-01",
        station_column="站" if has_stations else None,
        kind="hour",
        missing=[mark],
        columns=columns,
        delimiter=delimiter,
        encoding=encoding,
    )
    content = out.getvalue().encode(encoding)
    packed = draw(st.booleans())
    return Written("t.csv.gz" if packed else "t.csv", gzip.compress(content, 1) if packed else content, table_map, rows)


def told(items: Iterator[Row | CellProblem]) -> list[Any]:
    """Comparable, with nan equal to nan."""
    return [
        (one.line, one.station, one.measured_ns, {c: None if isnan(v) else v for c, v in one.values.items()}, one.flags)
        if isinstance(one, Row)
        else one
        for one in items
    ]


@settings(deadline=None, max_examples=150)
@given(tables())
def test_what_was_written_is_read(folder: Path, written: Written) -> None:
    path = folder / written.name
    path.write_bytes(written.content)
    assert told(read_rows(path, written.table_map)) == told(iter(written.rows))


CELLS = [
    "7.5",
    "-0.0",
    " 1e3 ",
    "",
    "NULL",
    "-9999",
    "-9999.0",
    "x",
    "nan",
    "inf",
    "1e999",
    "1_0",
    "٣",
    "0x1",
    "1e308",
    "-1e308",
]


@settings(deadline=None, max_examples=150)
@given(st.lists(st.lists(st.sampled_from(CELLS), min_size=3, max_size=3), max_size=4))
def test_the_short_way_through_a_line_says_what_the_long_one_says(folder: Path, lines: list[list[str]]) -> None:
    """Columns with a unit go the long way."""
    path = folder / "ways.csv"
    path.write_text("time,a,b,c\n" + "".join(f"2020-01-31T00:00:00Z,{','.join(line)}\n" for line in lines), "utf-8")
    names = dict(zip("abc", CODES, strict=False))
    short, long = (
        TableMap(
            time=TimeColumn(column="time"),
            kind="hour",
            missing=["NULL", -9999],
            columns=[Column(name=name, parameter=code, unit=unit) for name, code in names.items()],
        )
        for unit in (None, "mg/L")
    )
    assert told(read_rows(path, short)) == told(read_rows(path, long, lambda _parameter, _unit, value: value))


PIECES = [
    b"time,w01001\n",
    b"2020-01-31T00:00:00Z",
    b",",
    b'"',
    b"\n",
    b"\r",
    b"7.5",
    b"\x00",
    b"\xff",
    b"\xfe\xff",
    b"#",
]


@settings(deadline=None, max_examples=150)
@given(
    st.binary(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join),
    st.sampled_from(ENCODINGS),
    st.sampled_from(",;\t\x00"),
    st.integers(0, 2),
    st.sampled_from(["plain", "packed", "damaged", "not packed"]),
)
def test_any_bytes_are_rows_or_problems_with_their_line(
    folder: Path, content: bytes, encoding: str, delimiter: str, skip_lines: int, packing: str
) -> None:
    path = folder / ("any.csv" if packing == "plain" else "any.csv.gz")
    packed = gzip.compress(content, 1)
    shapes = {
        "plain": content,
        "packed": packed,
        "damaged": packed[: len(packed) * 2 // 3] + b"\x00",
        "not packed": content,
    }
    path.write_bytes(shapes[packing])
    table_map = TableMap(
        time=TimeColumn(column="time"),
        kind="hour",
        columns=[Column(name="w01001", parameter="w01001")],
        encoding=encoding,
        delimiter=delimiter,
        skip_lines=skip_lines,
        comment="#",
    )
    assert all(one.line >= 1 for one in read_rows(path, table_map))
    with suppress(TableMapProblems):
        assert all(one.line >= 1 for one in read_rows(path, guessed_map(read_header(path))))
