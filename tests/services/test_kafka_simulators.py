"""What the simulators say to the real Kafka is there, and their account of it is true."""

import json
import subprocess
import sys
import time
import zlib
from itertools import count
from pathlib import Path

import pytest

from simulators.kafka import KafkaPublisher, open_kafka
from simulators.load import Load, numbers_of, read_report
from simulators.publish import BrokerUnreachableError
from tests.jianwei.command_line import asking
from tests.services.kafka import Kafka
from tests.services.kafka_records import records_in
from tests.services.kafka_topics import make_topic
from tests.services.program import free_port

pytestmark = pytest.mark.services
NUMBERS = count()


@pytest.fixture
def topic(kafka: Kafka) -> str:
    name = f"simulated.{next(NUMBERS)}"
    make_topic(kafka.address, name, 3)
    return name


def test_the_load_generator_writes_what_its_report_says(kafka: Kafka, topic: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "simulators.load", "--kafka", kafka.address, "--topic", topic, "--stations", "70"]
    subprocess.run([*command, "--rate", "1000000", "--count", "21000", "--report", str(report)], check=True)
    told = read_report(report)
    assert (told.published, told.acknowledged, told.reconnects) == (21_000, [[0, 20_999]], 0)
    load, records = Load(told.plan), records_in(kafka.address, topic)
    assert sorted(record.value for record in records) == sorted(map(load.payload, range(21_000)))
    assert told.checksum == load.checksum(numbers_of(told.acknowledged))
    for station in (b"LD-00001", b"LD-00070"):
        own = [record for record in records if record.key == station]
        assert [json.loads(record.value)["seq"] for record in own] == list(range(300)), "in order"
        assert len({record.partition for record in own}) == 1


def test_what_waits_for_its_batch_leaves_at_a_poll(kafka: Kafka, topic: str) -> None:
    with KafkaPublisher(kafka.address, topic, client_id="few") as publisher:
        publisher.publish(b"S1", b"one")
        deadline_s = time.monotonic() + 10
        while not len(publisher.acknowledged) and time.monotonic() < deadline_s:
            publisher.poll()
        assert list(publisher.acknowledged) == [0]
        assert [record.value for record in records_in(kafka.address, topic)] == [b"one"]


def test_a_window_bounds_what_waits(kafka: Kafka, topic: str) -> None:
    with KafkaPublisher(kafka.address, topic, client_id="window", window=10) as publisher:
        for number in range(95):
            publisher.publish(b"S%d" % (number % 9), b"%d" % number)
            assert publisher.published - len(publisher.acknowledged) <= 10
        publisher.flush()
        assert len(publisher.acknowledged) == 95
    assert zlib.crc32(b"".join(sorted(record.value for record in records_in(kafka.address, topic)))) == zlib.crc32(
        b"".join(sorted(b"%d" % number for number in range(95)))
    )


def test_a_broker_that_is_away_is_told() -> None:
    with pytest.raises(BrokerUnreachableError):
        open_kafka(f"kafka://127.0.0.1:{free_port()}/t", client="c")


def test_a_topic_that_is_not_there_is_refused_in_one_sentence(kafka: Kafka) -> None:
    command = [str(Path(sys.executable).with_name("jianwei")), "simulate", "quiet", "--for", "1m", "--speed", "max"]
    where = f"kafka://{kafka.address}/nothing-here"
    said = subprocess.run([*command, "--to", where], capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.splitlines() == ["--to: there is no topic 'nothing-here': make it first"]


def test_a_fleet_is_simulated_into_kafka(
    kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"kafka://{kafka.address}/{topic}"
    said = asking(monkeypatch, capsys)("simulate", "quiet", "--to", where, "--speed", "max", "--for", "10m", "--json")
    assert said.code == 0
    told = json.loads(said.out)
    assert told["messages"] == told["acknowledged"] == len(records_in(kafka.address, topic)) > 0
