"""CSV files, row by row, read by a map. What a cell should not hold is told with its place; the rest goes on."""

import codecs
import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from io import BufferedReader, TextIOWrapper
from math import isfinite, nan
from operator import itemgetter
from pathlib import Path

import msgspec

from ingest.instants import InstantError
from ingest.table_maps import Column, TableMap
from ingest.table_times import TableTimes
from rules.readings import FLAG_LETTERS

Convert = Callable[[str, str, float], float]

MOST_CHARACTERS = 1 << 20  # of a line; what is longer is cut there, and read as nonsense
STATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
NORMAL = "N"


class Row(msgspec.Struct, frozen=True, gc=False):
    """One line of a table.

    `values` by parameter code, nan where the cell says missing; a parameter whose cell is bad is not there. `flags`:
    the equipment's letters that are not N. `station` is "" where the map names none.
    """

    line: int
    station: str
    measured_ns: int
    values: dict[str, float]
    flags: dict[str, str]


class CellProblem(msgspec.Struct, frozen=True):
    """What could not be read: line of the file from 1 on, name of the column ("": the whole line), and why."""

    line: int
    column: str
    reason: str


def read_rows(path: Path, table_map: TableMap, convert: Convert | None = None) -> Iterator[Row | CellProblem]:
    """The rows of the file and the problems of its cells, in its order, holding a line at a time; `.gz` is unpacked.

    `convert` turns a value of (parameter, unit) into the catalogue's unit, ValueError where it cannot; columns without
    a unit are taken as they are. A file that has not the columns of the map gives problems and no row. Raises OSError
    when the file cannot be opened or read, and nothing else.
    """
    table: _Table | None = None
    for record in _records(path, table_map):
        if isinstance(record, CellProblem):
            yield record
        elif table is not None:
            yield from table.read(*record)
        else:
            line, cells = record
            header = [cell.strip() for cell in cells]
            misfits = [CellProblem(line, name, reason) for name, reason in _misfits(header, table_map, convert)]
            yield from misfits
            if misfits:
                return
            table = _Table(header, table_map, convert)
    if table is None:
        yield CellProblem(1, "", "no header is left after what the map passes over")


def read_header(path: Path) -> list[str]:
    """The names in the first line of a file in UTF-8 with commas, for `guessed_map`. Raises OSError."""
    try:
        with _opened(path) as raw, TextIOWrapper(raw, "utf-8-sig", errors="replace", newline="") as text:
            return next(csv.reader([text.readline(MOST_CHARACTERS)]), [])
    except (csv.Error, gzip.BadGzipFile, EOFError, zlib.error):
        return []


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.GzipFile(path) if path.suffix == ".gz" else path.open("rb")


def _records(path: Path, table_map: TableMap) -> Iterator[tuple[int, list[str]] | CellProblem]:
    """Lines cut into cells, with their number."""
    encoding = "utf-8-sig" if codecs.lookup(table_map.encoding).name == "utf-8" else table_map.encoding
    with _opened(path) as raw, TextIOWrapper(raw, encoding, errors="replace", newline="") as text:
        lines = iter(partial(text.readline, MOST_CHARACTERS), "")
        reader = csv.reader(_blanked(lines, table_map), delimiter=table_map.delimiter)
        while True:
            try:
                for cells in reader:
                    if cells:
                        yield reader.line_num, cells
            except csv.Error as error:
                yield CellProblem(reader.line_num, "", f"not CSV: {error}")
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                yield CellProblem(reader.line_num + 1, "", f"the packed file is damaged here: {error}")
                return
            except UnicodeError as error:  # of encodings that cannot put a mark in place of what they do not know
                yield CellProblem(reader.line_num + 1, "", f"not {table_map.encoding} from here on: {error}")
                return
            else:
                return


def _blanked(lines: Iterator[str], table_map: TableMap) -> Iterator[str]:
    """Lines to be passed over become empty ones, so that those after them keep their number."""
    for _, _line in zip(range(table_map.skip_lines), lines, strict=False):
        yield "\n"
    if table_map.comment is None:
        yield from lines
    else:
        for line in lines:
            yield "\n" if line.startswith(table_map.comment) else line


