"""Which messages may be acknowledged now: in arrival order, only what is durable, never on another connection.

A broker counts packet identifiers for each connection. After a reconnect the same number may belong to another,
unstored message, so an acknowledgement that crosses a reconnect loses data. Here every connection is an epoch.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AckToken:
    """Stands for everything that one `take` handed over."""

    number: int
    epoch: int


@dataclass(slots=True)
class _Group:
    """Packet identifiers that were taken together, in arrival order."""

    number: int
    mids: list[int]
    durable: bool = False


@dataclass(slots=True)
class _Load:
    """What lies in memory, in messages and payload bytes, acknowledged at QoS 1 or not (QoS 0)."""

    messages: int = 0
    payload_bytes: int = 0


@dataclass(slots=True)
class AckWindow:
    """Bookkeeping of one source; pure, and not locked: its owner sees to that.

    Holds until durable, over all epochs, at most `most_messages` and `most_bytes`, and one arrival more: its owner
    asks `full` before it reads.
    """

    most_messages: int
    most_bytes: int
    _epoch: int = 0
    _numbers: int = 0
    _held: _Load = field(default_factory=_Load)
    _untaken: _Load = field(default_factory=_Load)
    _untaken_mids: list[int] = field(default_factory=list)
    _taken: dict[int, _Load] = field(default_factory=dict)  # by token number, of every epoch
    _order: deque[_Group] = field(default_factory=deque)  # of this epoch, in arrival order
    _pending: set[int] = field(default_factory=set)  # mids of this epoch that are not yet acknowledged

    @property
    def epoch(self) -> int:
        """Number of the present connection; 0 before the first."""
        return self._epoch

    @property
    def held(self) -> int:
        """Messages that arrived, on any connection, and are not durable."""
        return self._held.messages

    @property
    def full(self) -> bool:
        """No room: stop reading."""
        return self._held.messages >= self.most_messages or self._held.payload_bytes >= self.most_bytes

    def awaits(self, mid: int) -> bool:
        """A message with this number came on the present connection and is not acknowledged.

        Until it is, the broker may not give the number to another message: what comes with it, is that one again.
        """
        return mid in self._pending

    def connected(self) -> int:
        """A new connection begins: returns its epoch.

        Nothing that came before will be acknowledged any more; the broker sends it again.
        """
        self._epoch += 1
        self._untaken_mids = []
        self._order.clear()
        self._pending.clear()
        return self._epoch

    def arrived(self, epoch: int, mids: Sequence[int], messages: int, payload_bytes: int) -> None:
        """Messages came together, in this order. `messages` counts those without acknowledgement (QoS 0) too.

        Some brokers send a message again on a living connection when its acknowledgement is long in coming. It is
        acknowledged once: a second time could hit a new message that was given the same number meanwhile.
        """
        for load in (self._held, self._untaken):
            load.messages += messages
            load.payload_bytes += payload_bytes
        if epoch != self._epoch:
            return
        known = len(self._pending)
        self._pending.update(mids)
        if len(self._pending) - known == len(mids):
            self._untaken_mids += mids
        else:
            queued = {mid for group in self._order for mid in group.mids}.union(self._untaken_mids)
            self._untaken_mids += [mid for mid in dict.fromkeys(mids) if mid not in queued]

    def take(self) -> AckToken | None:
        """A token for everything that arrived since the last call; None when nothing did."""
        if not self._untaken.messages:
            return None
        self._numbers += 1
        self._taken[self._numbers] = self._untaken
        self._untaken = _Load()
        if self._untaken_mids:
            self._order.append(_Group(self._numbers, self._untaken_mids))
            self._untaken_mids = []
        return AckToken(self._numbers, self._epoch)

    def durable(self, token: AckToken) -> list[int]:
        """The messages of `token` are safe: makes room, and says what may be acknowledged now.

        That is, on the present connection, in arrival order, without gaps. A token of an old epoch only makes room.
        Asking again changes nothing.
        """
        load = self._taken.pop(token.number, None)
        if load is None:
            return []
        self._held.messages -= load.messages
        self._held.payload_bytes -= load.payload_bytes
        if token.epoch != self._epoch:
            return []
        for group in self._order:
            if group.number == token.number:
                group.durable = True
                break
        ready: list[int] = []
        while self._order and self._order[0].durable:
            ready += self._order.popleft().mids
        self._pending.difference_update(ready)
        return ready
