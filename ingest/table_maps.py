"""What a table file means: which column is the time and in which zone, which one is which parameter in which unit.

A map is YAML:

    time: {column: datetime, zone: "-07:00"}
    station: MAIN-STREET
    kind: realtime
    missing: ["NULL", -9999]
    columns:
      - {name: temp, parameter: w01010, unit: "°C"}
      - {name: ph, parameter: w01001}
"""

import codecs
import re
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ingest.table_times import zone_of
from rules.index import Problem
from rules.loading import read_file
from rules.schema import Code, KindName, StationId, Strict

TIME_NAMES = ("time", "datetime", "timestamp")
STATION_NAMES = ("station", "station_id")
CODE_FORM = re.compile(r"[a-z]\d{5}|x\.[a-z0-9_]{1,38}", re.ASCII)
FLAG_SUFFIX = "_flag"
MOST_COLUMNS = 1_000


class TableMapProblems(ValueError):
    """All problems of a map, with file and path."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))


def _quoted(content: Any) -> Any:
    """YAML makes a null of NULL and a number of -10:00; whoever wrote it meant the text."""
    if content is None or isinstance(content, bool):
        raise ValueError("YAML reads this as null or a truth value: put it in quotes")
    return content


def _zone(name: str) -> str:
    zone_of(name)
    return name


def _encoding(name: str) -> str:
    try:
        "".encode(codecs.lookup(name).name)
    except LookupError:
        raise ValueError(f"{name!r} is no encoding of text") from None
    return name


def _form(form: str) -> str:
    if "%Z" in form:
        raise ValueError(
            "%Z, the name of a zone, means something else on every machine: name the zone in the map, or %z"
        )
    sample = datetime(2021, 11, 30, tzinfo=UTC)  # any day whose year, month and day cannot be mistaken
    try:
        read = datetime.strptime(sample.strftime(form), form)  # noqa: DTZ007  # only its day is looked at
    except ValueError as error:
        raise ValueError(f"not a form of strptime: {error}") from None
    if read.date() != sample.date():
        raise ValueError("this form does not say year, month and day")
    return form


ColumnName = Annotated[str, BeforeValidator(_quoted), Field(min_length=1, max_length=200)]
MissingMark = Annotated[str | float, BeforeValidator(_quoted)]


class TimeColumn(Strict):
    """`zone`: an IANA name or a fixed offset, for times that say none themselves. `format`: as for strptime."""

    column: ColumnName
    zone: Annotated[str, AfterValidator(_zone)] | None = None
    format: Annotated[str, AfterValidator(_form)] | None = None


class Column(Strict):
    """`name` in the file holds `parameter` in `unit`; None: in the catalogue's own.

    `flag` names the column that holds the equipment's letter for it: N F M S D C T B, empty is N.
    """

    name: ColumnName
    parameter: Code
    unit: Annotated[str, Field(min_length=1)] | None = None
    flag: ColumnName | None = None


class TableMap(Strict):
    """A CSV file's meaning. Without `station` and `station_column` rows name no station, and the reader's caller does.

    A cell whose text stands in `missing` holds no value; a mark that is a number stands for it however it is written.
    """

    time: TimeColumn
    station: StationId | None = None
    station_column: ColumnName | None = None
    kind: KindName
    missing: list[MissingMark] = Field(default=[""])
    columns: Annotated[list[Column], Field(min_length=1, max_length=MOST_COLUMNS)]
    delimiter: Annotated[str, Field(pattern=r'^[^"\r\n]$')] = ","
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8"
    skip_lines: Annotated[int, Field(ge=0, le=10_000)] = 0  # before the header
    comment: Annotated[str, Field(min_length=1)] | None = None  # lines that begin so are passed over

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        wrong = []
        if self.station is not None and self.station_column is not None:
            wrong.append("either station or station_column: not both")
        parameters = Counter(column.parameter for column in self.columns)
        twice = sorted(parameter for parameter, columns in parameters.items() if columns > 1)
        if twice:
            wrong.append(f"more than one column holds {', '.join(twice)}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def read_map(text: str, path: str) -> TableMap:
    """The map that a YAML text says; `path` names it in problems. Raises TableMapProblems with all of them."""
    problems: list[Problem] = []
    table_map = read_file(path, text, TableMap, problems)
    if table_map is None:
        raise TableMapProblems(problems)
    return table_map


def guessed_map(header: Sequence[str], codes: Collection[str] | None = None) -> TableMap:
    """A map for a file whose columns are named by our parameter codes, and whose times say their offset from UTC.

    The time stands in a column time, datetime or timestamp. There may be a station, and w01001_flag beside w01001.
    `codes`: those of the catalogue; None: whatever has the form of one. Raises TableMapProblems.
    """
    names = [name.strip() for name in header]
    time = next((name for name in names if name.lower() in TIME_NAMES), None)
    known = CODE_FORM.fullmatch if codes is None else codes.__contains__
    columns = [
        Column(name=name, parameter=name, flag=name + FLAG_SUFFIX if name + FLAG_SUFFIX in names else None)
        for name in dict.fromkeys(names)
        if known(name)
    ]
    problems = []
    if time is None:
        problems.append(Problem("header", "$", f"no column is named {' or '.join(TIME_NAMES)}: write a map"))
    if not columns:
        problems.append(Problem("header", "$", "no column is named by a parameter code: write a map"))
    if len(columns) > MOST_COLUMNS:
        problems.append(Problem("header", "$", f"more than {MOST_COLUMNS} columns are named by parameter codes"))
    if time is None or problems:
        raise TableMapProblems(problems)
    station = next((name for name in names if name.lower() in STATION_NAMES), None)
    return TableMap(time=TimeColumn(column=time), station_column=station, kind="realtime", columns=columns)
