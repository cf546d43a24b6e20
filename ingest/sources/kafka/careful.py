"""Past what the client cannot take apart: a batch that is damaged on the broker's disk, a header that is no text.

The client raises for it, never moves on, and lets go of what it had fetched beside it. So the partition would stand
still for ever, and all others with it. One record at a time everything readable is handed out, and it shows which
one is not. What the client needs to take apart first, it needs for the rest of the batch too: that goes with it, which
a producer does to its own records only.
"""

import asyncio
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cramjam
from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException

from ingest.sources.kafka.inbox import Inbox

CAREFUL_S = 5.0
REST_S = 0.02
# Of the bytes of a record; not of what this program lacks, such as a codec.
UNREADABLE = (CorruptRecordException, ValueError, struct.error, IndexError, EOFError, cramjam.DecompressionError)

Keep = Callable[[Mapping[TopicPartition, Sequence[Any]]], int]
PassOver = Callable[[TopicPartition, int, Exception], None]


async def read_carefully(consumer: Any, inbox: Inbox, keep: Keep, pass_over: PassOver) -> None:
    """For some seconds, and as long as there is something unreadable, which is passed over.

    It was met before, on another connection, so it is not the line that damaged it.
    """
    end_s = time.monotonic() + CAREFUL_S
    while time.monotonic() < end_s:
        came = 0
        for place in consumer.assignment() if inbox.room() else ():
            try:
                got = await consumer.getmany(place, timeout_ms=0, max_records=1)
            except UNREADABLE as error:
                offset = await consumer.position(place)
                consumer.seek(place, offset + 1)
                pass_over(place, offset, error)
                end_s = time.monotonic() + CAREFUL_S
                came += 1
            else:
                came += keep(got) if got else 0
        await asyncio.sleep(0 if came else REST_S)
