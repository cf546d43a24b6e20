"""Plain code that waits for asynchronous code, so that what waits for many things can be bounded as a whole."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Turning:
    """An event loop that turns while somebody waits, and stands still otherwise. Used by one thread at a time."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Its answer. What it began and did not end goes on at the next `run`."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(work)

    def end(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs `last` and drops the rest; `run` may begin anew. Nothing happens while a thread left behind is in `run`."""
        if self._runner is None or self._runner.get_loop().is_running():
            return
        runner, self._runner = self._runner, None
        runner.run(last())
        runner.close()
