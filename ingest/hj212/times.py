"""Times of HJ 212: Beijing time without a zone, turned to UTC here and nowhere else."""

import re
from datetime import UTC, datetime

from rules.readings import SECOND_NS

BEIJING_S = 8 * 3600
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
