"""An MQTT broker as a source of messages: persistent session, QoS 1, acknowledged when durable."""

import random
import socket
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread

from ingest.acks import AckToken, AckWindow
from ingest.message import Block, Health, Taken
from ingest.records import Clock, Connected, ConnectionLost, Emit, PartFailed, PossibleLoss
from ingest.sources.mqtt.client import CLOSED, RESET
from ingest.sources.mqtt.connection import CONNECT_TIMEOUT_S, Connection
from ingest.sources.mqtt.packets import Cut
from ingest.sources.mqtt.settings import MqttSourceSettings

CLOSED_TOO_OFTEN = 3  # times in a row, soon after the broker accepted us
JOIN_TIMEOUT_S = 2 * CONNECT_TIMEOUT_S + 1


class MqttSource:
    """Implements `ingest.message.Source`.

    One thread of its own does all network work; `take` and `acknowledge` only touch lists under a lock. Messages
    that came before a connection was lost are handed over all the same, and come again: at least once.
    """

    def __init__(self, settings: MqttSourceSettings, clock: Clock, emit: Emit) -> None:
        self._settings = settings
        self._clock = clock
        self._emit = emit
        self._session = _SessionMemory(settings)
        self._lock = Lock()  # guards the next four
        self._window = AckWindow(settings.window_messages, settings.window_bytes)
        self._inbox: list[Block] = []
        self._ready: list[int] = []  # may be acknowledged on the present connection
        self._wake: socket.socket | None = None  # a byte to it ends the wait of the network thread
        # The rest belongs to the network thread; others only look.
        self._connection: Connection | None = None
        self._greeted = False
        self._failures = 0  # connections in a row that did not live long
        self._closed = 0  # of these, the last ones that the broker had accepted, and closed without a word
        self._due_s = 0.0
        self._full_since_s: float | None = None
        self._heard_ns = 0
        self._trouble = "not yet connected"
        self._failure = ""  # an error of the last turn that nobody foresaw
        self._stopping = Event()
        self._thread: Thread | None = None

    @property
    def name(self) -> str:
        return self._settings.name

    @property
    def heard_ns(self) -> int:
        """When anything was last heard of the broker; the start where nothing was, 0 before it."""
        return self._heard_ns

    def start(self) -> None:
        """Begins to connect, and to read; returns at once. Only once."""
        if self._thread is not None:
            raise RuntimeError("a source is started once")
        woken, self._wake = socket.socketpair()
        for end in (woken, self._wake):
            end.setblocking(False)
        self._heard_ns = self._clock()
        if self._session.expected:  # an earlier process may have been here a moment ago
            self._due_s = time.monotonic() + self._settings.resend_after_s
        self._thread = Thread(target=self._run, args=(woken,), name=f"mqtt:{self.name}", daemon=True)
        self._thread.start()

    def take(self) -> Taken | None:
        """Everything that came since the last call, in arrival order; None when there is nothing."""
        with self._lock:
            token = self._window.take()
            if token is None:
                return None
            blocks, self._inbox = self._inbox, []
        return Taken(blocks, token)

    def acknowledge(self, token: object) -> None:
        """The messages of `token` are durable. Returns at once; the network thread tells the broker."""
        if not isinstance(token, AckToken):
            raise TypeError("not a token of this source")
        with self._lock:
            was_full, was_idle = self._window.full, not self._ready
            self._ready += self._window.durable(token)
            if (was_idle and self._ready) or (was_full and not self._window.full):
                self._wake_up()

    def health(self, now_ns: int) -> Health:
        """Judged by what was heard of the broker, not by what the client believes."""
        if self._thread is None or not self._thread.is_alive():
            return Health(ok=False, why="the network thread does not run")
        if self._trouble:
            return Health(ok=False, why=self._trouble)
        if self._full_since_s is not None:
            full_s = time.monotonic() - self._full_since_s
            if full_s < self._settings.longest_silence_s:
                return Health(ok=True)
            why = f"stopped reading {full_s:.0f} s ago: {self._window.held} messages wait to become durable"
            return Health(ok=False, why=why)
        silent_s = (now_ns - self._heard_ns) / 1e9
        if silent_s > self._settings.longest_silence_s:
            return Health(ok=False, why=f"nothing was heard from the broker for {silent_s:.0f} s")
        return Health(ok=True)

    def stop(self) -> None:
        """Ends reading, sends the acknowledgements that are due, says goodbye. The session stays with the broker."""
        self._stopping.set()
        with self._lock:
            self._wake_up()
        if self._thread is not None:
            self._thread.join(JOIN_TIMEOUT_S)

    def _wake_up(self) -> None:
        """With the lock held."""
        if self._wake is not None:
            with suppress(BlockingIOError):  # then so many bytes wait that it will wake anyway
                self._wake.send(b"w")

    def _run(self, woken: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                self._step(woken)
            except Exception as error:  # noqa: BLE001  # the thread's outer frame: an unforeseen error costs a connection, never the source
                self._failure = repr(error)
                self._stopping.wait(self._settings.reconnect_min_s)
        if self._connection is not None:
            self._send_acknowledgements(self._connection)
            self._connection.close()
        with self._lock:
            if self._wake is not None:
                self._wake.close()
                self._wake = None
        woken.close()

    def _step(self, woken: socket.socket) -> None:
        """One turn: connect when it is time, or read, acknowledge, tend. Waits about a second at most."""
        if self._failure:
            failure, self._failure = self._failure, ""
            self._lose(f"unexpected error: {failure}")
            self._emit(PartFailed(f"mqtt:{self.name}", failure))
        if self._connection is None:
            self._connect(woken)
            return
        connection = self._connection
        reading = not self._window.full
        if not reading and self._full_since_s is None:
            self._full_since_s = time.monotonic()
        elif reading:
            self._full_since_s = None
        readable = connection.wait(reading=reading)
        at_once = self._read(connection) if readable else False
        self._send_acknowledgements(connection)
        connection.tend(reading=reading)
        self._notice(connection)
        if readable and not at_once and self._settings.nap_ms:
            # A fast client is woken for each message, and pays the kernel for each; a rested one finds many.
            time.sleep(self._settings.nap_ms / 1_000)

    def _connect(self, woken: socket.socket) -> None:
        pause_s = min(self._due_s - time.monotonic(), 1.0)
        if pause_s > 0:
            self._stopping.wait(pause_s)
            return
        try:
            connection = Connection(self._settings, woken)
        except OSError as error:
            self._lose(f"cannot connect to {self._settings.host}:{self._settings.port}: {error}")
            return
        with self._lock:
            self._window.connected()
            self._ready.clear()
        self._greeted = False
        self._connection = connection

    def _read(self, connection: Connection) -> bool:
        cut, at_once = connection.read()
        if cut.topics or cut.others or cut.skipped_bytes:
            self._heard_ns = self._clock()
        if cut.topics:
            self._keep(cut)
        connection.act_on(cut)
        return at_once

    def _keep(self, cut: Cut) -> None:
        with self._lock:
            if cut.dups:
                self._drop_what_we_have(cut)
            if cut.topics:
                self._inbox.append(Block(self.name, self._heard_ns, cut.topics, cut.payloads))
                self._window.arrived(self._window.epoch, cut.mids, len(cut.topics), cut.payload_bytes)

    def _drop_what_we_have(self, cut: Cut) -> None:
        """With the lock held: takes out what a broker sent again on a living connection, as NATS does.

        Otherwise a journal that is slow for a while would find its window full of copies.
        """
        for index, mid in reversed(cut.dups):
            if self._window.awaits(mid):
                cut.payload_bytes -= len(cut.payloads[index])
                del cut.topics[index], cut.payloads[index]
                cut.mids.remove(mid)

    def _send_acknowledgements(self, connection: Connection) -> None:
        """Only this thread sends, and only it reconnects, so what is ready now belongs to this connection."""
        if self._ready:
            with self._lock:
                ready, self._ready = self._ready, []
            connection.acknowledge(ready)

    def _notice(self, connection: Connection) -> None:
        """Tells the world what happened on the connection."""
        if connection.session_present is not None and not self._greeted:
            self._greeted = True
            self._emit(Connected(self.name, connection.session_present))
            if self._session.expected and not connection.session_present:
                why = f"the broker has forgotten the session of {self._settings.client_id!r} and what it kept for us"
                self._emit(PossibleLoss(self.name, why))
        if connection.why_ended:
            self._lose(connection.why_ended)
            return
        if connection.subscribed and not self._session.expected:
            try:
                self._session.remember()
            except OSError as error:
                self._emit(PartFailed(f"mqtt:{self.name}", f"the session file cannot be written: {error}"))
        if self._greeted:  # until then the reason of the last failure is the better word
            self._trouble = connection.trouble

    def _lose(self, why: str) -> None:
        """Ends the connection, if there is one, and sets the time of the next attempt.

        With full jitter, so that many clients do not come back at the same moment.
        """
        connection, self._connection = self._connection, None
        lived_s = 0.0
        if connection is not None:
            lived_s = time.monotonic() - connection.opened_s
            last = connection.last_words()
            if last.topics and connection.session_present is not None:
                self._keep(last)
            connection.close()
        slowest_s = self._settings.reconnect_max_s
        self._failures = 1 if lived_s >= slowest_s else min(self._failures + 1, 30)
        accepted = connection is not None and connection.session_present is not None
        self._closed = self._closed + 1 if accepted and why in {CLOSED, RESET} and lived_s < slowest_s else 0
        if self._closed >= CLOSED_TOO_OFTEN:
            why = self._why_so_often(why)
        pause_s = random.uniform(0, min(slowest_s, self._settings.reconnect_min_s * 2 ** (self._failures - 1)))
        if connection is not None and connection.taken_over:
            # Two processes with one client id would push each other out for ever.
            pause_s = random.uniform(slowest_s, 2 * slowest_s)
            why = f"another client uses the client id {self._settings.client_id!r}; stop one of them ({why})"
            self._emit(PartFailed(f"mqtt:{self.name}", why))
        if connection is not None:
            pause_s = max(pause_s, self._settings.resend_after_s)
        self._due_s = time.monotonic() + pause_s
        self._trouble = why
        self._emit(ConnectionLost(self.name, why, pause_s))

    def _why_so_often(self, why: str) -> str:
        """What a broker with 3.1.1 cannot say, and some do not say with 5."""
        return (
            f"{why} {self._closed} times in a row soon after it had accepted us; if another client uses the client id "
            f"{self._settings.client_id!r}, stop one of them, else look at the broker's log"
        )


class _SessionMemory:
    """Whether the broker should know us: since this process subscribed, or an earlier one that left a file."""

    def __init__(self, settings: MqttSourceSettings) -> None:
        self._file: Path | None = settings.session_file
        self._identity = f"{settings.client_id} at {settings.host}:{settings.port}\n".encode()
        self.expected = self._file is not None and self._file.is_file() and self._file.read_bytes() == self._identity

    def remember(self) -> None:
        """Raises OSError when the file cannot be written; in this process it is remembered all the same."""
        self.expected = True
        if self._file is not None:
            part = self._file.with_suffix(".part")
            part.write_bytes(self._identity)
            part.replace(self._file)
