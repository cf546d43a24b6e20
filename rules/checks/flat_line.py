"""Flat line: has the value stood still for too long (QARTOD test 8).

Meaning as in ioos_qc 3.0, with the nominal interval of the feed: count = seconds // interval; a reading is flagged
when the range of the valid ones among the last count + 1 readings is less than the tolerance, so the first `count`
readings of a series are never flagged and tolerance 0 flags nothing. It counts readings, not time.

A value that differs from the one before it by the tolerance lets go of all before it: no window that holds both stands
still. So a window is kept, and walked through, only while values stand still (a tolerance made wider later sees no more).

A window of up to 256 readings is kept reading by reading. A longer one (hours of a feed that speaks every second) is
kept in blocks of readings, each by its lowest and highest: whole blocks stand still or do not, so a flat run may be told
by up to a block later, which is less than a hundredth of the window, and never earlier.
"""

from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rules.readings import SECOND_NS, Float64s, UInt8s
from rules.state import FAIL, GOOD, IN_ORDER, MISSING, NOT_EVALUATED, SILENT, SUSPECT, Int32s, Records, compiled
from rules.watches import Watch

MOST_POINTS = 256  # kept a series: readings, or the lowest and the highest of blocks of readings
FULL_BLOCKS = MOST_POINTS // 2 - 1  # and one that is being filled
OFF = 2**31 - 1  # no window is that long

LIMITS = np.dtype([("tolerance", "f8"), ("suspect_count", "i4"), ("fail_count", "i4"), ("block", "i4")], align=True)
STATE = np.dtype(
    [
        ("told", "u4"),
        ("active", "i4"),
        ("ring_at", "i4"),
        ("ring_size", "i4"),
        ("block", "i4"),
        ("seen", "i4"),  # since a value left the one before it by the tolerance
        ("last", "f8"),  # the newest of these; the others lie in the ring
    ],
    align=True,
)


class Thresholds(BaseModel):
    """Seconds of standing still. null: that level is off. Tolerance in the unit of the rule."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    suspect_after_s: Annotated[int, Field(gt=0, le=10**9)] | None = None
    fail_after_s: Annotated[int, Field(gt=0, le=10**9)] | None = None
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _something_is_tested(self) -> Self:
        if self.suspect_after_s is None and self.fail_after_s is None:
            raise ValueError("give suspect_after_s, fail_after_s, or both")
        return self


def _count(after_s: int | None, interval_ns: int) -> int:
    return OFF if after_s is None else after_s // (interval_ns // SECOND_NS)


def _window(told: Thresholds, watch: Watch) -> int:
    """How many readings the longer of the two windows holds. ValueError where the interval is under a second."""
    if watch.interval_ns < SECOND_NS:
        raise ValueError(f"{watch.rule}: flat_line needs the nominal interval of the feed, a second at least")
    return 1 + max(_count(s, watch.interval_ns) for s in (told.suspect_after_s, told.fail_after_s) if s is not None)


def _block(window: int) -> int:
    """How many readings are merged into one block."""
    return 1 if window <= MOST_POINTS else -(-window // FULL_BLOCKS)


def points(told: Thresholds, watch: Watch) -> int:
    """How many numbers are kept. Raises ValueError where the interval is under a second."""
    window = _window(told, watch)
    block = _block(window)
    return window if block == 1 else 2 * (-(-window // block) + 1)


def bind(told: Thresholds, watch: Watch, limits: np.void) -> None:
    limits["block"] = _block(_window(told, watch))
    limits["tolerance"] = told.tolerance
    limits["suspect_count"] = _count(told.suspect_after_s, watch.interval_ns)
    limits["fail_count"] = _count(told.fail_after_s, watch.interval_ns)


@compiled
def keep(ring: Float64s, start: int, size: int, block: int, seen: int, x: float) -> None:
    """Writes reading number `seen` into its block; nan where it is not valid."""
    width = 1 if block == 1 else 2
    low = start + seen // block % (size // width) * width
    high = low + width - 1
    if seen % block == 0 or not np.isfinite(ring[low]):
        ring[low] = ring[high] = x
    elif np.isfinite(x):
        ring[low], ring[high] = min(ring[low], x), max(ring[high], x)


@compiled
def standing(x: float, ring: Float64s, start: int, size: int, block: int, seen: int, tolerance: float) -> int:
    """How many of the newest readings stand still together: x, and of the `seen` before it."""
    if not tolerance > 0:
        return 0
    width = 1 if block == 1 else 2
    blocks = size - 1 if block == 1 else size // 2  # x is one of the window
    newest = (seen - 1) // block
    low = high = x
    still = 1
    for back in range(min(newest + 1, blocks)):
        at = start + (newest - back) % (size // width) * width
        if np.isfinite(ring[at]):
            low, high = min(low, ring[at]), max(high, ring[at + width - 1])
            if not high - low < tolerance:
                break
        still += block if back else (seen - 1) % block + 1
    return still


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
    for row in range(readings.size):
        reading = readings[row]
        subject, x, order = reading["subject"], reading["valid"], reading["order"]
        for slot in range(place.shape[1]):
            at = place[subject, slot]
            if at < 0:
                words[slot, row] = SILENT
                continue
            words[slot, row] = NOT_EVALUATED if np.isfinite(x) else MISSING
            if order != IN_ORDER:
                continue
            mine = state[at]
            told = limits[mine["told"]]
            block = told["block"]
            if mine["block"] != block:  # what is kept means something else since the rule changed
                mine["block"], mine["seen"] = block, 0
            start, size, seen = mine["ring_at"], mine["ring_size"], mine["seen"]
            if abs(x - mine["last"]) >= told["tolerance"]:
                seen = 0  # no window with both stands still: what was before matters no more
            if seen:
                keep(ring, start, size, block, seen - 1, mine["last"])
            mine["seen"], mine["last"] = seen + 1, x
            if not np.isfinite(x):
                continue
            still = standing(x, ring, start, size, block, seen, told["tolerance"])
            words[slot, row] = GOOD
            excess[slot, row] = still
            if still > told["fail_count"]:
                words[slot, row] = FAIL
                raised += 1
            elif still > told["suspect_count"]:
                words[slot, row] = SUSPECT
                raised += 1
    return raised
