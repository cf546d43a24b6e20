"""Stored readings as lines of CSV."""

from datetime import timezone
from functools import lru_cache
from math import isnan

from ingest.message import StoredReading
from jianwei.moments import written
from rules.checks import CHECKS
from rules.readings import FLAG_LETTERS

COLUMNS = ("station", "parameter", "kind", "time", "value", "flag", "verdict", "raised_by")
LETTERS = {int(flag): letter for letter, flag in FLAG_LETTERS.items()}
Line = tuple[str, str, str, str, str, str, int, str]


def line(reading: StoredReading, zone: timezone) -> Line:
    """`value` is the shortest text that reads back as the same number; empty: missing."""
    return (
        reading.station,
        reading.parameter,
        reading.kind.name.lower(),
        _time(reading.measured_ns, zone),
        "" if isnan(reading.value) else repr(reading.value),
        LETTERS.get(reading.flag, str(reading.flag)),
        int(reading.verdict),
        _checks(reading.raised),
    )


# Many readings share a time and a mask.


@lru_cache(maxsize=4_096)
def _time(measured_ns: int, zone: timezone) -> str:
    return written(measured_ns, zone)


@lru_cache(maxsize=256)
def _checks(raised: int) -> str:
    return " ".join(check.name for check in CHECKS.values() if raised >> check.bit & 1)
