"""The site's Mosquitto: `deploy/mosquitto/` with port, paths and user replaced."""

import getpass
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.services import obtain
from tests.services.program import Program, accepts, free_port, laid_over

DEPLOY = Path(__file__).parents[2] / "deploy" / "mosquitto"
SERVICE, GATEWAY, DUTY = "jianwei", "gateway", "duty"


class Mosquitto(Program):
    """Accounts as at a site: `jianwei` reads all stations, `gateway` writes for all, `duty` reads alerts, a station
    (name them in `stations`) writes under its own name. Their passwords: `password(name)`, or `password_file(name)`.
    """

    name: ClassVar[str] = "mosquitto"

    def __init__(
        self,
        folder: Path,
        *,
        stations: tuple[str, ...] = (),
        settings: Mapping[str, str] | None = None,
        outlives: bool = False,
    ) -> None:
        super().__init__(folder, settings=settings, outlives=outlives)
        self.port = free_port()
        self._accounts = (SERVICE, GATEWAY, DUTY, *stations)

    def password(self, name: str) -> str:
        return self.password_file(name).read_text()

    def password_file(self, name: str) -> Path:
        return self.folder / "accounts" / f"{name}.password"

    def command(self) -> list[str]:
        program = obtain.mosquitto()
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        accounts = self.folder / "accounts"
        subprocess.run([DEPLOY / "accounts.sh", accounts, *self._accounts], check=True)
        acl = Path(shutil.copy(DEPLOY / "jianwei.acl", accounts))
        acl.chmod(0o600)
        replaced = {
            "listener": f"{self.port} 127.0.0.1",
            "user": getpass.getuser() if os.geteuid() == 0 else "mosquitto",
            "persistence_location": f"{data}/",
            "password_file": str(accounts / "jianwei.passwd"),
            "acl_file": str(acl),
        }
        file = self.folder / "mosquitto.conf"
        text = laid_over((DEPLOY / "mosquitto.conf").read_text(), {**replaced, **self.settings}, between=" ")
        file.write_text(text)
        return [str(program), "-c", str(file)]

    def is_ready(self) -> bool:
        return accepts(self.port)
