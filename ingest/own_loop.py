"""The event loop on a source's own thread, as other threads see it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any


class OwnLoop:
    """One thread lives on it, one life after another; any other may give it work, or ask it to end for good."""

    def __init__(self) -> None:
        self.stopping = Event()  # no more lives
        self._lock = Lock()  # guards the next: a loop that is closed takes no calls
        self._life: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def call(self, work: Callable[..., object], *arguments: Any) -> bool:
        """Has the loop do it soon. False: there is no life now, and it will not be done."""
        with self._lock:
            if self._life is None:
                return False
            self._life[0].call_soon_threadsafe(work, *arguments)
            return True

    def stop(self) -> None:
        """Ends the life there is, and lets no other begin. Returns at once."""
        self.stopping.set()
        with self._lock:
            if self._life is not None:
                loop, ending = self._life
                loop.call_soon_threadsafe(ending.set)

    @contextmanager
    def living(self) -> Iterator[asyncio.Event]:
        """A life, on the loop that runs: what is yielded is set when it shall end."""
        ending = asyncio.Event()
        with self._lock:
            self._life = (asyncio.get_running_loop(), ending)
        if self.stopping.is_set():
            ending.set()
        try:
            yield ending
        finally:
            with self._lock:
                self._life = None
