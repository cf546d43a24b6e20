"""Microseconds a reading of the rule engine with twenty watches on every reading, all in: order, episodes, final word."""

import time
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from rules.checks import CHECKS
from rules.engine import Engine
from rules.readings import SECOND_NS, Batch, Family, Kind, Level, LimitInForce, SeriesKey
from rules.watches import Escalation, Subject, Watch

MINUTE_NS = 60 * SECOND_NS
START_NS = 1_772_323_200 * SECOND_NS
STATION_SIZE = 10

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
        self._plan = [
            (at, CHECKS[name], CHECKS[name].thresholds.model_validate(t)) for at, (name, t) in enumerate(PLAN)
        ]
        self._limit = LimitInForce(
            "L", "GB", "1", "4", "P", "general", 0.0, 99.0, "mg/L", 0, 2**63 - 1, has_multiple=True
        )

    def _watches(self, subject: Subject, sort: str) -> list[Watch]:
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
    return engine


def arrivals(series: int, readings: int) -> Batch:
    """Stations report once a minute, each minute in another order; one value in ten thousand breaks a limit."""
    dice = np.random.default_rng(1)
    stations, rounds = series // STATION_SIZE, -(-readings // series)
    order = np.concatenate([dice.permutation(stations) for _ in range(rounds)])
    places = (order[:, None] * STATION_SIZE + np.arange(STATION_SIZE)).ravel()[:readings]
    measured = START_NS + np.arange(readings) // series * MINUTE_NS
    value = np.where(dice.random(readings) < 0.0001, 150.0, 50 + dice.random(readings) * 10)
    flag = np.where(dice.random(readings) < 0.0001, 2, 0).astype(np.uint8)
    return Batch(places, measured, measured + SECOND_NS, value, flag, np.arange(readings))


def evaluate_us(engine: Engine, readings: Batch, batch: int) -> tuple[float, int]:
    """Mean cost of a reading, and how many transitions were found; the first tenth of the readings warms up."""
    cut = [readings.rows(start, start + batch) for start in range(0, len(readings), batch)]
    warm = len(cut) // 10 + 1
    for part in cut[:warm]:
        engine.evaluate(part)
    began = time.perf_counter()
    found = sum(len(engine.evaluate(part).transitions) for part in cut[warm:])
    return (time.perf_counter() - began) / sum(map(len, cut[warm:])) * 1e6, found


def rows(sizes: Sequence[int] = (1_000, 20_000, 200_000)) -> list[tuple[str, float, str]]:
    """(what, how much, unit) for every size of crowd and batch."""
    found = []
    for series in sizes:
        began = time.perf_counter()
        engine = crowd(series)
        place_us = (time.perf_counter() - began) / series * 1e6
        found.append((f"bind {series} series to 20 rules", place_us, "us a series"))
        clock = 0
        for batch in (100, 1_000, 10_000):
            many = max(2 * series, 20 * batch) if batch > 100 else 40_000
            readings = arrivals(series, many)
            shifted = readings.measured_ns + clock
            readings = Batch(
                readings.series, shifted, shifted + SECOND_NS, readings.value, readings.flag, readings.position
            )
            clock += (many // series + 1) * MINUTE_NS
            cost, _ = evaluate_us(engine, readings, batch)
            found.append((f"judge by 20 rules, {series} series, batches of {batch}", cost, "us a reading"))
    return found


if __name__ == "__main__":
    for what, much, unit in rows():
        print(f"{what:60} {much:8.3f} {unit}")  # noqa: T201  # a program
