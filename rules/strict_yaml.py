"""YAML as the catalogue reads it: one document of plain data, with nothing guessed.

A key written twice is an error; so are tags, and the numbers of YAML 1.1 that are not what they look like (010 for
eight, 12:30 for 750, 1_000). Whatever else it guesses (NO as a truth value, 1e-3 as a text) the strict shapes refuse.
"""

import re
from typing import Any, cast

import yaml

_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*|[0-9]*\.[0-9]*([eE][-+][0-9]+)?|\.(inf|Inf|INF))|\.(nan|NaN|NAN)")


class _Loader(yaml.CSafeLoader):
    """The C parser, with mappings that refuse a repeated key and numbers that are written as people read them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  # PyYAML calls it by position
        mapping = super().construct_mapping(node, deep)
        if len(mapping) == len(node.value):
            return mapping
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise _refused(f"key {key!r} appears twice", key_node)
            seen.add(key)
        return mapping

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  # PyYAML calls it by position
        number = node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
        if number and not _DECIMAL.fullmatch(node.value):
            raise _refused(f"{node.value} is no decimal number; a text goes in quotes", node)
        try:
            return super().construct_object(node, deep)
        except ValueError as error:  # a date such as 2026-02-30
            raise _refused(str(error), node) from None


class YamlError(ValueError):
    """The text is not one YAML document of plain data, or says a key twice. Tells line and column."""


def parse(text: str) -> Any:
    """One YAML document as plain data. Raises YamlError."""
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if (tag := getattr(event, "tag", None)) is not None:
                raise _refused(f"a tag, {tag}; only plain data is read", event)
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # a safe loader, and no tags are left
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise YamlError(f"{where}{error.problem or error.context}") from None
    except UnicodeEncodeError as error:  # the halves of characters with which Python tells bytes that are no UTF-8
        line = text.count("\n", 0, error.start) + 1
        raise YamlError(f"line {line}: this is not UTF-8; save the file as UTF-8") from None
    except yaml.YAMLError as error:  # characters that YAML does not know
        raise YamlError(str(error)) from None


def _refused(what: str, at: yaml.Node | yaml.Event) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, what, cast("yaml.Mark | None", at.start_mark))
