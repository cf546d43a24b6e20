"""MQTT spoken by hand: a broker whose every packet the test writes, a publisher that counts its acknowledgements, and
a relay that can cut the line. An independent witness: nothing here comes from `ingest` or from paho."""

import select
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from types import TracebackType
from typing import Self

CONNECT, CONNACK, PUBLISH, PUBACK = 0x10, 0x20, 0x30, 0x40
SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 0x80, 0x90, 0xC0, 0xD0, 0xE0
HOST = "127.0.0.1"
PATIENCE_S = 10.0
FOUR_BYTES, TWO_BYTES = (0x11, 0x27), (0x21, 0x22)  # properties of CONNECT by the size of their value


def varying(number: int) -> bytes:
    """A variable byte integer."""
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def packet(first: int, body: bytes = b"") -> bytes:
    return bytes([first]) + varying(len(body)) + body


def text(words: str) -> bytes:
    raw = words.encode()
    return struct.pack(">H", len(raw)) + raw


def publish(
    topic: str | bytes, payload: bytes, mid: int = 0, *, dup: bool = False, five: bool = False, properties: bytes = b""
) -> bytes:
    """QoS 1 when it has a `mid`."""
    raw = topic.encode() if isinstance(topic, str) else topic
    head = struct.pack(">H", len(raw)) + raw + (struct.pack(">H", mid) if mid else b"")
    head += varying(len(properties)) + properties if five else b""
    return packet(PUBLISH | (8 if dup else 0) | (2 if mid else 0), head + payload)


def connack(code: int = 0, *, present: bool = False, five: bool = False, properties: bytes = b"") -> bytes:
    return packet(CONNACK, bytes([present, code]) + (varying(len(properties)) + properties if five else b""))


def suback(mid: int, codes: Sequence[int], *, five: bool = False) -> bytes:
    return packet(SUBACK, struct.pack(">H", mid) + (b"\0" if five else b"") + bytes(codes))


def connect(client_id: str, *, clean: bool = True, username: str | None = None, password: str | None = None) -> bytes:
    """CONNECT of MQTT 3.1.1, keep-alive 60 s."""
    flags = (0x02 if clean else 0) | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    body = text("MQTT") + bytes([4, flags]) + struct.pack(">H", 60) + text(client_id)
    return packet(CONNECT, body + b"".join(text(word) for word in (username, password) if word is not None))


@dataclass(frozen=True)
class Packet:
    first: int
    body: bytes

    @property
    def kind(self) -> int:
        return self.first & 0xF0


@dataclass(frozen=True)
class Connect:
    """What a client said of itself."""

    version: int
    clean: bool
    keepalive_s: int
    client_id: str
    username: str | None
    password: str | None
    properties: dict[int, int]


def read_connect(body: bytes) -> Connect:
    assert body[:6] == text("MQTT")
    version, flags, keepalive_s = struct.unpack(">BBH", body[6:10])
    rest, properties = body[10:], {}
    if version == 5:
        given, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
        while given:
            size = 4 if given[0] in FOUR_BYTES else 2
            assert given[0] in FOUR_BYTES + TWO_BYTES, f"property {given[0]:#x}"
            properties[given[0]] = int.from_bytes(given[1 : 1 + size], "big")
            given = given[1 + size :]
    words = []
    while rest:
        size = int.from_bytes(rest[:2], "big")
        words.append(rest[2 : 2 + size].decode())
        rest = rest[2 + size :]
    client_id, *others = words
    username = others.pop(0) if flags & 0x80 else None
    password = others.pop(0) if flags & 0x40 else None
    return Connect(version, bool(flags & 2), keepalive_s, client_id, username, password, properties)


