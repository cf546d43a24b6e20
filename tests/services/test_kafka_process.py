"""`jianwei run` on Kafka: killed between journal and commit, and given what it cannot read."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ingest.journal import SqliteJournal
from ingest.message import Block
from ingest.quarantine import Quarantine
from ingest.stores.sqlite import SqliteStore
from rules.readings import SECOND_NS
from simulators.load import Load, Plan
from tests.kill.service import Service, wait_until
from tests.services.kafka import Kafka
from tests.services.kafka_topics import Written, committed, make_topic, write

PLAN = Plan(scenario="load", seed=1, stations=20, start_ns=1_762_084_800 * SECOND_NS, interval_ns=SECOND_NS)
MESSAGES = 2_000
READINGS = 10  # a message
SETTINGS = """
instance = "process"
stations = ["stations.yaml"]
[[sources]]
type = "kafka"
name = "province"
servers = ["{kafka}"]
topics = ["{topic}"]
group = "{topic}"
session_timeout_s = 6.0
reconnect_min_s = 0.1
reconnect_max_s = 0.5
commit_every_s = {commit_every_s}
[[formats]]
topic = "{topic}"
[http]
enabled = false
"""

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]


@pytest.fixture
def service(tmp_path: Path, kafka: Kafka) -> Callable[..., Service]:
    """One that reads a topic of four partitions, which is made."""

    def made(topic: str, commit_every_s: float) -> Service:
        make_topic(kafka.address, topic, 4)
        settings = SETTINGS.format(kafka=kafka.address, topic=topic, commit_every_s=commit_every_s)
        return Service(tmp_path / "site", settings, Load(PLAN).stations)

    return made


def blocks_of(service: Service) -> list[Block]:
    with closing(SqliteJournal(service.data.journal)) as journal:
        return [block for entry in journal.read(0, 10_000_000) for block in entry.blocks]


def test_a_kill_between_journal_and_commit_journals_twice_and_stores_once(
    kafka: Kafka, service: Callable[..., Service]
) -> None:
    load = Load(PLAN)
    with closing(service("process.kill", commit_every_s=60.0)) as killed:
        write(kafka.address, "process.kill", (Written(*load.keyed(n)[::-1]) for n in range(MESSAGES)))
        killed.start()
        assert wait_until(lambda: sum(map(len, blocks_of(killed))) == MESSAGES, timeout_s=60), killed.last_words()
        killed.kill()
        assert committed(kafka.address, "process.kill") == {}
        killed.start()
        assert wait_until(lambda: sum(map(len, blocks_of(killed))) == 2 * MESSAGES, timeout_s=90), killed.last_words()
        assert wait_until(lambda: killed.stored() == MESSAGES * READINGS, timeout_s=60)
        assert killed.stop() == 0
        assert sum(committed(kafka.address, "process.kill").values()) == MESSAGES, "a stop in good order commits"
        blocks = blocks_of(killed)
        for n, block in enumerate(blocks):
            assert block.keys, f"block {n} has lost its keys"
        with closing(SqliteStore(killed.data.store)) as store:
            stored = {
                (r.station, r.parameter, r.measured_ns): r.value
                for station in store.stations()
                for r in store.read(station, None, None, 0, 2**63 - 1)
            }
        for station, measured_ns, values in map(load.readings, range(MESSAGES)):
            for parameter, value in values.items():
                kept = stored[station, parameter, measured_ns]
                assert kept == value or (value is None and kept != kept)  # noqa: PLR0124  # nan
        assert len(stored) == MESSAGES * READINGS


def test_poison_goes_to_quarantine_and_holds_up_nothing(kafka: Kafka, service: Callable[..., Service]) -> None:
    load = Load(PLAN)
    poison = [
        Written(None, b"S1"),
        Written(b"\xff\x00"),
        Written(b"{" * 1_000),
        Written(b"x" * 1_500_000, b"k", [("h", b"")]),
    ]
    with closing(service("process.poison", commit_every_s=0.2)) as fed:
        good = [Written(load.payload(n), partition=n % 4) for n in range(100)]
        bad = [each._replace(partition=n % 4) for n, each in enumerate(poison)]
        write(kafka.address, "process.poison", [*good[:50], *bad, *good[50:]], max_request_size=2 << 20)
        fed.start()
        assert wait_until(lambda: fed.stored() == 100 * READINGS, timeout_s=60), fed.last_words()
        with closing(Quarantine(fed.data.quarantine)) as quarantine:
            assert wait_until(lambda: quarantine.count_messages() == len(poison), timeout_s=30)
            kept = [each.problem.payload for each in quarantine.entries()]
        assert wait_until(lambda: sum(committed(kafka.address, "process.poison").values()) == 104, timeout_s=30)
        assert fed.stop() == 0
    assert set(kept) == {each.value or b"" for each in poison}


def test_a_service_that_starts_while_kafka_is_away_runs_and_says_so(
    tmp_path: Path, a_kafka: Callable[..., Kafka]
) -> None:
    broker = a_kafka()
    make_topic(broker.address, "t")
    broker.stop()
    settings = SETTINGS.format(kafka=broker.address, topic="t", commit_every_s=0.2)
    with closing(Service(tmp_path / "site", settings, Load(PLAN).stations)) as started:
        started.start()
        assert wait_until(lambda: "connection lost" in started.last_words(), timeout_s=60)
        broker.start()
        write(broker.address, "t", [Load(PLAN).payload(0)])
        assert wait_until(lambda: started.stored() == READINGS, timeout_s=60), started.last_words()
        assert started.stop() == 0
        lines = (started.folder / "log.jsonl").read_text().splitlines()
        assert all(json.loads(line) for line in lines), "the client's own log does not get between our lines"
