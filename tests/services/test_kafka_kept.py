"""Kafka as a site runs it, killed: what it acknowledged is there, and the site's topics are as the file says."""

import asyncio
import subprocess
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import UnknownTopicOrPartitionError

from tests.services.kafka import DEPLOY, Kafka
from tests.services.kafka_topics import make_topic, write

pytestmark = pytest.mark.services

PATIENCE_S = 20.0


async def read(server: str, topic: str, count: int) -> list[bytes]:
    """The first `count` records of a topic with one partition; fewer when no more come."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=server, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    found: list[bytes] = []
    try:
        end_s = asyncio.get_running_loop().time() + PATIENCE_S
        while len(found) < count and asyncio.get_running_loop().time() < end_s:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [record.value for record in records]
    finally:
        await consumer.stop()
    return found


@pytest.mark.timeout(300)  # four starts, and the machine may be busy
def test_what_was_acknowledged_is_there_after_a_kill(a_kafka: Callable[..., Kafka]) -> None:
    kafka = a_kafka()
    make_topic(kafka.address, "kept")
    expected: list[bytes] = []
    for _ in range(2):
        values = [b"%d" % (len(expected) + n) for n in range(2_000)]
        write(kafka.address, "kept", values)  # returns when all are acknowledged
        kafka.kill()
        expected += values
        kafka.start()
    assert asyncio.run(read(kafka.address, "kept", len(expected))) == expected


def test_a_slip_in_the_name_of_a_topic_makes_none(kafka: Kafka) -> None:
    async def publish() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=kafka.address, request_timeout_ms=2_000)
        await producer.start()
        try:
            await producer.send_and_wait("jianwei.raedings.v1", b"1")
        finally:
            await producer.stop()

    with pytest.raises(UnknownTopicOrPartitionError):
        asyncio.run(publish())


def test_the_topics_of_the_site_are_as_the_file_says(kafka: Kafka) -> None:
    wanted = {}
    for line in (DEPLOY / "topics").read_text().splitlines():
        if line and not line.startswith("#"):
            name, partitions, *settings = line.split()
            wanted[name] = (int(partitions), dict(setting.split("=") for setting in settings))
    kafka.make_topics()
    kafka.make_topics()  # what is there stays

    async def ask() -> dict[str, tuple[int, dict[str, str]]]:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
        await admin.start()
        try:
            told = await admin.describe_topics(list(wanted))
            answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted])
        finally:
            await admin.close()
        said = {
            resource[3]: {entry[0]: entry[1] for entry in resource[4]}
            for answer in answers
            for resource in answer.resources
        }
        return {topic["topic"]: (len(topic["partitions"]), said[topic["topic"]]) for topic in told}

    for name, (count, said) in asyncio.run(ask()).items():
        assert count == wanted[name][0], name
        assert wanted[name][1].items() <= said.items(), name


def test_the_script_for_topics_tells_when_it_fails(kafka: Kafka) -> None:
    done = subprocess.run([DEPLOY / "topics.sh", kafka.address], env={"KAFKA_TOPICS": "/bin/false"}, check=False)
    assert done.returncode != 0
