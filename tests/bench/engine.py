"""The rule engine with twenty watches on every reading, all in: order, episodes, final word.

Beside it a plain loop that has none of these.
"""

import gc
import statistics
import time
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from rules.checks import CHECKS
from rules.engine import Engine
from rules.readings import SECOND_NS, Batch, Family, Kind, Level, LimitInForce, SeriesKey
from rules.watches import Escalation, Subject, Watch
from tests.bench import plain_loop
from tests.bench.table import Aim, Effort, Row

MINUTE_NS = 60 * SECOND_NS
START_NS = 1_772_323_200 * SECOND_NS
STATION_SIZE = 10
BROKEN = 0.00001  # of the values, and as many flags: with 20,000 series some 600 broken readings a day

# (check, thresholds) of the watches on every series, feed and station: twenty in all.
PLAN: list[tuple[str, dict[str, Any]]] = [
    ("impossible_time", {"ahead_s": 3600, "earliest": "2000-01-01"}),
    *[("gross_range", {"fail": [-90.0 - n, 190.0], "suspect": [0.0, 99.0]}) for n in range(4)],
    *[("spike", {"suspect": 60.0 + n, "fail": 90.0}) for n in range(3)],
    *[("rate_of_change", {"suspect": 90.0 + n, "fail": 100.0, "per_s": 60.0}) for n in range(3)],
    *[("flat_line", {"suspect_after_s": 600, "fail_after_s": 1200 + 60 * n, "tolerance": 0.01}) for n in range(3)],
    *[("exceedance", {}) for _ in range(4)],
    ("equipment_flag", {"flags": ["M", "C"], "says": "not_evaluated"}),
    ("silence", {"suspect_after": 3.0, "fail_after": 10.0}),
]


class Same:
    """Every series of every station is watched in the same way."""

    def __init__(self) -> None:
        self._watches = lru_cache(4_096)(self._made)  # who breaks a limit is asked for again soon
        self._plan = [
            (at, CHECKS[name], CHECKS[name].thresholds.model_validate(t)) for at, (name, t) in enumerate(PLAN)
        ]
        self._limit = LimitInForce(
            "L", "GB", "1", "4", "P", "general", 0.0, 99.0, "mg/L", 0, 2**63 - 1, has_multiple=True
        )

    def _made(self, subject: Subject, sort: str) -> list[Watch]:
        return [
            Watch(
                f"rule{at}", 1, spec.name, Family.DATA_QUALITY, subject, told, MINUTE_NS, "mg/L", Level.BLUE, Level.YELLOW,
                escalation=[Escalation(1.5, Level.RED)] if spec.name == "exceedance" else (),
                limits=[self._limit] if spec.name == "exceedance" else (),
            )
            for at, spec, told in self._plan
            if spec.subject == sort
        ]  # fmt: skip

    def of_series(self, key: SeriesKey) -> Sequence[Watch]:
        return self._watches(Subject(*key), "series")

    def of_feed(self, station: str, kind: Kind) -> Sequence[Watch]:
        return self._watches(Subject(station, "", kind), "feed")

    def of_station(self, station: str) -> Sequence[Watch]:
        return self._watches(Subject(station), "station")

    def feeds(self) -> Collection[tuple[str, Kind]]:
        return ()


def crowd(series: int) -> Engine:
    """An engine that knows so many series, ten a station."""
    engine = Engine(Same())
    for n in range(series):
        engine.place(SeriesKey(f"S{n // STATION_SIZE:06}", f"p{n % STATION_SIZE}", Kind.MINUTE))
    gc.collect()
    gc.freeze()  # else a collection walks through all of this, for us and for the plain loop
    return engine


