"""A part's thread: a loop round its `step`. What a part does stands in the part; when it is called stands here."""

from collections.abc import Callable
from threading import Event, Thread

from ingest.message import Health
from ingest.records import Emit, PartFailed

PAUSE_S = 1.0


class Loop:
    """Calls `step` in a thread of its own until it is stopped.

    `step` answers True (there is more: call again at once), False (nothing to do: call again after `idle_s`, or when
    woken), or the number of seconds to wait. An error that it did not expect is told, and after a pause it is called
    again: a part must be able to go on after any error of its own.
    """

    def __init__(self, part: str, step: Callable[[], float], emit: Emit, *, idle_s: float = 0.05) -> None:
        self._part = part
        self._step = step
        self._emit = emit
        self._idle_s = idle_s
        self._woken = Event()
        self._stopped = False
        self._why = ""
        self._thread = Thread(target=self._run, name=part, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do. From any thread; costs next to nothing."""
        self._woken.set()

    def stop(self, timeout_s: float | None = None) -> bool:
        """Ends the loop after the present step. False when the step did not end in time."""
        self._stopped = True
        self._woken.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def health(self, now_ns: int) -> Health:  # noqa: ARG002  # every part is told the time
        if self._why:
            return Health(ok=False, why=self._why)
        if not self._thread.is_alive():
            return Health(ok=False, why=f"the {self._part} does not run")
        return Health(ok=True)

    def _run(self) -> None:
        while not self._stopped:
            try:
                answer = self._step()
                self._why = ""
            except Exception as error:  # noqa: BLE001  # the last line of defence: a thread must not die silently
                self._why = f"the {self._part} failed and tries again: {error!r}"
                self._emit(PartFailed(self._part, repr(error)))
                answer = PAUSE_S
            if answer is True:
                continue
            self._woken.wait(self._idle_s if answer is False else answer)
            self._woken.clear()
