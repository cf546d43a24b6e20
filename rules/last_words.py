"""The last word on every value: what is amended one reading later is held back until nothing can change it any more."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rules.checks import CHECKS, impossible_time
from rules.readings import RANK, Bools, Int64s, Outcome, UInt8s

CHECK_NAMES = tuple(name for name, spec in CHECKS.items() if spec.subject != "feed")  # silence has no word on a value
IMPOSSIBLE_BIT = np.uint64(1 << CHECKS[impossible_time.__name__.rpartition(".")[2]].bit)

# A value with everything that is said about it. `words`: of each check of CHECK_NAMES, 0 where it says nothing.
VALUE = np.dtype(
    [
        ("series", "i8"),
        ("measured_ns", "i8"),
        ("value", "f8"),
        ("raised", "u8"),
        ("flag", "u1"),
        ("verdict", "u1"),
        ("words", "u1", (len(CHECK_NAMES),)),
    ],
    align=True,
)
Values = NDArray[np.void]

_WEIGHT = RANK + np.uint8(1)
_WEIGHT[0] = 0  # silence


class LastWords:
    """Takes outcomes in their order and gives every value once. Only the newest value of a series waits inside.

    Outcomes are those of `Engine.evaluate(batch, explain=True)` for batches of at most rules.scratch.CHUNK readings.
    """

    def __init__(self) -> None:
        self._held = np.zeros(0, VALUE)  # by place of the series
        self._is_held = np.zeros(0, np.bool_)

    def settled(self, outcome: Outcome, checks: Mapping[str, str]) -> Values:
        """The values that have their last word now. `checks`: the check of each rule."""
        rows = _values(outcome, checks)
        if not rows.size:
            return rows
        self._grow(int(rows["series"].max()) + 1)
        newest = ~outcome.judged.late & (rows["raised"] & IMPOSSIBLE_BIT == 0)
        amending = newest & self._is_same(rows)
        for row in rows[amending]:
            held = self._held[row["series"]]
            held["verdict"], held["raised"] = row["verdict"], row["raised"]
            held["words"] = np.where(row["words"], row["words"], held["words"])
        fresh = np.flatnonzero(newest & ~amending)[::-1]
        places, last = np.unique(rows["series"][fresh], return_index=True)
        released = self._held[places][self._is_held[places]]
        waiting = fresh[last]
        self._held[places] = rows[waiting]
        self._is_held[places] = True
        leaving = ~amending
        leaving[waiting] = False
        return np.concatenate([released, rows[leaving]])

    def rest(self) -> Values:
        """After the last outcome: the values that still wait, in the order of their time."""
        rest = self._held[self._is_held]
        self._is_held[:] = False
        return rest[np.argsort(rest["measured_ns"], kind="stable")]

    def _is_same(self, rows: Values) -> Bools:
        """Which rows say something new of the value that waits. A value that only comes again never leaves the engine."""
        places: Int64s = rows["series"]
        held = self._held[places]
        same = self._is_held[places] & (held["measured_ns"] == rows["measured_ns"]) & (held["flag"] == rows["flag"])
        both_missing = np.isnan(held["value"]) & np.isnan(rows["value"])
        is_same: Bools = same & ((held["value"] == rows["value"]) | both_missing)
        return is_same

    def _grow(self, size: int) -> None:
        if size > self._held.size:
            more = max(size, 2 * self._held.size) - self._held.size
            self._held = np.concatenate([self._held, np.zeros(more, VALUE)])
            self._is_held = np.concatenate([self._is_held, np.zeros(more, np.bool_)])


def _values(outcome: Outcome, checks: Mapping[str, str]) -> Values:
    rows = np.zeros(len(outcome.judged), VALUE)
    for name in ("series", "measured_ns", "value", "raised", "flag", "verdict"):
        rows[name] = getattr(outcome.judged, name)
    for rule, said in outcome.words.items():
        if checks[rule] in CHECK_NAMES:
            words: UInt8s = rows["words"][:, CHECK_NAMES.index(checks[rule])]
            words[:] = np.where(_WEIGHT[said] > _WEIGHT[words], said, words)
    return rows
