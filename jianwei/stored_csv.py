"""Stored readings as lines of CSV, a day of one station at a time: what is held does not grow with what is stored."""

from collections.abc import Iterable, Iterator
from datetime import date, timezone
from math import isnan

from ingest.message import StoredReading
from ingest.partitions import DAY_NS, END_DAY, EPOCH, FIRST_DAY, OTHER, names_between
from ingest.stores.sqlite import SqliteStore
from jianwei.moments import written
from rules.checks import CHECKS
from rules.readings import FLAG_LETTERS, Kind

COLUMNS = ("station", "parameter", "kind", "time", "value", "flag", "verdict", "raised_by")
LETTERS = {int(flag): letter for letter, flag in FLAG_LETTERS.items()}
Line = tuple[str, str, str, str, str, str, int, str]


def readings_of(
    store: SqliteStore, stations: Iterable[str], parameter: str | None, kind: Kind | None, from_ns: int, until_ns: int
) -> Iterator[list[StoredReading]]:
    """Readings measured in [from_ns, until_ns): by UTC day, then by station, parameter, kind and time."""
    chosen = list(stations)
    for first_ns, end_ns in _days(names_between(store.days(), from_ns, until_ns), from_ns, until_ns):
        for station in chosen:
            if found := store.read(station, parameter, kind, first_ns, end_ns):
                yield found


def line(reading: StoredReading, zone: timezone) -> Line:
    """`value` is the shortest text that reads back as the same number; empty: missing."""
    return (
        reading.station,
        reading.parameter,
        reading.kind.name.lower(),
        written(reading.measured_ns, zone),
        "" if isnan(reading.value) else repr(reading.value),
        LETTERS.get(reading.flag, str(reading.flag)),
        int(reading.verdict),
        " ".join(check.name for check in CHECKS.values() if reading.raised >> check.bit & 1),
    )


def _days(names: Iterable[str], from_ns: int, until_ns: int) -> Iterator[tuple[int, int]]:
    """The span of each partition, cut to what is asked; in the order of time, though odd times have one file."""
    listed = list(names)
    spans = [_span(name) for name in listed if name != OTHER]
    if OTHER in listed:
        spans = [(from_ns, FIRST_DAY * DAY_NS), *spans, (END_DAY * DAY_NS, until_ns)]
    cut = ((max(start, from_ns), min(end, until_ns)) for start, end in spans)
    return ((start, end) for start, end in cut if start < end)


def _span(name: str) -> tuple[int, int]:
    day = (date.fromisoformat(name) - EPOCH).days
    return day * DAY_NS, (day + 1) * DAY_NS
