"""The register as it stands in the ledger: how an entry is written there, and read back as strictly as a file."""

import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from pydantic import ValidationError

from alerts.register import SqlRegister
from ingest.site import Secrets
from jianwei.clock import wall_ns
from jianwei.folders import DataFolder
from rules.index import Catalogue, Problem
from rules.register import Entry, agreed
from rules.schema import Station


def body_of(station: Station) -> str:
    """The entry as the ledger keeps it: what it says, and nothing that holds anyway."""
    return json.dumps(fact_of(station), ensure_ascii=False)


def fact_of(station: Station) -> dict[str, Any]:
    """The entry as plain data, as a file would say it."""
    fact: dict[str, Any] = station.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return fact


def read_bodies(bodies: Mapping[str, str], file: str, problems: list[Problem]) -> list[Entry]:
    """The entries of these bodies, by station; what cannot be read is a problem, and left out."""
    entries = []
    for name, body in bodies.items():
        try:
            station = Station.model_validate_json(body)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False):
                place = ".".join(map(str, (name, *detail["loc"])))
                problems.append(Problem(file, place, f"{detail['msg']}; mend it with `jianwei station change {name}`"))
            continue
        remedy = f"take it out of the file, or let `jianwei station remove {name}` take it out of the ledger"
        entries.append(Entry(file, name, station, remedy))
    return entries


def entered_in(folder: DataFolder, problems: list[Problem]) -> list[Entry]:
    """The entries of a ledger, which is neither made nor brought up to date for it; none where there is none."""
    if not folder.ledger.exists():
        return []
    with closing(SqlRegister(folder.ledger_url, wall_ns, upgrades=False)) as register:
        return read_bodies(register.present(), str(folder.ledger), problems)


def sound(entries: list[Entry], catalogue: Catalogue) -> dict[str, Station]:
    """The stations of a version of long ago: what no longer agrees with the catalogue is left out."""
    problems: list[Problem] = []
    stations = agreed(entries, catalogue, problems)
    if not problems:
        return stations
    alone: dict[str, Station] = {}
    for entry in entries:
        wrong: list[Problem] = []
        agreed([entry], catalogue, wrong)
        if not wrong:
            alone[entry.station.id] = entry.station
    return alone


def secrets_in(register: SqlRegister) -> dict[str, Secrets]:
    """What loggers share with us, by station."""
    return {station: Secrets(told.password, told.sm4_key) for station, told in register.shared().items()}
