"""The names that a catalogue has, and the problem of naming what it has not."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from rules.index import Catalogue, Problem
from rules.schema import Bound, ConditionsFile, ParametersFile, PeriodsFile, StationType, UnitsFile
from rules.units import UnitError, convert

Shapes = Collection[type[BaseModel]]


@dataclass(frozen=True, slots=True)
class Names:
    """Which names exist. `unread`: shapes of files that could not be read, whose names we cannot know."""

    catalogue: Catalogue
    unread: Shapes

    def lacks(self, shape: type[BaseModel], names: Collection[str], name: str) -> bool:
        return name not in names and shape not in self.unread

    def parameter_problem(self, code: str) -> str | None:
        lacking = self.lacks(ParametersFile, self.catalogue.parameters, code)
        return f"parameter {code} is not in parameters/" if lacking else None

    def station_type_problem(self, name: str) -> str | None:
        lacking = self.lacks(StationType, self.catalogue.station_types, name)
        return f"there is no station type {name}" if lacking else None

    def unit_problem(self, unit: str) -> str | None:
        lacking = self.lacks(UnitsFile, self.catalogue.units, unit)
        return f"unit {unit} is not in units.yaml" if lacking else None

    def conversion_problem(self, unit: str, to: str | None) -> str | None:
        units = self.catalogue.units
        if to is None or unit not in units or to not in units:
            return None
        try:
            convert(1.0, unit, to, units)
        except UnitError as error:
            return f"cannot be told in the unit of the parameter: {error}"
        return None

    def condition_problems(self, path: str, place: str, conditions: Collection[str]) -> Iterator[Problem]:
        for name in conditions:
            if self.lacks(ConditionsFile, self.catalogue.conditions, name):
                yield Problem(path, place, f"condition {name} is not in conditions.yaml")

    def bound_problems(self, path: str, place: str, bound: Bound, period: str, unit: str | None) -> Iterator[Problem]:
        """Of a limit or a permit limit: its period, and that its unit can be told in `unit`."""
        if self.lacks(PeriodsFile, self.catalogue.periods, period):
            yield Problem(path, f"{place}.period", f"period {period} is not in periods.yaml")
        if what := self.unit_problem(bound.unit) or self.conversion_problem(bound.unit, unit):
            yield Problem(path, f"{place}.unit", what)
