"""The register of stations: read as strictly as the catalogue, and held against it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rules.binding import Binding, alike, expected_feeds
from rules.checks import CHECKS
from rules.index import Catalogue, CatalogueProblems, Problem
from rules.loading import read_file
from rules.names import Names
from rules.readings import SeriesKey
from rules.schema import Station, Strict
from rules.station_agreement import station_problems


class StationsFile(Strict):
    """One file of the register: `stations: [...]`."""

    stations: list[Station]


@dataclass(frozen=True, slots=True)
class Entry:
    """A station of the register, and where it stands: in which file, and at which place in it.

    `remedy` is what to do where it stands in the way of another.
    """

    file: str
    place: str
    station: Station
    remedy: str = ""


def load_stations(texts: Mapping[str, str], catalogue: Catalogue) -> dict[str, Station]:
    """The stations of these YAML texts (name of the file to text) by id.

    Reads no file. Raises CatalogueProblems with every problem of every file.
    """
    problems: list[Problem] = []
    stations = agreed(read_entries(texts, problems), catalogue, problems)
    if problems:
        raise CatalogueProblems(problems)
    return stations


def read_entries(texts: Mapping[str, str], problems: list[Problem]) -> list[Entry]:
    """What these YAML texts say, in the order of their names. Problems are added, a text that has one is left out."""
    return [
        Entry(path, f"$.stations[{number}]", station)
        for path, text in sorted(texts.items())
        if (content := read_file(path, text, StationsFile, problems)) is not None
        for number, station in enumerate(content.stations)
    ]


def agreed(entries: Sequence[Entry], catalogue: Catalogue, problems: list[Problem]) -> dict[str, Station]:
    """The stations by id. Where they disagree with the catalogue or with each other, problems are added."""
    first: dict[str, Entry] = {}
    tried: set[tuple[object, ...]] = set()
    names = Names(catalogue, unread=())
    for entry in entries:
        station = entry.station
        other = first.setdefault(station.id, entry)
        if other is not entry:
            what = f"station {station.id} is registered twice: it stands in {_place(other)}, too{_remedy(entry, other)}"
            problems.append(Problem(entry.file, f"{entry.place}.id", what))
        found = [Problem(entry.file, entry.place + where, what) for where, what in station_problems(station, names)]
        likeness = (alike(station), tuple((station.feeds or {}).items()))
        if not found and likeness not in tried:
            tried.add(likeness)
            found = [Problem(entry.file, entry.place, what) for what in _watch_problems(station, catalogue)]
        problems += found
    problems += _loggers_said_twice(first)
    return {station: entry.station for station, entry in first.items()}


def _loggers_said_twice(entries: Mapping[str, Entry]) -> Iterator[Problem]:
    """A logger's MN, whose letters count the same large and small, must lead to one station."""
    owners: dict[str, Entry] = {}
    for entry in entries.values():
        if entry.station.logger and entry.station.logger.mn:
            mn = entry.station.logger.mn
            other = owners.setdefault(mn.upper(), entry)
            if other is not entry:
                owner = f"{other.station.id} in {_place(other)}"
                what = f"MN {mn} is the logger of two stations: also of {owner}{_remedy(entry, other)}"
                yield Problem(entry.file, f"{entry.place}.logger.mn", what)


def _place(entry: Entry) -> str:
    return f"{entry.file}: {entry.place}"


def _remedy(entry: Entry, other: Entry) -> str:
    remedy = entry.remedy or other.remedy
    return f"; {remedy}" if remedy else ""


def _watch_problems(station: Station, catalogue: Catalogue) -> Iterator[str]:
    """What the engine would refuse: too many limits in a row, a flat line over more readings than are kept."""
    binding = Binding(catalogue, {station.id: station})
    for parameter in _parameters(station, catalogue):
        for kind in expected_feeds(catalogue, station):
            try:
                for watch in binding.of_series(SeriesKey(station.id, parameter, kind)):
                    CHECKS[watch.check].points(watch.thresholds, watch)
            except ValueError as error:
                yield f"{parameter} {kind.name.lower()}: {error}"


def _parameters(station: Station, catalogue: Catalogue) -> Iterator[str]:
    """Parameters on which this station may have a limit, or a rule with thresholds of its own."""
    medium = catalogue.station_types[station.station_type].medium
    limited = {bound.parameter for bound in station.permit} | {code for code, of in catalogue.limits if of == medium}
    rules = (rule for rule in catalogue.rules.values() if station.station_type in rule.station_types)
    yield from sorted(limited.union(*(rule.parameters or () for rule in rules)))