class Line:
    """One connection, seen packet by packet. Whatever does not come within PATIENCE_S raises TimeoutError."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(PATIENCE_S)
        self._buffer = b""

    def send(self, *packets: bytes) -> None:
        self.sock.sendall(b"".join(packets))

    def receive(self, within_s: float = PATIENCE_S) -> Packet:
        """The next packet. ConnectionError: the other side has closed."""
        deadline_s = time.monotonic() + within_s
        while (found := self._cut()) is None:
            self.sock.settimeout(max(deadline_s - time.monotonic(), 0.001))
            piece = self.sock.recv(65_536)
            if not piece:
                raise ConnectionError("closed")
            self._buffer += piece
        self.sock.settimeout(PATIENCE_S)
        return found

    def expect(self, kind: int, within_s: float = PATIENCE_S) -> Packet:
        """The next packet that is no ping, which must be of this kind; pings are answered on the way."""
        while True:
            found = self.receive(within_s)
            if found.kind == kind:
                return found
            assert found.kind == PINGREQ, f"{found.first:#x} came, {kind:#x} was expected"
            self.send(packet(PINGRESP))

    def acknowledged(self, count: int) -> list[int]:
        """The packet identifiers of the next `count` PUBACK packets, in their order."""
        return [int.from_bytes(self.expect(PUBACK).body, "big") for _ in range(count)]

    def is_quiet(self, for_s: float) -> bool:
        """Nothing but pings comes in this time."""
        with suppress(TimeoutError):
            deadline_s = time.monotonic() + for_s
            while (left_s := deadline_s - time.monotonic()) > 0:
                if self.receive(left_s).kind != PINGREQ:
                    return False
                self.send(packet(PINGRESP))
        return True

    def pings_so_far(self) -> int:
        """Counts the pings that wait; nothing else may wait."""
        count = 0
        with suppress(TimeoutError):
            while self.receive(0.05).kind == PINGREQ:
                count += 1
        return count

    def closes(self) -> bool:
        """The other side closes, whatever it says before."""
        try:
            while True:
                self.receive()
        except ConnectionError:
            return True

    def greet(self, *, present: bool = False, granted: Sequence[int] = (1,), properties: bytes = b"") -> Connect:
        """Answers CONNECT and SUBSCRIBE as a broker does that has nothing against it."""
        asked = read_connect(self.expect(CONNECT).body)
        five = asked.version == 5
        self.send(connack(present=present, five=five, properties=properties))
        self.answer_subscribe(granted, five=five)
        return asked

    def answer_subscribe(self, granted: Sequence[int] = (1,), *, five: bool = False) -> bytes:
        """Returns the body of SUBSCRIBE."""
        body = self.expect(SUBSCRIBE).body
        self.send(suback(int.from_bytes(body[:2], "big"), granted, five=five))
        return body

    def close(self) -> None:
        self.sock.close()

    def _cut(self) -> Packet | None:
        length, shift, at = 0, 0, 1
        while True:
            if at >= len(self._buffer):
                return None
            length |= (self._buffer[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if self._buffer[at - 1] < 0x80:
                break
        if len(self._buffer) < at + length:
            return None
        found = Packet(self._buffer[0], self._buffer[at : at + length])
        self._buffer = self._buffer[at + length :]
        return found


class ScriptedBroker:
    """Listens, and does nothing by itself: the test accepts each connection and writes each packet."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self._listener.settimeout(PATIENCE_S)
        self.port: int = self._listener.getsockname()[1]
        self._lines: list[Line] = []

    def accept(self) -> Line:
        line = Line(self._listener.accept()[0])
        self._lines.append(line)
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line in self._lines:
            line.close()
        self._listener.close()


def publish_all(
    port: int,
    messages: Sequence[tuple[str, bytes]],
    *,
    qos: int = 1,
    tls: ssl.SSLContext | None = None,
    username: str | None = None,
    password: str | None = None,
) -> None:
    """Publishes in this order; at QoS 1 returns when the broker has acknowledged every one. Keeps 500 on the way."""
    plain = socket.create_connection((HOST, port))
    line = Line(plain if tls is None else tls.wrap_socket(plain, server_hostname=HOST))
    line.send(connect("publisher", username=username, password=password))
    assert line.receive().body == b"\0\0"
    for start in range(0, len(messages), 500):
        some = messages[start : start + 500]
        line.send(*(publish(topic, payload, n + 1 if qos else 0) for n, (topic, payload) in enumerate(some)))
        if qos:
            assert line.acknowledged(len(some)) == list(range(1, len(some) + 1))
    line.send(packet(DISCONNECT))
    line.close()


@dataclass
class Relay:
    """Passes bytes to `port` and back, and notes for each connection what the client sent. `cut` breaks all lines."""

    port: int
    heard: list[bytearray] = field(default_factory=list)
    _pairs: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server((HOST, 0))
        self.own_port: int = self._listener.getsockname()[1]
        self._open = True
        self._thread = Thread(target=self._run, name="relay")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        self._thread.join()
        self.cut()
        self._listener.close()

    def cut(self) -> None:
        """As a broken line does: shut down, without a word of MQTT."""
        for pair in self._pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                if not self._open:
                    end.close()

    def _run(self) -> None:
        while self._open:
            ends = {end: (n, other) for n, (a, b) in enumerate(self._pairs) for end, other in ((a, b), (b, a))}
            living = [end for end in ends if end.fileno() >= 0]
            for ready in select.select([self._listener, *living], [], [], 0.02)[0]:
                if ready is self._listener:
                    client = self._listener.accept()[0]
                    with suppress(OSError):
                        self._pairs.append((client, socket.create_connection((HOST, self.port))))
                        self.heard.append(bytearray())
                        continue
                    client.close()
                else:
                    self._pass_on(ready, *ends[ready])

    def _pass_on(self, source: socket.socket, number: int, target: socket.socket) -> None:
        try:
            data = source.recv(65_536)
            target.sendall(data)
        except OSError:
            data = b""
        if source is self._pairs[number][0]:
            self.heard[number] += data
        if not data:
            source.close()
            target.close()
