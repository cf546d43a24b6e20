"""The register of stations: read as strictly as the catalogue, and held against it."""

from collections.abc import Iterator, Mapping

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


def load_stations(texts: Mapping[str, str], catalogue: Catalogue) -> dict[str, Station]:
    """The stations of these YAML texts (name of the file to text) by id.

    Reads no file. Raises CatalogueProblems with every problem of every file.
    """
    problems: list[Problem] = []
    stations: dict[str, Station] = {}
    places: dict[str, str] = {}
    tried: set[tuple[object, ...]] = set()
    names = Names(catalogue, unread=())
    for path, text in sorted(texts.items()):
        content = read_file(path, text, StationsFile, problems)
        for number, station in enumerate(content.stations if content else ()):
            place = f"$.stations[{number}]"
            first = places.setdefault(station.id, f"{path}: {place}")
            if stations.setdefault(station.id, station) is not station:
                what = f"station {station.id} is registered twice: it stands in {first}, too"
                problems.append(Problem(path, f"{place}.id", what))
            found = [Problem(path, place + where, what) for where, what in station_problems(station, names)]
            likeness = (alike(station), tuple((station.feeds or {}).items()))
            if not found and likeness not in tried:
                tried.add(likeness)
                found = [Problem(path, place, what) for what in _watch_problems(station, catalogue)]
            problems += found
    problems += _loggers_said_twice(stations, places)
    if problems:
        raise CatalogueProblems(problems)
    return stations


def _loggers_said_twice(stations: Mapping[str, Station], places: Mapping[str, str]) -> Iterator[Problem]:
    """A logger's MN, whose letters count the same large and small, must lead to one station."""
    owners: dict[str, str] = {}
    for station in stations.values():
        if station.logger and station.logger.mn:
            other = owners.setdefault(station.logger.mn.upper(), station.id)
            if other != station.id:
                path, _, place = places[station.id].partition(": ")
                what = f"MN {station.logger.mn} is the logger of two stations: also of {other} in {places[other]}"
                yield Problem(path, f"{place}.logger.mn", what)


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
