"""`jianwei check`: is everything that was written down for the service right?"""

from pathlib import Path
from typing import Annotated

import typer

from jianwei.catalogue_files import read_catalogue, read_stations
from jianwei.settings import Settings, SettingsProblems, read_settings
from jianwei.terminal import CONFIG, NOT_WELL, JsonOption, complain, out, print_json
from rules.cases import CaseResult, run_cases
from rules.index import Catalogue, CatalogueProblems


def check(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The settings file. [default: jianwei.toml where there is one]"),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Read settings, catalogue and register, run the cases of every rule; name every problem with file and path.

    Exit code 1 when there is any. Example:

        jianwei check -c /etc/jianwei/jianwei.toml
    """
    chosen = config or (CONFIG if CONFIG.exists() else None)
    problems: list[str] = []
    settings = _settings(chosen, problems) if chosen else None
    catalogue = _catalogue(problems)
    results = run_cases(catalogue) if catalogue else []
    problems += [f"rules/{r.rule}.cases.yaml: {r.case}: {what}" for r in results for what in r.problems]
    stations = _stations(settings, catalogue, problems) if settings and catalogue else 0
    if as_json:
        print_json({"ok": not problems, "problems": problems, "counts": _counts(catalogue, results, stations)})
    else:
        for problem in problems:
            complain(problem)
        if chosen is None:
            out.print("no settings file here: only the catalogue was checked")
        if catalogue:
            counts = _counts(catalogue, results, stations)
            out.print(", ".join(f"{number} {what}" for what, number in counts.items()), markup=False)
        out.print(f"{len(problems)} problems" if problems else "all well")
    if problems:
        raise typer.Exit(NOT_WELL)


def _settings(config: Path, problems: list[str]) -> Settings | None:
    try:
        return read_settings(config)
    except SettingsProblems as error:
        problems += str(error).splitlines()
        return None


def _catalogue(problems: list[str]) -> Catalogue | None:
    try:
        return read_catalogue()
    except CatalogueProblems as error:
        problems += map(str, error.problems)
        return None


def _stations(settings: Settings, catalogue: Catalogue, problems: list[str]) -> int:
    missing = [path for path in settings.stations if not path.is_file()]
    problems += [f"{path}: there is no such file, and `stations` names it" for path in missing]
    try:
        return len(read_stations([path for path in settings.stations if path not in missing], catalogue))
    except CatalogueProblems as error:
        problems += map(str, error.problems)
    except OSError as error:
        problems.append(f"{error.filename}: cannot be read: {error.strerror}")
    return 0


def _counts(catalogue: Catalogue | None, results: list[CaseResult], stations: int) -> dict[str, int]:
    if catalogue is None:
        return {}
    return {
        "parameters": len(catalogue.parameters),
        "standards": len(catalogue.standards),
        "station types": len(catalogue.station_types),
        "rules": len(catalogue.rules),
        "cases": len(results),
        "stations in the register": stations,
    }
