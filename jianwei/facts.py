"""What was found, as plain values for programs: names in lower case, times in UTC, no infinities."""

from math import isfinite
from typing import Any

from alerts.episodes import Episode
from alerts.notices import is_legal, legal_multiple
from alerts.requests import Note
from jianwei.moments import written
from rules.readings import Kind, LimitInForce, Point, Transition

Fact = dict[str, Any]


def episode_fact(episode: Episode) -> Fact:
    return {
        "id": episode.id,
        "state": episode.state,
        "level": episode.level.name.lower(),
        "worst_level": episode.worst_level.name.lower(),
        "family": episode.family.name.lower(),
        "station": episode.station,
        "parameter": episode.parameter or None,
        "kind": kind_name(episode.kind),
        "since": written(episode.since_ns),
        "until": None if episode.cleared_ns is None else written(episode.cleared_ns),
        "unit": episode.unit,
        "first": point_fact(episode.first),
        "worst": point_fact(episode.worst),
        "last": point_fact(episode.last),
        "limit": limit_fact(episode.limit),
        "multiple": legal_multiple(episode.multiple, episode.limit),
        "rule": episode.rule,
        "edition": episode.edition,
        "check": episode.check,
        "reason": episode.reason,
    }


def transition_fact(transition: Transition) -> Fact:
    return {
        "id": transition.id,
        "what": transition.what,
        "level": transition.level.name.lower(),
        "at": written(transition.at_ns),
        "found": written(transition.found_ns),
        "worst": point_fact(transition.worst),
        "last": point_fact(transition.last),
        "limit": limit_fact(transition.limit),
        "multiple": legal_multiple(transition.multiple, transition.limit),
        "reason": transition.reason,
    }


def note_fact(note: Note) -> Fact:
    return {"noted": written(note.noted_ns), "by": note.by, "zh": note.zh, "en": note.en}


def limit_fact(limit: LimitInForce | None) -> Fact | None:
    """`legal`: whether it may be called a legal limit."""
    if limit is None:
        return None
    return {
        "id": limit.limit_id,
        "low": limit.low if isfinite(limit.low) else None,
        "high": limit.high if isfinite(limit.high) else None,
        "unit": limit.unit,
        "standard": limit.standard,
        "edition": limit.edition,
        "clause": limit.clause,
        "mark": limit.mark,
        "legal": is_legal(limit),
        "authority": limit.authority,
        "condition": limit.condition,
    }


def point_fact(point: Point | None) -> Fact | None:
    """A missing value (nan) is null in JSON."""
    if point is None:
        return None
    return {"time": written(point.measured_ns), "value": point.value, "position": point.position}


def kind_name(kind: Kind | None) -> str | None:
    return None if kind is None else kind.name.lower()
