"""What is wrong with the settings, in words: where, what, and what to do. Never the value itself: it may be a secret."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from jianwei.nearest import nearest

# What is told apart by its `type`, which the library puts into the path, and where in it.
TAGGED = {"channels": 2, "sources": 2, "store": 1}
SAMPLE = "`jianwei init` writes a sample"
Place = tuple[int | str, ...]

WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    **dict.fromkeys(("list_type", "tuple_type"), lambda _: 'should be a list, such as ["…"]'),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), lambda _: "should be a table"),
    "missing": lambda _: "is not given, and has to be",
    "too_short": lambda told: f"is too short: at least {told['min_length']} are asked for",
    "union_tag_invalid": lambda told: f"there is no type {told['tag']!r}: say one of {told['expected_tags']}",
    "union_tag_not_found": lambda _: f"is not given, and has to be; {SAMPLE}",
    "literal_error": lambda told: f"say one of {told['expected']}",
    "string_pattern_mismatch": lambda told: f"does not fit the pattern {told['pattern']}",
    "value_error": lambda told: str(told["error"]),
}


def complaints(error: ValidationError, where_from: Callable[[Place], str], settings: type[BaseModel]) -> list[str]:
    """A line for each problem. `where_from` names where the setting at a place was said, "" for the file."""
    details = error.errors(include_url=False, include_input=False)
    places = [detail["loc"] for detail in details]
    return [
        f"{where_from(_place(detail))}{_path(_place(detail))}: {_words(detail, settings)}"
        for detail in details
        if not any(_holds(detail["loc"], other) for other in places)  # the whole is wrong because a part of it is
    ]


def _holds(whole: Place, part: Place) -> bool:
    return bool(whole) and len(part) > len(whole) and part[: len(whole)] == whole


def _place(detail: ErrorDetails) -> Place:
    place = detail["loc"]
    if detail["type"].startswith("union_tag"):
        return (*place, "type")
    tag = TAGGED.get(str(place[0]), len(place)) if place else 0
    return place[:tag] + place[tag + 1 :]


def _path(place: Sequence[int | str]) -> str:
    """`sources[0].port`."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in place]
    return "".join(steps).removeprefix(".") or "settings"


def _words(detail: ErrorDetails, settings: type[BaseModel]) -> str:
    if detail["type"] == "extra_forbidden":
        return _no_such(detail["loc"], settings)
    words = WORDS.get(detail["type"])
    if words is not None:
        return words(detail.get("ctx", {}))
    return detail["msg"].replace("Input should be", "should be").replace("Value should", "should")


def _no_such(place: Place, settings: type[BaseModel]) -> str:
    near = nearest(str(place[-1]), _known(place[:-1], settings.model_json_schema()))
    meant = f"did you mean {', '.join(near)}? Else" if near else "mend its name or"
    return f"there is no such setting: {meant} take it out; {SAMPLE}"


def _known(place: Place, schema: Mapping[str, Any]) -> list[str]:
    """The names of the settings at a place, types included."""
    found = _whole(schema, schema)
    for step in place:
        by_type = found.get("discriminator", {}).get("mapping", {})
        if isinstance(step, int):
            part = found.get("items", {})
        elif step in by_type:
            part = {"$ref": by_type[step]}
        else:
            part = found.get("properties", {}).get(step) or found.get("additionalProperties") or {}
        found = _whole(part, schema)
    return list(found.get("properties", {}))


def _whole(part: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of what may also be left out, the other choice; of what is written down elsewhere, that."""
    part = part.get("anyOf", [part])[0]
    return schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
