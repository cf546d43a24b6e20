"""From YAML texts to one catalogue: shape first, then agreement between files, and every problem at once."""

import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from rules.agreement import disagreements
from rules.checks import CHECKS
from rules.index import Catalogue, CatalogueProblems, Problem
from rules.rule_schema import Case, CasesFile, Rule
from rules.schema import (
    ConditionsFile,
    Limit,
    ParametersFile,
    PeriodsFile,
    PlantCodesFile,
    SourcesFile,
    StandardFile,
    StationType,
    UnitsFile,
)
from rules.strict_yaml import YamlError, parse
from rules.thresholds import add_thresholds, path_in

__all__ = ["Catalogue", "CatalogueProblems", "Problem", "load", "read_file"]

SHAPES: tuple[tuple[re.Pattern[str], type[BaseModel]], ...] = (
    (re.compile(r"units\.yaml"), UnitsFile),
    (re.compile(r"periods\.yaml"), PeriodsFile),
    (re.compile(r"conditions\.yaml"), ConditionsFile),
    (re.compile(r"sources\.yaml"), SourcesFile),
    (re.compile(r"parameters/[^/]+\.yaml"), ParametersFile),
    (re.compile(r"(device|process)_codes\.yaml"), PlantCodesFile),
    (re.compile(r"standards/[^/]+\.yaml"), StandardFile),
    (re.compile(r"station_types/[^/]+\.yaml"), StationType),
    (re.compile(r"rules/[^/]+\.cases\.yaml"), CasesFile),
    (re.compile(r"rules/[^/]+\.yaml"), Rule),
)
Model = TypeVar("Model", bound=BaseModel)
Files = Mapping[str, BaseModel]


def load(texts: Mapping[str, str]) -> Catalogue:
    """The catalogue that these texts say, by path relative to the catalogue's folder ("standards/gb3838-2002.yaml").

    Reads no file. Raises CatalogueProblems with every problem of every file.
    """
    problems: list[Problem] = []
    files: dict[str, BaseModel] = {}
    unread: set[type[BaseModel]] = set()
    for path, text in sorted(texts.items()):
        shape = next((model for pattern, model in SHAPES if pattern.fullmatch(path)), None)
        if shape is None:
            problems.append(Problem(path, "$", "this path belongs to no part of the catalogue"))
            continue
        content = read_file(path, text, shape, problems)
        if content is None:
            unread.add(shape)
        else:
            files[path] = content
    catalogue = _joined(files, problems)
    problems += disagreements(catalogue, files, unread)
    if problems:
        raise CatalogueProblems(problems)
    return catalogue


def read_file(path: str, text: str, shape: type[Model], problems: list[Problem]) -> Model | None:
    """One file in its shape; None, and problems added, where it is not in it."""
    try:
        data = parse(text)
    except YamlError as error:
        problems.append(Problem(path, "$", str(error)))
        return None
    try:
        return shape.model_validate(data)
    except ValidationError as error:
        found = [
            Problem(path, path_in(data, detail["loc"]), detail["msg"]) for detail in error.errors(include_url=False)
        ]
        problems += dict.fromkeys(found)
        return None


def _of(files: Files, shape: type[Model]) -> Iterator[Model]:
    return (content for content in files.values() if isinstance(content, shape))


def _plant_codes(files: Files, path: str) -> PlantCodesFile:
    found = files.get(path)
    return found if isinstance(found, PlantCodesFile) else PlantCodesFile(codes=[])


def _joined(files: Files, problems: list[Problem]) -> Catalogue:
    """Every fact by its name. Of two with one name the first wins here; that there are two is told elsewhere."""
    parameters = {
        row.code: row for part in reversed([*_of(files, ParametersFile)]) for row in reversed(part.parameters)
    }
    standards = {part.standard: part for part in _of(files, StandardFile)}
    limits: dict[tuple[str, str], list[tuple[StandardFile, Limit]]] = {}
    for standard in standards.values():
        for limit in standard.limits:
            for parameter in (limit.parameter, *limit.also):
                if parameter is not None:
                    place = (parameter, limit.medium or standard.medium)
                    limits.setdefault(place, []).append((standard, limit))
    rules = {rule.rule: rule for rule in _of(files, Rule)}
    return Catalogue(
        units={name: unit for part in _of(files, UnitsFile) for name, unit in part.units.items()},
        periods={name: period for part in _of(files, PeriodsFile) for name, period in part.periods.items()},
        conditions={name: said for part in _of(files, ConditionsFile) for name, said in part.conditions.items()},
        sources={name: said for part in _of(files, SourcesFile) for name, said in part.sources.items()},
        parameters=dict(reversed(parameters.items())),
        devices=_plant_codes(files, "device_codes.yaml").codes,
        processes=_plant_codes(files, "process_codes.yaml").codes,
        standards=standards,
        station_types={part.station_type: part for part in _of(files, StationType)},
        rules=rules,
        cases=_cases(files),
        thresholds=_thresholds(files, problems),
        limits=limits,
    )


def _cases(files: Files) -> dict[str, list[Case]]:
    """Cases by the rule whose name their file carries."""
    return {
        path.removeprefix("rules/").removesuffix(".cases.yaml"): content.cases
        for path, content in files.items()
        if isinstance(content, CasesFile)
    }


def _thresholds(files: Files, problems: list[Problem]) -> dict[tuple[str, str], BaseModel]:
    found: dict[tuple[str, str], BaseModel] = {}
    for path, content in files.items():
        if isinstance(content, Rule) and content.check in CHECKS:
            problems += add_thresholds(path, content, CHECKS[content.check].thresholds, found)
    return found
