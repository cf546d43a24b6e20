"""All connections of loggers on one port: who is let in, how much is held, and what is told of it.

Connections are accepted here and not by asyncio, so that those whose handshake hangs are counted as well.
"""

import asyncio
import errno
import socket
import ssl
import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ingest.hj212.framing import Bounds
from ingest.hj212.requests import Moved, Pace
from ingest.message import Request
from ingest.records import Clock, Emit, LinesServed, PartFailed, RequestMoved
from ingest.site import Roster
from ingest.sources.hj212_tcp.inbox import Arrival, Inbox
from ingest.sources.hj212_tcp.line import Line
from ingest.sources.hj212_tcp.refusals import Refusals
from ingest.sources.hj212_tcp.settings import Hj212TcpSourceSettings
from ingest.sources.hj212_tcp.speakers import Speaker, Speakers
from rules.readings import SECOND_NS

BUFFER_BYTES = 64 * 1024  # read at once
STRANGERS_BUFFER_BYTES = 4 * 1024
BACKLOG = 1_024
MOST_AT_ONCE = 64  # accepted before others have their turn
OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
OUT_OF_FILES_S = 0.5
# Of one that wanted in and has gone, or of its network; not of ours.
ITS_OWN = {
    errno.ECONNABORTED,
    errno.EPROTO,
    errno.EPERM,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ETIMEDOUT,
}
TEND_S = 0.5
STRANGERS_BYTES = 1024 * 1024  # of garbage of all strangers together, a minute
MINUTE_NS = 60 * SECOND_NS
SET_CLOCK = "1012"
KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 20), (socket.TCP_KEEPCNT, 3))


@dataclass(slots=True)
class Traffic:
    """Counts since they were last told. `ended`: connections by why."""

    accepted: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    refused: int = 0
    answers: int = 0
    garbage_bytes: int = 0


