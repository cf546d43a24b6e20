"""Times of HJ 212: Beijing time without a zone, turned to UTC and back here and nowhere else."""

import re
from datetime import UTC, datetime, timedelta, timezone

from rules.readings import SECOND_NS

BEIJING_S = 8 * 3600
BEIJING = timezone(timedelta(seconds=BEIJING_S))
TIME = re.compile(r"(20\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{3})?", re.ASCII)
MILLISECOND_NS = 1_000_000


def time_ns(text: str) -> int | None:
    """Nanoseconds since 1970 UTC of YYYYMMDDhhmmss in Beijing, with or without milliseconds; None for anything else."""
    parts = TIME.fullmatch(text)
    if parts is None:
        return None
    *calendar, milliseconds = parts.groups(default="0")
    try:
        moment = datetime(*map(int, calendar), tzinfo=UTC)  # type: ignore[misc, arg-type]  # six numbers
    except ValueError:
        return None
    return (int(moment.timestamp()) - BEIJING_S) * SECOND_NS + int(milliseconds) * MILLISECOND_NS


def written_time(at_ns: int) -> str:
    """A time as HJ 212 writes it: YYYYMMDDhhmmss in Beijing."""
    return f"{datetime.fromtimestamp(at_ns // SECOND_NS, BEIJING):%Y%m%d%H%M%S}"


def written_qn(at_ns: int) -> str:
    """A time as a QN: with milliseconds."""
    return f"{written_time(at_ns)}{at_ns // MILLISECOND_NS % 1000:03d}"
