"""Silence: data are expected and do not come. Driven by ticks, in received time.

The clock of a feed is its last arrival, whatever was measured when; for a feed that never spoke it starts at the
first tick. Longer than `after` nominal intervals plus the grace: SUSPECT or FAIL. Any arrival is a good word, but one
only, however many readings arrive together and however often. What arrives after a tick is not older than the tick: a
wall clock that was set back silences nobody a second time.
"""

from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rules.readings import SECOND_NS, Float64s, UInt8s
from rules.state import FAIL, FAR_FUTURE_NS, GOOD, IN_ORDER, SILENT, SUSPECT, Int32s, Records, compiled
from rules.watches import Watch

LIMITS = np.dtype([("suspect_ns", "i8"), ("fail_ns", "i8")])
STATE = np.dtype(
    [("told", "u4"), ("active", "i4"), ("begun", "u4"), ("heard_ns", "i8"), ("ticked_ns", "i8")], align=True
)

Intervals = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Thresholds(BaseModel):
    """In nominal intervals of the feed. null: that level is off."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    suspect_after: Intervals | None = None
    fail_after: Intervals | None = None
    grace_s: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _something_is_tested(self) -> Self:
        if self.suspect_after is None and self.fail_after is None:
            raise ValueError("give suspect_after, fail_after, or both")
        return self


def bind(told: Thresholds, watch: Watch, limits: np.void) -> None:
    """A feed without a nominal interval is never found silent."""

    def after_ns(intervals: float | None) -> int:
        if intervals is None or watch.interval_ns <= 0:
            return FAR_FUTURE_NS
        return min(round(intervals * watch.interval_ns) + told.grace_s * SECOND_NS, FAR_FUTURE_NS)

    limits["suspect_ns"] = after_ns(told.suspect_after)
    limits["fail_ns"] = after_ns(told.fail_after)


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
    """Hears every arrival. Has no word on a reading; `moves`: GOOD for what was not heard before."""
    for row in range(readings.size):
        reading = readings[row]
        for slot in range(place.shape[1]):
            words[slot, row] = SILENT
            moves[slot, row] = SILENT
            at = place[reading["subject"], slot]
            if at < 0:
                continue
            mine = state[at]
            arrived_ns = max(reading["received_ns"], mine["ticked_ns"])
            if not mine["begun"] or arrived_ns > mine["heard_ns"]:
                moves[slot, row] = GOOD
                mine["begun"] = 1
                mine["heard_ns"] = arrived_ns
    return 0


@compiled
def judge_tick(now_ns: int, readings: Records, limits: Records, state: Records, moves: UInt8s) -> int:
    """One row a feed: `prior_ns` says since when it is silent, `moves` holds the word."""
    raised = 0
    for at in range(readings.size):
        mine = state[at]
        mine["ticked_ns"] = now_ns
        if not mine["begun"]:
            mine["begun"] = 1
            mine["heard_ns"] = now_ns
        told = limits[mine["told"]]
        silent_ns = now_ns - mine["heard_ns"]
        readings[at]["subject"] = at
        readings[at]["order"] = IN_ORDER
        readings[at]["received_ns"] = now_ns
        readings[at]["prior_ns"] = mine["heard_ns"]
        moves[0, at] = GOOD
        if silent_ns > told["fail_ns"]:
            moves[0, at] = FAIL
            raised += 1
        elif silent_ns > told["suspect_ns"]:
            moves[0, at] = SUSPECT
            raised += 1
    return raised
