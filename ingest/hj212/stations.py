"""The register and the catalogue as HJ 212 needs them: profiles by MN, codes of 2005, units as factors."""

from collections.abc import Iterator
from fractions import Fraction

from ingest.hj212.profiles import Profile, Stations
from ingest.site import Secrets, Site
from rules.index import Catalogue
from rules.readings import FLAG_LETTERS
from rules.schema import Logger, Station

CONVERTED = "converted_value"  # the condition of limits on values converted to the reference oxygen content


def stations_of(site: Site) -> Stations:
    """Every station of the register by its MN, which is its id where its logger has no other."""
    catalogue = site.catalogue
    if catalogue is None:
        return Stations()
    profiles = {
        station.mn: profile_of(station, catalogue, site.secrets.get(station.id, Secrets()))
        for station in sorted(site.stations.values(), key=lambda station: bool(station.logger and station.logger.mn))
    }
    return Stations(profiles, codes_of_2005(catalogue), _known(catalogue))


def codes_of_2005(catalogue: Catalogue) -> dict[str, str]:
    """Today's code by the one that HJ/T 212-2005 had for the same quantity."""
    rows = catalogue.parameters.values()
    return {row.old_code: row.code for row in rows if row.old_code and row.old_code != row.code}


def profile_of(station: Station, catalogue: Catalogue, secrets: Secrets) -> Profile:
    logger = station.logger or Logger()
    units = {code: catalogue.unit_of(station.station_type, code) for code in logger.units}
    return Profile(
        station=station.id,
        edition=logger.edition,
        password=secrets.password,
        key=secrets.sm4_key,
        checks=tuple(logger.checks),
        encoding=logger.encoding,
        flags=None if logger.flags is None else {said: FLAG_LETTERS[letter] for said, letter in logger.flags.items()},
        codes=logger.codes,
        factors={
            code: _factor(unit, kept, catalogue)
            for code, unit in logger.units.items()
            if (kept := units[code]) is not None and kept != unit
        },
        converted=frozenset(_converted(station, catalogue)),
    )


def _factor(unit: str, kept: str, catalogue: Catalogue) -> Fraction:
    """How many of `kept` one of `unit` is, exactly; both are of one dimension, as the register was checked."""
    return Fraction(repr(catalogue.units[unit].factor)) / Fraction(repr(catalogue.units[kept].factor))


def _converted(station: Station, catalogue: Catalogue) -> Iterator[str]:
    """Parameters whose value is the converted one: those that the law limits so, if the station claims to send it."""
    station_type = catalogue.station_types[station.station_type]
    claimed = station_type.conditions if station.conditions is None else station.conditions
    if CONVERTED in claimed:
        for (code, medium), limits in catalogue.limits.items():
            if medium == station_type.medium and any(CONVERTED in limit.conditions for _, limit in limits):
                yield code


def _known(catalogue: Catalogue) -> set[str]:
    plant = {row.code for row in (*catalogue.devices, *catalogue.processes)}
    return plant | catalogue.parameters.keys()
