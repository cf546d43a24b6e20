"""What came is written down, and only then acknowledged. The journal's one writer."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from ingest.message import Block, Health, Journal, JournalUnavailable, Source
from ingest.records import Clock, Emit, EntryWritten, JournalRefused
from rules.readings import SECOND_NS

MOST_MESSAGES = 4_000
MOST_BYTES = 8 << 20
FIRST_RETRY_S = 0.1
LAST_RETRY_S = 10.0


@dataclass(slots=True)
class _Portion:
    """One entry to be, and what may be acknowledged when it is durable."""

    blocks: list[Block] = field(default_factory=list)
    messages: int = 0
    payload_bytes: int = 0
    settles: list[tuple[Source, object]] = field(default_factory=list)


class Recorder:
    """Takes from all sources, writes an entry, acknowledges; and lets time pass in the journal.

    An entry holds at most `most_messages` and, but for a single larger message, `most_bytes`. A tick is due whenever
    `clock` passes a multiple of `tick_s`; it comes after the messages of its entry. While the journal is unavailable
    nothing is taken, so that what is held here is at most one taking of each source. `written` is called after each
    entry, to wake whoever reads.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        journal: Journal,
        clock: Clock,
        emit: Emit,
        *,
        tick_s: float = 5.0,
        most_messages: int = MOST_MESSAGES,
        most_bytes: int = MOST_BYTES,
        written: Callable[[], None] = lambda: None,
    ) -> None:
        self._sources = sources
        self._journal = journal
        self._clock = clock
        self._emit = emit
        self._tick_ns = round(tick_s * SECOND_NS)
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._written = written
        self._portions: deque[_Portion] = deque()
        self._settles: deque[tuple[Source, object]] = deque()
        self._next_tick_ns = self._tick_after(clock())
        self._refused_ns = 0
        self._retry_s = 0.0  # 0: the journal takes entries
        self._why = ""
        self.messages = 0  # written since the start
        self.ticked_ns = 0  # when the clock last passed a tick that was written

    @property
    def held(self) -> int:
        """Messages taken and not yet written."""
        return sum(portion.messages for portion in self._portions)

    def step(self) -> bool:
        """Writes what came. False when there was nothing, or the journal must be given time."""
        now_ns = self._clock()
        if 0 <= now_ns - self._refused_ns < self._retry_s * SECOND_NS:
            return False
        self._settle()
        if not self._portions:
            self._take()
        if now_ns < self._next_tick_ns - self._tick_ns:  # the clock was set back
            self._next_tick_ns = self._tick_after(now_ns)
        tick = now_ns >= self._next_tick_ns
        if not self._portions and not tick:
            return False
        try:
            self._write(now_ns, tick=tick)
        except JournalUnavailable as error:
            self._back_off(now_ns, str(error))
            return False
        return True

    def health(self, now_ns: int) -> Health:
        """Red while the journal takes nothing."""
        del now_ns
        return Health(not self._why, self._why)

    def _take(self) -> None:
        for source in self._sources:
            if (taken := source.take()) is not None:
                for block in taken.blocks:
                    self._add(block)
                if not self._portions:
                    self._portions.append(_Portion())
                self._portions[-1].settles.append((source, taken.token))

    def _add(self, block: Block) -> None:
        for piece, payload_bytes in self._pieces(block):
            last = self._portions[-1] if self._portions else None
            if (
                last is None
                or last.messages + len(piece) > self._most_messages
                or (last.messages and last.payload_bytes + payload_bytes > self._most_bytes)
            ):
                last = _Portion()
                self._portions.append(last)
            last.blocks.append(piece)
            last.messages += len(piece)
            last.payload_bytes += payload_bytes

    def _pieces(self, block: Block) -> Iterator[tuple[Block, int]]:
        """The block, cut where it is too large for one entry, with the bytes of each piece."""
        sizes = block.sizes()
        total = sum(sizes)
        if len(sizes) <= self._most_messages and total <= self._most_bytes:
            if sizes:
                yield block, total
            return
        start, held = 0, 0
        for index, size in enumerate(sizes):
            if index > start and (index - start == self._most_messages or held + size > self._most_bytes):
                yield _cut(block, start, index), held
                start, held = index, 0
            held += size
        yield _cut(block, start, len(sizes)), held

    def _write(self, now_ns: int, *, tick: bool) -> None:
        """Every portion as an entry, acknowledged at once; a tick goes with the last. Raises JournalUnavailable."""
        while self._portions or tick:
            portion = self._portions[0] if self._portions else _Portion()
            ticks = tick and len(self._portions) <= 1
            if portion.messages or ticks:
                began = perf_counter()
                self._journal.append(portion.blocks, now_ns, tick=ticks)
                took_s = perf_counter() - began
                self._emit(EntryWritten(portion.messages, portion.payload_bytes, took_s, self._lag_s(portion)))
            self._retry_s, self._why = 0.0, ""
            self.messages += portion.messages
            if self._portions:
                self._portions.popleft()
            if ticks:
                self.ticked_ns = now_ns
                self._next_tick_ns = self._tick_after(now_ns)
                tick = False
            self._settles.extend(portion.settles)
            self._written()
            self._settle()

    def _lag_s(self, portion: _Portion) -> float:
        oldest_ns = min((block.received_ns for block in portion.blocks), default=None)
        return 0.0 if oldest_ns is None else max(0, self._clock() - oldest_ns) / SECOND_NS

    def _settle(self) -> None:
        while self._settles:
            source, token = self._settles.popleft()
            source.acknowledge(token)

    def _back_off(self, now_ns: int, why: str) -> None:
        self._retry_s = min(max(2 * self._retry_s, FIRST_RETRY_S), LAST_RETRY_S)
        self._refused_ns = now_ns
        self._why = f"{why}; nothing is acknowledged until there is room"
        self._emit(JournalRefused(why, self._retry_s))

    def _tick_after(self, now_ns: int) -> int:
        return (now_ns // self._tick_ns + 1) * self._tick_ns


def _cut(block: Block, start: int, stop: int) -> Block:
    cut = slice(start, stop)
    return Block(
        block.source,
        block.received_ns,
        block.topics[cut],
        block.payloads[cut],
        block.keys[cut],
        block.headers[cut],
        block.partition,
        block.offsets[cut],
    )
