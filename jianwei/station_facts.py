"""What is known of a station, told to people and to programs. Nothing that is shared with its logger is among it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import yaml
from pydantic import ValidationError

from alerts.loggers import KnownLogger
from alerts.register import Version
from jianwei.entered import fact_of
from jianwei.entering import differences
from jianwei.moments import shown, written
from jianwei.payloads import text_of
from rules.readings import SECOND_NS
from rules.schema import Station


def station_fact(station: Station, where: str, loggers: Sequence[KnownLogger]) -> dict[str, Any]:
    """The entry, where it stands (`file`, `ledger`), and what was heard of its loggers."""
    return {**fact_of(station), "in": where, "heard": [logger_fact(logger) for logger in loggers]}


def logger_fact(logger: KnownLogger) -> dict[str, Any]:
    return {
        "mn": safe(logger.mn),
        "source": logger.source,
        "state": logger.state,
        "address": safe(logger.address),
        "edition": logger.edition,
        "first": written(logger.first_ns),
        "last": written(logger.last_ns),
        "times": logger.times,
        "clock_offset_s": None if logger.offset_ns is None else logger.offset_ns / SECOND_NS,
        "why": safe(logger.why),
    }


def logger_sentence(logger: KnownLogger) -> str:
    edition = f" speaks {logger.edition}," if logger.edition else ""
    clock = f", its clock is {offset(logger.offset_ns)}" if logger.offset_ns is not None else ""
    why = f" ({safe(logger.why)})" if logger.why else ""
    where = f"{safe(logger.address)} on {logger.source}"
    return f"logger {safe(logger.mn)}{edition} {logger.state}{why}: {where}, last heard {shown(logger.last_ns)}{clock}"


def offset(offset_ns: int | None) -> str:
    """How far a clock is before ours."""
    return "" if offset_ns is None else f"{offset_ns / SECOND_NS:+.1f} s"


def safe(said: str) -> str:
    """What somebody sent, without what a terminal would obey."""
    return said if text_of(said.encode(errors="replace")) is not None and "\n" not in said else repr(said)


def history_facts(history: Sequence[Version]) -> Iterator[dict[str, Any]]:
    """Each change with what it changed, field by field. A body of a shape of long ago is told as it stands."""
    before: Station | None = None
    for version in history:
        after: Station | None = None
        told: dict[str, Any] = {}
        try:
            after = Station.model_validate_json(version.body) if version.body else None
        except ValidationError:
            told["body"] = version.body
        yield {
            "number": version.number,
            "at": written(version.entered_ns),
            "what": version.what,
            "by": safe(version.entered_by),
            "fields": [{"field": name, "before": old, "after": new} for name, old, new in differences(before, after)],
            **told,
        }
        before = after


def as_yaml(content: Mapping[str, Any]) -> str:
    """As a person would write a station file."""
    text: str = yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=120)
    return text


def filed(station: Station) -> dict[str, Any]:
    """The entry as a station file says it: days are days there."""
    fact = fact_of(station)
    return {**fact, **({"permit": [_dated(bound) for bound in fact["permit"]]} if "permit" in fact else {})}


def _dated(bound: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: date.fromisoformat(value) if name in ("valid_from", "valid_to") else value
        for name, value in bound.items()
    }
