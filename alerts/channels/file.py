"""A file a day (UTC, by the time of writing) with one event in JSON a line: for archives and for programs beside us."""

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from alerts.channel import DeliveryFailed
from alerts.events import AlertEvent
from alerts.notices import instant
from alerts.records import Clock


class FileChannelSettings(BaseModel):
    """`folder/alerts-2026-03-01.jsonl`; the folder is made where missing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["file"] = "file"
    folder: Path


class FileChannel:
    """Appends; an event is on the disk when `send` returns."""

    def __init__(self, name: str, settings: FileChannelSettings, clock: Clock) -> None:
        self._name = name
        self._folder = settings.folder
        self._clock = clock

    def send(self, event: AlertEvent) -> None:
        path = self._folder / f"alerts-{instant(self._clock()):%Y-%m-%d}.jsonl"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with path.open("a+b") as file:
                # A line that a full disk or a kill cut short stays apart from ours.
                torn = file.seek(0, os.SEEK_END) > 0 and _last_byte(file.fileno(), file.tell()) != b"\n"
                file.write((b"\n" if torn else b"") + event.to_bytes() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            told = f"{path} cannot be written: {error.strerror or error} (make room, or let the service write there)"
            raise DeliveryFailed(self._name, "unreachable", told) from error

    def close(self) -> None:
        """Nothing is held open."""


def _last_byte(descriptor: int, size: int) -> bytes:
    return os.pread(descriptor, 1, size - 1)
