"""An explanation in lines for people, and as plain values for programs."""

from collections.abc import Iterator, Sequence
from math import isinf
from typing import Any

from alerts.notices import CHINA, KINDS, instant
from jianwei.board import bounds
from jianwei.facts import Fact, kind_name, limit_fact
from rules.explaining import Explanation, Lost, Standing, Watching
from rules.limits import ALWAYS_NS, AUTHORITIES, NEVER_NS
from rules.readings import SECOND_NS, Kind, LimitInForce
from rules.watches import Persistence

MARKS = "[C] confirmed in its source, [R] recalled and to be verified, [P] project default"


def lines(explanation: Explanation, *, every_kind: bool) -> Iterator[str]:
    """What is said of the kinds that the register expects; of every kind where it expects none, or when asked."""
    expected = sorted({one.kind for one in explanation.watching if one.expected and one.kind is not None})
    kinds = list(Kind) if every_kind or not expected else expected
    told = 0
    for kind in kinds:
        standing = next((one for one in explanation.standings if one.kind is kind), None)
        watching = [one for one in explanation.watching if one.kind is kind]
        if standing is None and not watching:
            continue
        told += 1
        yield ""
        yield f"{KINDS[kind].zh} {KINDS[kind].en}"
        yield from _standing_lines(standing)
        for one in watching:
            yield from _watching_lines(one)
    if explanation.around:
        yield ""
        yield "站点 The station itself"
        for one in explanation.around:
            yield from _watching_lines(one)
    if not told:
        yield ""
        yield "No rule watches this parameter at this station, and no limit is known for it. That is not compliance."
        return
    yield ""
    yield MARKS
    if len(kinds) < len(Kind):
        yield "Other kinds of value are not expected of this station; --every-kind tells what would watch them."


def fact(explanation: Explanation) -> Fact:
    return {
        "station": explanation.station,
        "parameter": explanation.parameter,
        "name": explanation.name.model_dump(),
        "unit": explanation.unit,
        "on": explanation.on.isoformat(),
        "watching": [_watching_fact(one) for one in explanation.watching],
        "standings": [_standing_fact(one) for one in explanation.standings],
        "around": [_watching_fact(one) for one in explanation.around],
    }


def _standing_lines(standing: Standing | None) -> Iterator[str]:
    if standing is None:
        yield "  Limit: none is known for these values, which is not compliance"
        return
    limit = standing.limit
    if limit is None:
        yield "  Limit: none is in force on that day, which is not compliance"
    else:
        yield f"  Limit: {_limit(limit, standing.class_, standing.period)}"
        dates = "" if standing.validity_mark in {"", "C"} else f" (dates [{standing.validity_mark}] not confirmed)"
        yield f"    [{limit.mark}] {standing.wording}; valid {_span(limit)}{dates}"
        yield f"    why this one: {_why(limit, standing.lost)}"
        if limit.condition:
            yield f"    under the condition: {limit.condition}"
        judges = ", ".join(standing.judged_by)
        yield f"    compared with by: {judges or 'no rule; it is known and not watched'}"
    for lost in standing.lost:
        yield f"    not: {_limit(lost.limit, lost.class_, lost.period)}: {lost.reason}"


def _watching_lines(watching: Watching) -> Iterator[str]:
    of = f", {KINDS[watching.kind].en}" if watching.kind is not None else ""
    yield f"  Rule {watching.rule} (edition {watching.edition}{of}): {watching.name.zh} {watching.name.en}"
    thresholds = ", ".join(
        f"{name} {_number(value)}" for name, value in watching.thresholds.items() if value is not None
    )
    yield f"    {watching.check}: {thresholds or 'the limit in force'}"
    yield f"    raised {_persistence(watching.raise_after)}, cleared {_persistence(watching.clear_after)}"
    yield f"    [{watching.mark}] {watching.source}"
    yield f"    why: {watching.why}"


def _limit(limit: LimitInForce, class_: str, period: str) -> str:
    number = "no value" if isinf(limit.low) and isinf(limit.high) else bounds(limit)
    place = " ".join(part for part in (limit.standard, limit.clause) if part)
    details = [
        f"class {class_}" if class_ not in {"", "all"} else "",
        f"edition {limit.edition}" if limit.edition else "",
    ]
    told = ", ".join(part for part in (*details, period) if part)
    return f"{number} · {place} ({told})"


def _why(limit: LimitInForce, lost: Sequence[Lost]) -> str:
    above = AUTHORITIES[: AUTHORITIES.index(limit.authority)]
    why = f"it is a {limit.authority} limit"
    why += (
        f", and no {' or '.join(above)} limit can judge these values" if above else ", which goes before every standard"
    )
    if any(other.limit.authority == limit.authority and "stricter" in other.reason for other in lost):
        why += "; of several it is the strictest"
    return why


def _span(limit: LimitInForce) -> str:
    start = "always" if limit.valid_from_ns <= ALWAYS_NS else f"from {_day(limit.valid_from_ns)}"
    end = "" if limit.valid_until_ns >= NEVER_NS else f" to {_day(limit.valid_until_ns - SECOND_NS)}"
    return start + end


def _day(at_ns: int) -> str:
    return f"{instant(at_ns).astimezone(CHINA):%Y-%m-%d}"


def _persistence(persistence: Persistence) -> str:
    count, of = persistence.count, persistence.of
    if count == of == 1:
        said = "at the first value"
    else:
        said = f"after {count} values in a row" if count == of else f"after {count} of {of} values"
    minutes = persistence.duration_ns / SECOND_NS / 60
    return f"{said} over at least {minutes:g} min" if minutes else said


def _number(value: Any) -> str:
    if isinstance(value, list):
        return (" " if any(isinstance(part, str) for part in value) else "–").join(map(_number, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _watching_fact(one: Watching) -> Fact:
    return {
        "rule": one.rule,
        "edition": one.edition,
        "name": one.name.model_dump(),
        "check": one.check,
        "family": one.family,
        "kind": kind_name(one.kind),
        "expected": one.expected,
        "thresholds": one.thresholds,
        "raise_after": _persistence(one.raise_after),
        "clear_after": _persistence(one.clear_after),
        "mark": one.mark,
        "source": one.source,
        "why": one.why,
    }


def _standing_fact(one: Standing) -> Fact:
    return {
        "kind": kind_name(one.kind),
        "limit": limit_fact(one.limit),
        "class": one.class_,
        "period": one.period,
        "wording": one.wording,
        "why": _why(one.limit, one.lost) if one.limit else "",
        "judged_by": list(one.judged_by),
        "lost": [
            {"limit": limit_fact(lost.limit), "class": lost.class_, "period": lost.period, "reason": lost.reason}
            for lost in one.lost
        ],
    }
