"""A source, the recorder and the journal as `jianwei run` puts them together, without what comes behind the journal."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ingest.journal import SqliteJournal
from ingest.loops import Loop
from ingest.message import Source
from ingest.recorder import Recorder
from ingest.records import EntryWritten, Record
from jianwei.clock import wall_ns
from tests.brokers_by_packets import publish_all
from tests.ingest.mqtt_probe import PATIENCE_S, Probe, until
from tests.services.mosquitto import GATEWAY, SERVICE, Mosquitto


class Recording:
    """As a context: everything that `source` brings is in the journal of `folder`, then acknowledged."""

    def __init__(self, folder: Path, source: Source, records: list[Record]) -> None:
        self.source = source
        self.records = records
        self.folder = folder
        self._journal = SqliteJournal(folder)
        recorder = Recorder([source], self._journal, wall_ns, self._note, tick_s=3_600)
        self._loop = Loop("recorder", recorder.step, self._note, idle_s=0.005)

    def _note(self, record: Record) -> None:
        if not isinstance(record, EntryWritten):
            self.records.append(record)

    def __enter__(self) -> Self:
        self.source.start()
        self._loop.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop.stop(10)
        self.source.stop()
        self._journal.close()

    def well(self) -> Self:
        until(lambda: self.source.health(wall_ns()).ok)
        return self

    def told(self, kind: type[Record]) -> list[Any]:
        return [record for record in self.records if isinstance(record, kind)]

    def payloads(self) -> list[bytes]:
        """Of all messages in the journal, in their order."""
        return payloads_in(self.folder)

    def holds(self, payloads: set[bytes], within_s: float = PATIENCE_S) -> Self:
        """Waits until all of these are in the journal."""
        until(lambda: payloads <= set(self.payloads()), within_s)
        return self


def recording(folder: Path, port: int, **settings: Any) -> Recording:
    """With the MQTT source that a `Probe` has."""
    probe = Probe(port, **settings)
    return Recording(folder, probe.source, probe.records)


def as_service(broker: Mosquitto) -> dict[str, Any]:
    """The account of `jianwei run`, as settings of a source."""
    return {"username": SERVICE, "password_file": str(broker.password_file(SERVICE))}


def publish_as_gateway(broker: Mosquitto, messages: Sequence[tuple[str, bytes]], **more: Any) -> None:
    publish_all(broker.port, messages, username=GATEWAY, password=broker.password(GATEWAY), **more)


def payloads_in(folder: Path) -> list[bytes]:
    journal = SqliteJournal(folder)
    try:
        found: list[bytes] = []
        after = 0
        while entries := journal.read(after, 100_000):
            found += [payload for entry in entries for block in entry.blocks for payload in block.payloads]
            after = entries[-1].number
        return found
    finally:
        journal.close()
