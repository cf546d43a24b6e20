"""A publisher to Kafka that knows exactly which messages the broker took over.

Records are put into batches here, a batch a partition, so that one process makes many thousand a second. Messages of a
key stay in order: they go to one partition, and a batch that failed is sent again before the next.
"""

import asyncio
import logging
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from simulators.publish import BrokerRefusedError, BrokerUnreachableError, Ranges
from simulators.samples import Outgoing

BATCH_BYTES = 256 * 1024
SHORTEST_TURN_S = 0.001
# The client tells its log hundreds of times what we raise once. Without a handler of its own that goes to stderr.
LIBRARY = logging.getLogger("aiokafka")
FORM = "kafka://host:port[,host:port]/topic"


@dataclass(slots=True)
class _Batch:
    """Records of one partition that leave together, and their numbers."""

    builder: Any
    numbers: list[int] = field(default_factory=list)


class KafkaPublisher:
    """Messages are numbered from 0 in the order of `publish`; `acknowledged` holds the numbers that are in the log.

    At most `window` messages wait for their acknowledgement; `publish` blocks while it is full. Raises
    BrokerUnreachableError when a batch was not taken for `patience_s`, BrokerRefusedError when there is no such topic.
    """

    def __init__(
        self, servers: str, topic: str, *, client_id: str, window: int = 20_000, patience_s: float = 30.0
    ) -> None:
        self.acknowledged = Ranges()
        self.published = 0
        self.reconnects = 0  # the client sees to connections by itself, and tells nobody
        self._topic = topic
        self._window = window
        self._waiting = 0
        self._open: dict[int, _Batch] = {}  # by partition
        self._under_way: set[asyncio.Future[Any]] = set()
        self._failed = ""
        self._runner = asyncio.Runner()
        if not LIBRARY.handlers:
            LIBRARY.addHandler(logging.NullHandler())
        try:
            self._producer, self._partitions = self._runner.run(_started(servers, topic, client_id, patience_s))
        except BaseException:
            self._runner.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def send(self, messages: Iterable[Outgoing]) -> None:
        """Publishes all of them and waits until each is acknowledged."""
        for message in messages:
            self.publish(message.station.encode(), message.payload)
        self.flush()

    def publish(self, key: bytes, payload: bytes) -> int:
        """Leaves with its batch: when that is full, or at `poll` or `flush`. The answer is the message's number."""
        partition = zlib.crc32(key) % self._partitions
        number = self.published
        batch = self._open.get(partition) or self._new_batch(partition)
        if batch.builder.append(timestamp=None, key=key, value=payload) is None:
            self._runner.run(self._leave(partition))
            batch = self._new_batch(partition)
            if batch.builder.append(timestamp=None, key=key, value=payload) is None:
                raise ValueError(f"a message of {len(payload)} bytes is larger than a batch")
        batch.numbers.append(number)
        self.published += 1
        self._waiting += 1
        if self._waiting >= self._window:
            self._runner.run(self._rest(self._window // 2))
        return number

    def poll(self) -> None:
        """Sends and hears what is possible in a millisecond."""
        self._runner.run(self._rest(self._waiting))

    def flush(self) -> None:
        """Waits until everything is acknowledged."""
        self._runner.run(self._rest(0))

    def close(self) -> None:
        """What is not acknowledged is given up."""
        self._runner.run(self._producer.stop())
        self._runner.close()

    def _new_batch(self, partition: int) -> _Batch:
        batch = self._open[partition] = _Batch(self._producer.create_batch())
        return batch

    async def _rest(self, most_waiting: int) -> None:
        """Every open batch leaves; until at most so many messages wait."""
        for partition in list(self._open):
            await self._leave(partition)
        await asyncio.sleep(SHORTEST_TURN_S)  # the client's own tasks move while we wait, and only then
        while self._waiting > most_waiting:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            self._check()
        self._check()

    async def _leave(self, partition: int) -> None:
        batch = self._open.pop(partition)
        try:
            future = await self._producer.send_batch(batch.builder, self._topic, partition=partition)
        except KafkaError as error:
            raise BrokerUnreachableError(f"{self._topic}: {error}") from error
        self._under_way.add(future)
        future.add_done_callback(lambda done: self._heard(done, batch))

    def _heard(self, done: "asyncio.Future[Any]", batch: _Batch) -> None:
        self._under_way.discard(done)
        if done.cancelled() or (error := done.exception()) is not None:
            self._failed = self._failed or ("given up" if done.cancelled() else repr(error))
            return
        self._waiting -= len(batch.numbers)
        for number in batch.numbers:
            self.acknowledged.add(number)

    def _check(self) -> None:
        if self._failed:
            raise BrokerUnreachableError(f"{self._topic}: {self._failed}")


async def _started(servers: str, topic: str, client_id: str, patience_s: float) -> tuple[Any, int]:
    """The producer, and how many partitions the topic has."""
    producer = AIOKafkaProducer(
        bootstrap_servers=servers,
        client_id=client_id,
        acks="all",
        enable_idempotence=True,  # order, also where a batch is sent again
        max_batch_size=BATCH_BYTES,
        request_timeout_ms=int(patience_s * 1_000),
    )
    try:
        await producer.start()
        return producer, len(await producer.partitions_for(topic))
    except KafkaError as error:
        await producer.stop()
        if "UnknownTopic" in type(error).__name__:
            raise BrokerRefusedError(f"there is no topic {topic!r}: make it first") from error
        raise BrokerUnreachableError(f"{servers}: {error}") from error


def open_kafka(where: str, *, client: str) -> KafkaPublisher:
    """kafka://host:port[,host:port]/topic. Raises ValueError, which quotes nothing: a password may stand in it."""
    parts = urlsplit(where)
    servers, topic = parts.netloc.split(","), parts.path.strip("/")
    if not all(name and port.isdigit() for name, _, port in (server.rpartition(":") for server in servers)):
        raise ValueError(f"the address is not of the form {FORM}")
    if not topic or "/" in topic or "@" in parts.netloc:
        raise ValueError(f"the address is not of the form {FORM}")
    return KafkaPublisher(parts.netloc, topic, client_id=client)
