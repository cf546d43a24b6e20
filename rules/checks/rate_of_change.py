"""Rate of change: |dx| / dt against the reading before (QARTOD test 7).

Meaning as in ioos_qc 3.0: dt in whole seconds; under one second apart the difference itself counts; the first reading
is good, and so is the first after a missing one.
"""

from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rules.readings import SECOND_NS, Float64s, UInt8s
from rules.state import FAIL, GOOD, IN_ORDER, MISSING, NOT_EVALUATED, SILENT, SUSPECT, Int32s, Records, compiled
from rules.watches import Watch

LIMITS = np.dtype([("suspect", "f8"), ("fail", "f8")])
STATE = np.dtype(
    [("told", "u4"), ("active", "i4"), ("seen", "u4"), ("last_value", "f8"), ("last_ns", "i8")], align=True
)

Change = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Thresholds(BaseModel):
    """Change in the unit of the rule within `per_s` seconds. null: that level is off; 0 is a threshold."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    suspect: Change | None = None
    fail: Change | None = None
    per_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0

    @model_validator(mode="after")
    def _something_is_tested(self) -> Self:
        if self.suspect is None and self.fail is None:
            raise ValueError("give suspect, fail, or both")
        return self


def bind(told: Thresholds, watch: Watch, limits: np.void) -> None:
    limits["suspect"] = np.inf if told.suspect is None else told.suspect / told.per_s
    limits["fail"] = np.inf if told.fail is None else told.fail / told.per_s


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
    """Excess: the rate, in units a second."""
    raised = 0
    for row in range(readings.size):
        reading = readings[row]
        subject, x, now_ns, order = reading["subject"], reading["valid"], reading["measured_ns"], reading["order"]
        for slot in range(place.shape[1]):
            at = place[subject, slot]
            if at < 0:
                words[slot, row] = SILENT
                continue
            words[slot, row] = NOT_EVALUATED if np.isfinite(x) else MISSING
            if order != IN_ORDER:
                continue
            mine = state[at]
            if not np.isfinite(x):
                mine["seen"] = 0
                continue
            words[slot, row] = GOOD
            if mine["seen"]:
                told = limits[mine["told"]]
                seconds = (now_ns - mine["last_ns"]) // SECOND_NS
                rate = abs(x - mine["last_value"]) / max(seconds, 1)
                excess[slot, row] = rate
                if rate > told["fail"]:
                    words[slot, row] = FAIL
                    raised += 1
                elif rate > told["suspect"]:
                    words[slot, row] = SUSPECT
                    raised += 1
            mine["seen"] = 1
            mine["last_value"] = x
            mine["last_ns"] = now_ns
    return raised
