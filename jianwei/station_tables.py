"""Stations and their permit limits from spreadsheets: CSV as a bureau saves it, whichever the language and the encoding."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alerts.register import Shared
from jianwei.entered import fact_of
from jianwei.nearest import nearest
from jianwei.station_fields import (
    FIELDS,
    Field,
    by_heading,
    day,
    field_at,
    laid_over,
    number,
    plain,
    said_in,
    shared_in,
    station_of,
)
from rules.index import Catalogue, Problem
from rules.schema import Station

MOST_BYTES = 32 << 20
OPERATORS = {"≤": "<=", "≥": ">=", "＜": "<", "＞": ">", "区间": "between", "范围": "between"}
PERMIT_FIELDS = (
    Field("station", ("站点编号", "编号", "id"), (), str),
    Field("parameter", ("因子", "监测因子", "污染物"), ("parameter",), str, "code or name"),
    Field("period", ("时段", "取值时段"), ("period",), str),
    Field("op", ("运算", "比较"), ("op",), lambda said: OPERATORS.get(said, said), "<=, <, >=, > or between"),
    Field("value", ("限值", "下限"), ("value",), number, "number"),
    Field("value_to", ("上限",), (), number, "the upper end of between"),
    Field("unit", ("单位",), ("unit",), str),
    Field("permit", ("许可证编号", "许可证"), ("permit",), str),
    Field("clause", ("条款", "依据"), ("clause",), str),
    Field("valid_from", ("生效日期", "有效期起"), ("valid_from",), day, "2026-01-31"),
    Field("valid_to", ("失效日期", "有效期止"), ("valid_to",), day, "2026-01-31"),
)
PERMIT_NAMES = {one.name: one for one in PERMIT_FIELDS}
NAMES = {one.name: one for one in FIELDS}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: its cells by name of the field, and how the columns are headed. `place` "": it is no table."""

    file: str
    place: str
    cells: Mapping[str, str]
    headings: Mapping[str, str]

    def problem(self, name: str | None, what: str) -> Problem:
        column = self.headings.get(name or "", name or "(all)")
        return Problem(self.file, f"{self.place}, column {column}" if self.place else column, what)


@dataclass(slots=True)
class Said:
    """A station as tables say it: the rows it comes from. `station` None: it could not be read."""

    id: str
    row: Row
    station: Station | None = None
    shared: Shared | None = None
    permits: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def problem_at(self, path: str, what: str) -> Problem:
        """A problem at a path of the entry, told by line and column."""
        if path.startswith("permit["):
            index, _, rest = path.removeprefix("permit[").partition("]")
            if self.permits and int(index) < len(self.permits):
                found = field_at(rest.removeprefix("."), PERMIT_FIELDS)
                return self.permits[int(index)].problem(found.name if found else None, what)
        found = field_at(path, FIELDS)
        return self.row.problem(found.name if found else None, what if found or not path else f"{path}: {what}")


def read_tables(
    stations: Path, permits: Path | None, present: Mapping[str, Station], catalogue: Catalogue, problems: list[Problem]
) -> list[Said]:
    """The stations that these files say, laid over those that are present.

    A column that the file does not have leaves its field as it is, an empty cell takes it out. Stations that `permits`
    names get the limits it says, in place of theirs. Problems of the files as wholes are added, those of a station
    stand with it. Raises OSError.
    """
    found: dict[str, Said] = {}
    for row in _rows(stations, FIELDS, problems):
        said = Said(plain(row.cells.get("id", "")), row)
        if not said.id:
            problems.append(row.problem("id", "is empty: each line names its station"))
        elif said.id in found:
            what = f"station {said.id} stands in {found[said.id].row.place}, too"
            found[said.id].problems.append(row.problem("id", what))
        else:
            found[said.id] = said
    limits: dict[str, list[Mapping[str, Any]]] = {}
    for row in _rows(permits, PERMIT_FIELDS, problems) if permits else ():
        _add_limit(row, found, present, limits, catalogue, problems)
    for said in found.values():
        _read(said, present.get(said.id), limits.get(said.id))
    return list(found.values())


def read_said(name: str, cells: Mapping[str, str], present: Station | None) -> Said:
    """A station as the fields of a command line say it, laid over the one that is present."""
    said = Said(name, Row(f"station {name}", "", cells, {}))
    _read(said, present, None)
    return said


