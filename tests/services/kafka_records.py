"""All that a topic holds now, in the order of each partition."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

END_S = 30.0


def records_in(server: str, topic: str) -> list[Any]:
    """From the first record to the last, partition after partition; headers are (name, bytes)."""
    return asyncio.run(asyncio.wait_for(_records(server, topic), END_S))


async def _records(server: str, topic: str) -> list[Any]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=server, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        while not (assigned := consumer.assignment()):  # noqa: ASYNC110  # the client tells nobody
            await asyncio.sleep(0.05)
        places = sorted(assigned)
        ends = await consumer.end_offsets(places)
        found: dict[TopicPartition, list[Any]] = {place: [] for place in places}
        while any([await consumer.position(place) < ends[place] for place in places]):
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                found[place] += records
        return [record for place in places for record in found[place]]
    finally:
        await consumer.stop()


def newest_by_key(records: list[Any]) -> dict[bytes, bytes]:
    """What compaction leaves: of each key the last value, and nothing of what was deleted."""
    newest = {record.key: record.value for record in records}
    return {key: value for key, value in newest.items() if value is not None}
