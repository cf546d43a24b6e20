"""How the service is: every part's word, whether data flow, whether there is room. What /health/ready answers."""

import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from ingest.journal import JournalDamaged
from ingest.message import Health
from ingest.records import Clock
from ingest.sources.mqtt import MqttSource
from rules.readings import SECOND_NS

MOST_AHEAD_S = 60.0

if TYPE_CHECKING:
    from jianwei.runtime import Runtime


class Wellbeing:
    """Asks all parts, and sets the gauges that stand for the present moment."""

    def __init__(self, parts: Mapping[str, Callable[[int], Health]], runtime: "Runtime", clock: Clock) -> None:
        self._parts = parts
        self._runtime = runtime
        self._clock = clock
        self._messages = 0
        self._flowed_s = time.monotonic()

    def report(self) -> dict[str, Health]:
        """Each part's word by its name."""
        now_ns = self._clock()
        report = {name: health(now_ns) for name, health in self._parts.items()}
        report |= {"flow": self._flow(), "disk": self._disk(), "time": self._time()}
        for name, health in report.items():
            self._runtime.telemetry.meters.well.labels(name).set(health.ok)
        self._measure(now_ns)
        return report

    def _flow(self) -> Health:
        silent_s = self._runtime.settings.health.silent_s
        recorded = self._runtime.recorder.messages
        if recorded != self._messages:
            self._messages, self._flowed_s = recorded, time.monotonic()
        waited_s = time.monotonic() - self._flowed_s
        if not silent_s or waited_s < silent_s:
            return Health(ok=True)
        return Health(ok=False, why=f"no message for {waited_s:.0f} s: look at the broker and the stations' gateways")

    def _time(self) -> Health:
        ahead_s = self._runtime.journal.ahead_ns / SECOND_NS
        if ahead_s < MOST_AHEAD_S:
            return Health(ok=True)
        return Health(
            ok=False,
            why=f"this machine's clock was set back: the journal is {ahead_s:.0f} s ahead of it, and goes slower until they "
            "agree; look at the time synchronisation",
        )

    def _disk(self) -> Health:
        least_mb = self._runtime.settings.health.least_free_mb
        try:
            free_mb = shutil.disk_usage(self._runtime.folder.root).free >> 20
        except OSError as error:
            return Health(ok=False, why=f"the data folder cannot be looked at: {error}")
        if free_mb >= least_mb:
            return Health(ok=True)
        return Health(ok=False, why=f"{free_mb} MiB are free, {least_mb} are wanted: make room on the disk")

    def _measure(self, now_ns: int) -> None:
        runtime, meters = self._runtime, self._runtime.telemetry.meters
        meters.unacked.set(runtime.recorder.held)
        for source in runtime.sources:
            if isinstance(source, MqttSource):
                meters.packet_age.labels(source.name).set(_age_s(source.heard_ns, now_ns))
        # Where the journal cannot be read gauges stay as they were; the parts that met it have said so.
        with suppress(OSError, sqlite3.Error, JournalDamaged):
            last, stored = runtime.journal.last(), runtime.uploader.stored
            meters.spool_entries.set(max(0, last - stored))
            meters.spool_bytes.set(runtime.journal.size_bytes())
            behind = runtime.worker.judged < last
            meters.watermark_delay.set(_age_s(runtime.telemetry.newest_received_ns, now_ns) if behind else 0)
            waiting = runtime.journal.read(stored, 1) if stored < last else []
            meters.spool_oldest.set(_age_s(waiting[0].written_ns, now_ns) if waiting else 0)


def _age_s(then_ns: int, now_ns: int) -> float:
    """0 where there was no such time."""
    return max(0, now_ns - then_ns) / SECOND_NS if then_ns else 0.0
