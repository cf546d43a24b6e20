"""Judged rows go into the store, in order, through a bounded hand-over; and how far they have come."""

import json
import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from time import perf_counter

import numpy as np

from ingest.message import Busy, Health, Problem, Refused, Store, position_of
from ingest.quarantine import Quarantine, reason_class
from ingest.records import Emit, Quarantined, RowsRefused, RowsStored, StoreBusy
from rules.readings import Judged, SeriesKey

MOST_ROWS = 200_000
ROWS_A_WRITE = 10_000
IDLE_S = 0.05
LAST_RETRY_S = 60.0
NO_ROWS = Judged(
    series=np.zeros(0, np.int64),
    measured_ns=np.zeros(0, np.int64),
    value=np.zeros(0, np.float64),
    flag=np.zeros(0, np.uint8),
    verdict=np.zeros(0, np.uint8),
    raised=np.zeros(0, np.uint64),
    late=np.zeros(0, np.bool_),
)


@dataclass(slots=True)
class _Offered:
    """Rows of entries up to `entry`, named by `keys`."""

    entry: int
    rows: Judged
    keys: Sequence[SeriesKey]


class Uploader:
    """Between the worker, who offers, and a thread, who calls `step`.

    Holds at most `most_rows` rows and one offer more. `dice` gives numbers in [0, 1) for the jitter of retries.
    """

    def __init__(
        self,
        store: Store,
        quarantine: Quarantine,
        emit: Emit,
        *,
        most_rows: int = MOST_ROWS,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._quarantine = quarantine
        self._emit = emit
        self._most_rows = most_rows
        self._dice = dice
        self._lock = Lock()  # guards the queue and its count
        self._queue: deque[_Offered] = deque()
        self._rows = 0  # in the queue and in `_writing`
        self._offered = 0
        self._writing: list[_Offered] = []  # taken from the queue, not yet in the store
        self._stored = 0
        self._busy = 0  # times in a row
        self._why = ""
        self.rows_stored = 0
        self.rows_refused = 0

    @property
    def stored(self) -> int:
        """Every row of entries up to here is in the store or, refused, in quarantine."""
        return self._stored

    @property
    def offered(self) -> int:
        """Rows of entries up to here were accepted: they are stored or wait here."""
        return self._offered

    @property
    def waiting(self) -> int:
        """Rows held here."""
        return self._rows

    @property
    def well(self) -> bool:
        """Whether the store took what it was last given."""
        return not self._busy

    def begin(self, stored: int) -> None:
        """At a start, before the first offer: entries up to `stored` are in the store."""
        with self._lock:
            self._queue.clear()
            self._writing = []
            self._rows = 0
            self._stored = self._offered = stored

    def offer(self, entry: int, rows: Judged, keys: Sequence[SeriesKey]) -> bool:
        """Hands over all rows of the entries after the last offer up to `entry`; False, and nothing done, when full."""
        with self._lock:
            if len(rows) and self._rows >= self._most_rows:
                return False
            if self._queue and not len(rows):
                self._queue[-1].entry = entry  # ticks alone must not make the queue grow
            else:
                self._queue.append(_Offered(entry, rows, keys))
            self._rows += len(rows)
            self._offered = entry
        return True

    def step(self) -> float:
        """Writes once. Returns how many seconds to wait before the next call, 0 when there is more."""
        self._fill()
        if not self._writing:
            return IDLE_S
        rows = joined([offered.rows for offered in self._writing])
        began = perf_counter()
        answer = self._store.write(rows, self._writing[0].keys) if len(rows) else None
        if isinstance(answer, Busy):
            return self._back_off(answer)
        refused = 0
        if isinstance(answer, Refused):
            refused = len(answer.rows)
            self._put_aside(answer, rows)
        self._busy, self._why = 0, ""
        with self._lock:
            self._stored = self._writing[-1].entry
            self._writing = []
            self._rows -= len(rows)
        if len(rows):
            self.rows_stored += len(rows) - refused
            self._emit(RowsStored(len(rows) - refused, perf_counter() - began))
        return 0.0

    def health(self, now_ns: int) -> Health:  # noqa: ARG002  # every part is told the time
        """Red while the store takes nothing."""
        if not self._busy:
            return Health(ok=True)
        return Health(ok=False, why=f"the store takes nothing: {self._why}; {self._rows} rows wait")

    def _fill(self) -> None:
        """Takes what is written together: rows named by the same keys, as far as they make one write."""
        if self._writing:
            return
        with self._lock:
            held = 0
            while self._queue:
                first = self._queue[0]
                mixed = self._writing and first.keys is not self._writing[0].keys
                if self._writing and len(first.rows) and (mixed or held + len(first.rows) > ROWS_A_WRITE):
                    break
                held += len(first.rows)
                self._writing.append(self._queue.popleft())

    def _back_off(self, answer: Busy) -> float:
        self._busy += 1
        self._why = answer.why
        longest_s = min(answer.retry_after_s * 2.0 ** min(self._busy - 1, 10), LAST_RETRY_S)
        retry_after_s = max(longest_s * (0.5 + self._dice() / 2), answer.retry_after_s)
        self._emit(StoreBusy(answer.why, retry_after_s))
        return retry_after_s

    def _put_aside(self, answer: Refused, rows: Judged) -> None:
        ends = np.cumsum([len(offered.rows) for offered in self._writing])
        problems = []
        for row, reason in zip(answer.rows, answer.reasons, strict=True):
            offered = self._writing[int(np.searchsorted(ends, row, side="right"))]
            problems.append(_problem(offered.entry, offered.keys[int(rows.series[row])], rows, row, reason))
        self._quarantine.keep(problems)
        self.rows_refused += len(problems)
        self._emit(RowsRefused(len(problems), answer.reasons[0] if answer.reasons else ""))
        for word, count in Counter(reason_class(problem.reason) for problem in problems).items():
            self._emit(Quarantined(count, word))


def joined(parts: Sequence[Judged]) -> Judged:
    """The rows of all parts, one after the other. The parts must be named by the same keys."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return NO_ROWS
    return Judged(
        series=np.concatenate([part.series for part in parts]),
        measured_ns=np.concatenate([part.measured_ns for part in parts]),
        value=np.concatenate([part.value for part in parts]),
        flag=np.concatenate([part.flag for part in parts]),
        verdict=np.concatenate([part.verdict for part in parts]),
        raised=np.concatenate([part.raised for part in parts]),
        late=np.concatenate([part.late for part in parts]),
    )


def _problem(entry: int, key: SeriesKey, rows: Judged, row: int, reason: str) -> Problem:
    """A row that the store refused, told as JSON; nan is null there."""
    value = float(rows.value[row])
    measured_ns = int(rows.measured_ns[row])
    told = {
        "station": key.station,
        "parameter": key.parameter,
        "kind": key.kind.name.lower(),
        "measured_ns": measured_ns,
        "value": value if np.isfinite(value) else None,
        "flag": int(rows.flag[row]),
        "verdict": int(rows.verdict[row]),
    }
    where = f"{key.station}/{key.parameter}/{key.kind.name.lower()}/{measured_ns}"
    payload = json.dumps(told).encode()  # ASCII: a name that is not text stays readable
    return Problem(position_of(entry, 0), where, f"refused by the store: {reason}", payload, "store")
