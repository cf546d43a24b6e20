"""Closed days of the journal are made one file each, and their bytes get a digest, a portion at a time.

The day of a large site takes minutes to hash, and nobody shall wait for that at midnight.
"""

import hashlib
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ingest import segments

PORTION_BYTES = 8 << 20


class Seal(NamedTuple):
    """The SHA-256 of a closed day's file."""

    day: str
    sha256: bytes


class Sealing:
    """Works through `days`, closed and not yet sealed, oldest first. `release` makes this process let go of a day."""

    def __init__(self, folder: Path, days: Iterable[str], release: Callable[[str], None]) -> None:
        self._folder = folder
        self._days = deque(days)
        self._release = release
        self._file: BinaryIO | None = None
        self._digest = hashlib.sha256()

    def add(self, day: str) -> None:
        self._days.append(day)

    def step(self) -> Seal | None:
        """Does one portion. A seal, when a day is finished: call `recorded` once it is kept, or get it again.

        A day that somebody else is reading, or that cannot be read, is tried again at the next step.
        """
        if not self._days:
            return None
        day = self._days[0]
        try:
            if self._file is None:
                self._begin(segments.path_of(self._folder, day))
            if self._file is None:
                return None
            portion = self._file.read(PORTION_BYTES)
        except (sqlite3.Error, OSError):
            self.close()
            return None
        self._digest.update(portion)
        return Seal(day, self._digest.digest()) if len(portion) < PORTION_BYTES else None

    def recorded(self) -> None:
        """The seal is in the journal; on to the next day."""
        self.close()
        self._days.popleft()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self, path: Path) -> None:
        self._release(self._days[0])
        if segments.close_for_good(path):
            self._file = path.open("rb")
            self._digest = hashlib.sha256()
