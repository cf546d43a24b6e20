"""Agreement of a station, of the register or of a case, with the catalogue."""

from collections.abc import Iterator

from rules.names import Names
from rules.schema import StandardFile, Station, StationType


def station_problems(station: Station, names: Names) -> Iterator[tuple[str, str]]:
    """What the entry names and the catalogue lacks: where in the entry, and what."""
    catalogue = names.catalogue
    station_type = catalogue.station_types.get(station.station_type)
    if station_type is None:
        if what := names.station_type_problem(station.station_type):
            yield ".station_type", what
        return
    yield from _class_problems(station, station_type, names)
    for problem in names.condition_problems("", ".conditions", station.conditions or ()):
        yield problem.path, problem.what
    for number, bound in enumerate(station.permit):
        place = f".permit[{number}]"
        if bound.valid_from and bound.valid_to and bound.valid_from > bound.valid_to:
            yield f"{place}.valid_to", "ends before it begins"
        if what := names.parameter_problem(bound.parameter):
            yield f"{place}.parameter", what
        elif bound.parameter in catalogue.parameters:
            unit = catalogue.unit_of(station.station_type, bound.parameter)
            for problem in names.bound_problems("", place, bound, bound.period, unit):
                yield problem.path, problem.what
    yield from _logger_problems(station, names)


def _logger_problems(station: Station, names: Names) -> Iterator[tuple[str, str]]:
    for parameter, unit in (station.logger.units if station.logger else {}).items():
        place = f".logger.units.{parameter}"
        if what := names.parameter_problem(parameter) or names.unit_problem(unit):
            yield place, what
        elif parameter in names.catalogue.parameters:
            kept = names.catalogue.unit_of(station.station_type, parameter)
            if what := names.conversion_problem(unit, kept):
                yield place, what


def _class_problems(station: Station, station_type: StationType, names: Names) -> Iterator[tuple[str, str]]:
    """Classes that no standard has, and one that two standards of the type have: which of them is meant decides."""
    families = names.catalogue.classes()
    if station.class_ is not None:
        known = [a for a in station_type.standards if station.class_ in families.get(a.family, ())]
        if not known and StandardFile not in names.unread:
            yield ".class", f"no standard of {station.station_type} has a class {station.class_}"
        unsaid = [a.family for a in known if a.class_ is None and a.family not in station.classes]
        if len(unsaid) > 1:
            yield ".class", f"{station.class_} is a class of {' and of '.join(unsaid)}: name the standard in classes"
    for family, class_ in station.classes.items():
        if names.lacks(StandardFile, families.get(family, ()), class_):
            what = f"has no class {class_}" if family in families else "is no family of standards"
            yield f".classes.{family}", f"{family} {what}"
