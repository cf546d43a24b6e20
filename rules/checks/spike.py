"""Spike: does a reading stand out from both its neighbours (QARTOD test 6).

Meaning as in ioos_qc 3.0. `average`: |b - (a + c) / 2|. `differential`: the smaller of the two steps where they have
opposite signs, else 0. Known one reading later: the word is 2 first, then amended. The first and the last reading and
a valid one with an invalid neighbour stay 2. It counts readings, not time: neighbours may lie hours apart.
"""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rules.readings import Float64s, UInt8s
from rules.state import FAIL, GOOD, IN_ORDER, MISSING, NOT_EVALUATED, SILENT, SUSPECT, Int32s, Records, compiled
from rules.watches import Watch

LIMITS = np.dtype([("suspect", "f8"), ("fail", "f8"), ("differential", "u1")], align=True)
STATE = np.dtype([("told", "u4"), ("active", "i4"), ("seen", "u4"), ("before", "f8"), ("last", "f8")], align=True)

Height = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Thresholds(BaseModel):
    """Heights in the unit of the rule. 0 or null: that level is not tested."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    suspect: Height | None = None
    fail: Height | None = None
    method: Literal["average", "differential"] = "average"

    @model_validator(mode="after")
    def _something_is_tested(self) -> Self:
        if not self.suspect and not self.fail:
            raise ValueError("give suspect, fail, or both")
        return self


def bind(told: Thresholds, watch: Watch, limits: np.void) -> None:
    limits["suspect"] = told.suspect or np.inf
    limits["fail"] = told.fail or np.inf
    limits["differential"] = told.method == "differential"


@compiled
def height(before: float, x: float, after: float, differential: int) -> float:
    if not differential:
        return abs(x - (before + after) / 2)
    rise, fall = x - before, after - x
    if np.isnan(rise) or np.isnan(fall):
        return np.nan
    return 0.0 if rise * fall >= 0 else min(abs(rise), abs(fall))


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
    """`moves`: the final word on the reading before, where this one settles it. Excess: the height."""
    raised = 0
    for row in range(readings.size):
        reading = readings[row]
        subject, x, order = reading["subject"], reading["valid"], reading["order"]
        for slot in range(place.shape[1]):
            moves[slot, row] = SILENT
            at = place[subject, slot]
            if at < 0:
                words[slot, row] = SILENT
                continue
            words[slot, row] = NOT_EVALUATED if np.isfinite(x) else MISSING
            if order != IN_ORDER:
                continue
            mine = state[at]
            if mine["seen"] == 2:
                told = limits[mine["told"]]
                found = height(mine["before"], mine["last"], x, told["differential"])
                if np.isfinite(found):
                    excess[slot, row] = found
                    moves[slot, row] = GOOD
                    if found > told["fail"]:
                        moves[slot, row] = FAIL
                        raised += 1
                    elif found > told["suspect"]:
                        moves[slot, row] = SUSPECT
                        raised += 1
            mine["before"] = mine["last"]
            mine["last"] = x
            mine["seen"] = min(mine["seen"] + 1, 2)
    return raised
