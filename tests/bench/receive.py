"""Receiving at QoS 1 from a peer that never waits: our source beside paho's callbacks. CPU of the receiver only."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from ingest.loops import Loop
from ingest.records import Record
from ingest.sources.mqtt import MqttSource, MqttSourceSettings
from jianwei.clock import wall_ns
from tests.bench import peer
from tests.bench.table import Aim, Effort, Row

HOST = "127.0.0.1"

Way = Callable[[str, int, Callable[[int], None]], AbstractContextManager[None]]


@contextmanager
def ours(protocol: str, port: int, count: Callable[[int], None]) -> Iterator[None]:
    """Takes and acknowledges as the recorder does, with nothing between."""

    def emit(_record: Record) -> None:
        pass

    settings = MqttSourceSettings.model_validate(
        {"host": HOST, "port": port, "client_id": "bench", "protocol": protocol}
    )
    source = MqttSource(settings, wall_ns, emit)

    def step() -> bool:
        if (taken := source.take()) is None:
            return False
        count(sum(map(len, taken.blocks)))
        source.acknowledge(taken.token)
        return True

    loop = Loop("taker", step, emit, idle_s=0.02)
    source.start()
    loop.start()
    try:
        yield
    finally:
        loop.stop()
        source.stop()


@contextmanager
def with_paho(protocol: str, port: int, count: Callable[[int], None]) -> Iterator[None]:
    """As paho's own examples do it."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2, "bench", protocol=paho.MQTTv5 if protocol == "5" else paho.MQTTv311
    )

    def connected(client: paho.Client, *_: Any) -> None:
        client.subscribe("jianwei/v1/#", qos=1)

    client.on_connect = connected
    client.on_message = lambda *_: count(1)
    client.connect(HOST, port)
    client.loop_start()
    try:
        yield
    finally:
        client.disconnect()
        client.loop_stop()


def receive_us(way: Way, protocol: str, total: int) -> float:
    """CPU microseconds a message; each was handed over and acknowledged."""
    taken: list[int] = []
    with peer.running(protocol, total) as (process, port):
        began = time.process_time()
        with way(protocol, port, taken.append):
            acknowledged = peer.acknowledged(process)
            took = time.process_time() - began
    if sum(taken) != total or acknowledged != total:
        raise AssertionError(f"{total} were sent, {sum(taken)} came, {acknowledged} were acknowledged")
    return took / total * 1e6


def rows(effort: Effort) -> list[Row]:
    found = []
    many, few = effort.of(200_000, 40_000), effort.of(40_000, 10_000)
    for protocol in ("3.1.1", "5"):
        mine, other = effort.medians(
            partial(receive_us, ours, protocol, many), partial(receive_us, with_paho, protocol, few)
        )
        found.append(
            Row(
                f"receive, MQTT {protocol}, QoS 1", mine, "us a message", "paho, loop_start and on_message", other,
                Aim("ratio", 10, most=False),
            )
        )  # fmt: skip
    return found
