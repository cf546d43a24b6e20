"""A TCP proxy that fails on purpose: it cuts connections, holds bytes back, and breaks writes into pieces.

What it will do to a connection stands in two courses, one for each direction, which are made from the connection's
number: the same courses do the same again. What has passed is kept, so that a test can ask what the other side has seen.
Every thread of it ends with the context.
"""

import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

from tests.brokers_by_packets import HOST, Packet

READ_BYTES = 65_536
TURN_S = 0.05
PIECE_PAUSE_S = 0.002  # so that the receiver reads each piece for itself
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends RST instead of FIN


@dataclass(frozen=True, slots=True)
class Course:
    """What happens to one direction of one connection. Without words: everything passes at once.

    `cut_after_bytes`: the connection is cut when so many have passed. `cut_before_packet`: MQTT; it is cut when a whole
    packet of this kind is to pass, and nothing of that packet does.
    """

    cut_after_bytes: int | None = None
    cut_before_packet: int | None = None
    delay_s: float = 0.0  # every read is held for so long
    piece_bytes: int | None = None  # every write is broken into pieces of so many bytes


STRAIGHT = Course()
Courses = Callable[[int], tuple[Course, Course]]  # from the number of a connection: client to server, server to client


def always(up: Course = STRAIGHT, down: Course = STRAIGHT) -> Courses:
    return lambda _number: (up, down)


EVERYTHING_PASSES = always()


def at_first(up: Course = STRAIGHT, down: Course = STRAIGHT, *, connections: int = 1) -> Courses:
    """The first connections take this course, all later ones are left alone."""
    return lambda number: (up, down) if number < connections else (STRAIGHT, STRAIGHT)


def at_random(seed: int, *, up_bytes: int, down_bytes: int, most_delay_s: float = 0.0) -> Courses:
    """Every connection is cut after at most so many bytes of a direction; some are slow, some come in pieces."""

    def courses(number: int) -> tuple[Course, Course]:
        dice = random.Random(f"{seed}:{number}")
        up, down = (
            Course(
                cut_after_bytes=dice.randrange(1, most_bytes),
                delay_s=dice.choice((0.0, dice.uniform(0, most_delay_s))),
                piece_bytes=dice.choice((None, None, dice.randrange(1_000, 10_000))),
            )
            for most_bytes in (up_bytes, down_bytes)
        )
        return up, down

    return courses


@dataclass
class Passage:
    """One connection: what has passed from client to server (`up`) and back (`down`)."""

    number: int
    client: socket.socket
    server: socket.socket
    up: bytearray = field(default_factory=bytearray)
    down: bytearray = field(default_factory=bytearray)
    is_cut: bool = False
    _pumps: int = 2
    _lock: Lock = field(default_factory=Lock)

    def cut(self, *, reset: bool = True) -> None:
        """Both sides at once, as a broken line does; `reset` False: as if each had closed."""
        with self._lock:
            if not self.is_cut:
                self.is_cut = True
                for end in (self.client, self.server):
                    with suppress(OSError):
                        if reset:
                            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                        end.shutdown(socket.SHUT_RD)  # wakes the pump that waits to read

    def leave(self) -> None:
        """A pump has ended; the last one closes, for a closed number may belong to another connection at once."""
        with self._lock:
            self._pumps -= 1
            if not self._pumps:
                self.client.close()
                self.server.close()


