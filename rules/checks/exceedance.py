"""Exceedance: is the value outside the legal limit in force on the day it was measured.

A value passes when low <= value <= high. Outside the validity of every limit the word is 2. Needs no order.
"""

import numpy as np
from pydantic import BaseModel, ConfigDict

from rules.readings import Float64s, UInt8s
from rules.state import FAIL, FAR_FUTURE_NS, GOOD, MISSING, NOT_EVALUATED, SILENT, Int32s, Records, compiled
from rules.watches import Watch

MOST_LIMITS = 4

LIMITS = np.dtype(
    [
        ("from_ns", "i8", (MOST_LIMITS,)),
        ("until_ns", "i8", (MOST_LIMITS,)),
        ("low", "f8", (MOST_LIMITS,)),
        ("high", "f8", (MOST_LIMITS,)),
    ]
)
STATE = np.dtype([("told", "u4"), ("active", "i4")])


class Thresholds(BaseModel):
    """Nothing: the limits come with the watch."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


def bind(told: Thresholds, watch: Watch, limits: np.void) -> None:
    """Raises ValueError for more than four limits."""
    if len(watch.limits) > MOST_LIMITS:
        raise ValueError(f"{watch.rule}: {len(watch.limits)} limits over time, at most {MOST_LIMITS} are kept")
    limits["from_ns"] = FAR_FUTURE_NS
    limits["until_ns"] = FAR_FUTURE_NS
    limits["low"] = -np.inf
    limits["high"] = np.inf
    for at, limit in enumerate(watch.limits):
        limits["from_ns"][at] = limit.valid_from_ns
        limits["until_ns"][at] = limit.valid_until_ns
        limits["low"][at] = limit.low
        limits["high"][at] = limit.high


@compiled
def share(x: float, low: float, high: float) -> float:
    """By which share of the limit the value is outside it (of a limit of 0: by how much); 0 or less when inside."""
    over = (x - high) / abs(high) if high != 0 else x
    under = (low - x) / abs(low) if low != 0 else -x
    if x > high:
        return over
    return under if x < low else 0.0


@compiled
def judge(
    readings: Records,
    place: Int32s,
    limits: Records,
    state: Records,
    ring: Float64s,
    words: UInt8s,
    excess: Float64s,
    moves: UInt8s,
) -> int:
    """Excess: by which share of the limit the value is outside."""
    raised = 0
    for row in range(readings.size):
        reading = readings[row]
        subject, x, measured_ns = reading["subject"], reading["valid"], reading["measured_ns"]
        for slot in range(place.shape[1]):
            at = place[subject, slot]
            if at < 0:
                words[slot, row] = SILENT
                continue
            if not np.isfinite(x):
                words[slot, row] = MISSING
                continue
            words[slot, row] = NOT_EVALUATED
            told = limits[state[at]["told"]]
            for k in range(MOST_LIMITS):
                if measured_ns < told["from_ns"][k]:
                    break
                if measured_ns < told["until_ns"][k]:
                    words[slot, row] = GOOD
                    if x < told["low"][k] or x > told["high"][k]:
                        words[slot, row] = FAIL
                        excess[slot, row] = share(x, told["low"][k], told["high"][k])
                        raised += 1
                    break
    return raised
