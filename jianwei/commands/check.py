"""`jianwei check`: is everything that was written down for the service right?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from paho.mqtt.client import topic_matches_sub
from pydantic import BaseModel

from alerts.channels.webhook import LEAST_SECRET
from alerts.credentials import secret_of
from alerts.kafka import Tls as KafkaTls
from ingest.sources.kafka import KafkaSourceSettings
from ingest.tls import ServerTls, Tls
from jianwei.catalogue_files import read_catalogue, read_filed
from jianwei.entered import entered_in
from jianwei.folders import DataFolder
from jianwei.settings import Settings, SettingsProblems, read_settings
from jianwei.site import EMPTY_REGISTER
from jianwei.terminal import CONFIG, NOT_WELL, JsonOption, complain, err, out, print_json
from rules.cases import CaseResult, run_cases
from rules.index import Catalogue, CatalogueProblems, Problem
from rules.register import Entry, agreed


class Registered(NamedTuple):
    """Stations of the register, and how many of them stand in the ledger."""

    stations: int
    entered: int


def check(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The settings file. [default: jianwei.toml where there is one]"),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Read settings, catalogue and register (files and ledger), run the cases of every rule; name every problem with file and path.

    Exit code 1 when there is any. Example:

        jianwei check -c /etc/jianwei/jianwei.toml
    """
    chosen = config or (CONFIG if CONFIG.exists() else None)
    problems: list[str] = []
    settings = _settings(chosen, problems) if chosen else None
    catalogue = _catalogue(problems)
    results = run_cases(catalogue) if catalogue else []
    problems += [f"rules/{r.rule}.cases.yaml: {r.case}: {what}" for r in results for what in r.problems]
    stations = _stations(settings, catalogue, problems) if settings and catalogue else None
    problems += _file_problems(settings) if settings else []
    remarks = _remarks(settings, stations) if settings else []
    counts = _counts(catalogue, results, stations)
    if as_json:
        print_json({"ok": not problems, "problems": problems, "remarks": remarks, "counts": counts})
    else:
        for problem in problems:
            complain(problem)
        for remark in remarks:
            err.print(remark, style="yellow", markup=False)
        if chosen is None:
            out.print("no settings file here: only the catalogue was checked")
        if counts:
            out.print(", ".join(f"{number} {what}" for what, number in counts.items()), markup=False)
        found = [_number(problems, "problem"), _number(remarks, "remark")]
        out.print(", ".join(filter(None, found)) or "all well")
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


def _stations(settings: Settings, catalogue: Catalogue, problems: list[str]) -> Registered | None:
    """How many the register holds; None when it could not be read whole."""
    missing = [path for path in settings.stations if not path.is_file()]
    told = [f"{path}: there is no such file, and `stations` names it" for path in missing]
    found: list[Problem] = []
    entered: list[Entry] = []
    try:
        filed = read_filed([path for path in settings.stations if path not in missing], found)
        entered = entered_in(DataFolder(settings.data_dir), found)
        number = len(agreed([*filed, *entered], catalogue, found))
    except OSError as error:
        told.append(f"{error.filename}: cannot be read: {error.strerror}" if error.filename else str(error))
    told += map(str, sorted(found))
    problems += told
    return None if told else Registered(number, len(entered))


def _file_problems(settings: Settings) -> list[str]:
    """What a source, channel or store would find out when it first connects."""
    parts = [(f"sources.{source.name}", source) for source in settings.sources]
    channels = [(f"channels.{name}", channel) for name, channel in settings.channels.items()]
    letters = [("dead_letters", settings.dead_letters)] if settings.dead_letters.enabled else []
    named: list[tuple[str, BaseModel]] = [*parts, *channels, ("store", settings.store), *letters]
    return [problem for place, part in named for problem in (*_secrets(place, part), *_certificates(place, part))]


def _secrets(place: str, part: BaseModel) -> Iterator[str]:
    for field in ("password_file", "secret_file", "token_file"):
        path = getattr(part, field, None)
        if path is None:
            continue
        try:
            secret = secret_of(None, path) or ""
        except (OSError, UnicodeDecodeError) as error:
            yield f"{place}.{field}: {path} cannot be read: {getattr(error, 'strerror', error)}"
        else:
            if field == "secret_file" and len(secret) < LEAST_SECRET:
                yield f"{place}.{field}: {path} holds fewer than {LEAST_SECRET} characters"


def _certificates(place: str, part: BaseModel) -> Iterator[str]:
    tls = getattr(part, "tls", None)
    if isinstance(tls, Tls | ServerTls | KafkaTls):
        files = {"tls.ca": tls.ca, "tls.cert": tls.cert, "tls.key": tls.key}
    else:
        files = {field: getattr(part, field, None) for field in ("ca", "ca_file")}
    unread = False
    for field, path in files.items():
        try:
            _ = path.read_bytes() if path is not None else b""
        except OSError as error:
            unread = True
            yield f"{place}.{field}: {path} cannot be read: {error.strerror}"
    if isinstance(tls, Tls | ServerTls | KafkaTls) and not unread:
        try:
            tls.context()
        except OSError as error:
            yield f"{place}.{error}"


def _remarks(settings: Settings, stations: Registered | None) -> list[str]:
    """What is allowed, and perhaps not meant."""
    untold = sorted(settings.channels.keys() - {route.channel for route in settings.routes}) if settings.routes else []
    unread = [
        f"sources.{source.name}: no [[formats]] matches its topic {topic}, so its messages would go to quarantine; "
        f'add [[formats]] topic = "{topic}" format = "json_v1"'
        for source in settings.sources
        if isinstance(source, KafkaSourceSettings)
        for topic in source.topics
        if not any(topic_matches_sub(route.topic, topic) for route in settings.formats)
    ]
    empty = [EMPTY_REGISTER] if stations and not stations.stations else []
    return [
        *empty,
        *(f"channels.{name} is told nothing: there are [[routes]], and none names it" for name in untold),
        *unread,
    ]


def _number(found: list[str], what: str) -> str:
    """`1 problem`; nothing when there is none."""
    return f"{len(found)} {what}{'' if len(found) == 1 else 's'}" if found else ""


def _counts(catalogue: Catalogue | None, results: list[CaseResult], stations: Registered | None) -> dict[str, int]:
    if catalogue is None:
        return {}
    return {
        "parameters": len(catalogue.parameters),
        "standards": len(catalogue.standards),
        "station types": len(catalogue.station_types),
        "rules": len(catalogue.rules),
        "cases": len(results),
        **({"stations in the register": stations.stations} if stations else {}),
        **({"of them in the ledger": stations.entered} if stations and stations.entered else {}),
    }
