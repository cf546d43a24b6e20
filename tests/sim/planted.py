"""Mistakes that a pipeline like this one is prone to, each planted in one part."""

from collections.abc import Sequence

from ingest.acks import AckWindow
from ingest.message import Block, Busy, Entry, Refused, Stored
from ingest.recorder import Recorder
from rules.readings import Judged, SeriesKey, Transition
from tests.sim.parts import WorldJournal, WorldLedger, WorldStore

LATER = 12  # records


class AcknowledgesFirst(Recorder):
    """What was taken is acknowledged at once, not when it is durable."""

    def _take(self) -> None:
        super()._take()
        for portion in self._portions:
            self._settles.extend(portion.settles)
            portion.settles = []
        self._settle()


class MovesTheCursorFirst(WorldLedger):
    """The cursor and the snapshot are kept at once; what was found goes into a transaction of its own, later."""

    _found: list[Transition]
    _records = 0

    def record(self, transitions: Sequence[Transition], *, judged: int, stored: int, snapshot: bytes | None) -> None:
        if not self._records:
            self._found = []
        super().record([], judged=judged, stored=stored, snapshot=snapshot)
        self._found += transitions
        self._records += 1
        if self._records % LATER == 0 or self._world.is_calm:
            super().record(self._found, judged=judged, stored=stored, snapshot=None)
            self._found = []


class CountsOfferedAsStored(WorldLedger):
    """The cursor `stored` goes with what was judged, not with what the store has."""

    def record(self, transitions: Sequence[Transition], *, judged: int, stored: int, snapshot: bytes | None) -> None:
        super().record(transitions, judged=judged, stored=judged, snapshot=snapshot)


class KnowsNoEpochs(AckWindow):
    """A reconnect changes nothing: what became durable is acknowledged on whatever connection there is."""

    def connected(self) -> int:
        return self._epoch


class SkipsWhatWasRefused(WorldStore):
    """A store that is busy is taken for one that has the rows."""

    def write(self, rows: Judged, keys: Sequence[SeriesKey]) -> Stored | Refused | Busy:
        answer = super().write(rows, keys)
        return Stored() if isinstance(answer, Busy) else answer


class KeepsTicksInMemory(WorldJournal):
    """Time passes for the engine of this process, and for no later one."""

    _ticks: frozenset[int] = frozenset()

    def append(self, blocks: Sequence[Block], now_ns: int, *, tick: bool) -> int:
        number = super().append(blocks, now_ns, tick=False)
        if tick:
            self._ticks |= {number}
        return number

    def read(self, after: int, most_messages: int) -> list[Entry]:
        entries = super().read(after, most_messages)
        for entry in entries:
            entry.tick = entry.number in self._ticks
        return entries
