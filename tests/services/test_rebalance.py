"""Two services in one Kafka group, one of them killed again and again: nothing is lost, nothing is doubled in the store.

REBALANCE_S=180 makes it three minutes; SEED=… repeats the dice.
"""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from ingest.journal import SqliteJournal
from rules.readings import SECOND_NS
from simulators.load import Load, Plan
from tests.kill.service import Service, wait_until
from tests.services.held import Held
from tests.services.influxdb import Influxdb
from tests.services.kafka import Kafka
from tests.services.kafka_topics import committed, make_topic
from tests.services.timed_load import Order, TimedLoad

SECONDS = int(os.environ.get("REBALANCE_S", "90"))
KILL_EVERY_S = 20.0
SEED = int(os.environ.get("SEED", "20261125"))
RATE = 600
READINGS = 10  # a message
PARTITIONS = 6
TOPIC, GROUP = "rebalance.readings", "rebalance"
PLAN = Plan(scenario="load", seed=1, stations=100, start_ns=1_762_084_800 * SECOND_NS, interval_ns=SECOND_NS)
SETTINGS = """
instance = "{name}"
stations = ["stations.yaml"]
[[sources]]
type = "kafka"
name = "province"
servers = ["{kafka}"]
topics = ["{topic}"]
group = "{group}"
session_timeout_s = 6.0
reconnect_min_s = 0.1
reconnect_max_s = 0.5
[[formats]]
topic = "{topic}"
[store]
type = "influxdb"
url = "{url}"
org = "{org}"
token_file = "{token_file}"
[http]
enabled = false
[log]
level = "info"
"""

pytestmark = [pytest.mark.services, pytest.mark.timeout(SECONDS + 400)]


def member(folder: Path, name: str, kafka: Kafka, influxdb: Influxdb) -> Service:
    settings = SETTINGS.format(
        name=name,
        kafka=kafka.address,
        topic=TOPIC,
        group=GROUP,
        url=influxdb.url,
        org=influxdb.org,
        token_file=influxdb.service_token_file,
    )
    return Service(folder / name, settings, Load(PLAN).stations)


def test_members_that_are_killed_and_come_back_lose_nothing_and_double_nothing(
    tmp_path: Path, kafka: Kafka, an_influxdb: Callable[..., Influxdb]
) -> None:
    influxdb = an_influxdb()
    make_topic(kafka.address, TOPIC, PARTITIONS)
    with ExitStack() as exits:
        members = [exits.enter_context(closing(member(tmp_path, name, kafka, influxdb))) for name in ("one", "other")]
        for each in members:
            each.start()
        assert all(wait_until(lambda m=each: bool(dealt(m)), timeout_s=90) for each in members)  # type: ignore[misc]
        order = Order(PLAN, kafka.port, RATE, 10_000_000, topic=TOPIC)
        with closing(TimedLoad(tmp_path / "load", order)) as load:
            kills = kill_again_and_again(members)
            assert not load.is_over
            load.end()
            published = load.report().count
        with closing(Held(influxdb)) as held:
            settled = wait_until(lambda: held.count() >= published * READINGS, timeout_s=120)
            assert settled, f"{held.count()} of {published * READINGS}: {[m.last_words() for m in members]}"
            time.sleep(2.0)
            for each in members:
                assert each.stop() == 0
            check_store(held, published)
        journaled = check_journals(members, published)
    assert published >= RATE * SECONDS * 0.9
    assert sum(committed(kafka.address, GROUP).values()) == published, "everything is committed, and nothing else"
    assert kills >= SECONDS // KILL_EVERY_S
    dealings = [len(dealt(each)) for each in members]
    assert sum(dealings) >= kills, "each kill or return deals the partitions anew"
    again = journaled - published
    print(f"{published} messages, {kills} kills, dealt {dealings} times, {again} came again ({again / published:.2%})")  # noqa: T201


def kill_again_and_again(members: list[Service]) -> int:
    """One of them every twenty seconds; it is back at once, or after the group has noticed."""
    dice = random.Random(SEED)
    kills, end_s = 0, time.monotonic() + SECONDS
    while time.monotonic() < end_s:
        time.sleep(KILL_EVERY_S - 9.0 + dice.uniform(-1.0, 1.0))
        victim = dice.choice(members)
        victim.kill()
        kills += 1
        away_s = dice.choice([0.0, 9.0])
        time.sleep(away_s)
        victim.start()
        time.sleep(9.0 - away_s)
    return kills


def dealt(service: Service) -> list[int]:
    """How many partitions it was given, each time."""
    lines = [json.loads(line) for line in (service.folder / "log.jsonl").read_text().splitlines() if line[:1] == "{"]
    return [line["partitions"] for line in lines if line.get("event") == "rebalanced" and line["partitions"]]


def check_store(held: Held, published: int) -> None:
    """Every reading once, with its value; and nothing else."""
    assert held.count() == published * READINGS
    load = Load(PLAN)
    for place, station in enumerate(load.stations):
        rows = held.of_station(station.id)
        for number in range(place, published, PLAN.stations):
            _, measured_ns, values = load.readings(number)
            assert rows.pop(measured_ns) == values, f"{station.id}, message {number}"
        assert not rows, f"{station.id}: never published"


def check_journals(members: list[Service], published: int) -> int:
    """Every record of every partition is in one of the journals; returns how many messages they hold."""
    found: Counter[tuple[int, int]] = Counter()
    for each in members:
        before = found.total()
        journal = SqliteJournal(each.data.journal)
        try:
            assert journal.verify() == []
            number = 0
            while entries := journal.read(number, 4_000):
                number = entries[-1].number
                for block in (block for entry in entries for block in entry.blocks):
                    found.update((block.partition, offset) for offset in block.offsets)
        finally:
            journal.close()
        assert found.total() > before, "both did their share"
    by_partition = Counter(partition for partition, _ in found)
    assert len(by_partition) == PARTITIONS
    assert sum(by_partition.values()) == published
    assert all((partition, offset) in found for partition, many in by_partition.items() for offset in range(many))
    return found.total()
