"""The thresholds of a rule file, put into the shape its check asks for."""

import math
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from rules.index import Problem
from rules.rule_schema import Rule


def add_thresholds(
    path: str, rule: Rule, shape: type[BaseModel], found: dict[tuple[str, str], BaseModel]
) -> Iterator[Problem]:
    """Adds the validated thresholds of a rule to `found` by (rule, parameter); "" where it says the same for all."""
    if not isinstance(rule.parameters, dict):
        yield from _add(path, "$.thresholds", (rule.rule, ""), rule.thresholds, shape, found)
        return
    for parameter, own in rule.parameters.items():
        told = {**rule.thresholds, **own}
        yield from _add(path, f"$.parameters.{parameter}", (rule.rule, parameter), told, shape, found)


def _add(
    path: str,
    place: str,
    key: tuple[str, str],
    told: dict[str, Any],
    shape: type[BaseModel],
    found: dict[tuple[str, str], BaseModel],
) -> Iterator[Problem]:
    for name, value in told.items():
        if any(isinstance(x, float) and not math.isfinite(x) for x in (value if isinstance(value, list) else [value])):
            yield Problem(path, f"{place}.{name}", "a threshold is a finite number")
    try:
        found[key] = shape.model_validate(told)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            yield Problem(path, path_in(told, detail["loc"]).replace("$", place, 1), detail["msg"])


def path_in(data: Any, location: tuple[int | str, ...]) -> str:
    """The place in a file, as $.limits[3].value; what pydantic adds for the branches of a union is left out."""
    path = "$"
    for number, step in enumerate(location):
        if isinstance(data, list) and isinstance(step, int):
            path += f"[{step}]"
            data = data[step] if step < len(data) else None
        elif isinstance(data, dict) and (step in data or number == len(location) - 1):
            path += f".{step}"
            data = data.get(step)
    return path
