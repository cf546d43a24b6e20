"""Times as people type them, and as they are shown to people and to programs."""

import re
from datetime import UTC, date, timedelta, timezone

from alerts.notices import CHINA, instant
from ingest.instants import InstantError, instant_ns
from rules.limits import day_ns
from rules.readings import SECOND_NS

ZONE = re.compile(r"([+-])(\d{2}):?(\d{2})")
HEADING = "北京时间 UTC+8"  # stands wherever `shown` is used


def moment_ns(text: str) -> int:
    """Nanoseconds since 1970 UTC of 2026-03-01 (midnight in UTC+8) or 2026-03-01T08:00:00Z. Raises InstantError."""
    try:
        return day_ns(date.fromisoformat(text))
    except ValueError:
        pass
    try:
        return instant_ns(text)
    except InstantError as error:
        raise InstantError(f"{error}; or give a day such as 2026-03-01, which begins at midnight UTC+8") from error


def day(text: str) -> date:
    """2026-03-01. Raises InstantError."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InstantError(f"{text[:40]!r} is no day such as 2026-03-01") from error


def zone(text: str) -> timezone:
    """Z, or +08:00. Raises InstantError."""
    if text in {"Z", "z"}:
        return UTC
    parts = ZONE.fullmatch(text)
    if parts is None or int(parts[2]) > 23 or int(parts[3]) > 59:
        raise InstantError(f"{text[:40]!r} is no zone: Z, or an offset such as +08:00")
    offset = timedelta(hours=int(parts[2]), minutes=int(parts[3]))
    return timezone(-offset if parts[1] == "-" else offset)


def shown(at_ns: int) -> str:
    """For people: to the second, in UTC+8."""
    return f"{instant(at_ns).astimezone(CHINA):%Y-%m-%d %H:%M:%S}"


def written(at_ns: int, in_zone: timezone = UTC) -> str:
    """For programs: RFC 3339, exact to the nanosecond, no more decimals than there are."""
    seconds, rest = divmod(at_ns, SECOND_NS)
    text = instant(seconds * SECOND_NS).astimezone(in_zone).isoformat()
    local, offset = text[:19], text[19:]
    decimals = f".{rest:09}".rstrip("0") if rest else ""
    return f"{local}{decimals}{'Z' if in_zone is UTC else offset}"
