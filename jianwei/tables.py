"""Table files on the command line: which map holds for a file, and in which units its columns are told."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ingest.table_files import STATION, CellProblem, Convert, read_header
from ingest.table_maps import TableMap, TableMapProblems, guessed_map, read_map
from jianwei.terminal import complain, refuse
from rules.index import Catalogue, Problem
from rules.units import UnitError, convert

UNKNOWN_STATION = "FILE"
SHOWN_PROBLEMS = 20


def map_for(path: Path, said: Path | None, catalogue: Catalogue) -> TableMap:
    """The map in the file `said`, or one guessed from the header. Raises TableMapProblems with file and path, OSError."""
    if said is not None:
        try:
            return read_map(said.read_text(encoding="utf-8"), str(said))
        except UnicodeDecodeError as error:
            raise TableMapProblems([Problem(str(said), "$", f"is no text in UTF-8: {error.reason}")]) from None
    try:
        return guessed_map(read_header(path), catalogue.parameters.keys())
    except TableMapProblems as error:
        raise TableMapProblems([Problem(str(path), one.path, one.what) for one in error.problems]) from None


def into_units_of(catalogue: Catalogue, station_type: str | None) -> Convert:
    """Turns what a map names a unit into that of the parameter, as stations of this type report it.

    A unit goes by its name in units.yaml or as people write it (°C). A parameter that the catalogue has not is taken as
    it is: there is nothing to turn it into.
    """
    written = {way: name for name, unit in catalogue.units.items() for way in (unit.zh, unit.en)}
    unit_of = units_of(catalogue, station_type)

    def turned(parameter: str, unit: str, value: float) -> float:
        if parameter not in catalogue.parameters:
            return value
        name = unit if unit in catalogue.units else written.get(unit, unit)
        try:
            return convert(value, name, unit_of(parameter), catalogue.units)
        except UnitError as error:
            raise ValueError(str(error)) from None

    return turned


def units_of(catalogue: Catalogue, station_type: str | None) -> Callable[[str], str | None]:
    """The unit of a parameter; None where there is none, or no such parameter."""

    def unit_of(parameter: str) -> str | None:
        if parameter not in catalogue.parameters:
            return None
        if station_type is not None:
            return catalogue.unit_of(station_type, parameter)
        return catalogue.parameters[parameter].unit

    return unit_of


def named(table_map: TableMap, file: Path, station: str | None) -> TableMap:
    """The map with a station for rows that name none: the one that was said, or the name of the file."""
    if table_map.station is None and table_map.station_column is None:
        return table_map.model_copy(update={"station": station or station_named_by(file)})
    if station is not None:
        refuse("--station: the map says already whose rows they are")
    return table_map


def tell_problems(problems: Sequence[tuple[Path, CellProblem]], count: int) -> None:
    """On standard error: the first of them, with file, line and column, and how many more there were."""
    for file, problem in problems[:SHOWN_PROBLEMS]:
        complain(f"{file}: line {problem.line}, column {problem.column or '(all)'}: {problem.reason}")
    if count > SHOWN_PROBLEMS:
        complain(f"and {count - SHOWN_PROBLEMS:,} more such problems")


def station_named_by(path: Path) -> str:
    """A station for rows that name none: the name of their file, as far as it can be one."""
    stem = path.name.partition(".")[0]
    return stem if STATION.fullmatch(stem) else UNKNOWN_STATION
