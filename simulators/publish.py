"""A publisher of MQTT 3.1.1 at QoS 1 that knows exactly which messages the broker acknowledged.

It is plain on purpose: one socket, one thread, no library. A lost connection is made anew and what was not acknowledged is sent again, in order.
"""

import select
import socket
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from simulators import wire
from simulators.samples import Outgoing

IDS = 65_535  # packet ids that MQTT has
PIECE = 1 << 16
STALL_S = 10.0  # a broker that acknowledges nothing for so long has lost the connection
PAUSE_S = 0.05
GREETING_S = 5.0
ACCEPTED = b"\x20\x02\x00\x00"
UNAVAILABLE = 3
BAD_CREDENTIALS, NOT_AUTHORIZED = 4, 5


class BrokerUnreachableError(Exception):
    """No connection could be made for as long as we were patient. What was acknowledged stays acknowledged."""


class BrokerRefusedError(Exception):
    """The broker answered, and said no: credentials, client id, protocol."""


class Ranges:
    """A set of numbers that mostly grows at its end, kept as ranges."""

    def __init__(self) -> None:
        self.spans: list[list[int]] = []  # [first, last], sorted, never touching

    def add(self, number: int) -> None:
        spans = self.spans
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
            return
        i = bisect_right(spans, [number, IDS << 32])
        if i and spans[i - 1][1] >= number:
            return
        if i and spans[i - 1][1] == number - 1:
            spans[i - 1][1] = number
        else:
            spans.insert(i, [number, number])
            i += 1
        if i < len(spans) and spans[i][0] == number + 1:
            spans[i - 1][1] = spans[i][1]
            del spans[i]

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.spans)

    def __iter__(self) -> Iterator[int]:
        for first, last in self.spans:
            yield from range(first, last + 1)


class Publisher:
    """Publishes at QoS 1.

    Messages are numbered from 0 in the order of `publish`; `acknowledged` holds the numbers that the broker has taken
    responsibility for.

    At most `window` messages wait for their acknowledgement; `publish` blocks while it is full. Raises
    BrokerUnreachableError when no connection is possible for `patience_s`, BrokerRefusedError at once. Times in seconds.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        client_id: str = "jianwei-simulator",
        username: str | None = None,
        password: str | None = None,
        window: int = 1000,
        patience_s: float = 30.0,
    ) -> None:
        self.acknowledged = Ranges()
        self.published = 0
        self.reconnects = -1  # the first connection is none
        self._address = (host, port)
        self._hello = wire.connect_packet(client_id, username, password)
        self._window = min(window, IDS)
        self._patience_s = patience_s
        self._waiting: OrderedDict[int, tuple[int, bytes, bytes]] = OrderedDict()  # packet id -> number, head, payload
        self._out = bytearray()
        self._in = bytearray()
        self._connected_s = 0.0
        self._progress_s = 0.0  # when something was last acknowledged, or begun after a rest
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def send(self, messages: Iterable[Outgoing]) -> None:
        """Publishes all of them and waits until each is acknowledged."""
        for message in messages:
            self.publish(message.topic, message.payload)
        self.flush()

    def publish(self, topic: str, payload: bytes) -> int:
        """Sends soon; `flush` or later calls see to it. The answer is the message's number."""
        return self.publish_encoded(wire.publish_head(topic, len(payload)), payload)

    def publish_encoded(self, head: bytes, payload: bytes) -> int:
        """The same with a `head` of `wire.publish_head`, which need not be made again for every message."""
        number = self.published
        packet_id = number % IDS + 1
        while len(self._waiting) >= self._window or packet_id in self._waiting:
            self._turn(1.0)
        if not self._waiting:
            self._progress_s = time.monotonic()
        self._waiting[packet_id] = (number, head, payload)
        self._out += head + packet_id.to_bytes(2, "big") + payload
        self.published += 1
        if len(self._out) >= PIECE:
            self._turn(0.0)
        return number

    def poll(self) -> None:
        """Sends and hears what is possible without waiting."""
        self._turn(0.0)

    def flush(self) -> None:
        """Waits until everything is acknowledged."""
        while self._waiting:
            self._turn(1.0)

    def close(self) -> None:
        """Says good-bye. What is not acknowledged is given up."""
        if self._socket is not None:
            try:
                self._socket.setblocking(True)
                self._socket.sendall(wire.DISCONNECT)
            except OSError:
                pass  # it was going anyway
            self._drop()

    def _turn(self, wait_s: float) -> None:
        """Once round: connect if need be, write, read."""
        connected = self._socket or self._connect()
        try:
            readable, writable, _ = select.select([connected], [connected] if self._out else [], [], wait_s)
            if writable:
                del self._out[: connected.send(self._out[: 4 * PIECE])]
            if readable:
                self._hear(connected.recv(PIECE))
            elif self._waiting and time.monotonic() - max(self._connected_s, self._progress_s) > STALL_S:
                raise ConnectionError("nothing acknowledged for too long")
        except OSError as error:
            self._drop()
            if self._waiting and time.monotonic() - self._progress_s > self._patience_s:
                raise BrokerUnreachableError(f"{self._address[0]}:{self._address[1]}: {error}") from error
            time.sleep(PAUSE_S)

    def _hear(self, data: bytes) -> None:
        if not data:
            raise ConnectionError("the broker closed the connection")
        self._in += data
        self._progress_s = time.monotonic()
        read = 0
        while len(self._in) - read >= 4:  # a PUBACK has four bytes, and nothing else comes to a publisher
            kind, length = self._in[read], self._in[read + 1]
            if kind != 0x40 or length != 2:
                raise ConnectionError(f"the broker said {kind:#x}, which is no acknowledgement")
            waited = self._waiting.pop(int.from_bytes(self._in[read + 2 : read + 4], "big"), None)
            if waited is not None:
                self.acknowledged.add(waited[0])
            read += 4
        del self._in[:read]

    def _connect(self) -> socket.socket:
        until_s = time.monotonic() + self._patience_s
        while True:
            try:
                connected = self._greet()
                break
            except OSError as error:
                if time.monotonic() > until_s:
                    raise BrokerUnreachableError(f"{self._address[0]}:{self._address[1]}: {error}") from error
                time.sleep(PAUSE_S)
        connected.setblocking(False)
        self._socket = connected
        self._connected_s = time.monotonic()
        self.reconnects += 1
        again = 0x08 if self.reconnects else 0
        self._in.clear()
        self._out = bytearray()
        for packet_id, (_, head, payload) in self._waiting.items():
            self._out += bytes([head[0] | again]) + head[1:] + packet_id.to_bytes(2, "big") + payload
        return connected

    def _greet(self) -> socket.socket:
        connected = socket.create_connection(self._address, timeout=GREETING_S)
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.sendall(self._hello)
            check_welcome(connected)
        except BaseException:
            connected.close()
            raise
        return connected

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def check_welcome(connected: socket.socket) -> None:
    """Reads the CONNACK. Raises BrokerRefusedError, or OSError where another try may help."""
    answer = b""
    while len(answer) < len(ACCEPTED):
        piece = connected.recv(len(ACCEPTED) - len(answer))
        if not piece:
            raise ConnectionError("closed before it answered")
        answer += piece
    if answer[-1] == UNAVAILABLE:
        raise ConnectionError("the broker is not ready")
    if answer[-1] in {BAD_CREDENTIALS, NOT_AUTHORIZED}:
        raise BrokerRefusedError("refused: user or password; give mqtt://user:password@host")
    if answer != ACCEPTED:
        raise BrokerRefusedError(f"CONNECT was answered with code {answer[-1]}")
