"""Watchlists made by hand, batches made of tuples, and a store as the engine expects one: for the tests of the engine."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from rules.checks import CHECKS
from rules.engine import Engine
from rules.readings import (
    SECOND_NS,
    Batch,
    Family,
    Kind,
    Level,
    LimitInForce,
    Outcome,
    SeriesKey,
    Transition,
)
from rules.watches import Escalation, Persistence, Subject, Watch

MINUTE_NS = 60 * SECOND_NS
START_S = 1_750_000_000
START_NS = START_S * SECOND_NS
Row = tuple[int, int, int, float, int, int]  # series, measured, received, value, flag, position


class Handmade:
    """A watchlist of plain watches."""

    def __init__(self, watches: Iterable[Watch], feeds: Collection[tuple[str, Kind]] = ()) -> None:
        self.watches = list(watches)
        self._feeds = feeds

    def of_series(self, key: SeriesKey) -> Sequence[Watch]:
        return [w for w in self.watches if w.subject == Subject(*key)]

    def of_feed(self, station: str, kind: Kind) -> Sequence[Watch]:
        return [w for w in self.watches if w.subject == Subject(station, "", kind)]

    def of_station(self, station: str) -> Sequence[Watch]:
        return [w for w in self.watches if w.subject == Subject(station)]

    def feeds(self) -> Collection[tuple[str, Kind]]:
        return self._feeds


def key(number: int = 0, station: str = "S1") -> SeriesKey:
    return SeriesKey(station, f"p{number}", Kind.MINUTE)


def watch(
    check: str,
    thresholds: dict[str, Any] | None = None,
    *,
    rule: str = "",
    series: SeriesKey | None = None,
    edition: int = 1,
    levels: tuple[Level, Level] = (Level.BLUE, Level.YELLOW),
    raise_after: Persistence | None = None,
    clear_after: Persistence | None = None,
    escalation: Sequence[Escalation] = (),
    limits: Sequence[LimitInForce] = (),
    interval_ns: int = MINUTE_NS,
) -> Watch:
    series = series or key()
    subjects = {
        "series": Subject(*series),
        "feed": Subject(series.station, "", series.kind),
        "station": Subject(series.station),
    }
    return Watch(
        rule=rule or check,
        edition=edition,
        check=check,
        family=Family.DATA_QUALITY,
        subject=subjects[CHECKS[check].subject],
        thresholds=CHECKS[check].thresholds.model_validate(thresholds or {}),
        interval_ns=interval_ns,
        unit="mg/L",
        suspect_level=levels[0],
        fail_level=levels[1],
        raise_after=raise_after or Persistence(),
        clear_after=clear_after or Persistence(),
        escalation=escalation,
        limits=limits,
    )


def limit(
    low: float = -np.inf, high: float = np.inf, from_s: int = 0, until_s: int = 10**10, **more: Any
) -> LimitInForce:
    told: dict[str, Any] = {
        "limit_id": f"L{low}-{high}",
        "standard": "GB 0",
        "edition": "1",
        "clause": "4",
        "mark": "C",
    }
    told |= {"authority": "general", "unit": "mg/L", "has_multiple": True}
    days = {
        "valid_from_ns": from_s * SECOND_NS,
        "valid_until_ns": until_s * SECOND_NS if until_s < 9**10 else 2**63 - 1,
    }
    return LimitInForce(low=low, high=high, **(told | days | more))


def batch(rows: Sequence[Row]) -> Batch:
    columns = list(zip(*rows, strict=True)) or [()] * 6
    kinds = (np.int64, np.int64, np.int64, np.float64, np.uint8, np.int64)
    series, measured, received, value, flag, position = (
        np.array(c, dtype=k) for c, k in zip(columns, kinds, strict=True)
    )
    return Batch(series, measured, received, value, flag, position)


def minutely(
    values: Sequence[float],
    *,
    series: int = 0,
    flags: Sequence[int] | None = None,
    start: int = 0,
    step_ns: int = MINUTE_NS,
) -> Batch:
    """One reading a minute, received a second after it was measured."""
    rows = []
    for at, value in enumerate(values, start):
        measured = START_NS + at * step_ns
        rows.append((series, measured, measured + SECOND_NS, value, flags[at - start] if flags else 0, at))
    return batch(rows)


class Folded:
    """A store: one row a key, the last one wins; a late row whose value and flag are there changes nothing."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, int], tuple[float, int, int, int]] = {}
        self.words: dict[tuple[int, int], dict[str, int]] = {}

    def write(self, outcome: Outcome) -> None:
        judged = outcome.judged
        for at in range(len(judged)):
            name = int(judged.series[at]), int(judged.measured_ns[at])
            value = float(judged.value[at])
            known = self.rows.get(name)
            flag = int(judged.flag[at])
            same = known is not None and (repr(known[0]), known[1]) == (repr(value), flag)
            if same and judged.late[at]:
                continue
            self.rows[name] = (value, flag, int(judged.verdict[at]), int(judged.raised[at]))
            said = {rule: int(words[at]) for rule, words in outcome.words.items() if words[at]}
            self.words[name] = (self.words.get(name, {}) if same else {}) | said

    def plain(self) -> dict[tuple[int, int], tuple[str, int, int, int]]:
        """Rows with values as text, so that nan equals nan."""
        return {name: (repr(row[0]), *row[1:]) for name, row in self.rows.items()}


def placed(watches: Iterable[Watch], series: Sequence[SeriesKey] = ()) -> Engine:
    """An engine that has these series in this order."""
    engine = Engine(Handmade(watches, [(k.station, k.kind) for k in series]))
    for k in series or [key()]:
        engine.place(k)
    return engine


def verdicts(outcome: Outcome) -> list[int]:
    return [int(v) for v in outcome.judged.verdict]


def told(transitions: Iterable[Transition]) -> list[tuple[str, str, Level]]:
    return [(t.rule, t.what, t.level) for t in transitions]
