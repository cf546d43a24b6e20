"""What is seen from outside while a service runs: its memory, its events as they arrive, how much is in InfluxDB."""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median, quantiles
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

from jianwei.clock import wall_ns
from rules.readings import SECOND_NS

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TURN_S = 0.02


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * PAGE_BYTES / 1e6


class _Turns:
    """As a context: calls `_turn` again and again in a thread, with a pause of `every_s` before each."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._ended = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self._turn()

    def _turn(self) -> None:
        raise NotImplementedError


class Sampled(_Turns):
    """A number, looked at every `every_s` in a thread: (when, by the wall clock, what)."""

    def __init__(self, look: Callable[[], float], every_s: float) -> None:
        super().__init__(every_s)
        self.samples: list[tuple[int, float]] = []
        self._look = look

    def between(self, from_ns: float, until_ns: float) -> list[float]:
        return [what for when, what in self.samples if from_ns <= when <= until_ns]

    def _turn(self) -> None:
        with suppress(OSError):  # it is away
            self.samples.append((wall_ns(), self._look()))


class Arrivals(_Turns):
    """The lines of a file channel's folder, and when each was seen: at most a turn after it was written."""

    def __init__(self, folder: Path) -> None:
        super().__init__(TURN_S)
        self.events: list[tuple[int, dict[str, Any]]] = []
        self._folder = folder
        self._read: dict[Path, int] = {}

    def _turn(self) -> None:
        for file in self._folder.glob("*.jsonl"):
            with file.open("rb") as lines:
                lines.seek(self._read.get(file, 0))
                text = lines.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._read[file] = self._read.get(file, 0) + len(whole)
            now_ns = wall_ns()
            self.events += [(now_ns, json.loads(line)) for line in whole.splitlines()]


def told(latencies_ns: list[int]) -> str:
    """For a line of figures."""
    if len(latencies_ns) < 2:
        return f"{len(latencies_ns)} events"
    ms = [latency / 1e6 for latency in latencies_ns]
    return f"{len(ms)} events, p50 {median(ms):.0f} ms, p99 {quantiles(ms, n=100)[-1]:.0f} ms, most {max(ms):.0f} ms"


def until(is_so: Callable[[], bool], *, timeout_s: float, why: Callable[[], object]) -> float:
    """Seconds it took."""
    began_s = time.monotonic()
    while not is_so():
        assert time.monotonic() - began_s < timeout_s, why()
        time.sleep(0.1)
    return time.monotonic() - began_s


def seconds(ns: float) -> float:
    return ns / SECOND_NS
