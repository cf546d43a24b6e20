"""Times as text to nanoseconds, exactly: RFC 3339 with a zone, at most nine decimals."""

import re
from datetime import UTC, datetime, timedelta

from rules.readings import SECOND_NS

INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d{2}):(\d{2}))?", re.ASCII
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_YEAR, LAST_YEAR = 1700, 2200  # what 64 bits of nanoseconds hold, with room


class InstantError(ValueError):
    """The text is no instant; the message says why."""


def instant_ns(text: str) -> int:
    """Nanoseconds since 1970 UTC of a time such as 2026-05-01T08:00:00.5+08:00. Raises InstantError."""
    parts = INSTANT.fullmatch(text)
    if parts is None:
        raise InstantError(f"{text[:40]!r} is not in the form 2026-05-01T08:00:00+08:00")
    local, decimals, zulu, sign, hours, minutes = parts.groups()
    if zulu is None and sign is None:
        raise InstantError("it has no zone: end it with Z or +08:00")
    try:
        moment = datetime.fromisoformat(local.upper()).replace(tzinfo=UTC)
    except ValueError as error:
        raise InstantError(f"{text[:40]!r}: {error}") from error
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise InstantError(f"the year {moment.year} is out of range")
    offset = timedelta()
    if sign is not None:
        if int(hours) > 23 or int(minutes) > 59:
            raise InstantError(f"{sign}{hours}:{minutes} is no zone")
        offset = timedelta(hours=int(hours), minutes=int(minutes)) * (1 if sign == "+" else -1)
    seconds = (moment - EPOCH - offset) // timedelta(seconds=1)
    return seconds * SECOND_NS + int((decimals or "").ljust(9, "0"))
