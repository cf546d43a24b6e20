"""The rim's few nouns, and the doors through which a source, a format, a journal and a store are plugged in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import msgspec

from rules.readings import Judged, Kind, SeriesKey, Transition


class Block(msgspec.Struct, array_like=True, gc=False):
    """Messages of one source that were received together, byte for byte as they came, in arrival order.

    `topics` and `payloads` have equal length; `keys`, `headers` and `offsets` are empty or have that length too
    (Kafka). With `offsets` all messages are of one partition of one topic, and lie there.
    """

    source: str
    received_ns: int
    topics: list[str]
    payloads: list[bytes]
    keys: list[bytes | None] = []
    headers: list[list[tuple[str, bytes]]] = []
    partition: int = -1
    offsets: list[int] = []

    def __len__(self) -> int:
        return len(self.payloads)

    def sizes(self) -> list[int]:
        """Bytes of each message, with its key and headers."""
        sizes = list(map(len, self.payloads))
        if self.keys:
            sizes = [size + len(key or b"") for size, key in zip(sizes, self.keys, strict=True)]
        if self.headers:
            own = (sum(len(name) + len(value) for name, value in each) for each in self.headers)
            sizes = [size + more for size, more in zip(sizes, own, strict=True)]
        return sizes


class Entry(msgspec.Struct, array_like=True, gc=False):
    """One commit of the journal. Entries are numbered from 1 without gaps, across days."""

    number: int
    written_ns: int  # wall clock at the commit, never falling from entry to entry
    tick: bool  # time passed: rules that wait for what does not come are asked after this entry's messages
    blocks: list[Block]

    def message(self, index: int) -> tuple[Block, int] | None:
        """In which block the message with this index lies, and where in it; None when there are not so many."""
        for block in self.blocks:
            if index < len(block):
                return block, index
            index -= len(block)
        return None


INDEX_BITS = 20  # at most 2**20 messages in an entry


def position_of(entry: int, index: int) -> int:
    """Where a message lies in the journal, as one number that grows with the order of arrival."""
    return entry << INDEX_BITS | index


@dataclass(frozen=True, slots=True)
class Taken:
    """What a source hands over: blocks, and a token that stands for all of them."""

    blocks: Sequence[Block]
    token: object


@dataclass(frozen=True, slots=True)
class Health:
    """How a part of the program is. `why` says what is wrong and what to do; empty when well."""

    ok: bool
    why: str = ""


class Source(Protocol):
    """Brings messages in.

    Owns its thread or loop; never blocks its caller; holds at most a bounded window of messages that are not yet
    acknowledged, and stops reading when it is full.
    """

    @property
    def name(self) -> str: ...

    def start(self) -> None: ...

    def take(self) -> Taken | None:
        """Everything that came since the last call, in arrival order; None when there is nothing."""
        ...

    def acknowledge(self, token: object) -> None:
        """The messages of `token` are durable: tell the sender.

        In arrival order, on the connection that delivered them, or not at all.
        """
        ...

    def health(self, now_ns: int) -> Health: ...

    def stop(self) -> None:
        """Ends reading; what is not acknowledged stays with the sender."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """What a station shall be asked: a command of its protocol with its fields. `number` is the asker's name for it."""

    number: int
    mn: str
    cn: str
    fields: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Asking(Protocol):
    """A source whose stations can be asked."""

    @property
    def name(self) -> str: ...

    def ask(self, request: Request) -> None:
        """From any thread, and at once. What becomes of it is told as RequestMoved.

        In the end that is exactly one of done, refused, unanswered and gone.
        """
        ...


class JournalUnavailable(Exception):
    """Nothing was written (disk full, I/O error). Try again later; acknowledge nothing."""


