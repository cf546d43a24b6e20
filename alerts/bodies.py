"""A transition, a point, a limit as JSON text and back, nothing lost.

JSON has no infinity: a limit without a lower or upper end, and the value of a missing reading, are null there.
"""

from math import inf, nan
from typing import Any

import msgspec

from rules.readings import LimitInForce, Point, Transition


def as_text(fact: Transition | Point | LimitInForce | None) -> str | None:
    """The same fact gives the same text."""
    return None if fact is None else msgspec.json.encode(fact).decode()


def transition_from(text: str) -> Transition:
    body = msgspec.json.decode(text)
    for name in ("first", "worst", "last"):
        _restore(body[name], {"value": nan})
    _restore(body["limit"], {"low": -inf, "high": inf})
    return msgspec.convert(body, Transition)


def point_from(text: str | None) -> Point | None:
    return None if text is None else msgspec.convert(_restore(msgspec.json.decode(text), {"value": nan}), Point)


def limit_from(text: str | None) -> LimitInForce | None:
    if text is None:
        return None
    return msgspec.convert(_restore(msgspec.json.decode(text), {"low": -inf, "high": inf}), LimitInForce)


def _restore(body: dict[str, Any] | None, nulls: dict[str, float]) -> dict[str, Any] | None:
    for name, number in nulls.items():
        if body is not None and body[name] is None:
            body[name] = number
    return body
