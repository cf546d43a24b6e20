"""Is the journal what was written? Follows the chain of digests through the days and hashes every sealed file."""

import hashlib
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from ingest import segments
from ingest.segments import Origin

MOST_TRIES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written, the day where it shows, and the entry where one can be named."""

    day: str
    what: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class _End:
    """Where a segment ended: what the origin of the next must say."""

    day: str
    number: int
    digest: bytes


def verify(folder: Path, progress: Callable[[str], None]) -> list[Finding]:
    """All findings, oldest day first. Days that retention removes while it looks make it look again."""
    findings: list[Finding] = []
    for _ in range(MOST_TRIES):
        days = segments.names(folder)
        findings = _look(folder, days, progress)
        if set(days) <= set(segments.names(folder)):
            break
    return findings


def unsealed(folder: Path, newest: str) -> list[str]:
    """The closed days without a seal, oldest first. Days are sealed in order, so only the last ones can be."""
    found: list[str] = []
    seals: set[str] = set()
    for day in reversed([name for name in segments.names(folder) if name <= newest]):
        if day in seals:
            break
        if day != newest:
            found.append(day)
        with closing(segments.open_for_reading(segments.path_of(folder, day))) as connection:
            if segments.origin_of(connection) is not None:
                seals.update(segments.seals_in(connection))
    return found[::-1]


def _look(folder: Path, days: list[str], progress: Callable[[str], None]) -> list[Finding]:
    findings: list[Finding] = []
    seals, kept_from = _said_about_others(folder, days)
    end: _End | None = None
    for day in days:
        progress(day)
        path = segments.path_of(folder, day)
        if day in seals:
            findings += _look_at_bytes(path, day, seals[day])
        elif any(sealed > day for sealed in seals):
            findings.append(Finding(day, "its seal is missing"))
        try:
            end = _look_at_rows(path, day, end, kept_from, findings, whole=day in seals)
        except segments.UNREADABLE as error:
            findings.append(Finding(day, f"the file cannot be read: {error}"))
            end = None
    if end is not None and _lacks_successor(folder, end.day):
        findings.append(Finding(end.day, "it was closed, so a later day is missing"))
    findings += [Finding(day, "the day is missing") for day in sorted(seals.keys() - set(days)) if day >= kept_from]
    return findings


def _lacks_successor(folder: Path, day: str) -> bool:
    """A day is closed only after the next one got its first entry."""
    closed = segments.is_closed(segments.path_of(folder, day))  # first this, then look round: days may be changing
    return closed and not any(name > day and not _is_blank(folder, name) for name in segments.names(folder))


def _is_blank(folder: Path, day: str) -> bool:
    """A day that was begun and got no entry, because the disk was full or a kill came."""
    with closing(segments.open_for_reading(segments.path_of(folder, day))) as connection:
        return segments.origin_of(connection) is None


def _said_about_others(folder: Path, days: list[str]) -> tuple[dict[str, bytes], str]:
    """Seals of all days, and the first day that retention kept. A file that cannot be read says nothing here."""
    seals: dict[str, bytes] = {}
    kept_from = ""
    for day in days:
        with suppress(*segments.UNREADABLE), closing(segments.open_for_reading(segments.path_of(folder, day))) as file:
            if segments.origin_of(file) is not None:
                seals.update((str(sealed), sha256) for sealed, sha256 in segments.seals_in(file).items())
                (before,) = file.execute("SELECT max(before) FROM dropped").fetchone()
                kept_from = max(kept_from, str(before or ""))
    return seals, kept_from


def _look_at_bytes(path: Path, day: str, seal: bytes) -> list[Finding]:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        return [Finding(day, f"the file cannot be read: {error}")]
    return [] if digest == seal else [Finding(day, "the file is not the one that was sealed")]


def _look_at_rows(
    path: Path, day: str, end: _End | None, kept_from: str, findings: list[Finding], *, whole: bool
) -> _End | None:
    """Adds to `findings`; returns where the segment ends. Raises what is in UNREADABLE."""
    with closing(segments.open_for_reading(path)) as connection:
        origin = segments.origin_of(connection)
        if origin is None:
            return end
        findings += _look_at_origin(origin, day, end, kept_from)
        number, digest = origin.number, origin.seed()
        for row in segments.rows_after(connection, -1):
            if row.number != number + 1:
                findings.append(Finding(day, f"entry {number + 1} should follow, and {row.number} does", row.number))
            elif not row.follows(digest):
                findings.append(Finding(day, "the entry is not the one that was written", row.number))
            number, digest = row.number, row.digest
        if not whole:
            (word,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if word != "ok":
                findings.append(Finding(day, f"the file is damaged: {word}"))
    return _End(day, number, digest)


def _look_at_origin(origin: Origin, day: str, end: _End | None, kept_from: str) -> list[Finding]:
    if origin.day != day:
        return [Finding(day, f"the file is that of {origin.day}, renamed")]
    if end is None:
        known = not origin.previous or origin.previous < kept_from
        return [] if known else [Finding(day, f"the day before it, {origin.previous}, is missing or unreadable")]
    if origin.previous != end.day:
        return [Finding(day, f"the day before it, {origin.previous}, is missing")]
    if (origin.number, origin.digest) != (end.number, end.digest):
        return [Finding(day, f"it does not go on where {end.day} ends (entry {origin.number}, not {end.number})")]
    return []
