"""What came from loggers and is not yet durable, and who waits for an answer to it.

Answers leave in the order in which frames came: groups of messages are settled in the order in which they were taken.
"""

from collections import deque
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

from ingest.message import Block, Taken
from rules.readings import SECOND_NS

Sender = TypeVar("Sender")
TOGETHER_NS = SECOND_NS // 100  # what comes within a hundredth of a second counts as received together


@dataclass(frozen=True, slots=True)
class InboxToken:
    """Stands for everything that one `take` handed over."""

    number: int


@dataclass(slots=True)
class Arrival(Generic[Sender]):
    """Messages of one connection that came together.

    When they are durable `answers` are to be sent, and the loggers of these MNs told the time.
    """

    sender: Sender
    messages: int = 0
    payload_bytes: int = 0
    answers: list[bytes] = field(default_factory=list)
    want_time: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Group(Generic[Sender]):
    """Arrivals that were taken together."""

    number: int
    arrivals: list[Arrival[Sender]] = field(default_factory=list)
    durable: bool = False


class Inbox(Generic[Sender]):
    """Any thread may call; nothing waits. Holds what it is given: who reads looks at `full`, and stops."""

    def __init__(self, source: str, most_messages: int, most_bytes: int) -> None:
        self._source = source
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._lock = Lock()  # guards all of it
        self._blocks: list[Block] = []
        self._coming: _Group[Sender] = _Group(0)  # not yet taken
        self._order: deque[_Group[Sender]] = deque()  # taken, and not yet settled
        self._messages = 0
        self._bytes = 0

    @property
    def held(self) -> int:
        """Messages that came and are not durable."""
        return self._messages

    @property
    def full(self) -> bool:
        """No room: stop reading."""
        return self._messages >= self._most_messages or self._bytes >= self._most_bytes

    @property
    def has_room(self) -> bool:
        """So much that it is worth while to read again."""
        return self._messages <= self._most_messages * 3 // 4 and self._bytes <= self._most_bytes * 3 // 4

    def put(self, arrival: Arrival[Sender], topics: list[str], payloads: list[bytes], received_ns: int) -> None:
        """Messages of one connection."""
        with self._lock:
            last = self._blocks[-1] if self._blocks else None
            if last is not None and 0 <= received_ns - last.received_ns < TOGETHER_NS:
                last.topics += topics
                last.payloads += payloads
            else:
                self._blocks.append(Block(self._source, received_ns, topics, payloads))
            self._coming.arrivals.append(arrival)
            self._messages += arrival.messages
            self._bytes += arrival.payload_bytes

    def take(self) -> Taken | None:
        """Everything that came since the last call, in order; None when there is nothing."""
        with self._lock:
            if not self._blocks:
                return None
            blocks, self._blocks = self._blocks, []
            group, self._coming = self._coming, _Group(self._coming.number + 1)
            self._order.append(group)
        return Taken(blocks, InboxToken(group.number))

    def acknowledge(self, token: InboxToken) -> list[Arrival[Sender]]:
        """The messages of `token` are durable: what may be answered now, in order."""
        settled: list[Arrival[Sender]] = []
        with self._lock:
            group = next((group for group in self._order if group.number == token.number), None)
            if group is None or group.durable:
                raise ValueError("this token was acknowledged before")
            group.durable = True
            while self._order and self._order[0].durable:
                settled += self._order.popleft().arrivals
            self._messages -= sum(arrival.messages for arrival in settled)
            self._bytes -= sum(arrival.payload_bytes for arrival in settled)
        return settled
