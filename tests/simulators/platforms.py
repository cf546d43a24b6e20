"""A platform of HJ 212 that does as it is told: it answers data or not, breaks lines, and asks. Written for tests alone."""

import asyncio
import re
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from simulators.hj212 import check, wire

FRAME = re.compile(rb"##(\d{4})")
Answers = Callable[[bytes], bool]  # whether a frame is answered
WORD = re.compile(rb"(?:^|[;,])([A-Za-z]+)=([^;,&]*)")


def words(data: bytes) -> dict[str, str]:
    """Names and values of a data segment, before and after CP."""
    return {name.decode(): value.decode("latin-1") for name, value in WORD.findall(data.replace(b"CP=&&", b""))}


def whole(frames: bytearray) -> list[bytes]:
    """Cuts whole frames that verify off the beginning; steps over what is none."""
    found = []
    while header := FRAME.search(frames):
        start, length = header.start(), int(header[1])
        end = start + 6 + length
        if len(frames) < end + 6:
            break
        data = bytes(frames[start + 6 : end])
        if frames[end : end + 6].upper() == b"%04X\r\n" % check(data):
            found.append(data)
            del frames[: end + 6]
        else:
            del frames[: start + 2]
    return found


def answer_to(data: bytes) -> bytes | None:
    """9014, or 9013 to a heartbeat, as the edition of the frame writes it; None where none is wanted."""
    said = words(data)
    flag = int(said.get("Flag", "0"))
    if not flag & 1 or said["CN"] in {"9011", "9012", "9013"}:
        return None
    cn = "9013" if said["CN"] == "9015" else "9014"
    if flag >> 2 == 0:
        packet = f";PNUM={said['PNUM']};PNO={said['PNO']}" if "PNO" in said else ""
        return wire(f"ST=91;CN={cn};CP=&&QN={said['QN']};CN={said['CN']}{packet}&&".encode())
    head = f"QN={said['QN']};ST=91;CN={cn};PW={said['PW']};MN={said['MN']};Flag={flag >> 2 << 2};"
    return wire(f"{head}CP=&&&&".encode())


def request(cn: str, *, qn: str = "20261102200000001", mn: str = "A", pw: str = "123456", says: str = "") -> bytes:
    """A request of the platform."""
    return wire(f"QN={qn};ST=32;CN={cn};PW={pw};MN={mn};Flag=5;CP=&&{says}&&".encode())


class Platform(asyncio.Protocol):
    """One connection."""

    def __init__(self, owner: "Platforms") -> None:
        self._owner = owner
        self._left = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._owner.connections += 1
        self._owner.open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        self._owner.open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._left += data
        self._owner.reads.append(data)
        for segment in whole(self._left):
            self._owner.heard.append(segment)
            answer = answer_to(segment)
            if answer is not None and self._owner.answers(segment) and self._transport is not None:
                self._transport.write(answer)


class Platforms:
    """A listening platform in a thread of its own, on `port`. `answers` may be exchanged at any time."""

    def __init__(self, answers: Answers = lambda _data: True) -> None:
        self.answers = answers
        self.heard: list[bytes] = []
        self.reads: list[bytes] = []
        self.open: set[asyncio.Transport] = set()
        self.connections = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listens.wait(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def break_all(self) -> None:
        """Breaks every line there is."""
        self._to_each(lambda transport: transport.abort())

    def say(self, frame: bytes) -> None:
        """To every connection."""
        self._to_each(lambda transport: transport.write(frame))

    def said(self, cn: str) -> list[dict[str, str]]:
        """What came with this command."""
        return [found for found in map(words, list(self.heard)) if found["CN"] == cn]

    def _to_each(self, act: Callable[[asyncio.Transport], None]) -> None:
        def acts() -> None:
            for transport in list(self.open):
                act(transport)

        self._loop.call_soon_threadsafe(acts)

    def _run(self) -> None:
        server = self._loop.run_until_complete(
            self._loop.create_server(lambda: Platform(self), "127.0.0.1", self.port, backlog=1000)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._listens.set()
        self._loop.run_forever()
        server.close()
        for transport in list(self.open):
            transport.abort()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()
