"""Times of a table: text as people write it, read in the zone that the table's map names, to nanoseconds of UTC."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from ingest.instants import FIRST_YEAR, LAST_YEAR, InstantError
from rules.readings import SECOND_NS

WRITTEN = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2})(?:(:\d{2})(?:[.,](\d{1,9}))?)?)? ?(?:([Zz])|([+-]\d{2}):?(\d{2}))?",
    re.ASCII,
)
FIXED = re.compile(r"([+-])(\d{2}):(\d{2})", re.ASCII)
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # compared with local times, which have no zone yet
MOST_DAYS = 10_000  # remembered


def zone_of(name: str) -> tzinfo:
    """A zone by its IANA name, or a fixed one such as -07:00. Raises ValueError."""
    fixed = FIXED.fullmatch(name)
    if fixed is None:
        try:
            return ZoneInfo(name)
        except (KeyError, OSError, ValueError):  # unknown; a folder of the database; a path
            raise ValueError(
                f"{name!r} is no zone: say a name such as Asia/Shanghai or an offset such as -07:00"
            ) from None
    sign, hours, minutes = fixed.groups()
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError(f"{name} is no offset from UTC")
    return timezone(timedelta(hours=int(hours), minutes=int(minutes)) * (1 if sign == "+" else -1))


class TableTimes:
    """Reads the time cells of one table. A time that says its own offset is taken at that word; else `zone` holds."""

    def __init__(self, zone: str | None, form: str | None = None) -> None:
        """`form` is one of `datetime.strptime`; None: 2020-01-31 23:15[:30[.5]], with T or a space. ValueError: no zone."""
        self._zone = None if zone is None else zone_of(zone)
        self._form = form
        self._days: dict[int, int | None] = {}

    def measured_ns(self, text: str) -> int:
        """Nanoseconds since 1970 UTC. Raises InstantError, also for a local time that the clocks skip or show twice."""
        local, offset_s, part_ns = self._split(text)
        if not FIRST_YEAR <= local.year <= LAST_YEAR:
            raise InstantError(f"the year {local.year} is out of range")
        if offset_s is None:
            offset_s = self._offset_s(local)
        since = local - EPOCH
        return (since.days * 86_400 + since.seconds - offset_s) * SECOND_NS + part_ns

    def _split(self, text: str) -> tuple[datetime, int | None, int]:
        """Local time, its offset if it says one, and the part of a second in ns."""
        if self._form is not None:
            try:
                moment = datetime.strptime(text, self._form)  # noqa: DTZ007  # its zone comes from the map
            except ValueError:
                raise InstantError(f"{text[:40]!r} is not in the form {self._form}") from None
            stated = moment.utcoffset()
            offset_s = None if stated is None else int(stated.total_seconds())
            return moment.replace(tzinfo=None), offset_s, moment.microsecond * 1000
        parts = WRITTEN.fullmatch(text)
        if parts is None:
            raise InstantError(f"{text[:40]!r} is not in the form 2020-01-31 23:15:00; the map may say another")
        day, clock, seconds, decimals, zulu, hours, minutes = parts.groups()
        try:
            local = datetime.fromisoformat(f"{day}T{clock or '00:00'}{seconds or ''}")
        except ValueError as error:
            raise InstantError(f"{text[:40]!r}: {error}") from None
        offset_s = 0 if zulu else None
        if hours is not None:
            if int(hours[1:]) > 23 or int(minutes) > 59:
                raise InstantError(f"{hours}:{minutes} is no offset from UTC")
            offset_s = (int(hours[1:]) * 3600 + int(minutes) * 60) * (-1 if hours[0] == "-" else 1)
        return local, offset_s, int(decimals.ljust(9, "0")) if decimals else 0

    def _offset_s(self, local: datetime) -> int:
        if self._zone is None:
            raise InstantError("it has no zone: the map must name one")
        day = local.toordinal()
        if day not in self._days:
            if len(self._days) >= MOST_DAYS:
                self._days.clear()
            self._days[day] = self._steady_offset_s(local)
        steady = self._days[day]
        if steady is not None:
            return steady
        first, second = self._offsets_s(local)
        if first > second:
            raise InstantError(f"{local} comes twice in {self._zone}, clocks go back: name a fixed offset as zone")
        if first < second:
            raise InstantError(f"{local} does not exist in {self._zone}: clocks go forward")
        return first

    def _steady_offset_s(self, local: datetime) -> int | None:
        """The offset of that whole day; None when clocks change in it, or at one of its ends."""
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        ends = {*self._offsets_s(midnight), *self._offsets_s(midnight + timedelta(days=1))}
        return ends.pop() if len(ends) == 1 else None

    def _offsets_s(self, local: datetime) -> tuple[int, int]:
        """Before and after a change of the clocks; equal where there is none."""
        zone = self._zone or UTC
        first, second = (local.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1))
        return int(first.total_seconds()), int(second.total_seconds())
