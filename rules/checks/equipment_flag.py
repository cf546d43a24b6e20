"""Equipment flag: a station says of its own readings that they are not normal ones (HJ 212-2017 data flags).

On a reading that carries one of the flags the word is 2 or 3, as the rule says. The state belongs to the station:
it begins with the first series that carries a flag and ends when the newest reading of the last one is normal again.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rules.readings import FLAG_LETTERS, Float64s, UInt8s
from rules.state import GOOD, IN_ORDER, NOT_EVALUATED, SILENT, SUSPECT, Int32s, Records, compiled
from rules.watches import Watch

LIMITS = np.dtype([("flags", "u4"), ("says", "u4")])
STATE = np.dtype([("told", "u4"), ("active", "i4"), ("abnormal", "i4")])

Letter = Literal["F", "M", "S", "D", "C", "T", "B"]


class Thresholds(BaseModel):
    """`flags`: letters of HJ 212. `says`: our word on a reading that carries one of them."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    flags: Annotated[tuple[Letter, ...], Field(min_length=1, strict=False)]
    says: Literal["suspect", "not_evaluated"]


def flag_bits(told: Thresholds) -> int:
    """Bit n is set when `EquipmentFlag(n)` is one of the flags."""
    return sum(1 << FLAG_LETTERS[letter] for letter in sorted(set(told.flags)))


def bind(told: Thresholds, watch: Watch, limits: np.void) -> None:
    limits["flags"] = flag_bits(told)
    limits["says"] = SUSPECT if told.says == "suspect" else NOT_EVALUATED


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
    """`moves`: SUSPECT while any series of the station is abnormal, whatever the word on the reading."""
    raised = 0
    for row in range(readings.size):
        reading = readings[row]
        for slot in range(place.shape[1]):
            words[slot, row] = SILENT
            moves[slot, row] = SILENT
            at = place[reading["subject"], slot]
            if at < 0:
                continue
            mine = state[at]
            told = limits[mine["told"]]
            flagged = np.int64(told["flags"]) >> np.int64(reading["flag"]) & 1
            if flagged:
                words[slot, row] = told["says"]
            if reading["order"] != IN_ORDER:
                continue
            was_flagged = np.int64(told["flags"]) >> np.int64(reading["prior_flag"]) & 1
            mine["abnormal"] += flagged - was_flagged
            moves[slot, row] = GOOD
            if mine["abnormal"] > 0:
                moves[slot, row] = SUSPECT
                raised += 1
    return raised