class Proxy:
    """Listens on `own_port` and passes on to `port`. May also be told to `cut` now, and to `hold` all that goes up."""

    def __init__(self, port: int, courses: Courses = EVERYTHING_PASSES, *, own_port: int = 0) -> None:
        self.port = port
        self.passages: list[Passage] = []
        self.courses = courses
        self._listener = socket.create_server((HOST, own_port))
        self._listener.settimeout(TURN_S)
        self.own_port: int = self._listener.getsockname()[1]
        self._ended = Event()
        self._upwards = Event()  # set: bytes may go up
        self._upwards.set()
        self._listening = Thread(target=self._listen, name="proxy")
        self._pumps: list[Thread] = []

    def __enter__(self) -> Self:
        self._listening.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._upwards.set()
        self._listening.join()
        self.cut()
        for pump in self._pumps:
            pump.join()
        self._listener.close()

    def cut(self, *, reset: bool = True) -> None:
        """All connections that there are."""
        for passage in list(self.passages):
            passage.cut(reset=reset)

    def hold(self) -> None:
        """Nothing goes up any more; what comes down still does."""
        self._upwards.clear()

    def let_go(self) -> None:
        """What was held goes up, if its connection still lives."""
        self._upwards.set()

    def _listen(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                self._open(self._listener.accept()[0])

    def _open(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection((HOST, self.port))
        except OSError:  # the server is away: as it would be without us, but that the client learns it a moment later
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(TURN_S)
        passage = Passage(len(self.passages), client, server)
        self.passages.append(passage)
        up, down = self.courses(passage.number)
        ways = ((client, server, passage.up, up), (server, client, passage.down, down))
        for way in ways:
            self._pumps.append(Thread(target=self._pump, args=(passage, *way), name="proxy:pump"))
            self._pumps[-1].start()

    def _pump(
        self, passage: Passage, source: socket.socket, target: socket.socket, passed: bytearray, course: Course
    ) -> None:
        reset = True
        try:
            while data := _read(passage, source):
                self._ended.wait(course.delay_s)
                if passed is passage.up:
                    self._upwards.wait()
                if passage.is_cut:
                    return
                room = _room(course, passed, data)
                for piece in _pieces(data[:room], course.piece_bytes):
                    passed += piece  # before it is sent: whoever has seen it, finds it here
                    _write(passage, target, piece)
                if room < len(data) or len(passed) == course.cut_after_bytes:
                    return
            reset = False  # one side has closed; so do we
        except OSError:
            pass  # one side has reset; so do we
        finally:
            passage.cut(reset=reset)
            passage.leave()


def _read(passage: Passage, source: socket.socket) -> bytes:
    """Empty at the end of the connection."""
    while not passage.is_cut:
        with suppress(TimeoutError):
            return source.recv(READ_BYTES)
    return b""


def _write(passage: Passage, target: socket.socket, piece: bytes) -> None:
    """All of it. Raises ConnectionError when the connection is cut meanwhile."""
    left = memoryview(piece)
    while left:
        if passage.is_cut:
            raise ConnectionError("cut")
        with suppress(TimeoutError):
            left = left[target.send(left) :]


def _room(course: Course, passed: bytearray, data: bytes) -> int:
    """How many of these bytes may still pass."""
    room = len(data)
    if course.cut_after_bytes is not None:
        room = min(room, course.cut_after_bytes - len(passed))
    if course.cut_before_packet is not None:
        starts = (at for at, found in packets_in(bytes(passed) + data) if found.kind == course.cut_before_packet)
        room = min(room, next(starts, len(passed) + room) - len(passed))
    return room


def _pieces(data: bytes, piece_bytes: int | None) -> Iterator[bytes]:
    if piece_bytes is None:
        if data:
            yield data
        return
    for at in range(0, len(data), piece_bytes):
        if at:
            time.sleep(PIECE_PAUSE_S)
        yield data[at : at + piece_bytes]


# MQTT, in what has passed


def packets_in(stream: bytes) -> Iterator[tuple[int, Packet]]:
    """The whole packets of a direction, each with the place of its first byte."""
    start = 0
    while True:
        length, shift, at = 0, 0, start + 1
        while at < len(stream):
            length |= (stream[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if stream[at - 1] < 0x80:
                break
        else:
            return
        if at + length > len(stream):
            return
        yield start, Packet(stream[start], stream[at : at + length])
        start = at + length


def delivered(passage: Passage) -> list[int]:
    """Packet identifiers of the QoS 1 messages that went down whole on this connection, in order."""
    found = []
    for _, packet in packets_in(bytes(passage.down)):
        if packet.kind == 0x30 and packet.first & 0x06:
            topic_bytes = int.from_bytes(packet.body[:2], "big")
            found.append(int.from_bytes(packet.body[2 + topic_bytes : 4 + topic_bytes], "big"))
    return found


def acknowledged(passage: Passage) -> list[int]:
    """Packet identifiers of the PUBACK packets that went up whole on this connection, in order."""
    packets = packets_in(bytes(passage.up))
    return [int.from_bytes(packet.body[:2], "big") for _, packet in packets if packet.kind == 0x40]
