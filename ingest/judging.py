"""One way through the journal: messages are decoded, readings are judged, ticks fall where they fell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ingest.batching import BatchBuilder
from ingest.message import INDEX_BITS, Block, Entry, Format, Problem, position_of
from ingest.uploader import joined
from rules.engine import Engine
from rules.readings import Batch, Counts, Int64s, Judged, SeriesKey, Transition

MOST_TOPICS = 100_000
NO_FORMAT = "no format for this topic"


Choose = Callable[[str, str], Format | None]  # (source, topic): the answer never changes
Formats = Callable[[], Choose]  # new formats: they remember places, which one engine gave


@dataclass(slots=True)
class Found:
    """Everything that a portion of the journal, up to `entry`, gave."""

    entry: int
    written_ns: int
    messages: int
    newest_received_ns: int
    rows: Judged
    keys: Sequence[SeriesKey]
    transitions: list[Transition]
    problems: list[Problem]
    counts: Counts
    took_s: float = 0.0
    is_recorded: bool = False


class Lane:
    """An engine that has judged every entry up to `entry`."""

    def __init__(self, engine: Engine, entry: int, formats: Formats, *, turns: int = 0, freshness: int = 0) -> None:
        self.engine = engine
        self.entry = entry
        self.turns = turns  # of the register: so many does it know, see `registers.py`
        self.freshness = freshness
        self._choose = formats()
        self._formats: dict[tuple[str, str], Format | None] = {}
        self._builder = BatchBuilder(engine.place)

    def judge(self, entries: Sequence[Entry]) -> Found:
        """Judges the next entries, at least one. After an error the lane must not be used any more."""
        rows: list[Judged] = []
        transitions: list[Transition] = []
        problems: list[Problem] = []
        counts = Counts()
        start = 0
        for end, entry in enumerate(entries, 1):
            for_later = not entry.tick and end < len(entries)
            if for_later:
                continue
            batch = self._batch(entries[start:end], problems)
            start = end
            if len(batch):
                outcome = self.engine.evaluate(batch)
                rows.append(outcome.judged)
                transitions += outcome.transitions
                counts += outcome.counts
            if entry.tick:
                transitions += self.engine.tick(entry.written_ns)
        blocks = [block for entry in entries for block in entry.blocks]
        self.entry = entries[-1].number
        return Found(
            entry=self.entry,
            written_ns=entries[-1].written_ns,
            messages=sum(map(len, blocks)),
            newest_received_ns=max((block.received_ns for block in blocks), default=0),
            rows=joined(rows),
            keys=self.engine.keys,
            transitions=transitions,
            problems=problems,
            counts=counts,
        )

    def _batch(self, entries: Sequence[Entry], problems: list[Problem]) -> Batch:
        blocks = [block for entry in entries for block in entry.blocks]
        for entry in entries:
            first = position_of(entry.number, 0)
            for block in entry.blocks:
                self._decode(block, first, problems)
                first += len(block)
        received_ns = np.repeat(
            np.array([block.received_ns for block in blocks], np.int64), [len(block) for block in blocks]
        )
        return self._builder.build(received_ns, _positions(entries))

    def _decode(self, block: Block, first: int, problems: list[Problem]) -> None:
        """Every message of the block into the builder; `first` is the position of its first message."""
        formats, builder, source = self._formats, self._builder, block.source
        end_message = builder.end_message
        for index, topic in enumerate(block.topics):
            payload = block.payloads[index]
            try:
                a_format = formats[source, topic]
            except KeyError:
                a_format = self._format(source, topic)
            found = a_format.decode(topic, payload, builder) if a_format is not None else (("", NO_FORMAT),)
            if found:
                problems += [
                    Problem(first + index, where, reason, payload, source, topic, block.received_ns)
                    for where, reason in found
                ]
            end_message()

    def _format(self, source: str, topic: str) -> Format | None:
        if len(self._formats) >= MOST_TOPICS:
            self._formats.clear()
        a_format = self._formats[source, topic] = self._choose(source, topic)
        return a_format


def _positions(entries: Sequence[Entry]) -> Int64s:
    """Where each message of the entries lies in the journal."""
    sizes = np.array([sum(map(len, entry.blocks)) for entry in entries], np.int64)
    firsts = np.array([entry.number for entry in entries], np.int64) << INDEX_BITS
    before = np.cumsum(sizes) - sizes
    return np.repeat(firsts - before, sizes) + np.arange(int(sizes.sum()), dtype=np.int64)
