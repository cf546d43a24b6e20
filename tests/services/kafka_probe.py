"""A Kafka source under test, with everything it told and gave."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from ingest.message import Block, Health, Taken
from ingest.records import Record
from ingest.sources.kafka import KafkaSource, KafkaSourceSettings
from jianwei.clock import wall_ns

PATIENCE_S = 40.0


def until(ready: Callable[[], Any], within_s: float = PATIENCE_S, why: Callable[[], object] = lambda: "") -> None:
    deadline_s = time.monotonic() + within_s
    while not ready():
        assert time.monotonic() < deadline_s, f"it did not come to pass in time: {why()}"
        time.sleep(0.005)


class Probe:
    """Quick settings for tests: no nap, short sessions, reconnects in at most 0.2 s."""

    def __init__(self, server: str, topic: str, **settings: Any) -> None:
        quick: dict[str, Any] = {
            "servers": [server],
            "topics": [topic],
            "group": f"of-{topic}",
            "client_id": "probe",
            "nap_ms": 0,
            "session_timeout_s": 6,
            "request_timeout_s": 5,
            "silence_s": 4,
            "reconnect_min_s": 0.05,
            "reconnect_max_s": 0.2,
        }
        self.records: list[Record] = []
        self.settings = KafkaSourceSettings(**{**quick, **settings})
        self.source = KafkaSource(self.settings, wall_ns, self.note)
        self.blocks: list[Block] = []  # of all that was taken

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
    def payloads(self) -> list[bytes]:
        return [payload for block in self.blocks for payload in block.payloads]

    @property
    def places(self) -> list[tuple[int, int]]:
        """Partition and offset of everything that was taken."""
        return [(block.partition, offset) for block in self.blocks for offset in block.offsets]

    @property
    def health(self) -> Health:
        return self.source.health(wall_ns())

    def well(self) -> Self:
        until(lambda: self.health.ok, why=lambda: (self.health, self.records))
        return self

    def told(self, kind: type[Record]) -> list[Any]:
        return [record for record in self.records if isinstance(record, kind)]

    def take_now(self) -> Taken | None:
        """What is there, if anything is."""
        taken = self.source.take()
        if taken is not None:
            self.blocks += taken.blocks
        return taken

    def take(self, count: int) -> list[object]:
        """Takes until so many messages came in all; the tokens, in order."""
        tokens: list[object] = []

        def came() -> bool:
            taken = self.take_now()
            if taken is not None:
                tokens.append(taken.token)
            return len(self.payloads) >= count

        until(came, why=lambda: (len(self.payloads), self.health, self.records[-5:]))
        return tokens

    def acknowledge(self, tokens: list[object]) -> None:
        for token in tokens:
            self.source.acknowledge(token)

    def take_and_acknowledge(self, count: int) -> None:
        """Takes and acknowledges until so many messages came in all."""

        def came() -> bool:
            taken = self.take_now()
            if taken is not None:
                self.source.acknowledge(taken.token)
            return len(self.payloads) >= count

        until(came, why=lambda: (len(self.payloads), self.health, self.records[-5:]))

    def nothing_comes(self, for_s: float) -> bool:
        """False as soon as something does; it is taken."""
        deadline_s = time.monotonic() + for_s
        while time.monotonic() < deadline_s:
            if self.take_now() is not None:
                return False
            time.sleep(0.005)
        return True
