"""What came from Kafka and is not yet durable, and which offsets may be committed.

An offset is committed only when everything before it in its partition, since the member got the partition, is in the
journal: groups of messages are settled in the order in which they were taken. What belongs to a partition that was
given away is never committed any more: whoever has it now begins where we committed last, and reads it again.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

from ingest.message import Block, Taken

Partition = tuple[str, int]
FIRST_GUESS_BYTES = 64 * 1024  # so that the first fetch of unknown messages is a small one


@dataclass(frozen=True, slots=True)
class InboxToken:
    """Stands for everything that one `take` handed over."""

    number: int


@dataclass(slots=True)
class _Group:
    """Messages that were taken together, and the next offset of each partition behind them."""

    number: int
    messages: int
    payload_bytes: int
    offsets: dict[Partition, int]
    durable: bool = False


class Inbox:
    """Any thread may call; nothing waits. Holds at most `most_messages` and `most_bytes`, and one arrival more."""

    def __init__(self, most_messages: int, most_bytes: int) -> None:
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._lock = Lock()  # guards all of it
        self._blocks: list[Block] = []
        self._coming = _Group(0, 0, 0, {})  # not yet taken
        self._taken: dict[int, _Group] = {}  # by token, also of partitions that were given away
        self._order: deque[_Group] = deque()  # of the present assignment, in the order of arrival
        self._due: dict[Partition, int] = {}
        self._held = _Load()
        self._mean_bytes = FIRST_GUESS_BYTES  # of a message, as they came last

    @property
    def held(self) -> int:
        """Messages that came and are not durable."""
        return self._held.messages

    def room(self) -> int:
        """How many messages may come; 0: fetch no more."""
        with self._lock:
            left = self._most_bytes - self._held.payload_bytes
            return (
                0 if left <= 0 else max(0, min(self._most_messages - self._held.messages, 1 + left // self._mean_bytes))
            )

    def put(self, blocks: list[Block], offsets: Mapping[Partition, int]) -> None:
        """Messages that came together; `offsets`: the next one of each of their partitions."""
        messages = sum(map(len, blocks))
        payload_bytes = sum(sum(block.sizes()) for block in blocks)
        with self._lock:
            self._blocks += blocks
            self._coming.messages += messages
            self._coming.payload_bytes += payload_bytes
            self._coming.offsets |= offsets
            self._held.add(messages, payload_bytes)
            self._mean_bytes = max(1, payload_bytes // max(1, messages))

    def take(self) -> Taken | None:
        """Everything that came since the last call, in order; None when there is nothing."""
        with self._lock:
            if not self._blocks:
                return None
            blocks, self._blocks = self._blocks, []
            group, self._coming = self._coming, _Group(self._coming.number + 1, 0, 0, {})
            self._taken[group.number] = group
            self._order.append(group)
        return Taken(blocks, InboxToken(group.number))

    def acknowledge(self, token: InboxToken) -> None:
        """The messages of `token` are durable."""
        with self._lock:
            group = self._taken.pop(token.number, None)
            if group is None:
                raise ValueError("this token was acknowledged before")
            self._held.add(-group.messages, -group.payload_bytes)
            group.durable = True
            while self._order and self._order[0].durable:
                self._due |= self._order.popleft().offsets

    def due(self) -> dict[Partition, int]:
        """The offsets that may be committed, and are not."""
        with self._lock:
            return dict(self._due)

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Kafka has these."""
        with self._lock:
            self._due = {place: next_ for place, next_ in self._due.items() if offsets.get(place) != next_}

    def give_away(self) -> int:
        """All partitions are another's, or will be dealt anew. Returns how many messages will come again, to whoever gets them."""
        with self._lock:
            left = self._coming.messages + sum(group.messages for group in self._order)
            self._coming.offsets = {}
            self._order.clear()
            self._due = {}
            return left


@dataclass(slots=True)
class _Load:
    messages: int = 0
    payload_bytes: int = 0

    def add(self, messages: int, payload_bytes: int) -> None:
        self.messages += messages
        self.payload_bytes += payload_bytes
