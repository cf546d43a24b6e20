"""What the tests do to Kafka beside the source: make topics, write records, ask what a group has committed."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


class Written(NamedTuple):
    """A record to be written, all of it optional."""

    value: bytes | None = None
    key: bytes | None = None
    headers: list[tuple[str, bytes]] = []  # noqa: RUF012  # nobody changes it
    partition: int | None = None


def make_topic(server: str, name: str, partitions: int = 1, **config: str) -> None:
    """Returns when the broker leads every partition, which on a busy machine is a while after it has said yes."""

    async def make(admin: Any) -> None:
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config)])
        consumer = AIOKafkaConsumer(bootstrap_servers=server)
        await consumer.start()
        try:
            await consumer.end_offsets([TopicPartition(name, partition) for partition in range(partitions)])
        finally:
            await consumer.stop()

    _run(_as_admin(server, make))


def write(server: str, topic: str, records: Iterable[Written | bytes], **settings: Any) -> None:
    """In order; returns when the broker has all of them. `settings` of the producer, such as `compression_type`."""
    _run(_write(server, topic, records, settings))


def write_transactions(server: str, topic: str, transactions: Iterable[tuple[Iterable[bytes], bool]]) -> None:
    """Each with its values, and whether it is committed or given up; all into partition 0."""
    _run(_write_transactions(server, topic, transactions))


async def _write_transactions(server: str, topic: str, transactions: Iterable[tuple[Iterable[bytes], bool]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=server, transactional_id=f"of-{topic}")
    await producer.start()
    try:
        for values, committed_ in transactions:
            await producer.begin_transaction()
            for value in values:
                await producer.send_and_wait(topic, value, partition=0)
            await (producer.commit_transaction() if committed_ else producer.abort_transaction())
    finally:
        await producer.stop()


def committed(server: str, group: str) -> dict[tuple[str, int], int]:
    """The offsets of a group, by (topic, partition)."""
    found: dict[tuple[str, int], int] = {}

    async def ask(admin: Any) -> None:
        offsets = await admin.list_consumer_group_offsets(group)
        found.update({(place.topic, place.partition): told.offset for place, told in offsets.items()})

    _run(_as_admin(server, ask))
    return found


def drop_before(server: str, topic: str, partition: int, offset: int) -> None:
    """As retention does it."""
    from aiokafka.admin.records_to_delete import RecordsToDelete  # noqa: PLC0415  # only this needs it

    async def drop(admin: Any) -> None:
        await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before_offset=offset)})

    _run(_as_admin(server, drop))


async def _as_admin(server: str, work: Any) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=server)
    await admin.start()
    try:
        await work(admin)
    finally:
        await admin.close()


async def _write(server: str, topic: str, records: Iterable[Written | bytes], settings: dict[str, Any]) -> None:
    said = {"linger_ms": 5, "acks": "all", **settings}
    producer = AIOKafkaProducer(bootstrap_servers=server, **said)
    await producer.start()
    try:
        sent = []
        for record in records:
            one = record if isinstance(record, Written) else Written(record)
            sent.append(
                await producer.send(topic, one.value, key=one.key, headers=one.headers, partition=one.partition)
            )
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)
