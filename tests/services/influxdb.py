"""The site's InfluxDB 2: `deploy/influxdb/` with port and paths replaced, set up by the site's own script."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import httpx

from tests.services import obtain
from tests.services.program import HOST, Program, free_port, laid_over

DEPLOY = Path(__file__).parents[2] / "deploy" / "influxdb"
ORGANISATION = "jianwei"
SET_UP_TIMEOUT_S = 60.0


class Influxdb(Program):
    """Organisation `jianwei` with the site's buckets. `token` may everything; `service_token` is what a site gives
    Jianwei: it reads and writes the site's buckets and nothing else. `make_bucket` gives a test one of its own.
    """

    name: ClassVar[str] = "influxdb"
    org: ClassVar[str] = ORGANISATION

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None, outlives: bool = False) -> None:
        super().__init__(folder, settings=settings, outlives=outlives)
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def token(self) -> str:
        return (self.folder / "secrets" / "admin.token").read_text()

    @property
    def service_token_file(self) -> Path:
        return self.folder / "secrets" / "jianwei.token"

    @property
    def service_token(self) -> str:
        return self.service_token_file.read_text()

    def start(self) -> None:
        super().start()
        if not self.service_token_file.exists():
            command = [str(DEPLOY / "set-up.sh"), self.url, str(self.folder / "secrets")]
            subprocess.run(command, timeout=SET_UP_TIMEOUT_S, check=True)

    def make_bucket(self, name: str, *, keep_s: int = 0) -> str:
        """Its id. `keep_s` 0: what is written stays for ever, however old it is."""
        rules = [{"type": "expire", "everySeconds": keep_s}]
        with httpx.Client(base_url=self.url, headers={"Authorization": f"Token {self.token}"}) as client:
            found = client.get("/api/v2/orgs", params={"org": ORGANISATION}).raise_for_status().json()
            wanted = {"orgID": found["orgs"][0]["id"], "name": name, "retentionRules": rules}
            return str(client.post("/api/v2/buckets", json=wanted).raise_for_status().json()["id"])

    def command(self) -> list[str]:
        data = self.folder / "data"
        replaced = {
            "bolt-path": f'"{data}/influxd.bolt"',
            "engine-path": f'"{data}/engine"',
            "sqlite-path": f'"{data}/influxd.sqlite"',
            "http-bind-address": f'"{HOST}:{self.port}"',
        }
        text = laid_over((DEPLOY / "config.toml").read_text(), {**replaced, **self.settings}, between=" = ")
        (self.folder / "config.toml").write_text(text)
        data.mkdir(exist_ok=True)
        return [str(obtain.influxdb()), "run"]

    def environment(self) -> Mapping[str, str]:
        return {"INFLUXD_CONFIG_PATH": str(self.folder / "config.toml")}

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False
