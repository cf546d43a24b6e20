"""The catalogue as one value: every fact by its name, after all checks. And the problems that prevent it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel

from rules.rule_schema import Case, Rule
from rules.schema import Limit, Name, Parameter, Period, PlantCode, StandardFile, StationType, Unit


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong, in which file, and where in it (such as $.limits[3].value)."""

    file: str
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.path}: {self.what}"


class CatalogueProblems(ValueError):  # it holds problems, one or many
    """All problems of a catalogue or a register, sorted by file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything the catalogue holds. Fixed for its life; make a new one to change something.

    `thresholds` has the validated model of a rule's check by (rule, parameter), with "" for a rule that says the same
    for all. `limits` are those that name a parameter, by (parameter, medium), each with its standard.
    """

    units: Mapping[str, Unit]
    periods: Mapping[str, Period]
    conditions: Mapping[str, Name]
    sources: Mapping[str, str]
    parameters: Mapping[str, Parameter]
    devices: Sequence[PlantCode]
    processes: Sequence[PlantCode]
    standards: Mapping[str, StandardFile]
    station_types: Mapping[str, StationType]
    rules: Mapping[str, Rule]
    cases: Mapping[str, Sequence[Case]]
    thresholds: Mapping[tuple[str, str], BaseModel]
    limits: Mapping[tuple[str, str], Sequence[tuple[StandardFile, Limit]]]

    def unit_of(self, station_type: str, parameter: str) -> str | None:
        """The unit in which stations of this type report the parameter. Raises KeyError for an unknown name."""
        return self.station_types[station_type].units.get(parameter, self.parameters[parameter].unit)

    def medium_of(self, parameter: str) -> str | None:
        """The first of the media in which the parameter is measured; None for one that is not in the catalogue."""
        found = self.parameters.get(parameter)
        return None if found is None else found.media[0]

    def classes(self) -> dict[str, set[str]]:
        """The classes of each family of standards, those of all its editions."""
        families: dict[str, set[str]] = {}
        for standard in self.standards.values():
            families.setdefault(standard.family, set()).update(standard.classes)
        return families


def validity(standard: StandardFile, limit: Limit) -> tuple[date, date]:
    """The first and the last day of a limit: those of its file, narrowed by its own."""
    start = max(limit.valid_from or date.min, standard.valid_from or date.min)
    end = min(limit.valid_to or date.max, standard.valid_to or date.max)
    return start, end
