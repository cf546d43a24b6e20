"""YAML as the catalogue reads it: a key written twice is an error.

Whatever else YAML 1.1 guesses (NO as a truth value, 010 as eight, 12:30 as a number) the strict shapes refuse.
"""

from typing import Any

import yaml


class _Loader(yaml.CSafeLoader):
    """The C parser, with mappings that refuse a repeated key."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  # PyYAML calls it by position
        mapping = super().construct_mapping(node, deep)
        if len(mapping) == len(node.value):
            return mapping
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} appears twice", key_node.start_mark)
            seen.add(key)
        return mapping


class YamlError(ValueError):
    """The text is not one YAML document, or says a key twice. Tells line and column."""


def parse(text: str) -> Any:
    """One YAML document as plain data. Raises YamlError."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # a safe loader: no tags, no objects
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise YamlError(f"{where}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise YamlError(str(error)) from None
    except ValueError as error:  # a date such as 2026-02-30
        raise YamlError(str(error)) from None
