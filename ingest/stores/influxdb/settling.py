"""Which rows of a write will stand: the last of each key, but a late one that says what is already there changes nothing."""

from collections.abc import Mapping

import numpy as np

from rules.readings import Int64s, Judged

Key = tuple[int, int]  # place, measured_ns
Said = tuple[float, int]  # value (nan: missing), flag
_MIX = np.int64(0x9E3779B97F4A7C15 - 2**64)


def settled(rows: Judged, at: Int64s, there: Mapping[Key, Said]) -> Int64s:
    """Those of the rows `at`, in their order, that make the store what it shall be where it holds `there`."""
    if not rows.late[at].any() and not _may_repeat(rows, at):
        return at
    standing: dict[Key, int] = {}
    said: dict[Key, Said] = {}
    columns = (rows.series[at], rows.measured_ns[at], rows.value[at], rows.flag[at], rows.late[at])
    for row, place, measured_ns, value, flag, late in zip(at.tolist(), *(c.tolist() for c in columns), strict=True):
        key = (place, measured_ns)
        known = said.get(key) or there.get(key)
        if late and known is not None and _is_the_same(known, (value, flag)):
            continue
        said[key] = (value, flag)
        standing[key] = row
    return np.array(sorted(standing.values()), np.int64)


def _may_repeat(rows: Judged, at: Int64s) -> bool:
    """False: no key comes twice. Keys are mixed into one number each, so a rare True means nothing."""
    with np.errstate(over="ignore"):
        mixed = rows.series[at] * _MIX + rows.measured_ns[at]
    mixed.sort()
    return bool((mixed[1:] == mixed[:-1]).any())


def _is_the_same(one: Said, other: Said) -> bool:
    """Missing equals missing."""
    missing = one[0] != one[0] and other[0] != other[0]  # only nan differs from itself
    return one[1] == other[1] and (missing or one[0] == other[0])