class Port:
    """Made, and used, on one loop; other threads only look at its plain attributes. `most`: connections."""

    def __init__(
        self, settings: Hj212TcpSourceSettings, most: int, inbox: Inbox[Line], roster: Roster, clock: Clock, emit: Emit
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.bounds = Bounds(most_data=settings.most_data_bytes, frame_time_s=settings.frame_time_s)
        self.buffer = memoryview(bytearray(BUFFER_BYTES))
        self.strangers_buffer = self.buffer[:STRANGERS_BUFFER_BYTES]
        self.speakers = Speakers(settings, roster, emit)
        self.refusals = Refusals(settings.name, emit)
        self.pace = Pace()
        self.traffic = Traffic()
        self.full = False  # no line reads
        self.full_since_s: float | None = None
        self.number: int | None = None  # of the port, while it listens
        self.trouble = ""
        self.open = 0  # connections, with those that are being set up
        self._most = most
        self._inbox = inbox
        self._emit = emit
        self._tls: ssl.SSLContext | None = None
        self._lines: set[Line] = set()
        # In the order in which they came, each with what sets it up.
        self._unproved: OrderedDict[Line, asyncio.Task[None]] = OrderedDict()
        self._of_address: Counter[str] = Counter()
        self._minute = 0
        self._strangers_bytes = 0
        self._told_open = 0
        self._last_left = asyncio.Event()
        self._setting: dict[int, Speaker] = {}  # whose clock is being set, by the number of the request
        self._requests = 0

    @property
    def is_tls(self) -> bool:
        return self._tls is not None

    # Listening.

    async def serve(self, stopping: asyncio.Event) -> None:
        """Until `stopping`, or an error of the port, which is raised. Lines stay."""
        self._tls = self.settings.tls.context() if self.settings.tls is not None else None
        listening = _listening(self.settings.host, self.settings.port)
        try:
            self.number = listening.getsockname()[1]
            self.trouble = ""
            accepting = asyncio.create_task(self._accept(listening))
            stop = asyncio.create_task(stopping.wait())
            try:
                await asyncio.wait([accepting, stop], return_when=asyncio.FIRST_COMPLETED)
                if accepting.done():
                    accepting.result()
            finally:
                for task in (accepting, stop):
                    task.cancel()
                await asyncio.gather(accepting, stop, return_exceptions=True)
        finally:
            self.number = None
            listening.close()

    async def _accept(self, listening: socket.socket) -> None:
        loop, at_once = asyncio.get_running_loop(), 0
        while True:
            try:
                connected, address = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno in OUT_OF_FILES:
                    self.trouble = f"no more connections can be taken ({error.strerror}): raise the limit of open files"
                    await asyncio.sleep(OUT_OF_FILES_S)
                elif error.errno not in ITS_OWN:
                    raise
                continue
            self.trouble = ""
            self._meet(connected, _plain(address[0]))
            at_once += 1
            if at_once % MOST_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _meet(self, connected: socket.socket, address: str) -> None:
        """Lets a connection in, if there is room for it."""
        self.traffic.accepted += 1
        if self._of_address[address] >= self.settings.most_of_one_address:
            why = "address_full"
        elif self.open >= self._most and not self._displace():
            why = "full"
        else:
            self._of_address[address] += 1
            self.open += 1
            line = Line(self, address)
            task = asyncio.create_task(self._set_up(line, connected))
            self._unproved[line] = task
            task.add_done_callback(lambda _task: self._set_up_ended(line, connected))
            return
        self.traffic.ended[why] += 1
        connected.close()

    def _displace(self) -> bool:
        """Of connections on which nobody who is registered has spoken, the oldest goes when there is no room."""
        if not self._unproved:
            return False
        oldest, setting_up = self._unproved.popitem(last=False)
        oldest.abort("displaced")
        setting_up.cancel()
        return True

    async def _set_up(self, line: Line, connected: socket.socket) -> None:
        line.is_begun = True
        tls_s = self.settings.handshake_s if self._tls is not None else None
        with suppress(OSError):  # it has gone, or cannot speak TLS
            connected.setblocking(False)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in KEEPALIVE:
                connected.setsockopt(socket.IPPROTO_TCP, option, value)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: line, connected, ssl=self._tls, ssl_handshake_timeout=tls_s
            )

    def _set_up_ended(self, line: Line, connected: socket.socket) -> None:
        if not line.is_begun:
            connected.close()
        if not line.is_met:
            self._unproved.pop(line, None)
            self._forget(line.address, "displaced" if line.why == "displaced" else "handshake")

    # What lines call.

    def opened(self, line: Line) -> None:
        self._lines.add(line)

    def prove(self, line: Line) -> None:
        """A registered logger speaks on it."""
        self._unproved.pop(line, None)

    def closed(self, line: Line) -> None:
        if line in self._lines:
            self._lines.discard(line)
            self._unproved.pop(line, None)
            self._forget(line.address, line.why)
            if not self._lines:
                self._last_left.set()

    def _forget(self, address: str, why: str) -> None:
        self.traffic.ended[why] += 1
        self.open -= 1
        self._of_address[address] -= 1
        if not self._of_address[address]:
            del self._of_address[address]

    def put(self, arrival: Arrival[Line], topics: list[str], payloads: list[bytes], received_ns: int) -> None:
        """Messages of a line. When there is no more room nobody reads."""
        self._inbox.put(arrival, topics, payloads, received_ns)
        if self._inbox.full and not self.full:
            self.full, self.full_since_s = True, time.monotonic()
            for line in self._lines:
                line.mind()

    def has_room_for_garbage(self, payload_bytes: int, now_ns: int) -> bool:
        """Whether garbage of a stranger is kept."""
        if now_ns // MINUTE_NS != self._minute:
            self._minute, self._strangers_bytes = now_ns // MINUTE_NS, 0
        self._strangers_bytes += payload_bytes
        return self._strangers_bytes <= STRANGERS_BYTES

    def set_clock(self, speaker: Speaker, line: Line, mn: str) -> None:
        """Asks the station to take our time. Such a request has a number below 0: it is nobody's but ours."""
        self._requests -= 1
        self._setting[self._requests] = speaker
        line.ask(Request(self._requests, mn, SET_CLOCK))

    def moved(self, moved: Sequence[Moved]) -> None:
        """What became of requests."""
        name = self.settings.name
        for one in moved:
            if one.number < 0:
                self._moved_clock(one)
            else:
                told = RequestMoved(name, one.number, one.state, one.said, one.at_ns, one.frames, one.readings)
                self._emit(told)

    def _moved_clock(self, one: Moved) -> None:
        if one.state in {"sent", "accepted"}:
            return
        speaker = self._setting.pop(one.number, None)
        if speaker is None:
            return
        if one.state == "done":
            self.speakers.tell_clock(speaker, "set", "it took our time with 1012", one.at_ns)
            speaker.clock.forget()
        else:
            said = f"it did not take our time with 1012: {one.state}" + f", {one.said}" * bool(one.said)
            self.speakers.tell_clock(speaker, "not_set", said, one.at_ns)

    def failed(self, error: Exception) -> None:
        """An error that nobody foresaw."""
        self._emit(PartFailed(f"hj212_tcp:{self.settings.name}", repr(error)))

    # What the source calls, on the loop.

    def settle(self, arrivals: Sequence[Arrival[Line]]) -> None:
        """These are durable, in this order."""
        of_line: dict[Line, list[Arrival[Line]]] = {}
        for arrival in arrivals:
            of_line.setdefault(arrival.sender, []).append(arrival)
        for line, its in of_line.items():
            line.settle(its)
        if self.full and self._inbox.has_room:
            self.full, self.full_since_s = False, None
            for line in self._lines:
                line.mind()

    def ask(self, request: Request) -> None:
        """The station's newest line carries it."""
        speaker = self.speakers.named(request.mn)
        if speaker is not None and speaker.lines:
            speaker.lines[-1].ask(request)
        else:
            said = "the station is not connected"
            self.moved([Moved(request.number, "gone", said, self.clock())])

    async def tend(self) -> None:
        """Now and then, for ever: what takes too long is given up, and what happened is told."""
        while True:
            await asyncio.sleep(TEND_S)
            try:
                self._tend()
            except Exception as error:  # noqa: BLE001  # a mistake in what is told must not end the watch over lines
                self.failed(error)

    def _tend(self) -> None:
        self.speakers.refresh()
        now_s = time.monotonic()
        for line in list(self._lines):
            line.tend(now_s)
        self.speakers.report(self.clock())
        self.tell()

    def tell(self) -> None:
        """What happened since it was last told."""
        traffic, self.traffic = self.traffic, Traffic()
        if traffic == Traffic() and self.open == self._told_open:
            return
        self._told_open = self.open
        self._emit(
            LinesServed(
                self.settings.name,
                self.open,
                traffic.accepted,
                traffic.ended,
                traffic.frames,
                traffic.refused,
                traffic.answers,
                traffic.garbage_bytes,
            )
        )

    async def close(self) -> None:
        """What was written leaves, for a bounded time; then all lines are closed."""
        setting_up = [task for line, task in self._unproved.items() if not line.is_met]
        for task in setting_up:
            task.cancel()
        await asyncio.gather(*setting_up, return_exceptions=True)
        for line in list(self._lines):
            line.close("stop")
        await self._emptied(self.settings.stop_s)
        for line in list(self._lines):
            line.abort("stop")
        await self._emptied(1.0)
        self.tell()

    async def _emptied(self, within_s: float) -> None:
        self._last_left.clear()
        if self._lines:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._last_left.wait(), within_s)


def _listening(host: str, port: int) -> socket.socket:
    """Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server(
        (host, port), family=family, backlog=BACKLOG, dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6()
    )
    listening.setblocking(False)
    return listening


def _plain(address: str) -> str:
    """An IPv4 address that came by way of IPv6, as it is written elsewhere."""
    with suppress(ValueError):
        return address.removeprefix("::ffff:") if "." in address else address
    return address
