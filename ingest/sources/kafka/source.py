"""Topics of Kafka as a source of messages: one member of a consumer group, offsets committed when durable."""

import asyncio
import random
import time
from threading import Thread

from aiokafka.errors import KafkaError

from ingest.message import Health, Taken
from ingest.own_loop import OwnLoop
from ingest.records import Clock, ConnectionLost, Emit, PartFailed
from ingest.sources.kafka.careful import UNREADABLE
from ingest.sources.kafka.inbox import Inbox, InboxToken
from ingest.sources.kafka.member import COMMIT_TIMEOUT_S, OFTEN, STOP_TIMEOUT_S, Member
from ingest.sources.kafka.reasons import LastWords, restless, why
from ingest.sources.kafka.settings import KafkaSourceSettings

JOIN_TIMEOUT_S = COMMIT_TIMEOUT_S + STOP_TIMEOUT_S + 1
LOOP_IS_BLOCKED_S = 1.0
RESTLESS_S = 60.0


class KafkaSource:
    """Implements `ingest.message.Source`.

    One thread with one event loop does all network work; `take` and `acknowledge` only touch lists under a lock. What
    was handed over before partitions were given away, or the member ended, comes again if it was not committed: at
    least once.
    """

    def __init__(self, settings: KafkaSourceSettings, clock: Clock, emit: Emit) -> None:
        self._settings = settings
        self._clock = clock
        self._emit = emit
        self._inbox = Inbox(settings.window_messages, settings.window_bytes)
        self._member: Member | None = None
        self._words = LastWords()
        self._error: BaseException | None = None  # what ended the last life
        self._trouble = "not yet connected"
        self._failures = 0  # lives in a row that were short
        self._loop = OwnLoop()
        self._thread: Thread | None = None

    @property
    def name(self) -> str:
        return self._settings.name

    def start(self) -> None:
        """Begins to connect, and to read; returns at once. Only once."""
        if self._thread is not None:
            raise RuntimeError("a source is started once")
        self._thread = Thread(target=self._run, name=f"kafka:{self.name}", daemon=True)
        self._thread.start()

    def take(self) -> Taken | None:
        """Everything that came since the last call, in arrival order; None when there is nothing."""
        return self._inbox.take()

    def acknowledge(self, token: object) -> None:
        """The messages of `token` are durable. Returns at once; the loop commits their offsets within `commit_every_s`."""
        if not isinstance(token, InboxToken):
            raise TypeError("not a token of this source")
        self._inbox.acknowledge(token)

    def health(self, now_ns: int) -> Health:
        """Judged by when a broker last answered. A member without partitions, in reserve, is well."""
        del now_ns
        if self._thread is None or not self._thread.is_alive():
            return Health(ok=False, why="the network thread does not run")
        member, said = self._member, self._words.text
        if member is None or not member.started:
            return Health(ok=False, why=self._trouble + (f" ({said})" if said and said not in self._trouble else ""))
        now_s = time.monotonic()
        blocked_s = max(now_s - member.beat_s, member.loop_lag_s)
        if blocked_s > LOOP_IS_BLOCKED_S:
            return Health(
                ok=False, why=f"the loop of the client had no time for {blocked_s:.1f} s: this machine is too busy"
            )
        silent_s = now_s - member.heard_s
        if silent_s > self._settings.silence_s:
            servers = ", ".join(self._settings.servers)
            return Health(
                ok=False, why=f"no answer from {servers} for {silent_s:.0f} s" + (f": {said}" if said else "")
            )
        if len(member.revoked_s) == OFTEN and now_s - member.revoked_s[0] < RESTLESS_S:
            return Health(ok=False, why=restless(self._settings))
        if member.full_since_s is not None and (full_s := now_s - member.full_since_s) > self._settings.silence_s:
            held = self._inbox.held
            return Health(ok=False, why=f"stopped reading {full_s:.0f} s ago: {held} messages wait to become durable")
        return Health(ok=True)

    def stop(self) -> None:
        """Ends reading, commits what is durable, leaves the group."""
        self._loop.stop()
        if self._thread is not None:
            self._thread.join(JOIN_TIMEOUT_S)

    def _run(self) -> None:
        with self._words:
            while not self._loop.stopping.is_set():
                began_s = time.monotonic()
                try:
                    asyncio.run(self._life())
                except (KafkaError, OSError) as error:
                    self._lose(error, time.monotonic() - began_s)
                except Exception as error:  # noqa: BLE001  # the thread's outer frame: an unforeseen error costs a life, never the source
                    self._emit(PartFailed(f"kafka:{self.name}", repr(error)))
                    self._lose(error, time.monotonic() - began_s)

    async def _life(self) -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, told: self._words.note(str(told.get("exception") or told["message"]))
        )
        with self._loop.living() as stopping:
            try:
                self._member = Member(
                    self._settings, self._inbox, self._clock, self._emit, careful=isinstance(self._error, UNREADABLE)
                )
                await self._member.live(stopping)
            finally:
                self._member = None

    def _lose(self, error: BaseException, lived_s: float) -> None:
        """Waits before the next life; with full jitter, so that many members do not come back at the same moment."""
        slowest_s = self._settings.reconnect_max_s
        self._failures = 1 if lived_s >= slowest_s else min(self._failures + 1, 30)
        pause_s = random.uniform(0, min(slowest_s, self._settings.reconnect_min_s * 2 ** (self._failures - 1)))
        self._error = error
        self._trouble = why(error, self._settings, self._words.text)
        self._words.text = ""
        self._emit(ConnectionLost(self.name, self._trouble, pause_s))
        self._loop.stopping.wait(pause_s)
