"""The notation of a series in a case: tokens separated by blanks, one slot or several each.

    7          a value                      7x3        the same value in three slots
    7+0.5x4    a ramp: 7, 7.5, 8, 8.5       8-1x3      a falling one: 8, 7, 6
    _  _x3     slots in which nothing comes
    nan        the station says "missing"   7!M        a value under an equipment flag (letters of HJ 212)
    7@+2h      the value carries a time two hours after its slot; 7@-30min before it

A suffix stands behind the number of slots: 7x3!M, 7@+1d!D.
"""

import math
import re
from dataclasses import dataclass

from rules.readings import FLAG_LETTERS, EquipmentFlag

_TOKEN = re.compile(
    r"""(?P<value>nan|-?\d+(?:\.\d+)?)
        (?P<step>[+-]\d+(?:\.\d+)?)?
        (?:x(?P<times>\d{1,4}))?
        (?:@(?P<shift>[+-]\d{1,6}(?:s|min|h|d)))?
        (?:!(?P<flag>[NFMSDCTB]))?""",
    re.VERBOSE | re.ASCII,
)
_GAP = re.compile(r"_(?:x(?P<times>\d{1,4}))?", re.ASCII)
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
MOST_SLOTS = 10_000


class NotationError(ValueError):
    """A token that cannot be read, or too many slots."""


@dataclass(frozen=True, slots=True)
class Written:
    """A value in a slot. `at_s`: its own time, seconds after the first slot; `slot_s`: when it arrives."""

    slot_s: int
    at_s: int
    value: float
    flag: EquipmentFlag


def seconds(duration: str) -> int:
    """How many seconds 90s, 10min, +3h or -1d are."""
    digits = duration.rstrip("smindh")
    return int(digits) * _SECONDS[duration[len(digits) :]]


def expand(text: str, every_s: int) -> tuple[list[Written], int]:
    """The values of a series whose slots are `every_s` apart, and how many slots it has. Raises NotationError."""
    written: list[Written] = []
    slots = 0
    for token in text.split():
        if gap := _GAP.fullmatch(token):
            slots += int(gap["times"] or 1)
        elif said := _TOKEN.fullmatch(token):
            times = int(said["times"] or 1)
            if slots + times > MOST_SLOTS:
                raise NotationError(f"more than {MOST_SLOTS} slots")
            written += _values(said, range(slots, slots + times), every_s)
            slots += times
        else:
            raise NotationError(f"cannot read {token!r}")
    if slots > MOST_SLOTS:
        raise NotationError(f"more than {MOST_SLOTS} slots")
    return written, slots


def _values(said: re.Match[str], slots: range, every_s: int) -> list[Written]:
    """Ramps are reckoned in whole units of their last decimal, so that 0.1+0.1x3 ends with 0.3 exactly."""
    flag = FLAG_LETTERS[said["flag"] or "N"]
    shift_s = seconds(said["shift"]) if said["shift"] else 0
    step = said["step"] or "0"
    scale = 10 ** max(len(part.partition(".")[2]) for part in (said["value"], step))
    if said["value"] == "nan":
        return [Written(slot * every_s, slot * every_s + shift_s, math.nan, flag) for slot in slots]
    first, rise = round(float(said["value"]) * scale), round(float(step) * scale)
    return [
        Written(slot * every_s, slot * every_s + shift_s, (first + number * rise) / scale, flag)
        for number, slot in enumerate(slots)
    ]
