"""How the service is: every part's word, whether data flow, whether there is room. What /health/ready answers."""

import shutil
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ingest.message import Health
from ingest.records import Clock

if TYPE_CHECKING:
    from jianwei.runtime import Runtime


class Wellbeing:
    """Asks all parts, and sets the gauges that stand for the present moment."""

    def __init__(self, parts: Mapping[str, Callable[[int], Health]], runtime: "Runtime", clock: Clock) -> None:
        self._parts = parts
        self._runtime = runtime
        self._clock = clock
        self._messages = -1
        self._flowed_s = time.monotonic()

    def report(self) -> dict[str, Health]:
        """Each part's word by its name."""
        now_ns = self._clock()
        self._measure()
        report = {name: health(now_ns) for name, health in self._parts.items()}
        return {**report, "flow": self._flow(), "disk": self._disk()}

    def _flow(self) -> Health:
        silent_s = self._runtime.settings.health.silent_s
        recorded = self._runtime.recorder.messages
        if recorded != self._messages:
            self._messages, self._flowed_s = recorded, time.monotonic()
        waited_s = time.monotonic() - self._flowed_s
        if not silent_s or waited_s < silent_s:
            return Health(ok=True)
        return Health(ok=False, why=f"no message for {waited_s:.0f} s: look at the broker and the stations' gateways")

    def _disk(self) -> Health:
        least_mb = self._runtime.settings.health.least_free_mb
        free_mb = shutil.disk_usage(self._runtime.folder.root).free >> 20
        if free_mb >= least_mb:
            return Health(ok=True)
        return Health(ok=False, why=f"{free_mb} MiB are free, {least_mb} are wanted: make room on the disk")

    def _measure(self) -> None:
        runtime, meters = self._runtime, self._runtime.telemetry.meters
        meters.unacked.set(runtime.recorder.held)
        meters.spool_bytes.set(runtime.journal.size_bytes())
        meters.spool_entries.set(max(0, runtime.journal.last() - runtime.uploader.stored))
