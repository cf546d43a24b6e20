"""Which version of the register of stations judges which entries of the journal.

A change of the register is a turn: it is written down, in the ledger, after which entry it holds. So whoever judges
these entries again, after a kill or for the store, judges each of them by the same stations as the first time.
"""

from collections.abc import Callable, Sequence
from functools import partial

from ingest.judging import Choose, Lane
from ingest.message import Entry
from rules.engine import Engine

Restore = Callable[[bytes | None, int], Engine]
FormatsOf = Callable[[int], Choose]


class Turns:
    """Makes lanes, and lets each go on under the register that holds for its next entry.

    `restore` makes an engine under a version of the register, from a snapshot or, from None, a new one; it raises
    SnapshotUnreadable. `formats` answers, afresh for each engine, which format a (source, topic) speaks. Version 0
    holds before the first turn.
    """

    def __init__(self, restore: Restore, formats: FormatsOf) -> None:
        self._restore = restore
        self._formats = formats
        self._turns: list[tuple[int, int]] = []  # after entry, the version
        self._freshness = 0

    @property
    def newest(self) -> int:
        """The version that holds for what comes next."""
        return self._turns[-1][1] if self._turns else 0

    def begin(self, turns: Sequence[tuple[int, int]]) -> None:
        """At a start: the turns there were, oldest first."""
        self._turns = list(turns)

    def add(self, entry: int, version: int) -> None:
        """From the entry after this one on, this version holds."""
        self._turns.append((entry, version))

    def refresh(self) -> None:
        """What formats were told beside the register has changed: each lane gets new ones. From any thread."""
        self._freshness += 1

    def lane(self, snapshot: bytes | None, entry: int) -> Lane:
        """A lane that has judged up to `entry`. Raises SnapshotUnreadable."""
        turns = sum(after < entry for after, _ in self._turns)
        version = self._version(turns)
        return self._lane(self._restore(snapshot, version), entry, turns, self._freshness)

    def portion(self, lane: Lane, entries: list[Entry]) -> tuple[Lane, list[Entry]]:
        """Of the next entries those that one register judges, and the lane that judges them: this, or its heir."""
        if not entries:
            return lane, entries
        first, freshness = entries[0].number, self._freshness
        while lane.turns < len(self._turns) and self._turns[lane.turns][0] < first:
            engine = self._restore(lane.engine.snapshot(), self._turns[lane.turns][1])
            lane = self._lane(engine, lane.entry, lane.turns + 1, freshness)
        if lane.freshness != freshness:
            lane = self._lane(lane.engine, lane.entry, lane.turns, freshness)
        if lane.turns == len(self._turns):
            return lane, entries
        return lane, [entry for entry in entries if entry.number <= self._turns[lane.turns][0]]

    def _lane(self, engine: Engine, entry: int, turns: int, freshness: int) -> Lane:
        formats = partial(self._formats, self._version(turns))
        return Lane(engine, entry, formats, turns=turns, freshness=freshness)

    def _version(self, turns: int) -> int:
        return self._turns[turns - 1][1] if turns else 0
