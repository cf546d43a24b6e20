"""The table of checks. One more check is one more module and one more line here.

A check is a module with `Thresholds` (what a rule file may say), LIMITS and STATE (what its kernel is told and what
it remembers of a subject), `bind` (fills LIMITS from a watch) and `judge`, a loop over readings in arrival order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from rules.checks import (
    equipment_flag,
    exceedance,
    flat_line,
    gross_range,
    impossible_time,
    rate_of_change,
    silence,
    spike,
)
from rules.readings import Float64s, UInt8s
from rules.state import Int32s, Moved, Records
from rules.watches import Watch

Judge = Callable[[Records, Int32s, Records, Records, Float64s, UInt8s, Float64s, UInt8s], int]


def no_points(_told: BaseModel, _watch: Watch) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A check. `bit` stands in stored masks: it never changes and is never given away again.

    `judge(readings, place, limits, state, ring, words, excess, moves)` walks the readings in arrival order and for each
    the slots of `place` (one watch of this check on a subject each). `place[series, slot]` is the row of `state`, -1
    where nothing watches; `state[row]["told"]` the row of `limits`, `state[row]["active"]` belongs to the episodes;
    `ring` holds as many floats a row as `points` asks for. It sets `words[slot, row]`, our word on the reading (0: none); for raised ones `excess`, which grows with how bad it
    is; and, where it is not the word on the reading that moves the episode, `moves`. It returns how often it raised.
    """

    name: str
    bit: int
    subject: Literal["series", "feed", "station"]
    thresholds: type[BaseModel]
    limits: np.dtype[Any]
    state: np.dtype[Any]
    bind: Callable[[Any, Watch, np.void], None]
    judge: Judge
    moved: Moved = Moved.BY_READING
    points: Callable[[Any, Watch], int] = no_points


def _table() -> Mapping[str, CheckSpec]:
    def spec(module: Any, bit: int, subject: Literal["series", "feed", "station"], **more: Any) -> CheckSpec:
        name = str(module.__name__).rpartition(".")[2]
        told = (module.Thresholds, module.LIMITS, module.STATE, module.bind, module.judge)
        return CheckSpec(name, bit, subject, *told, **more)

    specs = [
        spec(impossible_time, 0, "feed", moved=Moved.BY_ARRIVAL),
        spec(gross_range, 1, "series"),
        spec(spike, 2, "series", moved=Moved.BY_PRIOR),
        spec(rate_of_change, 3, "series"),
        spec(flat_line, 4, "series", points=flat_line.points),
        spec(exceedance, 5, "series"),
        spec(equipment_flag, 6, "station", moved=Moved.BY_STATION),
        spec(silence, 7, "feed", moved=Moved.BY_TICK),
    ]
    return MappingProxyType({s.name: s for s in specs})


CHECKS: Mapping[str, CheckSpec] = _table()
