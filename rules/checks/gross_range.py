"""Gross range: is the value within what the instrument, and then within what this place can show (QARTOD test 4).

Meaning as in ioos_qc 3.0: outside `fail` FAIL, else outside `suspect` SUSPECT; the ends pass. Needs no order.
"""

from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rules.readings import Float64s, UInt8s
from rules.state import FAIL, GOOD, MISSING, SILENT, SUSPECT, Int32s, Records, compiled
from rules.watches import Watch

Span = Annotated[tuple[float, float], Field(strict=False)]

LIMITS = np.dtype([("fail", "f8", (2,)), ("suspect", "f8", (2,))])
STATE = np.dtype([("told", "u4"), ("active", "i4")])


class Thresholds(BaseModel):
    """Spans in the unit of the rule; reversed spans are sorted; an end may be infinite."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    fail: Span
    suspect: Span | None = None

    @field_validator("fail", "suspect")
    @classmethod
    def _sorted(cls, span: tuple[float, float] | None) -> tuple[float, float] | None:
        if span is None:
            return None
        if any(np.isnan(end) for end in span):
            raise ValueError("an end of a span must be a number")
        return (min(span), max(span))

    @model_validator(mode="after")
    def _suspect_inside_fail(self) -> Self:
        if self.suspect and not (self.fail[0] <= self.suspect[0] and self.suspect[1] <= self.fail[1]):
            raise ValueError("the suspect span must lie inside the fail span")
        return self


def bind(told: Thresholds, watch: Watch, limits: np.void) -> None:
    limits["fail"] = told.fail
    limits["suspect"] = told.suspect or told.fail


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
    """Excess: how far outside the suspect span, in the unit of the value."""
    raised = 0
    for row in range(readings.size):
        reading = readings[row]
        subject, x = reading["subject"], reading["valid"]
        for slot in range(place.shape[1]):
            at = place[subject, slot]
            if at < 0:
                words[slot, row] = SILENT
                continue
            told = limits[state[at]["told"]]
            if not np.isfinite(x):
                words[slot, row] = MISSING
                continue
            low, high = told["suspect"][0], told["suspect"][1]
            if low <= x <= high:
                words[slot, row] = GOOD
                continue
            outside_fail = x < told["fail"][0] or x > told["fail"][1]
            words[slot, row] = FAIL if outside_fail else SUSPECT
            excess[slot, row] = max(low - x, x - high)
            raised += 1
    return raised
