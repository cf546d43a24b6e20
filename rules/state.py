"""The records that kernels work on, and the words in them.

A kernel is a plain function over numpy record arrays, compiled by numba; with NUMBA_DISABLE_JIT=1 it runs as plain
Python with the same results. Fields are reached by name in brackets, which works both ways.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import ParamSpec, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rules.readings import Verdict

Records = NDArray[np.void]
Int32s = NDArray[np.int32]

SILENT = 0  # no word at all: the rule does not watch this series
GOOD = int(Verdict.GOOD)
NOT_EVALUATED = int(Verdict.NOT_EVALUATED)
SUSPECT = int(Verdict.SUSPECT)
FAIL = int(Verdict.FAIL)
MISSING = int(Verdict.MISSING)

# How a reading stands to the newest one of its series.
IN_ORDER = 0
DUPLICATE = 1  # same time, value and flag: dropped
CONFLICT = 2  # same time, another value or flag: the newer is stored
LATE = 3  # older
IMPOSSIBLE = 4  # failed impossible_time: stored, never moves the newest time

FAR_FUTURE_NS = int(np.iinfo(np.int64).max)
FAR_PAST_NS = int(np.iinfo(np.int64).min)

READING = np.dtype(
    [
        ("subject", "i8"),  # place of the series
        ("measured_ns", "i8"),
        ("received_ns", "i8"),
        ("position", "i8"),
        ("value", "f8"),  # as reported; nan: missing
        ("valid", "f8"),  # what value checks see: nan as well where the equipment flag is not NORMAL
        ("prior_ns", "i8"),  # the reading in order before this one, of the same series
        ("prior_position", "i8"),
        ("prior_value", "f8"),
        ("flag", "u1"),
        ("prior_flag", "u1"),  # NORMAL where there is no prior reading
        ("order", "u1"),
    ],
    align=True,
)


class Moved(IntEnum):
    """What moves the episodes of a check, and in which time."""

    BY_READING = 0  # the word on the reading, at its measured time
    BY_PRIOR = 1  # the word on the reading before, spoken one reading later
    BY_ARRIVAL = 2  # readings as they arrive, at their received time
    BY_STATION = 3  # readings of any series of the station, at their measured time
    BY_TICK = 4  # the passing of time; any arrival speaks too


UInt32s = NDArray[np.uint32]

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The function, compiled when first called, from the cache on disk after that. Frees the GIL."""
    return cast("Callable[P, R]", njit(cache=True, nogil=True, error_model="numpy")(function))


@compiled
def touch(readings: Records, place: Int32s, told: UInt32s) -> int:
    """Reads a field of each record that a check is about to look at; what it returns means nothing.

    In a loop as short as this a processor waits for many records at once, in that of a check for one after another.
    """
    seen = 0
    for row in range(readings.size):
        seen |= told[place[readings[row]["subject"], 0]]
    return seen
