"""Many channels mark their notices in one ledger, and none comes late because of that."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

from alerts.ledger import SqlLedger
from alerts.routing import Route
from tests.alerts.found import NOON_NS, change, story


class Held(threading.Thread):
    """Writes to the ledger for as long as it is told: reading the time is the last thing it does in its transaction."""

    def __init__(self, ledger_of: Callable[[Callable[[], int]], SqlLedger], for_s: float) -> None:
        super().__init__()
        self.writing = threading.Event()
        self.ended_s = 0.0
        self._for_s = for_s
        self._ledger = ledger_of(self._slow_clock)

    def run(self) -> None:
        self._ledger.record([change(episode=f"{self._for_s}")], judged=1, stored=1, snapshot=None)
        self.ended_s = time.monotonic()

    def _slow_clock(self) -> int:
        self.writing.set()
        time.sleep(self._for_s)
        return NOON_NS


def test_who_waits_to_write_is_next_as_soon_as_the_other_has_written(tmp_path: Path) -> None:
    """SQLite lets who waits sleep for a tenth of a second at a time."""
    clocks: list[Callable[[], int]] = [lambda: NOON_NS]

    def clock() -> int:
        return clocks[-1]()

    ledger = SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", [Route(channel="a")], clock)

    def with_clock(clock: Callable[[], int]) -> SqlLedger:
        clocks.append(clock)
        return ledger

    dice = random.Random(1)
    late_s = []
    with closing(ledger):
        ledger.record(story(1, "A"), judged=1, stored=1, snapshot=None)
        for _ in range(9):
            other = Held(with_clock, 0.3 + dice.random() / 10)
            other.start()
            assert other.writing.wait(10)
            ledger.postpone("a", story(1, "A")[0].id, 0, "why")
            done_s = time.monotonic()
            other.join()
            late_s.append(done_s - other.ended_s)
    assert median(late_s) < 0.03, late_s