def _read(said: Said, present: Station | None, limits: Sequence[Mapping[str, Any]] | None) -> None:
    wrong: list[tuple[str, str]] = []
    values = said_in(said.row.cells, NAMES, wrong)
    said.problems += [said.row.problem(name, what) for name, what in wrong]
    fact = laid_over(fact_of(present) if present else {"id": said.id}, values, NAMES)
    if limits is not None:
        fact["permit"] = list(limits)
    if said.problems:
        return
    said.shared = shared_in(values)
    found: list[tuple[str, str]] = []
    said.station = station_of(fact, found)
    said.problems += [said.problem_at(path, what) for path, what in found]


def _add_limit(
    row: Row,
    found: dict[str, Said],
    present: Mapping[str, Station],
    limits: dict[str, list[Mapping[str, Any]]],
    catalogue: Catalogue,
    problems: list[Problem],
) -> None:
    name = plain(row.cells.get("station", ""))
    if name not in found and name in present:
        found[name] = Said(name, Row(row.file, row.place, {"id": name}, row.headings))
    if name not in found:
        what = f"there is no station {name}" if name else "is empty: each line names its station"
        problems.append(row.problem("station", what))
        return
    wrong: list[tuple[str, str]] = []
    cells = {cell: text for cell, text in row.cells.items() if plain(text)}
    values = said_in(cells, PERMIT_NAMES, wrong)
    found[name].problems += [row.problem(cell, what) for cell, what in wrong]
    high = values.pop("value_to", None)
    if high is not None:
        values["value"] = [values.get("value"), high]
    values.setdefault("op", "between" if high is not None else "<=")
    if "parameter" in values:
        values["parameter"] = _code(values["parameter"], catalogue)
    del values["station"]
    found[name].permits.append(row)
    limits.setdefault(name, []).append(values)


def _code(said: str, catalogue: Catalogue) -> str:
    """The code of a parameter that is named by it, or by its name in either language."""
    if said in catalogue.parameters:
        return said
    codes = [code for code, row in catalogue.parameters.items() if said.lower() in (row.zh.lower(), row.en.lower())]
    return codes[0] if len(codes) == 1 else said


def _rows(path: Path, fields: tuple[Field, ...], problems: list[Problem]) -> list[Row]:
    """Lines with anything in them. A heading that nobody knows is a problem, and so is text that is in no encoding."""
    file = str(path)
    text = _text(path, problems)
    if text is None:
        return []
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    known = by_heading(fields)
    try:
        first = next(lines, [])
        names = _headings(file, first, known, problems)
        required = fields[0].name
        if required not in names:
            problems.append(
                Problem(file, "line 1", f"there is no column {' or '.join((required, *fields[0].headings))}")
            )
            return []
        headings = {name: plain(heading) for name, heading in zip(names, first, strict=True) if name}
        rows = []
        for cells in lines:
            if not any(map(plain, cells)):
                continue
            if any(map(plain, cells[len(names) :])):
                problems.append(
                    Problem(
                        file, f"line {lines.line_num}", f"has {len(cells)} cells, and there are {len(names)} headings"
                    )
                )
            said = {name: cell for name, cell in zip(names, cells, strict=False) if name}
            rows.append(Row(file, f"line {lines.line_num}", said, headings))
    except csv.Error as error:
        problems.append(Problem(file, f"line {lines.line_num}", f"is no CSV: {error}"))
        return []
    return rows


def _headings(file: str, first: Sequence[str], known: Mapping[str, Field], problems: list[Problem]) -> list[str]:
    names: list[str] = []
    for number_, heading in enumerate(map(plain, first), 1):
        found = known.get(heading.lower())
        place = f"line 1, column {heading or number_}"
        if found is None and heading:
            near = nearest(heading, [*known])
            meant = (
                f"; did you mean {', '.join(near)}?"
                if near
                else f"; there are {', '.join(f.name for f in dict.fromkeys(known.values()))}"
            )
            problems.append(Problem(file, place, f"nobody knows this heading{meant}"))
        elif found is not None and found.name in names:
            problems.append(Problem(file, place, f"says {found.name} a second time"))
            found = None
        names.append(found.name if found else "")
    return names


def _text(path: Path, problems: list[Problem]) -> str | None:
    """UTF-8 with or without a mark, else GBK as older spreadsheets save it."""
    content = path.read_bytes()
    if len(content) > MOST_BYTES:
        problems.append(Problem(str(path), "line 1", f"is too large: {MOST_BYTES >> 20} MiB at most"))
        return None
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            place = "line {}".format(content[: error.start].count(b"\n") + 1)
    problems.append(Problem(str(path), place, "is neither UTF-8 nor GBK: save it as CSV in UTF-8"))
    return None


def _delimiter(text: str) -> str:
    """Spreadsheets of some countries write semicolons, and some people tabs."""
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)
