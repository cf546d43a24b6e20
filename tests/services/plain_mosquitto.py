"""Mosquitto with nothing but the lines that a test gives: for what another site may do than ours in `deploy/`."""

import getpass
from pathlib import Path
from typing import ClassVar

from tests.services import obtain
from tests.services.program import Program, accepts, free_port


class PlainMosquitto(Program):
    name: ClassVar[str] = "mosquitto"

    def __init__(self, folder: Path, *lines: str) -> None:
        super().__init__(folder)
        self.port = free_port()
        self._lines = (f"listener {self.port} 127.0.0.1", f"user {getpass.getuser()}", *lines, "log_dest stderr")

    def command(self) -> list[str]:
        file = self.folder / "mosquitto.conf"
        file.write_text("\n".join(self._lines) + "\n")
        return [str(obtain.mosquitto()), "-c", str(file)]

    def is_ready(self) -> bool:
        return accepts(self.port)
