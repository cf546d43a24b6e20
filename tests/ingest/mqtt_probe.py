"""A source under test, with everything it told."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from ingest.message import Block, Health, Taken
from ingest.records import Record
from ingest.sources.mqtt import MqttSource, MqttSourceSettings
from jianwei.clock import wall_ns

PATIENCE_S = 15.0


def until(ready: Callable[[], Any], within_s: float = PATIENCE_S) -> None:
    deadline_s = time.monotonic() + within_s
    while not ready():
        assert time.monotonic() < deadline_s, "it did not come to pass in time"
        time.sleep(0.005)


class Probe:
    """Quick settings for tests: no nap, reconnects in at most 0.05 s."""

    def __init__(self, port: int, **settings: Any) -> None:
        quick: dict[str, Any] = {"client_id": "probe", "nap_ms": 0, "reconnect_min_s": 0.02, "reconnect_max_s": 0.05}
        self.records: list[Record] = []
        self.settings = MqttSourceSettings(port=port, **{**quick, **settings})
        self.source = MqttSource(self.settings, wall_ns, self.note)
        self.topics: list[str] = []  # of all that was taken
        self.payloads: list[bytes] = []

    def note(self, record: Record) -> None:
        self.records.append(record)

    def __enter__(self) -> Self:
        self.source.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.source.stop()

    @property
    def health(self) -> Health:
        return self.source.health(wall_ns())

    def well(self) -> Self:
        until(lambda: self.health.ok)
        return self

    def told(self, kind: type[Record]) -> list[Any]:
        return [record for record in self.records if isinstance(record, kind)]

    def take(self) -> Taken:
        """What comes next; waits for it."""
        found: list[Taken] = []

        def came() -> bool:
            taken = self.source.take()
            if taken is not None:
                found.append(taken)
            return taken is not None

        until(came)
        blocks: list[Block] = list(found[0].blocks)
        for block in blocks:
            self.topics += block.topics
            self.payloads += block.payloads
        return found[0]

    def take_messages(self, count: int) -> list[object]:
        """Takes until so many messages came in all; the tokens, in order."""
        tokens = []
        while len(self.payloads) < count:
            tokens.append(self.take().token)
        return tokens

    def take_and_acknowledge(self, count: int) -> None:
        while len(self.payloads) < count:
            self.source.acknowledge(self.take().token)

    def nothing_comes(self, for_s: float) -> bool:
        """False as soon as something does, which is taken and acknowledged."""
        deadline_s = time.monotonic() + for_s
        while time.monotonic() < deadline_s:
            taken = self.source.take()
            if taken is not None:
                self.payloads += [payload for block in taken.blocks for payload in block.payloads]
                self.source.acknowledge(taken.token)
                return False
            time.sleep(0.005)
        return True
