"""`jianwei judge`: what would the rules have said of this file?"""

from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ingest.table_files import read_rows
from ingest.table_maps import TableMap, TableMapProblems
from ingest.table_surveys import survey
from ingest.table_times import zone_of
from jianwei.catalogue_files import read_catalogue
from jianwei.clock import wall_ns
from jianwei.judging import Account, Judging, Measure
from jianwei.judging_report import episodes_table, report, summary_lines, value_file
from jianwei.tables import into_units_of, map_for, named, tell_problems
from jianwei.terminal import NOT_WELL, JsonOption, err, fail, out, print_json, refuse
from rules.index import Catalogue
from rules.own_rules import OwnRules, read_own_rules
from rules.schema import KINDS

WIDE = Console(width=250, highlight=False)  # into a file or another program: nothing is folded


def judge(
    file: Annotated[Path, typer.Argument(help="A CSV file, or one packed as .gz.")],
    *,
    station_type: Annotated[
        str | None, typer.Option("--as", help="Judge by the catalogue's rules for this station type.")
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="Judge by the rules in this YAML file.")] = None,
    map_file: Annotated[
        Path | None,
        typer.Option("--map", help="What the columns mean. Without it they must be named by parameter codes."),
    ] = None,
    class_: Annotated[str | None, typer.Option("--class", help="The class of the station, such as III.")] = None,
    station: Annotated[
        str | None, typer.Option(help="Whose rows they are, where the map names none. [default: the file's name]")
    ] = None,
    values_to: Annotated[
        Path | None, typer.Option("--out", help="Write every value with its flags to this CSV file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge an old data set by the very rules that the service judges live data by; no service is needed.

    Flags are those of QARTOD: 1 good, 2 not evaluated, 3 suspect, 4 fail, 9 missing. With --as and --rules both hold; a
    rule in the file stands in for the catalogue's rule of the same name. Cells that cannot be read are told on standard
    error and left out. Exit code 1 when there were any. Examples:

        jianwei judge river.csv --as surface_water_section --class III --out judged.csv
        jianwei judge logger.csv --map map.yaml --rules rules.yaml --json
    """
    if station_type is None and rules is None:
        refuse("say by what to judge: --as STATION_TYPE, --rules FILE, or both")
    if values_to is not None and values_to.resolve() in {p.resolve() for p in (file, map_file, rules) if p}:
        refuse("--out would overwrite what is to be read")
    catalogue = read_catalogue()
    _check_class(catalogue, station_type, class_)
    try:
        table_map = named(map_for(file, map_file, catalogue), file, station)
    except TableMapProblems as error:
        fail(error)
    own = None if rules is None else _own_rules(rules, table_map, catalogue, beside_catalogue=station_type is not None)
    measure = Measure(catalogue, station_type, class_, own)
    zone = UTC if table_map.time.zone is None else zone_of(table_map.time.zone)
    with err.status("Looking at the file, then judging it. The first run compiles the checks."):
        account, remarks = _judged(file, table_map, measure, values_to, zone)
    if station_type is not None and class_ is None and (families := _by_class(catalogue, station_type)):
        remarks.append(f"no --class was given: limits of {', '.join(families)} that depend on it judge nothing here")
    for remark in remarks:
        err.print(remark, markup=False)
    tell_problems([(file, problem) for problem in account.problems], account.bad)
    if as_json:
        print_json({"file": file, **report(account, zone)})
    else:
        (out if out.is_terminal else WIDE).print(episodes_table(account.episodes.values(), zone))
        out.print("\n".join(summary_lines(account)), markup=False)
    if not account.rows:
        fail(f"{file}: no row could be judged")
    if account.bad:
        raise typer.Exit(NOT_WELL)


def _judged(
    file: Path, table_map: TableMap, measure: Measure, values_to: Path | None, zone: tzinfo
) -> tuple[Account, list[str]]:
    """What came of the file, and what whoever asked should know of how it was judged."""
    convert = into_units_of(measure.catalogue, measure.station_type)
    seen = survey(read_rows(file, table_map, convert))
    watchlist = measure.watchlist(table_map.kind, seen)
    judging = Judging(watchlist, KINDS[table_map.kind], seen, wall_ns())
    with value_file(values_to, zone) as written:
        for values in judging.values(read_rows(file, table_map, convert)):
            if written is not None:
                written.add(values, judging.keys)
    remarks = [f"left out: {why}" for _, why in sorted(watchlist.left_out.items())]
    if measure.own is not None:
        idle = [rule.rule for rule in measure.own.rules if rule.rule not in watchlist.checks | watchlist.left_out]
        remarks += [f"{rule} watched nothing: no such station, kind or parameter is in this file" for rule in idle]
    if not seen.is_in_order:
        remarks.append("the rows are not in the order of their times: rules on silence do not judge them")
    return judging.account, remarks


def _check_class(catalogue: Catalogue, station_type: str | None, class_: str | None) -> None:
    if station_type is None:
        if class_ is not None:
            refuse("--class goes with --as STATION_TYPE")
        return
    if station_type not in catalogue.station_types:
        refuse(f"there is no station type {station_type}; there are {', '.join(sorted(catalogue.station_types))}")
    families = {applied.family for applied in catalogue.station_types[station_type].standards}
    known = {name for s in catalogue.standards.values() if s.family in families for name in s.classes}
    if class_ is not None and class_ not in known:
        refuse(f"no standard of {station_type} has a class {class_}; there are {', '.join(sorted(known))}")


def _by_class(catalogue: Catalogue, station_type: str) -> list[str]:
    """Families of standards whose limits depend on a class that the station type does not say."""
    applied = {a.family for a in catalogue.station_types[station_type].standards if a.class_ is None}
    with_classes = {s.family for s in catalogue.standards.values() if set(s.classes) - {"all"}}
    return sorted(applied & with_classes)


def _own_rules(path: Path, table_map: TableMap, catalogue: Catalogue, *, beside_catalogue: bool) -> OwnRules:
    """Parameters may be those of the catalogue and whatever the map names."""
    parameters = {*catalogue.parameters, *(column.parameter for column in table_map.columns)}
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        fail(f"{path}: is no text in UTF-8: {error.reason}")
    return read_own_rules(text, str(path), parameters, catalogue.rules if beside_catalogue else {})