def arrivals(series: int, readings: int, broken: float = BROKEN, seed: int = 1) -> Batch:
    """Stations report once a minute, each minute in another order; a share is `broken`: out of limits, or flagged."""
    dice = np.random.default_rng(seed)
    stations, rounds = series // STATION_SIZE, -(-readings // series)
    order = np.concatenate([dice.permutation(stations) for _ in range(rounds)])
    places = (order[:, None] * STATION_SIZE + np.arange(STATION_SIZE)).ravel()[:readings]
    measured = START_NS + np.arange(readings) // series * MINUTE_NS
    value = np.where(dice.random(readings) < broken, 150.0, 50 + dice.random(readings) * 10)
    flag = np.where(dice.random(readings) < broken, 2, 0).astype(np.uint8)
    return Batch(places, measured, measured + SECOND_NS, value, flag, np.arange(readings))


def evaluate_us(engine: Engine, readings: Batch, batch: int) -> tuple[float, float]:
    """CPU microseconds a reading, and how many transitions a reading; the first tenth of the readings warms up."""
    cut = [readings.rows(start, start + batch) for start in range(0, len(readings), batch)]
    warm = len(cut) // 10 + 1
    for part in cut[:warm]:
        engine.evaluate(part)
    found = 0
    began = time.process_time()
    for part in cut[warm:]:
        found += len(engine.evaluate(part).transitions)
    spent, count = time.process_time() - began, sum(map(len, cut[warm:]))
    return spent / count * 1e6, found / count


def plain_us(readings: Batch) -> float:
    """Mean cost of a reading in a plain loop, with the way from columns to Python's numbers."""
    seen: dict[int, plain_loop.Seen] = {}
    columns = (readings.series, readings.measured_ns, readings.received_ns, readings.value, readings.flag)
    began = time.process_time()
    plain_loop.judge(zip(*(column.tolist() for column in columns), strict=True), seen)
    return (time.process_time() - began) / len(readings) * 1e6


def later(readings: Batch, by_ns: int) -> Batch:
    shifted = readings.measured_ns + by_ns
    return Batch(readings.series, shifted, shifted + SECOND_NS, readings.value, readings.flag, readings.position)


def rows(effort: Effort) -> list[Row]:
    """For every size of crowd and batch; at the size that is aimed at, also by how much is broken."""
    found = []
    for series in (1_000, 20_000) if effort.quick else (1_000, 20_000, 200_000):
        engine = crowd(series)
        clock = iter(range(0, 2**62, 10_000 * MINUTE_NS))
        for batch in (100, 1_000, 10_000):
            count = max(2 * series, effort.of(100, 20) * batch) if batch > 100 else 40_000
            readings = arrivals(series, count)
            costs = [evaluate_us(engine, later(readings, next(clock)), batch)[0] for _ in range(effort.of(5, 1))]
            cost, plain = statistics.median(costs), plain_us(readings.rows(0, 40_000))
            is_aimed_at = (series, batch) == (20_000, 1_000)
            found.append(
                Row(
                    f"twenty checks, {series:,} series, batches of {batch:,}", cost, "us a reading",
                    "twenty checks in a plain loop", plain, Aim("figure", 0.3, most=True) if is_aimed_at else None,
                )
            )  # fmt: skip
            if is_aimed_at:
                found += rows_by_dirt(engine, clock, effort)
    return found


def rows_by_dirt(engine: Engine, clock: Iterator[int], effort: Effort) -> list[Row]:
    """The same with nothing broken, and with so much that it shows what a transition costs."""
    count, much = effort.of(100, 20) * 1_000, 0.0001
    clean, dirty, prices = [], [], []
    for seed in range(effort.of(7, 1)):
        without, _ = evaluate_us(engine, later(arrivals(20_000, count, 0, seed), next(clock)), 1_000)
        with_much, told = evaluate_us(engine, later(arrivals(20_000, count, much, seed), next(clock)), 1_000)
        clean.append(without)
        dirty.append(with_much)
        prices.append((with_much - without) / told)
    return [
        Row("the same with nothing broken", statistics.median(clean), "us a reading"),
        Row("the same with one value in 10,000 broken", statistics.median(dirty), "us a reading"),
        Row("what a transition adds there", statistics.median(prices), "us"),
    ]
