"""A broker and a source that stand to each other as MQTT says: at least once, in order, packet numbers used again.

The broker is durable: what it accepted from a station it keeps until it is acknowledged.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ingest.acks import AckToken, AckWindow
from ingest.message import Block, Health, Taken
from tests.sim.fleet import Sent
from tests.sim.world import Fault, World

NETWORK_IDLE_S = 0.15


@dataclass(frozen=True, slots=True)
class Packet:
    """A PUBLISH. `again`: with the flag DUP."""

    mid: int
    message: Sent
    again: bool


@dataclass(slots=True)
class Broker:
    """One session of one subscriber.

    `keeps_numbers`: a message keeps its packet number over a reconnect, or not. A broker that sends again on a living
    connection may see an acknowledgement cross with that, so it counts numbers on; others give a low one that is free.
    `acknowledged` is told of every message that is let go.
    """

    world: World
    acknowledged: Callable[[Sent], None]
    receive_maximum: int
    keeps_numbers: bool
    connection: int = 0
    _number: int = 1  # the lowest that is given on this connection; where they are counted, the last
    _over: set[int] = field(default_factory=set)  # acknowledged on this connection
    _waiting: deque[Sent] = field(default_factory=deque)
    _again: deque[tuple[int, Sent]] = field(default_factory=deque)  # unacknowledged on an earlier connection
    _flying: dict[int, Sent] = field(default_factory=dict)  # sent on this connection, in order

    @property
    def is_empty(self) -> bool:
        return not (self._waiting or self._again or self._flying)

    def publish(self, message: Sent) -> None:
        """A station hands a message in; from now on the broker answers for it."""
        self._waiting.append(message)

    def connect(self) -> int:
        """A new connection of the same session; what was not acknowledged comes again, first and in order."""
        self._again.extendleft(reversed(self._flying.items()))
        self._flying = {}
        self._over = set()
        self._number = self.world.dice.randint(1, 3)
        self.connection += 1
        return self.connection

    def send(self, most: int) -> list[Packet]:
        packets: list[Packet] = []
        while len(packets) < most and len(self._flying) < self.receive_maximum and (self._again or self._waiting):
            again = bool(self._again)
            if again:
                mid, message = self._again.popleft()
                mid = mid if self.keeps_numbers and not self._counts_on else self._free_number()
            else:
                mid, message = self._free_number(), self._waiting.popleft()
            self._flying[mid] = message
            packets.append(Packet(mid, message, again))
        return packets

    def send_again(self) -> list[Packet]:
        """What was not acknowledged for long, on the living connection, as some brokers do."""
        return [Packet(mid, message, again=True) for mid, message in self._flying.items()]

    def puback(self, connection: int, mid: int) -> None:
        assert connection == self.connection, "an acknowledgement came on a connection that is over"
        if self._counts_on and mid in self._over:
            return
        assert mid in self._flying, f"packet {mid} was acknowledged and is not on its way"
        assert mid == next(iter(self._flying)), f"packet {mid} was acknowledged before those that came before it"
        self._over.add(mid)
        self.acknowledged(self._flying.pop(mid))

    @property
    def _counts_on(self) -> bool:
        return self.world.expects(Fault.RESEND)

    def _free_number(self) -> int:
        if self._counts_on:
            self._number += 1
            return self._number
        taken = {*self._flying, *(mid for mid, _ in self._again if self.keeps_numbers)}
        return next(mid for mid in range(self._number, 65_536) if mid not in taken)


class BrokerSource:
    """A `Source`. Does what the MQTT source does, with `network` in place of its thread, and no bytes on a wire."""

    def __init__(self, name: str, broker: Broker, window: AckWindow, world: World) -> None:
        self._name = name
        self._broker = broker
        self.window = window
        self._world = world
        self._inbox: list[Block] = []
        self._ready: list[int] = []
        self._connection: int | None = None

    @property
    def name(self) -> str:
        return self._name

    def start(self) -> None:
        """The network connects by itself."""

    def take(self) -> Taken | None:
        token = self.window.take()
        if token is None:
            return None
        blocks, self._inbox = self._inbox, []
        return Taken(blocks, token)

    def acknowledge(self, token: object) -> None:
        assert isinstance(token, AckToken)
        self._ready += self.window.durable(token)

    def health(self, now_ns: int) -> Health:
        return Health(self._connection is not None)

    def stop(self) -> None:
        """Sends the acknowledgements that are due, and says goodbye."""
        if self._connection is not None:
            self._send_acknowledgements(self._connection)
            self._connection = None

    def network(self) -> float:
        """One turn of the network's thread."""
        if self._connection is None:
            self._connection = self._broker.connect()
            self.window.connected()
            self._ready.clear()
            return True
        if self._world.strikes(Fault.CONNECTION):
            return self._lose()
        packets = [] if self.window.full else self._broker.send(self._world.dice.randint(1, 5))
        if not self.window.full and self._world.strikes(Fault.RESEND):
            packets += self._broker.send_again()
        self._keep([p for p in packets if not (p.again and self.window.awaits(p.mid))])
        sent = self._send_acknowledgements(self._connection)
        if sent is None:
            return self._lose()
        return NETWORK_IDLE_S if not packets and not sent else True

    def _keep(self, packets: list[Packet]) -> None:
        if not packets:
            return
        topics, payloads = [p.message.topic for p in packets], [p.message.payload for p in packets]
        self._world.tell(self._name, f"brings {', '.join(str(p.mid) + '*' * p.again for p in packets)}")
        self._inbox.append(Block(self._name, self._world.clock(), topics, payloads))
        size = sum(map(len, payloads))
        self.window.arrived(self.window.epoch, [p.mid for p in packets], len(packets), size)

    def _send_acknowledgements(self, connection: int) -> int | None:
        """How many the broker got; None when the connection was lost meanwhile."""
        ready, self._ready = self._ready, []
        for at, mid in enumerate(ready):
            if self._world.strikes(Fault.CONNECTION):
                self._world.tell(self._name, f"acknowledged {ready[:at]}, not {ready[at:]}")
                return None
            self._broker.puback(connection, mid)
        if ready:
            self._world.tell(self._name, f"acknowledged {ready}")
        return len(ready)

    def _lose(self) -> float:
        self._world.tell(self._name, "connection lost")
        self._connection = None
        return self._world.dice.uniform(0.0, 2.0)