def _misfits(header: list[str], table_map: TableMap, convert: Convert | None) -> Iterator[tuple[str, str]]:
    """Why the map is not of this file: (column, reason)."""
    flags = [column.flag for column in table_map.columns]
    columns = [column.name for column in table_map.columns]
    for name in dict.fromkeys([table_map.time.column, table_map.station_column, *columns, *flags]):
        if name is not None and header.count(name) != 1:
            found = "more than once" if name in header else f"not among {', '.join(header)[:200]}"
            yield name, f"the map names this column, and it stands in the header {found}"
    for column in table_map.columns:
        if convert is not None and column.unit is not None:
            try:
                convert(column.parameter, column.unit, 1.0)
            except ValueError as error:
                yield column.name, f"its unit cannot be turned into that of {column.parameter}: {error}"


class _Table:
    """Where the map's columns stand in one file's lines."""

    def __init__(self, header: list[str], table_map: TableMap, convert: Convert | None) -> None:
        self._header = header
        self._map = table_map
        self._convert = convert
        self._times = TableTimes(table_map.time.zone, table_map.time.format)
        self._time = header.index(table_map.time.column)
        self._station = None if table_map.station_column is None else header.index(table_map.station_column)
        self._columns = [(header.index(c.name), c.parameter, c) for c in table_map.columns]
        self._parameters = [column.parameter for column in table_map.columns]
        first, *more = (place for place, _, _ in self._columns)
        self._cells = itemgetter(first, *more, first)  # one cell more, so that it always gives several
        self._simple = all(c.flag is None and (c.unit is None or convert is None) for c in table_map.columns)
        self._missing = frozenset(mark.strip() for mark in table_map.missing if isinstance(mark, str))
        self._missing_numbers = frozenset(filter(isfinite, map(_number, map(str, table_map.missing))))

    def read(self, line: int, cells: list[str]) -> Iterator[Row | CellProblem]:
        """The row, after the problems of its cells; no row where the line, its time or its station is bad."""
        if len(cells) != len(self._header):
            yield CellProblem(line, "", f"{len(cells)} cells, and the header has {len(self._header)}")
            return
        try:
            measured_ns = self._times.measured_ns(cells[self._time].strip())
        except InstantError as error:
            yield CellProblem(line, self._map.time.column, f"bad time: {error}")
            return
        station = self._map.station or ""
        if self._station is not None:
            station = cells[self._station].strip()
            if not STATION.fullmatch(station):
                yield CellProblem(line, self._map.station_column or "", f"bad station: {station[:80]!r}")
                return
        if self._simple and (plain := self._plainly(cells)) is not None:
            yield Row(line, station, measured_ns, plain, {})
            return
        values: dict[str, float] = {}
        flags: dict[str, str] = {}
        for place, parameter, column in self._columns:
            try:
                number = self._value(cells[place].strip(), column)
                letter = self._letter(cells, column)
                values[parameter] = number
                if letter != NORMAL:
                    flags[parameter] = letter
            except _BadCell as bad:
                yield CellProblem(line, bad.column, str(bad))
        if values:
            yield Row(line, station, measured_ns, values, flags)

    def _plainly(self, cells: list[str]) -> dict[str, float] | None:
        """The short way: all values at once, where all are plain numbers; None where one wants a closer look."""
        picked = self._cells(cells)
        try:
            numbers = list(map(float, picked))
        except ValueError:
            return None
        text = "".join(picked)
        if not (text.isascii() and "_" not in text and isfinite(sum(numbers))):
            return None
        return dict(zip(self._parameters, numbers, strict=False)) if self._missing_numbers.isdisjoint(numbers) else None

    def _value(self, cell: str, column: Column) -> float:
        number = _number(cell)
        if cell in self._missing or number in self._missing_numbers:
            return nan
        if isfinite(number) and column.unit is not None and self._convert is not None:
            try:
                number = self._convert(column.parameter, column.unit, number)
            except (ValueError, ArithmeticError) as error:
                raise _BadCell(column.name, f"bad value: {error}") from error
        if not isfinite(number):
            raise _BadCell(column.name, f"bad value: {cell[:80]!r} is no number, and no mark of a missing one")
        return number

    def _letter(self, cells: list[str], column: Column) -> str:
        if column.flag is None:
            return NORMAL
        letter = cells[self._header.index(column.flag)].strip()
        if not letter or letter in self._missing:
            return NORMAL
        if letter not in FLAG_LETTERS:
            raise _BadCell(column.flag, f"bad flag: {letter[:80]!r}, say one of {' '.join(FLAG_LETTERS)}")
        return letter


class _BadCell(ValueError):
    """What a cell, or the cell of its flag, should not hold."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column


def _number(cell: str) -> float:
    """Not a number for what is no plain decimal number; Python alone would take 1_000 and digits of other scripts."""
    try:
        number = float(cell)
    except ValueError:
        return nan
    return number if cell.isascii() and "_" not in cell else nan
