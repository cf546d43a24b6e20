"""Which file of the embedded store holds a reading: one file a UTC day of measured time, and one for odd times."""

from datetime import date, timedelta

import numpy as np

from rules.readings import SECOND_NS, Int64s

DAY_NS = 86_400 * SECOND_NS
SLOT_NS = 60 * SECOND_NS
EPOCH = date(1970, 1, 1)
FIRST_DAY = (date(2000, 1, 1) - EPOCH).days
END_DAY = (date(2100, 1, 1) - EPOCH).days
OTHER_DAY = END_DAY  # stands for every day outside [FIRST_DAY, END_DAY)
OTHER = "other"


def days_of(measured_ns: Int64s) -> Int64s:
    """Days since 1970, all odd days made one: a station whose clock is wild must not make thousands of files."""
    days = measured_ns // DAY_NS
    return np.where((days >= FIRST_DAY) & (days < END_DAY), days, OTHER_DAY)


def slots_of(measured_ns: Int64s) -> Int64s:
    """The minute of its day in which a time lies, 0 to 1439."""
    return measured_ns % DAY_NS // SLOT_NS


def name_of(day: int) -> str:
    """`2026-03-01`, or `other`."""
    return OTHER if day == OTHER_DAY else (EPOCH + timedelta(days=day)).isoformat()


def names_between(names: list[str], from_ns: int, until_ns: int) -> list[str]:
    """Those of `names` that may hold a time in [from_ns, until_ns)."""
    first, last = from_ns // DAY_NS, (until_ns - 1) // DAY_NS
    inside = first >= FIRST_DAY and last < END_DAY
    low = name_of(min(max(first, FIRST_DAY), END_DAY - 1))
    high = name_of(min(max(last, FIRST_DAY), END_DAY - 1))
    return [name for name in names if (not inside if name == OTHER else low <= name <= high)]


def slots_between(name: str, from_ns: int, until_ns: int) -> range:
    """The slots of the partition `name` that may hold a time in [from_ns, until_ns)."""
    if name == OTHER:
        return range(DAY_NS // SLOT_NS)
    start = (date.fromisoformat(name) - EPOCH).days * DAY_NS
    first = max(from_ns - start, 0) // SLOT_NS
    last = (min(until_ns - start, DAY_NS) - 1) // SLOT_NS
    return range(first, last + 1)
