"""One life as a member of a consumer group: fetching, committing what is durable, giving partitions away, looking round.

Everything here runs on one event loop that has nothing else to do, so that heartbeats are never late.
"""

import asyncio
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from ingest.message import Block
from ingest.records import Clock, Connected, ConnectionLost, Emit, PartFailed, PossibleLoss, Rebalanced, SourceLag
from ingest.sources.kafka.careful import read_carefully
from ingest.sources.kafka.inbox import Inbox, Partition
from ingest.sources.kafka.settings import KafkaSourceSettings

FETCH_WAIT_S = 0.5
FULL_WAIT_S = 0.02
COMMIT_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0
BEAT_S = 0.25
OFTEN = 10  # times that partitions are given away
CUT = "jianwei.headers-cut"  # how many there were, where they were too large
MOST_A_FETCH = 5_000  # records: what is fetched ahead is cut so that the loop is never busy for long


class Member(ConsumerRebalanceListener):  # type: ignore[misc]  # the library has no types
    """Made, and used, on the loop of its life; other threads only look at its plain attributes."""

    def __init__(
        self, settings: KafkaSourceSettings, inbox: Inbox, clock: Clock, emit: Emit, *, careful: bool = False
    ) -> None:
        self._settings = settings
        self._inbox = inbox
        self._clock = clock
        self._emit = emit
        self._careful = careful  # the last life ended with something unreadable
        self._passed_over: dict[Partition, int] = {}  # the last offset that was, to tell each row of them once
        self._next: dict[Partition, int] = {}  # the offset that we expect, of each partition that we have
        self._gaps: dict[Partition, int] = {}  # where something else came: what we had expected
        self._new: set[Partition] = set()  # dealt to us, and not yet looked at
        self._firsts: dict[Partition, int] = {}  # what came first of partitions where we expected nothing
        self.heard_s = time.monotonic()  # when a broker last answered
        self.beat_s = time.monotonic()  # when the loop last had time
        self.loop_lag_s = 0.0  # the longest wait for the loop since we last looked round
        self.full_since_s: float | None = None
        self._silent = False
        self.revoked_s: deque[float] = deque(maxlen=OFTEN)  # when partitions were last given away
        self.started = False
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=list(settings.servers),
            client_id=settings.client_id,
            group_id=settings.group,
            group_instance_id=settings.group_instance_id,
            enable_auto_commit=False,
            auto_offset_reset=settings.auto_offset_reset,
            isolation_level=settings.isolation_level,
            session_timeout_ms=_ms(settings.session_timeout_s),
            heartbeat_interval_ms=_ms(settings.heartbeat_s),
            rebalance_timeout_ms=_ms(settings.rebalance_timeout_s),
            max_poll_interval_ms=_ms(settings.max_poll_interval_s),
            metadata_max_age_ms=_ms(settings.metadata_max_age_s),
            request_timeout_ms=_ms(settings.request_timeout_s),
            fetch_max_bytes=settings.most_fetch_bytes,
            max_partition_fetch_bytes=settings.most_partition_bytes,
            fetch_max_wait_ms=_ms(FETCH_WAIT_S),
            **settings.security(),
        )
        self._consumer.subscribe(topics=settings.topics, pattern=settings.pattern, listener=self)

    async def live(self, stopping: asyncio.Event) -> None:
        """Until `stopping`, or an error, which is raised. What is durable is committed at the end either way."""
        beat = asyncio.create_task(self._beat())
        stop = asyncio.create_task(stopping.wait())
        try:
            if await self._first(stop, self._consumer.start()):
                return
            self.started = True
            self.heard_s = time.monotonic()
            self._emit(Connected(self._settings.name, session_present=True))
            await self._first(stop, self._fetch(), self._commit(), self._look())
        finally:
            beat.cancel()
            stop.cancel()
            await self._leave()

    async def _first(self, stop: "asyncio.Task[bool]", *work: Any) -> bool:
        """Runs all of it until one ends, or `stop` does: then True. Raises what any of them raised."""
        tasks = [asyncio.create_task(each) for each in work]
        try:
            await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
            return stop.done()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _leave(self) -> None:
        with suppress(KafkaError, OSError):  # TimeoutError is one
            await self._commit_due()
        try:
            await asyncio.wait_for(self._consumer.stop(), STOP_TIMEOUT_S)
        except (KafkaError, OSError):  # it gave up before it closed its connections
            with suppress(KafkaError, OSError):
                await asyncio.wait_for(self._consumer._client.close(), STOP_TIMEOUT_S)  # noqa: SLF001
        self._inbox.give_away()

    # Fetching.

    async def _fetch(self) -> None:
        """Any error ends this life: the client may have let go of records of other partitions that it never handed out."""
        consumer, nap_s = self._consumer, self._settings.nap_ms / 1_000
        if self._careful:
            await read_carefully(consumer, self._inbox, self._keep, self._pass_over)
        while True:
            room = self._inbox.room()
            if not room:
                await self._wait_for_room()
                continue
            self.full_since_s = None
            if paused := consumer.paused():
                consumer.resume(*paused)
            if self._new:
                await self._look_at_new()
            # Awaited here and nowhere else: between the client's check that no rebalance is under way and `_keep`,
            # nothing else can run.
            most = min(room, MOST_A_FETCH)
            got = await consumer.getmany(timeout_ms=_ms(FETCH_WAIT_S), max_records=most)
            if got and self._keep(got) < most:
                await asyncio.sleep(nap_s)

    async def _wait_for_room(self) -> None:
        """Fetches nothing, and goes on polling: who does not poll is put out of the group."""
        if self.full_since_s is None:
            self.full_since_s = time.monotonic()
        consumer = self._consumer
        if running := consumer.assignment() - consumer.paused():
            consumer.pause(*running)
        if got := await consumer.getmany(timeout_ms=0, max_records=1):  # of a partition that came this moment
            self._keep(got)
        await asyncio.sleep(FULL_WAIT_S)

    def _keep(self, got: Mapping[TopicPartition, Sequence[Any]]) -> int:
        """Into the inbox, a block for each partition; how many messages."""
        received_ns = self._clock()
        self.heard_s = time.monotonic()
        blocks, offsets, messages = [], {}, 0
        for place, records in got.items():
            first, last = records[0].offset, records[-1].offset
            expected = self._next.get(place)
            if expected is None:
                self._firsts[place] = first
            elif first != expected:
                self._gaps.setdefault(place, expected)
            self._next[place] = offsets[place] = last + 1
            blocks.append(_block(self._settings, received_ns, place, records))
            messages += len(records)
        self._inbox.put(blocks, offsets)
        return messages

    def _pass_over(self, place: TopicPartition, offset: int, error: Exception) -> None:
        if self._passed_over.get(place) != offset - 1:
            why = (
                f"{place.topic}, partition {place.partition}: what lies at offset {offset} cannot be read ({error}); it is "
                "passed over, up to the next record that can"
            )
            self._emit(PossibleLoss(self._settings.name, why))
        self._passed_over[place] = offset
        self._next[place] = offset + 1
        self._inbox.put([], {place: offset + 1})

    async def _look_at_new(self) -> None:
        """What the group has read of partitions that were dealt to us: nothing before it may be missing."""
        while self._new:
            place = self._new.pop()
            with suppress(IllegalStateError):  # taken from us again meanwhile
                committed = await self._consumer.committed(TopicPartition(*place))
                first = self._firsts.pop(place, None)  # records may be quicker than this
                if committed is None:
                    continue
                if first is None:
                    self._next.setdefault(place, committed)
                elif first > committed:
                    self._gaps.setdefault(place, committed)

    # Committing.

    async def _commit(self) -> None:
        while True:
            await asyncio.sleep(self._settings.commit_every_s)
            try:
                await self._commit_due()
            except (CommitFailedError, IllegalStateError):
                pass  # the group has moved on: `on_partitions_revoked` comes next
            except TimeoutError:
                pass  # no broker answers: `_look` says so; what is due stays due
            except KafkaError as error:
                if not error.retriable:
                    raise

    async def _commit_due(self) -> None:
        """Exactly what is durable. Raises KafkaError, TimeoutError."""
        mine = self._consumer.assignment()
        due = {TopicPartition(*place): next_ for place, next_ in self._inbox.due().items() if place in mine}
        if due:
            await asyncio.wait_for(self._consumer.commit(due), COMMIT_TIMEOUT_S)
            self._inbox.committed(due)

    # The group's calls. The library logs what they raise, and goes on; so they raise nothing.

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Waits a bounded time for what is on its way to the journal, then commits exactly what is durable."""
        try:
            deadline_s = time.monotonic() + self._settings.revoke_wait_s
            while revoked and self._inbox.held and time.monotonic() < deadline_s:  # noqa: ASYNC110  # the journal's side is a thread that knows of no loop
                await asyncio.sleep(FULL_WAIT_S)
            await self._commit_due()
        except (CommitFailedError, TimeoutError):
            pass  # too late: what is not committed comes again, to whoever gets the partition
        except Exception as error:  # noqa: BLE001  # it would be swallowed by the library, and seen by nobody
            self._emit(PartFailed(f"kafka:{self._settings.name}", f"partitions were given away uncommitted: {error!r}"))
        left = self._inbox.give_away()
        self._next.clear()
        self._gaps.clear()
        self._new.clear()
        self._firsts.clear()
        if revoked:
            self.revoked_s.append(time.monotonic())
            self._emit(Rebalanced(self._settings.name, 0, left))

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._new = set(assigned)
        self._emit(Rebalanced(self._settings.name, len(assigned), 0))

    # Looking round.

    async def _look(self) -> None:
        """Whether brokers answer, how far we are behind, and whether something was dropped before we read it."""
        while True:
            with suppress(KafkaError, TimeoutError):  # then nothing was heard, which health judges
                await asyncio.wait_for(self._look_once(), self._settings.request_timeout_s)
            self._tell_silence()
            await asyncio.sleep(self._settings.look_every_s)

    def _tell_silence(self) -> None:
        """The client connects again and again by itself, and says nothing of it."""
        silent_s = time.monotonic() - self.heard_s
        if (silent_s > self._settings.silence_s) is self._silent:
            return
        self._silent = not self._silent
        if self._silent:
            self._emit(ConnectionLost(self._settings.name, f"no broker answered for {silent_s:.0f} s", 0.0))
        else:
            self._emit(Connected(self._settings.name, session_present=True))

    async def _look_once(self) -> None:
        consumer = self._consumer
        mine = consumer.assignment()
        lag = 0
        if mine:
            begins = await consumer.beginning_offsets(mine)
            ends = await consumer.end_offsets(mine)
            self._miss(begins)
            for place in mine:  # the client's position passes over what transactions leave, our `_next` does not
                lag += max(0, ends[place] - await consumer.position(place))
        else:
            await consumer.topics()  # a member in reserve, with no partition, is well too
        self.heard_s = time.monotonic()
        self._emit(SourceLag(self._settings.name, lag, self.loop_lag_s))
        self.loop_lag_s = 0.0

    def _miss(self, begins: Mapping[TopicPartition, int]) -> None:
        """Offsets jump over what a compaction or a transaction left out; but what retention dropped, is lost to us."""
        for place, expected in self._gaps.items():
            begin = begins.get(TopicPartition(*place), expected)
            if begin > expected:
                topic, partition = place
                why = (
                    f"{topic}, partition {partition}: offsets {expected} to {begin - 1} were dropped by the retention of the "
                    "topic before they were read; lengthen it"
                )
                self._emit(PossibleLoss(self._settings.name, why))
        self._gaps.clear()

    async def _beat(self) -> None:
        while True:
            self.beat_s = time.monotonic()
            await asyncio.sleep(BEAT_S)
            self.loop_lag_s = max(self.loop_lag_s, time.monotonic() - self.beat_s - BEAT_S)


def _block(settings: KafkaSourceSettings, received_ns: int, place: TopicPartition, records: Sequence[Any]) -> Block:
    """Records of one partition, as they came: a record without a value is a message without bytes.

    Of what is too large the beginning is kept, which no format takes for the whole; partition and offset say where the
    whole is.
    """
    most = settings.most_message_bytes
    keys = [record.key and record.key[:most] for record in records]
    headers = [_headers(record.headers, most) for record in records] if any(r.headers for r in records) else []
    return Block(
        settings.name,
        received_ns,
        [place.topic] * len(records),
        [(record.value or b"")[:most] for record in records],
        keys if any(key is not None for key in keys) else [],
        headers,
        place.partition,
        [record.offset for record in records],
    )


def _headers(headers: Sequence[tuple[str, bytes | None]], most_bytes: int) -> list[tuple[str, bytes]]:
    """All, or those in front that are no larger together, and a word about it."""
    kept: list[tuple[str, bytes]] = []
    size = 0
    for name, value in headers:
        size += len(name) + len(value or b"")
        if size > most_bytes:
            return [*kept, (CUT, str(len(headers)).encode())]
        kept.append((name, value or b""))
    return kept


def _ms(seconds: float) -> int:
    return round(seconds * 1_000)
