"""How the embedded store packs readings: those of one station and kind that were measured together lie in one row.

A station sends its values together, so a message is a row instead of ten (measured: 4 us of it instead of 26). The body
of a row is a record a reading, in any order.
"""

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ingest import partitions
from rules.readings import Bools, Int64s, Judged

# A record: value (nan: missing), raised, series, flag, verdict, late.
RECORD = np.dtype([("value", "<f8"), ("raised", "<u8"), ("series", "<u4"), ("flag", "u1"), ("verdict", "u1"), ("late", "u1")])  # fmt: skip
SIZE = RECORD.itemsize
_record = struct.Struct("<dQIBBB")


# As it lies in the table: slot, feed, measured_ns, body. A feed is a station and a kind; the slot follows from the time.
Row = tuple[int, int, int, bytes]


class Reading(NamedTuple):
    """A record of a body."""

    value: float
    raised: int
    series: int
    flag: int
    verdict: int
    late: int


def packed(rows: Judged, at: Int64s, series: Int64s, feeds: Int64s) -> list[Row]:
    """The judged rows `at`, of one day, as rows of its table in the order of the key; `series` and `feeds` name each.

    Where a key comes several times, its rows stand in the order of arrival.
    """
    measured_ns = rows.measured_ns[at]
    records = np.empty(at.size, RECORD)
    records["series"] = series
    for name in ("value", "raised", "flag", "verdict", "late"):
        records[name] = getattr(rows, name)[at]
    begins = _changes(feeds) | _changes(measured_ns)
    first = np.flatnonzero(begins)
    edges = [*(first * SIZE).tolist(), at.size * SIZE]
    whole = records.tobytes()
    bodies = [whole[start:stop] for start, stop in pairwise(edges)]
    for doubled in _doubled(begins, series):
        bodies[doubled] = laid_over(b"", bodies[doubled])
    measured_ns, feeds = measured_ns[first], feeds[first]
    slots = partitions.slots_of(measured_ns)
    order = np.lexsort((measured_ns, feeds, slots))
    sorted_bodies = [bodies[place] for place in order.tolist()]
    key = (slots[order].tolist(), feeds[order].tolist(), measured_ns[order].tolist())
    return list(zip(*key, sorted_bodies, strict=True))


def _doubled(begins: Bools, series: Int64s) -> list[int]:
    """Which rows, each beginning where `begins` says, hold a series twice."""
    if (begins[1:] | (series[1:] > series[:-1])).all():
        return []
    readings, times = np.unique(np.stack((np.cumsum(begins) - 1, series)), axis=1, return_counts=True)
    return sorted(set(readings[0][times > 1].tolist()))


def laid_over(old: bytes, new: bytes) -> bytes:
    """The body that comes of writing `new` where `old` is: each reading replaces the one of its series.

    But a late one whose value and flag are already there changes nothing.
    """
    readings = {reading.series: reading for reading in unpacked(old)}
    for reading in unpacked(new):
        known = readings.get(reading.series)
        if known is None or not (reading.late and _says_the_same(known, reading)):
            readings[reading.series] = reading
    return b"".join(_record.pack(*readings[series]) for series in sorted(readings))


def unpacked(body: bytes) -> Iterator[Reading]:
    """Raises struct.error for what is no body."""
    return map(Reading._make, _record.iter_unpack(body))


def _changes(column: Int64s) -> Bools:
    """Where a value differs from the one before it; the first does."""
    changes = np.ones(column.size, np.bool_)
    changes[1:] = column[1:] != column[:-1]
    return changes


def _says_the_same(one: Reading, other: Reading) -> bool:
    """Missing equals missing."""
    missing = one.value != one.value and other.value != other.value  # only nan differs from itself
    return one.flag == other.flag and (missing or one.value == other.value)
