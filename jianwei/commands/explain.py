"""`jianwei explain`: what is watched of one parameter of one station, and by what right."""

import json
from collections.abc import Mapping
from typing import Annotated, Never

import typer

from alerts.notices import CHINA, instant
from ingest.instants import InstantError
from jianwei import explained
from jianwei.catalogue_files import read_catalogue
from jianwei.clock import wall_ns
from jianwei.moments import day
from jianwei.nearest import nearest, no_such
from jianwei.site import read_site
from jianwei.terminal import CONFIG, ConfigOption, JsonOption, fail, out, print_json, refuse
from rules.explaining import explain as explain_series
from rules.index import Catalogue, CatalogueProblems
from rules.register import load_stations
from rules.schema import Name, Station

NOBODY = "example"


def explain(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="STATION PARAMETER", help="A station of the register and a parameter: its code or name."
        ),
    ],
    *,
    at: Annotated[str, typer.Option(help="On this day, such as 2026-03-01. [default: today in UTC+8]")] = "",
    as_type: Annotated[
        str,
        typer.Option("--as", help="A station type instead of a station: no register is read.", show_default=False),
    ] = "",
    class_: Annotated[str, typer.Option("--class", help="With --as: the station's class.", show_default=False)] = "",
    every_kind: Annotated[
        bool, typer.Option("--every-kind", help="Also the kinds of value that the station is not expected to send.")
    ] = False,
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Which rules watch a parameter of a station, which limit is in force, why this one and not another.

    Only a limit that was confirmed in its source [C] is called a legal limit; [R] is recalled, [P] a project default.

    For example:

        jianwei explain SW-01 w01009 -c site/jianwei.toml --at 2026-03-01
        jianwei explain --as surface_water_section --class III w01009
    """
    try:
        on = day(at) if at else instant(wall_ns()).astimezone(CHINA).date()
    except InstantError as error:
        refuse(f"--at: {error}")
    if len(words) != (1 if as_type else 2):
        refuse("give a parameter alone with --as" if as_type else "give a station and a parameter")
    if as_type:
        catalogue = read_catalogue()
        station = _imagined(catalogue, as_type, class_)
    elif class_:
        refuse("--class goes with --as; a station of the register has its own")
    else:
        site = read_site(config)
        catalogue = site.catalogue
        found = site.stations.get(words[0])
        if found is None:
            fail(f"{no_such('station', words[0], site.stations)} (the register has {len(site.stations)})")
        station = found
    explanation = explain_series(catalogue, station, _code(catalogue, words[-1]), on)
    if as_json:
        print_json(explained.fact(explanation))
        return
    who = f"{station.id} {station.name.zh} {station.name.en} · " if not as_type else ""
    what = f"{explanation.parameter} {explanation.name.zh} {explanation.name.en} {_unit(explanation.unit)}"
    out.print(f"{who}{_type(catalogue, station)}", f"{what}, on {on} (UTC+8)", sep="\n", markup=False)
    for line in explained.lines(explanation, every_kind=every_kind):
        out.print(line, markup=False)


def _imagined(catalogue: Catalogue, station_type: str, class_: str) -> Station:
    """A station of this type that has nothing but a class."""
    if station_type not in catalogue.station_types:
        fail(no_such("station type", station_type, catalogue.station_types))
    station = Station(id=NOBODY, name=Name(zh="示例", en="Example"), station_type=station_type, class_=class_ or None)
    try:
        register = {"stations": [station.model_dump(by_alias=True, exclude_defaults=True)]}
        return load_stations({"--as": json.dumps(register)}, catalogue)[NOBODY]
    except CatalogueProblems as error:
        fail("; ".join(problem.what for problem in error.problems))


def _code(catalogue: Catalogue, word: str) -> str:
    """The code of a parameter that was named by its code, or by its Chinese or English name."""
    if word in catalogue.parameters:
        return word
    names = {name.lower(): code for code, row in catalogue.parameters.items() for name in (code, row.zh, row.en)}
    if word.lower() not in names:
        _refuse_parameter(catalogue, word, names)
    return names[word.lower()]


def _refuse_parameter(catalogue: Catalogue, word: str, names: Mapping[str, str]) -> Never:
    near = [f"{code} {catalogue.parameters[code].zh}" for code in dict.fromkeys(names[n] for n in nearest(word, names))]
    fail(f"there is no parameter {word}" + (f"; did you mean {', '.join(near)}?" if near else ""))


def _unit(unit: str) -> str:
    return "(a pure number)" if unit in {"", "1"} else f"in {unit}"


def _type(catalogue: Catalogue, station: Station) -> str:
    name = catalogue.station_types[station.station_type].name
    class_ = f", class {station.class_}" if station.class_ else ""
    return f"{name.zh} {name.en} ({station.station_type}{class_})"
