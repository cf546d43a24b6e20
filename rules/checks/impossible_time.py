"""Impossible time: readings from the future, or from before there was a station.

FAIL when measured more than `ahead_s` after it was received, or before the day `earliest` (UTC). Runs before the
order of readings is made, so that one wrong clock does not make all later readings late.

A clock belongs to the logger, not to a parameter: every reading gets its word, and a feed has one episode. It moves in
received time, since the measured time is what is wrong, once for each new time: the parameters of a message count as
one, and a message that comes twice as none. Times of a wrong clock still have an order among themselves, on each side.
"""

from datetime import UTC, date, datetime
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rules.readings import SECOND_NS, Float64s, UInt8s
from rules.state import FAIL, FAR_PAST_NS, GOOD, SILENT, Int32s, Records, compiled
from rules.watches import Watch

LIMITS = np.dtype([("ahead_ns", "i8"), ("earliest_ns", "i8")])
STATE = np.dtype(
    [
        ("told", "u4"),
        ("active", "i4"),
        ("seen_ahead", "u2"),
        ("seen_early", "u2"),
        ("seen_good", "u2"),
        ("ahead_ns", "i8"),
        ("early_ns", "i8"),
        ("good_ns", "i8"),
    ],
    align=True,
)


class Thresholds(BaseModel):
    """`ahead_s`: by how much a clock may be ahead of ours. `earliest`: the first day that can be true."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    ahead_s: Annotated[int, Field(ge=0, le=10**9)]
    earliest: Annotated[date, Field(strict=False)]


def bind(told: Thresholds, watch: Watch, limits: np.void) -> None:
    midnight = datetime(told.earliest.year, told.earliest.month, told.earliest.day, tzinfo=UTC)
    limits["ahead_ns"] = told.ahead_s * SECOND_NS
    limits["earliest_ns"] = max(int(midnight.timestamp()) * SECOND_NS, FAR_PAST_NS)


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
    """Excess: how many seconds the clock is off, as far as one can tell."""
    raised = 0
    for row in range(readings.size):
        reading = readings[row]
        subject, measured_ns, received_ns = reading["subject"], reading["measured_ns"], reading["received_ns"]
        for slot in range(place.shape[1]):
            at = place[subject, slot]
            if at < 0:
                words[slot, row] = SILENT
                moves[slot, row] = SILENT
                continue
            mine = state[at]
            told = limits[mine["told"]]
            words[slot, row] = GOOD
            if measured_ns < told["earliest_ns"]:
                newer = not mine["seen_early"] or measured_ns > mine["early_ns"]
                if newer:
                    mine["seen_early"] = 1
                    mine["early_ns"] = measured_ns
            elif measured_ns > received_ns + told["ahead_ns"]:
                newer = not mine["seen_ahead"] or measured_ns > mine["ahead_ns"]
                if newer:
                    mine["seen_ahead"] = 1
                    mine["ahead_ns"] = measured_ns
            else:
                newer = not mine["seen_good"] or measured_ns > mine["good_ns"]
                if newer:
                    mine["seen_good"] = 1
                    mine["good_ns"] = measured_ns
                moves[slot, row] = GOOD if newer else SILENT
                continue
            words[slot, row] = FAIL
            moves[slot, row] = FAIL if newer else SILENT
            excess[slot, row] = abs(float(measured_ns) - float(received_ns)) / SECOND_NS
            raised += 1
    return raised
