"""Runs the cases beside the rules through the real engine, reading by reading and all at once: both must agree.

A case tells only of the rule beside which it stands; the other rules of its station run too and are not compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from rules.binding import Binding
from rules.engine import Engine
from rules.index import Catalogue
from rules.notation import expand, seconds
from rules.readings import SECOND_NS, Batch, SeriesKey, Transition
from rules.rule_schema import Case, CaseStation
from rules.schema import KINDS, Name, Station

STATION = "case"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHANGES = {"opens": "opened", "worsens": "worsened", "clears": "cleared"}


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case. `problems` is empty when it passed."""

    rule: str
    case: str
    problems: Sequence[str]

    @property
    def passed(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class Happening:
    """What the engine is given at one moment: a reading, or a tick of the clock where `key` is None."""

    at_ns: int
    key: SeriesKey | None = None
    measured_ns: int = 0
    value: float = 0.0
    flag: int = 0


def run_cases(catalogue: Catalogue) -> list[CaseResult]:
    """Every case of every rule, in the order of their names."""
    return [run_case(catalogue, rule, case) for rule, cases in sorted(catalogue.cases.items()) for case in cases]


def run_case(catalogue: Catalogue, rule: str, case: Case) -> CaseResult:
    """One case, in both ways of cutting."""
    happenings = history(case)
    expected = sorted(_expected(case))
    problems: list[str] = []
    told: list[list[str]] = []
    for way, cut in (("one by one", _one_by_one), ("all at once", _all_at_once)):
        engine = Engine(Binding(catalogue, {STATION: station_of(case.station, case)}))
        try:
            found = [change for change in _fed(engine, cut(happenings)) if change.rule == rule]
        except ValueError as refused:  # more limits in a row than the engine keeps
            return CaseResult(rule, case.case, [str(refused)])
        told.append(sorted(change.id for change in found))
        got = sorted(_described(change, case) for change in found)
        problems += [f"{way}: expected {line}" for line in _without(expected, got)]
        problems += [f"{way}: unexpected {line}" for line in _without(got, expected)]
    if not problems and told[0] != told[1]:
        problems.append("the two ways of cutting found different transitions")
    return CaseResult(rule, case.case, problems)


def station_of(said: CaseStation, case: Case) -> Station:
    """The register entry that a case stands for: its one feed is the kind of the case, at the case's interval."""
    return Station(
        id=STATION,
        name=Name(zh="用例", en="case"),
        station_type=said.type,
        class_=said.class_,
        classes=said.classes,
        conditions=said.conditions,
        water_body=said.water_body,
        permit=said.permit,
        feeds={case.kind: seconds(case.every)},
    )


def history(case: Case) -> list[Happening]:
    """The readings and ticks of a case in order: a slot's readings come when its own time has come, then it ticks."""
    start_ns = (case.start - _EPOCH) // timedelta(microseconds=1) * 1000
    every_s = seconds(case.every)
    happenings: list[Happening] = []
    longest = 0
    for parameter, text in case.series.items():
        key = SeriesKey(STATION, parameter, KINDS[case.kind])
        written, slots = expand(text, every_s)
        longest = max(longest, slots)
        for w in written:
            at_ns, measured_ns = (start_ns + s * SECOND_NS for s in (w.slot_s, w.at_s))
            happenings.append(Happening(at_ns, key, measured_ns, w.value, int(w.flag)))
    last_s = (longest - 1) * every_s
    silent_s = seconds(case.then_silent) if case.then_silent else 0
    first_s = 0 if case.ticks else last_s + every_s
    ticks = range(first_s, last_s + silent_s + 1, every_s)
    happenings += [Happening(start_ns + s * SECOND_NS) for s in ticks]
    return sorted(happenings, key=lambda h: (h.at_ns, h.key is None))


def _one_by_one(happenings: Sequence[Happening]) -> Iterator[list[Happening]]:
    return ([happening] for happening in happenings)


def _all_at_once(happenings: Sequence[Happening]) -> Iterator[list[Happening]]:
    """As much as lies between two ticks."""
    gathered: list[Happening] = []
    for happening in happenings:
        if happening.key is None:
            yield from (gathered, [happening])
            gathered = []
        else:
            gathered.append(happening)
    yield gathered


def _fed(engine: Engine, pieces: Iterator[list[Happening]]) -> Iterator[Transition]:
    for piece in pieces:
        if piece and piece[0].key is None:
            yield from engine.tick(piece[0].at_ns)
        elif piece:
            yield from engine.evaluate(_batch(engine, piece)).transitions


def _batch(engine: Engine, piece: Sequence[Happening]) -> Batch:
    return Batch(
        series=np.array([engine.place(happening.key) for happening in piece if happening.key], dtype=np.int64),
        measured_ns=np.array([happening.measured_ns for happening in piece], dtype=np.int64),
        received_ns=np.array([happening.at_ns for happening in piece], dtype=np.int64),
        value=np.array([happening.value for happening in piece], dtype=np.float64),
        flag=np.array([happening.flag for happening in piece], dtype=np.uint8),
        position=np.zeros(len(piece), dtype=np.int64),
    )


def _expected(case: Case) -> Iterator[str]:
    one = next(iter(case.series)) if len(case.series) == 1 else None
    for line in case.expect:
        change, level = next((_CHANGES[word], said) for word in _CHANGES if (said := getattr(line, word)) is not None)
        loud = "" if level is True else f" {level}"
        yield _line(seconds(line.at), change + loud, line.parameter or one)


def _described(change: Transition, case: Case) -> str:
    """A transition as a case would write it. Of feeds and stations the parameter is not told."""
    start_ns = (case.start - _EPOCH) // timedelta(microseconds=1) * 1000
    loud = "" if change.what == "cleared" else f" {change.level.name.lower()}"
    one = next(iter(case.series)) if len(case.series) == 1 else None
    return _line((change.at_ns - start_ns) // SECOND_NS, change.what + loud, change.parameter or one)


def _line(after_s: int, what: str, parameter: str | None) -> str:
    hours, rest = divmod(after_s, 3600)
    return f"+{hours:03d}h{rest // 60:02d}min {what}" + (f" {parameter}" if parameter else "")


def _without(lines: Sequence[str], others: Sequence[str]) -> list[str]:
    """Those of `lines` that `others` lacks, counted as often as they stand."""
    left = list(others)
    missing = []
    for line in lines:
        if line in left:
            left.remove(line)
        else:
            missing.append(line)
    return missing
