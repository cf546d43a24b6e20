"""Flat line: has the value stood still for too long (QARTOD test 8).

Meaning as in ioos_qc 3.0, with the nominal interval of the feed: count = seconds // interval; a reading is flagged
when the range of the valid ones among the last count + 1 readings is less than the tolerance, so the first `count`
readings of a series are never flagged and tolerance 0 flags nothing. It counts readings, not time.
"""

from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rules.readings import SECOND_NS, Float64s, UInt8s
from rules.state import FAIL, GOOD, IN_ORDER, MISSING, NOT_EVALUATED, SILENT, SUSPECT, Int32s, Records, compiled
from rules.watches import Watch

MOST_POINTS = 256
OFF = MOST_POINTS + 1  # no suffix of the window is that long

LIMITS = np.dtype([("tolerance", "f8"), ("suspect_count", "i4"), ("fail_count", "i4")])
STATE = np.dtype([("told", "u4"), ("ring_size", "u4"), ("ring_at", "i8"), ("seen", "i8")], align=True)


class Thresholds(BaseModel):
    """Seconds of standing still. null: that level is off. Tolerance in the unit of the rule."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    suspect_after_s: Annotated[int, Field(gt=0)] | None = None
    fail_after_s: Annotated[int, Field(gt=0)] | None = None
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _something_is_tested(self) -> Self:
        if self.suspect_after_s is None and self.fail_after_s is None:
            raise ValueError("give suspect_after_s, fail_after_s, or both")
        return self


def _count(after_s: int | None, interval_ns: int) -> int:
    return OFF if after_s is None else after_s // (interval_ns // SECOND_NS)


def points(told: Thresholds, watch: Watch) -> int:
    """How many readings the window holds.

    Raises ValueError where the interval is under a second, or the window would hold more than 256 readings.
    """
    if watch.interval_ns < SECOND_NS:
        raise ValueError(f"{watch.rule}: flat_line needs the nominal interval of the feed, a second at least")
    longest = max(_count(s, watch.interval_ns) for s in (told.suspect_after_s, told.fail_after_s) if s is not None)
    if longest >= MOST_POINTS:
        raise ValueError(f"{watch.rule}: flat_line would need {longest + 1} readings; {MOST_POINTS} are kept")
    return longest + 1


def bind(told: Thresholds, watch: Watch, limits: np.void) -> None:
    limits["tolerance"] = told.tolerance
    limits["suspect_count"] = _count(told.suspect_after_s, watch.interval_ns)
    limits["fail_count"] = _count(told.fail_after_s, watch.interval_ns)


@compiled
def standing(ring: Float64s, start: int, size: int, seen: int, tolerance: float) -> int:
    """How many of the newest readings stand still together. Readings that vary end the walk after two or three."""
    low, high = np.inf, -np.inf
    for back in range(min(seen, size)):
        x = ring[start + (seen - 1 - back) % size]
        if np.isfinite(x):
            low, high = min(low, x), max(high, x)
            if not high - low < tolerance:
                return back
    return min(seen, size)


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
    """Excess: how many readings stand still, up to the window."""
    raised = 0
    for slot in range(place.shape[0]):
        for row in range(readings.size):
            at = place[slot, readings[row]["subject"]]
            if at < 0:
                words[slot, row] = SILENT
                continue
            x = readings[row]["valid"]
            words[slot, row] = NOT_EVALUATED if np.isfinite(x) else MISSING
            if readings[row]["order"] != IN_ORDER:
                continue
            mine = state[at]
            start, size, seen = mine["ring_at"], np.int64(mine["ring_size"]), mine["seen"]
            ring[start + seen % size] = x
            mine["seen"] = seen + 1
            if not np.isfinite(x):
                continue
            told = limits[mine["told"]]
            still = standing(ring, start, int(size), seen + 1, told["tolerance"])
            words[slot, row] = GOOD
            excess[slot, row] = still
            if still > told["fail_count"]:
                words[slot, row] = FAIL
                raised += 1
            elif still > told["suspect_count"]:
                words[slot, row] = SUSPECT
                raised += 1
    return raised
