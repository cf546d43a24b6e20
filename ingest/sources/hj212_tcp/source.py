"""Data loggers of HJ 212 that connect to us: frames come over TCP, and are answered when the journal has them."""

import asyncio
import errno
import resource
import time
from collections.abc import Sequence
from threading import Thread

from ingest.message import Health, Request, Taken
from ingest.own_loop import OwnLoop
from ingest.records import Clock, ConnectionLost, Emit, PartFailed, RequestMoved
from ingest.site import Roster
from ingest.sources.hj212_tcp.inbox import Arrival, Inbox, InboxToken
from ingest.sources.hj212_tcp.line import Line
from ingest.sources.hj212_tcp.port import Port
from ingest.sources.hj212_tcp.settings import Hj212TcpSourceSettings

RETRY_FIRST_S, RETRY_LAST_S = 0.2, 5.0
JOIN_EXTRA_S = 5.0
FULL_S = 20.0
OTHER_FILES = 200  # that the program has open


class Hj212TcpSource:
    """Implements `ingest.message.Source` and `Asking`.

    One thread with one event loop does all network work; `take` touches lists under a lock, `acknowledge` and `ask`
    leave the rest to the loop. What was not answered when a line is lost comes again: at least once.
    """

    def __init__(self, settings: Hj212TcpSourceSettings, clock: Clock, emit: Emit, roster: Roster) -> None:
        self._settings = settings
        self._clock = clock
        self._emit = emit
        self._roster = roster
        self._inbox: Inbox[Line] = Inbox(settings.name, settings.window_messages, settings.window_bytes)
        self._most = settings.most_connections
        self._port: Port | None = None
        self._trouble = "not yet listening"
        self._loop = OwnLoop()
        self._thread: Thread | None = None

    @property
    def name(self) -> str:
        return self._settings.name

    @property
    def port(self) -> int | None:
        """The number on which it listens; None while it does not."""
        return self._port.number if self._port is not None else None

    @property
    def connections(self) -> int:
        """That are open now."""
        return self._port.open if self._port is not None else 0

    def start(self) -> None:
        """Begins to listen; returns at once. Only once."""
        if self._thread is not None:
            raise RuntimeError("a source is started once")
        self._thread = Thread(target=self._run, name=f"hj212_tcp:{self.name}", daemon=True)
        self._thread.start()

    def take(self) -> Taken | None:
        """Everything that came since the last call, in arrival order; None when there is nothing."""
        return self._inbox.take()

    def acknowledge(self, token: object) -> None:
        """The messages of `token` are durable. Returns at once; the loop answers on the lines that brought them."""
        if not isinstance(token, InboxToken):
            raise TypeError("not a token of this source")
        settled = self._inbox.acknowledge(token)
        if settled:
            self._loop.call(self._settle, settled)

    def ask(self, request: Request) -> None:
        """Asks a station on its line. Returns at once; what becomes of it is told as RequestMoved."""
        if not self._loop.call(self._ask, request):
            self._gone(request)

    def health(self, now_ns: int) -> Health:
        """Red while nobody can connect, and while nobody is read."""
        del now_ns
        if self._thread is None or not self._thread.is_alive():
            return Health(ok=False, why="the network thread does not run")
        port = self._port
        if port is None or port.number is None:
            return Health(ok=False, why=self._trouble)
        if port.trouble:
            return Health(ok=False, why=port.trouble)
        full_since_s = port.full_since_s
        if full_since_s is not None and (full_s := time.monotonic() - full_since_s) > FULL_S:
            why = f"stopped reading {full_s:.0f} s ago: {self._inbox.held} messages wait to become durable"
            return Health(ok=False, why=why)
        return Health(ok=True)

    def stop(self) -> None:
        """Takes no more connections, sends the answers that are due, closes all lines."""
        self._loop.stop()
        if self._thread is not None:
            self._thread.join(self._settings.stop_s + JOIN_EXTRA_S)

    def _settle(self, settled: Sequence[Arrival[Line]]) -> None:
        """On the loop."""
        if self._port is not None:
            self._port.settle(settled)

    def _ask(self, request: Request) -> None:
        """On the loop."""
        if self._port is not None:
            self._port.ask(request)

    def _gone(self, request: Request) -> None:
        self._emit(RequestMoved(self.name, request.number, "gone", "the port is closed", self._clock()))

    def _run(self) -> None:
        self._most = _connections_allowed(self._settings.most_connections)
        while not self._loop.stopping.is_set():
            try:
                asyncio.run(self._life())
            except Exception as error:  # noqa: BLE001  # the thread's outer frame: an unforeseen error costs the lines, never the source
                self._trouble = f"unexpected error: {error!r}"
                self._emit(PartFailed(f"hj212_tcp:{self.name}", repr(error)))
                self._loop.stopping.wait(RETRY_LAST_S)

    async def _life(self) -> None:
        port = Port(self._settings, self._most, self._inbox, self._roster, self._clock, self._emit)
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, told: port.failed(told.get("exception") or RuntimeError(told["message"]))
        )
        self._port = port
        with self._loop.living() as stopping:
            tending = asyncio.create_task(port.tend())
            try:
                await self._listen(port, stopping)
            finally:
                await port.close()
                tending.cancel()

    async def _listen(self, port: Port, stopping: asyncio.Event) -> None:
        """Tries until the port can be had; lines that are open stay."""
        retry_s = RETRY_FIRST_S
        while not stopping.is_set():
            try:
                await port.serve(stopping)
            except OSError as error:
                self._trouble = self._why(error)
                self._emit(ConnectionLost(self.name, self._trouble, retry_s))
                try:
                    await asyncio.wait_for(stopping.wait(), retry_s)
                except TimeoutError:
                    retry_s = min(2 * retry_s, RETRY_LAST_S)

    def _why(self, error: OSError) -> str:
        host, port = self._settings.host, self._settings.port
        if error.errno == errno.EADDRINUSE:
            return f"port {port} of {host} is taken by another program: end it, or say another port; tried again"
        if error.errno == errno.EADDRNOTAVAIL:
            return f"this machine has no address {host}: say one of its own, or 0.0.0.0 for all; tried again"
        if error.errno == errno.EACCES:
            return f"port {port} may not be used by this user: say one above 1023; tried again"
        return f"cannot listen on {host}:{port}: {error}; tried again"


def _connections_allowed(wanted: int) -> int:
    """How many there may be: each is an open file, and the journal must not be left without."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted + OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(1, min(wanted, most - OTHER_FILES))
