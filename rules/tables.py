"""The table of one check: who watches what in which slot, what was told, what is remembered, which episodes run."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rules.checks import CheckSpec
from rules.episodes import EPISODE, EVENT, describe, manner_key, move
from rules.readings import Float64s, Int64s, UInt8s
from rules.state import FAR_PAST_NS, Int32s, Records
from rules.watches import Watch

T = TypeVar("T", bound=np.generic)

NOBODY = -1


def grown(array: NDArray[T], size: int, fill: object = 0) -> NDArray[T]:
    """The array, or a copy at least twice as long with room for `size`; what is new holds `fill`."""
    if size <= array.shape[0]:
        return array
    wider = np.empty((max(size, 2 * array.shape[0]), *array.shape[1:]), dtype=array.dtype)
    wider[: array.shape[0]] = array
    wider[array.shape[0] :] = np.zeros(1, array.dtype) if fill == 0 else fill
    return wider


class Distinct:
    """Records that many share: each distinct one is kept once."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.records: Records = np.zeros(8, dtype)
        self._known: dict[Hashable, int] = {}

    def index(self, key: Hashable, fill: Callable[[np.void], None]) -> int:
        """Where the record of the key is kept; `fill` writes it when the key is new. What `fill` raises passes."""
        at = self._known.get(key)
        if at is None:
            at = len(self._known)
            self.records = grown(self.records, at + 1)
            fill(self.records[at])
            self._known[key] = at
        return at


class Table:
    """Row by row, what one check knows of its subjects.

    A subject with several watches of this check has a row for each, in slots 0, 1, 2; `place[series, slot]` leads to it.
    """

    def __init__(self, spec: CheckSpec, series_room: int) -> None:
        self.spec = spec
        self.size = 0
        self.place: Int32s = np.full((series_room, 0), NOBODY, dtype=np.int32)
        self.limits = Distinct(spec.limits)
        self.state: Records = np.zeros(8, spec.state)
        self.ring: Float64s = np.zeros(1)
        self.ring_size = 0
        self.subject: Int32s = np.zeros(8, dtype=np.int32)
        self.manner: Int32s = np.zeros(8, dtype=np.int32)
        self.ended: Int64s = np.full(8, FAR_PAST_NS, dtype=np.int64)
        self.pool: Records = np.zeros(0, EPISODE)
        self.free: Int32s = np.zeros(1, dtype=np.int32)
        self._make_room_for_episodes(16)
        self.events: Records = np.zeros(64, EVENT)
        self.copies: Records = np.zeros(64, EPISODE)

    @property
    def slots(self) -> int:
        return int(self.place.shape[1])

    @property
    def running(self) -> int:
        """Episodes pending or open."""
        return self.pool.size - int(self.free[0])

    def add(self, watch: Watch, subject: int, rule: int, unit: int, manners: Distinct) -> int:
        """A row for one watch on one subject. Raises ValueError for what the check cannot keep."""
        told = self.limits.index(
            (watch.thresholds, watch.interval_ns, *watch.limits),
            lambda limits: self.spec.bind(watch.thresholds, watch, limits),
        )
        manner = manners.index(manner_key(watch), lambda record: describe(watch, rule, unit, record))
        points = self.spec.points(watch.thresholds, watch)
        row = self.size
        self.size += 1
        if self.size > self.subject.size:
            self.state = grown(self.state, self.size)
            self.subject = grown(self.subject, self.size)
            self.manner = grown(self.manner, self.size)
            self.ended = grown(self.ended, self.size, FAR_PAST_NS)
        self.state["told"][row], self.state["active"][row] = told, NOBODY
        self.manner[row] = manner
        self.subject[row] = subject
        if points:
            self.state[row]["ring_at"], self.state[row]["ring_size"] = self.ring_size, points
            self.ring_size += points
            self.ring = grown(self.ring, self.ring_size)
        return row

    def lead(self, slot: int, series: int, row: int) -> None:
        """From now on readings of the series reach the row in this slot."""
        if slot >= self.slots:
            self._widen(self.place.shape[0], slot + 1)
        self.place[series, slot] = row

    def make_room_for_series(self, room: int) -> None:
        self._widen(room, self.slots)

    def move(
        self, readings: Records, place: Int32s, words: UInt8s, excess: Float64s, raised: int, manners: Records
    ) -> int:
        """Moves the episodes over a batch of which `raised` words may raise; how many events lie in `events`."""
        running = self.running
        if not raised and not running:
            return 0
        self._make_room_for_episodes(raised)
        room = 2 * raised + running
        self.events, self.copies = grown(self.events, room), grown(self.copies, room)
        moved = int(self.spec.moved)
        state = (self.state["active"], self.manner, manners, self.ended, self.pool, self.free)
        return move(moved, readings, place, words, excess, *state, self.events, self.copies)

    def run(self, row: int, episode: np.void) -> None:
        """Takes up an episode for the row that was running elsewhere (in a snapshot)."""
        self._make_room_for_episodes(1)
        at = int(self.free[self.free[0]])
        self.free[0] -= 1
        self.pool[at] = episode
        self.pool[at]["row"] = row
        self.state["active"][row] = at

    def _widen(self, series: int, slots: int) -> None:
        wider = np.full((series, slots), NOBODY, dtype=np.int32)
        wider[: self.place.shape[0], : self.slots] = self.place
        self.place = wider

    def _make_room_for_episodes(self, wanted: int) -> None:
        if self.free[0] >= wanted:
            return
        old = self.pool.size
        self.pool = grown(self.pool, old + wanted)
        self.pool["row"][old:] = NOBODY
        self.free = grown(self.free, self.pool.size + 1)
        fresh = np.arange(self.pool.size - 1, old - 1, -1, dtype=np.int32)  # lowest on top
        self.free[self.free[0] + 1 : self.free[0] + 1 + fresh.size] = fresh
        self.free[0] += fresh.size
