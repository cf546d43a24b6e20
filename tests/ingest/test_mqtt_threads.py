"""P20: whoever acknowledges, only the network thread speaks to the broker; paho would write from the caller's thread."""

import random
from concurrent.futures import ThreadPoolExecutor
from threading import current_thread
from typing import Any

import pytest

from ingest.sources.mqtt.client import BulkClient
from tests.brokers_by_packets import ScriptedBroker, publish
from tests.ingest.mqtt_probe import Probe


def test_p20_acknowledgements_of_many_threads_leave_by_one_thread_in_order_and_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speakers: set[str] = set()
    queue = BulkClient._packet_queue

    def noted(self: BulkClient, *arguments: Any) -> Any:
        speakers.add(current_thread().name)
        return queue(self, *arguments)

    monkeypatch.setattr(BulkClient, "_packet_queue", noted)
    with ScriptedBroker() as broker, Probe(broker.port) as probe, ThreadPoolExecutor(8) as others:
        line = broker.accept()
        line.greet()
        tokens = []
        for start in range(1, 601, 20):
            line.send(*(publish("t", b"%d" % mid, mid) for mid in range(start, start + 20)))
            tokens += probe.take_messages(start + 19)
        random.Random(1).shuffle(tokens)
        done = [others.submit(probe.source.acknowledge, token) for token in tokens]
        assert line.acknowledged(600) == list(range(1, 601))
        assert line.is_quiet(0.2)
        assert all(future.exception() is None for future in done)
    assert speakers == {"mqtt:mqtt"}