class Journal(Protocol):
    """The durable record of everything that came. One writer; any number of readers, also in other processes."""

    def append(self, blocks: Sequence[Block], now_ns: int, *, tick: bool) -> int:
        """Writes one entry; when it returns, the entry's number, the entry survives a kill. Raises JournalUnavailable."""
        ...

    def read(self, after: int, most_messages: int) -> list[Entry]:
        """Entries with number > `after`, in order.

        At least one if there is one, then while their messages sum to at most `most_messages`.
        """
        ...

    def last(self) -> int:
        """Number of the newest entry, 0 when empty."""
        ...


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read or stored: why, and where in the message (a JSON path, a field name)."""

    position: int
    where: str
    reason: str
    payload: bytes
    source: str = ""
    topic: str = ""
    received_ns: int = 0


class Columns(Protocol):
    """Where a format puts what it read. `place` may be cached per layout: it never changes for a key."""

    def place(self, key: SeriesKey) -> int: ...

    def extend(
        self, series: Sequence[int], measured_ns: int, values: Sequence[float], flags: Sequence[int] | None
    ) -> None:
        """One sample: as many readings as `series`, all measured at the same time. flags None: all normal."""
        ...


class Format(Protocol):
    """Turns one message into readings.

    Never raises for content: what it cannot read, it returns as (where, reason) pairs; the rest of the message has
    gone into `columns`.
    """

    def decode(self, topic: str, payload: bytes, columns: Columns) -> Sequence[tuple[str, str]]: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """All rows are in the store, durable."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The rows at these indices were refused for good, with the store's reason each; all others are stored."""

    rows: Sequence[int]
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True)
class Busy:
    """Nothing may be assumed stored: write the same rows again after `retry_after_s`."""

    retry_after_s: float
    why: str


class StoreUnreadable(Exception):
    """Stored readings cannot be had now. The text says why and, where it can, what to do."""


class StoredReading(msgspec.Struct, frozen=True):
    """A reading as a store gives it back."""

    station: str
    parameter: str
    kind: Kind
    measured_ns: int
    value: float  # nan: missing
    flag: int
    verdict: int
    raised: int


class Store(Protocol):
    """Keeps readings, once for each (station, parameter, kind, measured time)."""

    def write(self, rows: Judged, keys: Sequence[SeriesKey]) -> Stored | Refused | Busy:
        """Idempotent; `keys[rows.series[i]]` names row i.

        A later row with the same key replaces an earlier one, but a `late` row whose value is already there changes
        nothing.
        """
        ...

    def read(
        self, station: str, parameter: str | None, kind: Kind | None, from_ns: int, until_ns: int
    ) -> list[StoredReading]:
        """Readings in [from_ns, until_ns), by parameter, kind and time. Raises StoreUnreadable."""
        ...

    def health(self, now_ns: int) -> Health: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Resume:
    """Where to go on after a start: the newest snapshot whose mark is not past the stored cursor.

    `judged`: every transition of entries up to here is in the ledger. `stored`: every row of entries up to here is
    in the store. `mark`: the snapshot holds the engine after entry `mark`; without a snapshot 0 and None.
    """

    judged: int = 0
    stored: int = 0
    mark: int = 0
    snapshot: bytes | None = None


class ResumePoint(Protocol):
    """What a ledger hands back: the attributes of `Resume`, whatever the class (a ledger need not know this room)."""

    @property
    def judged(self) -> int: ...

    @property
    def stored(self) -> int: ...

    @property
    def mark(self) -> int: ...

    @property
    def snapshot(self) -> bytes | None: ...

    @property
    def turns(self) -> Sequence[tuple[int, int]]: ...


class Ledger(Protocol):
    """Keeps what was found and how far the worker is, in one transaction."""

    def record(self, transitions: Sequence[Transition], *, judged: int, stored: int, snapshot: bytes | None) -> None:
        """All or nothing.

        Transitions that are known (equal id) change nothing, and tell nobody again. `judged` and `stored` never move
        back. A snapshot stands for `judged`; older ones go once `stored` has passed a newer. Raises OSError when nothing was written (locked, disk full): record the same again later.
        """
        ...

    def turn(self, entry: int, version: int) -> None:
        """After this entry of the journal the register of this version judges: kept for ever, in order. Raises OSError."""
        ...

    def resume(self) -> ResumePoint: ...
