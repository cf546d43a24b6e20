"""The lines of many data loggers, each a TCP connection, all in one thread with one event loop."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import inf
from types import TracebackType
from typing import Self

from simulators.loggers.heard import NoFrameError
from simulators.loggers.logger import DataLogger
from simulators.loggers.manner import Equipped
from simulators.publish import BrokerUnreachableError, Ranges
from simulators.samples import Outgoing

DIAL_S = 5.0  # a connection that is not made by then is tried again
MOST_DIALS = 100  # at the same time: a platform has a queue for them
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 5.0


class Line(asyncio.Protocol):
    """Carries between a logger and its connection. Everything here happens in the loop's thread."""

    def __init__(self, logger: DataLogger, lost: Callable[[], None]) -> None:
        self.logger = logger
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
        self.logger.connected()
        self.turn()

    def data_received(self, data: bytes) -> None:
        try:
            self.logger.heard(data, time.monotonic())
        except NoFrameError:
            self.close()
            return
        self.turn()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why does not matter
        self._transport = None
        self._stop_timer()
        self.logger.disconnected()
        self._lost()

    def turn(self) -> None:
        """Writes what the logger has to say, and comes back when it has something again."""
        if self._transport is None or self._transport.is_closing():
            return
        now_s = time.monotonic()
        for piece in self.logger.step(now_s):
            self._transport.write(piece)
        if self.logger.wants_cut:
            self._transport.close()  # after what was written; no answer is read any more
            return
        self._stop_timer()
        if self.logger.next_s < inf:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, self.logger.next_s - now_s), self.turn)

    def close(self) -> None:
        """Breaks it."""
        if self._transport is not None:
            self._transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Loggers:
    """Data loggers at work, as a context or a target.

    Samples are numbered from 0 in the order of `put`; `acknowledged` holds the numbers that the platform has answered
    whole. `settled` is reached when each was answered or given up once; what was given up is in the memory, and is sent
    again. `clock`: the true time, in ns; without one time stands at the newest sample and goes on at `speed`.

    Raises BrokerUnreachableError when no logger had a connection for `patience_s`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        equipped: Iterable[Equipped],
        *,
        seed: int = 0,
        start_ns: int = 0,
        clock: Callable[[], int] | None = None,
        speed: float = 1.0,
        hurries: bool = False,
        patience_s: float = 30.0,
        longest_pause_s: float = LONGEST_PAUSE_S,
    ) -> None:
        self.acknowledged = Ranges()
        self.put_count = 0
        self._address = (host, port)
        self._patience_s, self._longest_pause_s = patience_s, longest_pause_s
        self._passing = Passing(start_ns, speed)
        self._changed = threading.Condition()
        self._unsettled = 0
        self._alone_since_s: float | None = time.monotonic()  # when the last connection was lost
        self._lines: dict[str, Line] = {}
        self._ends = False
        for one in equipped:
            logger = DataLogger(
                one.voice,
                one.manner,
                clock or self._passing,
                seed=seed,
                start_ns=start_ns,
                hurries=hurries,
                answered=partial(self._on_answered, one.station),
                settled=self._on_settled,
            )
            self._lines[one.station] = Line(logger, partial(self._on_lost, one.station))
        self._pauses = dict.fromkeys(self._lines, FIRST_PAUSE_S)
        self._loop = asyncio.new_event_loop()
        self._dialling: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(MOST_DIALS)
        self._thread = threading.Thread(target=self._run, name="loggers", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def loggers(self) -> Mapping[str, DataLogger]:
        """By station. They live in another thread: look, and touch nothing."""
        return {station: line.logger for station, line in self._lines.items()}

    @property
    def connected(self) -> int:
        """How many have a line now."""
        return sum(line.logger.is_connected for line in self._lines.values())

    @property
    def is_settled(self) -> bool:
        """Every sample was answered, or given up once."""
        with self._changed:
            return not self._unsettled

    def send(self, messages: Iterable[Outgoing]) -> None:
        """Puts all of them and waits until they are settled."""
        self.put(list(messages))
        self.wait()

    def put(self, messages: Sequence[Outgoing]) -> int:
        """To their loggers, at once. The answer is the number of the first."""
        with self._changed:
            first = self.put_count
            self.put_count += len(messages)
            self._unsettled += len(messages)
        self._loop.call_soon_threadsafe(self._hand_over, first, messages)
        return first

    def wait(self, patience_s: float = inf) -> bool:
        """Until all are settled, or for so long. The answer: whether they are. Raises BrokerUnreachableError."""
        return self._until(lambda: not self._unsettled, patience_s)

    def wait_for_answers(self, patience_s: float) -> bool:
        """Until every sample is answered, or for so long. The answer: whether they are."""
        return self._until(lambda: len(self.acknowledged) == self.put_count, patience_s)

    def close(self) -> None:
        """Breaks all lines. What is not answered is given up."""
        if not self._ends:
            self._ends = True
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _until(self, is_so: Callable[[], bool], patience_s: float) -> bool:
        end_s = time.monotonic() + patience_s
        with self._changed:
            while not is_so():
                now_s = time.monotonic()
                if now_s >= end_s:
                    return False
                if self._alone_since_s is not None and now_s - self._alone_since_s > self._patience_s:
                    host, port = self._address
                    raise BrokerUnreachableError(f"{host}:{port}: no logger has a connection; is its source running?")
                self._changed.wait(min(0.5, end_s - now_s))
        return True

    # In the loop's thread.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            for station in self._lines:
                self._dial(station)
            self._loop.run_forever()
            self._loop.run_until_complete(self._end())
        finally:
            self._loop.close()

    async def _end(self) -> None:
        for task in self._dialling:
            task.cancel()
        await asyncio.gather(*self._dialling, return_exceptions=True)
        for line in self._lines.values():
            line.close()
        await asyncio.sleep(0)  # the transports say good-bye

    def _dial(self, station: str) -> None:
        task = self._loop.create_task(self._connect(station))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _connect(self, station: str) -> None:
        """Tries until there is a connection, less and less often."""
        line = self._lines[station]
        while True:
            try:
                async with self._room, asyncio.timeout(DIAL_S):
                    await self._loop.create_connection(lambda: line, *self._address)
            except OSError:  # TimeoutError is one
                await asyncio.sleep(self._next_pause_s(station))
                continue
            with self._changed:
                self._alone_since_s = None
            return

    def _next_pause_s(self, station: str) -> float:
        """Grows while nothing is answered."""
        pause_s = self._pauses[station]
        self._pauses[station] = min(pause_s * 2, self._longest_pause_s)
        return pause_s

    def _on_lost(self, station: str) -> None:
        if self._ends:
            return
        with self._changed:
            if not self.connected:
                self._alone_since_s = time.monotonic()
        self._loop.call_later(self._next_pause_s(station), self._dial, station)

    def _hand_over(self, first: int, messages: Sequence[Outgoing]) -> None:
        touched: dict[str, Line] = {}
        for number, message in enumerate(messages, first):
            if message.said is None:
                raise ValueError(f"a message of {message.station} says nothing that a logger could send")
            self._passing.reach(message.sent_ns)
            line = touched.setdefault(message.station, self._lines[message.station])
            line.logger.put(number, message.said)
        for line in touched.values():
            line.turn()

    def _on_answered(self, station: str, number: int) -> None:
        self._pauses[station] = FIRST_PAUSE_S
        with self._changed:
            self.acknowledged.add(number)
            self._changed.notify_all()

    def _on_settled(self, _number: int) -> None:
        with self._changed:
            self._unsettled -= 1
            if not self._unsettled:
                self._changed.notify_all()


class Passing:
    """Time that passes by itself from the newest moment that was reached."""

    def __init__(self, start_ns: int, speed: float) -> None:
        self._at_ns, self._speed = start_ns, speed
        self._since_s = time.monotonic()

    def reach(self, at_ns: int) -> None:
        """It is at least so late."""
        if at_ns > self():
            self._at_ns, self._since_s = at_ns, time.monotonic()

    def __call__(self) -> int:
        return self._at_ns + round((time.monotonic() - self._since_s) * self._speed * 1e9)
