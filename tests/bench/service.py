"""The service in a process of its own, so that its CPU and memory are its own: stations of the load generator, all rules.

python -m tests.bench.service FOLDER --stations 2000: prints its broker's port, then answers each line of its input with
a line of figures, until its input ends. With --settings FILE (JSON) it has no broker of its own, and prints 0.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from jianwei.catalogue_files import read_catalogue
from jianwei.clock import wall_ns
from jianwei.runtime import Runtime
from jianwei.settings import BrokerSettings, HttpSettings, Settings
from jianwei.telemetry import Telemetry, open_log
from simulators.load import Load, Plan
from tests.bench import probe

PATIENCE_S = 300.0
EVERY_S = 60  # as the register says of the stations' feed


@dataclass(frozen=True, slots=True)
class Figures:
    """How the service is at this moment."""

    cpu_s: float
    rss_mb: float
    most_rss_mb: float
    messages: int  # durable
    stored: int
    idle: bool
    ill: list[str]


def figures(runtime: Runtime) -> Figures:
    most_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Figures(
        cpu_s=time.process_time(),
        rss_mb=_rss_mb(),
        most_rss_mb=most_kb / 1024,
        messages=runtime.recorder.messages,
        stored=runtime.uploader.rows_stored,
        idle=runtime.is_idle,
        ill=[f"{name}: {part.why}" for name, part in runtime.wellbeing.report().items() if not part.ok],
    )


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def serve(folder: Path, stations: int, said: Mapping[str, Any] | None) -> None:
    """Settings as a site has them: everything durable, an operator's port; the embedded broker where nothing is said."""
    own: dict[str, Any] = {"broker": BrokerSettings(enabled=True, port=0)} if said is None else {**said}
    settings = Settings(data_dir=folder, http=HttpSettings(port=0), **own)
    register = {
        station.id: station.model_copy(update={"feeds": {"realtime": EVERY_S}})
        for station in Load(Plan("load", 1, stations, 0, 1)).stations
    } | {station.id: station for station in probe.stations()}
    with (folder / "log").open("w") as log:
        telemetry = Telemetry(open_log("info", json_lines=True, stream=log))
        with Runtime(settings, read_catalogue(), register, telemetry, wall_ns, Console(stderr=True)) as runtime:
            print(runtime.broker.port if runtime.broker is not None else 0, flush=True)  # noqa: T201  # the parent reads it
            for _ in sys.stdin:
                print(json.dumps(asdict(figures(runtime))), flush=True)  # noqa: T201  # the parent reads it


class Serving:
    """The parent's side."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self._process = process
        self.port = port

    def figures(self) -> Figures:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Figures(**json.loads(self._process.stdout.readline()))

    @property
    def pid(self) -> int:
        return self._process.pid

    def ready(self) -> None:
        """When every part is well: the source is connected, the store answers."""
        end_s = time.monotonic() + PATIENCE_S
        while ill := self.figures().ill:
            assert time.monotonic() < end_s, f"the service does not get well: {ill}"
            time.sleep(0.1)

    def rested(self, messages: int) -> Figures:
        """When so many messages have gone the whole way."""
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            now = self.figures()
            if now.messages >= messages and now.idle:
                return now
            time.sleep(0.2)
        raise TimeoutError(f"{messages} messages did not go the whole way: {now}")


@contextmanager
def serving(folder: Path, stations: int, settings: Path | None = None) -> Iterator[Serving]:
    """`settings`: a JSON file; None: with the embedded broker and store."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.bench.service", str(folder), "--stations", str(stations)]
    command += ["--settings", str(settings)] if settings is not None else []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            yield Serving(process, int(process.stdout.readline()))
            process.stdin.close()
            process.wait(60)
        finally:
            process.kill()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.service")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stations", type=int, required=True)
    parser.add_argument("--settings", type=Path)
    given = parser.parse_args()
    serve(given.folder, given.stations, json.loads(given.settings.read_text()) if given.settings is not None else None)
