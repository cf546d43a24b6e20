"""The engine: readings in arrival order go in, words and changes of episodes come out.

It is a fold: what comes out depends on the watchlist and on what went in before, in its order, and on nothing else.
Cutting a batch anywhere changes nothing. One thread at a time may use it.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np

from rules.checks.silence import judge_tick
from rules.episodes import CLEARED, WHAT
from rules.findings import OpenEpisode, describe_open, transition
from rules.ordering import CONFLICTS, DUPLICATES, LATES, UNWATCHED, route, settle, weigh
from rules.outcomes import joined, words_by_rule
from rules.readings import Batch, Counts, Int64s, Judged, Outcome, SeriesKey, Transition
from rules.roster import Roster
from rules.scratch import CHUNK, Scratch
from rules.snapshots import pack, unpack
from rules.state import READING, Moved, Records, touch
from rules.tables import NOBODY, Table
from rules.watches import Watchlist

RULE_IS_GONE = "rule no longer watches this"

Found = list[tuple[tuple[int, int, int], Transition]]  # by reading, check, slot: the order in which they are told


class Engine:
    """Judges readings by a watchlist. Numbers never make it raise; a watch that no check can keep does (ValueError)."""

    def __init__(self, watchlist: Watchlist) -> None:
        self._roster = Roster(watchlist)
        self._scratch = Scratch()
        self._tables: list[Table] = []
        self._batches = 0
        self._orphans: list[OpenEpisode] = []

    @property
    def keys(self) -> Sequence[SeriesKey]:
        """The series by their places. It only grows."""
        return self._roster.keys

    def place(self, key: SeriesKey) -> int:
        """The place of a series, for the column `series` of a batch. The same for ever, also after a restore."""
        return self._roster.place(key)

    def evaluate(self, batch: Batch, *, explain: bool = False) -> Outcome:
        """Judges readings in their order. `explain`: every rule's own word as well (slower)."""
        if len(batch) <= CHUNK:
            return self._evaluate(batch, explain=explain)
        starts = range(0, len(batch), CHUNK)
        return joined([self._evaluate(batch.rows(at, at + CHUNK), explain=explain) for at in starts])

    def tick(self, now_ns: int) -> list[Transition]:
        """Time has passed up to `now_ns` of the received clock: who should have spoken, and did not?"""
        found = [transition(orphan, WHAT[CLEARED], now_ns, now_ns, RULE_IS_GONE) for orphan in self._orphans]
        self._orphans = []
        table = self._roster.tables["silence"]
        if not table.size:
            return found
        readings = np.zeros(table.size, READING)
        moves = np.zeros((1, table.size), dtype=np.uint8)
        place = np.arange(table.size, dtype=np.int32)[:, np.newaxis]
        manners = self._roster.manners.records
        with np.errstate(all="ignore"):
            raised = judge_tick(now_ns, readings, table.limits.records, table.state, moves)
            events = table.move(readings, place, moves, np.zeros((1, 1)), raised, manners)
        return found + [change for _, change in self._told(table, events)]

    def open_episodes(self) -> list[OpenEpisode]:
        """The episodes that are open, oldest first."""
        roster = self._roster
        episodes = [
            describe_open(roster.watch(table, int(record["row"])), table.spec.moved, record)
            for table in roster.tables.values()
            for record in table.pool[(table.pool["row"] != NOBODY) & (table.pool["open"] == 1)]
        ]
        return sorted([*self._orphans, *episodes], key=lambda e: (e.since_ns, e.episode))

    def snapshot(self) -> bytes:
        """All that was learnt, as bytes that only `restore` reads."""
        return pack(self._roster, self._orphans)

    @classmethod
    def restore(cls, snapshot: bytes, watchlist: Watchlist) -> Self:
        """An engine that goes on where the snapshot was taken.

        The watchlist may be another: what a (check, rule, subject) has learnt goes to the watch of that name, the
        rest is let go; open episodes of rules that are gone are cleared at the next tick. Raises SnapshotUnreadable.
        """
        engine = cls(watchlist)
        engine._orphans = unpack(snapshot, engine._roster)
        return engine

    def _evaluate(self, batch: Batch, *, explain: bool) -> Outcome:
        self._batches += 1
        tables = self._lay_out()
        roster, desk = self._roster, self._scratch
        readings = desk.load(batch)
        counts = np.zeros(4, dtype=np.int64)
        with np.errstate(all="ignore"):  # without the compiler numpy would warn where the kernels just go on
            raised = self._judge(readings, tables, counts)
            found: Found = []
            for table, bad in zip(tables, raised, strict=True):
                if bad or table.running:
                    found += self._moved(table, readings, bad)
            weigh(desk.words, desk.roles, desk.bits, readings.size, desk.ranks, desk.said, desk.raised)
            weights = (desk.ranks, desk.said, desk.raised, roster.given, self._batches, int(explain))
            end = settle(readings, desk.moves, desk.amending, desk.bits, *weights, desk.out, desk.settled)
        found.sort(key=lambda pair: pair[0])
        return Outcome(
            judged=self._judged(end),
            transitions=[change for _, change in found],
            counts=Counts(
                judged=len(batch) - int(counts[DUPLICATES]),
                late=int(counts[LATES]),
                duplicates=int(counts[DUPLICATES]),
                conflicts=int(counts[CONFLICTS]),
                unwatched=int(counts[UNWATCHED]),
            ),
            words=words_by_rule(roster, desk, tables, readings, end) if explain else {},
        )

    def _lay_out(self) -> list[Table]:
        """The tables in use, in the order of their bits; the desk has a row for each of their slots."""
        slots = self._scratch.slots_of
        for table in self._roster.tables.values():
            at = slots.get(table.spec.name)
            if table.slots != (at.stop - at.start if at else 0):
                self._tables = [t for t in self._roster.tables.values() if t.slots]
                self._scratch.lay_out(self._tables)
                break
        return self._tables

    def _judge(self, readings: Records, tables: Sequence[Table], counts: Int64s) -> list[int]:
        """Lets every check speak; how often each raised. The order of readings is made once their times are known."""
        early = [t for t in tables if t.spec.moved is Moved.BY_ARRIVAL]
        raised = {t.spec.name: self._ask(t, readings) for t in early}
        times = sum(t.slots for t in early)  # their bits are lowest, so their words stand first
        route(readings, self._scratch.words[:times], self._roster.newest, counts)
        raised |= {t.spec.name: self._ask(t, readings) for t in tables if t not in early}
        return [raised[t.spec.name] for t in tables]

    def _ask(self, table: Table, readings: Records) -> int:
        words, excess, moves = self._scratch.views[table.spec.name]
        touch(readings, table.place, table.state["told"])
        remembered = (table.place, table.limits.records, table.state, table.ring)
        return table.spec.judge(readings, *remembered, words, excess, moves)

    def _moved(self, table: Table, readings: Records, raised: int) -> Found:
        """What the words of one check did to its episodes."""
        words, excess, moves = self._scratch.views[table.spec.name]
        moving = words if table.spec.moved is Moved.BY_READING else moves
        return self._told(
            table, table.move(readings, table.place, moving, excess, raised, self._roster.manners.records)
        )

    def _told(self, table: Table, events: int) -> Found:
        found: Found = []
        for at in range(events):
            event = table.events[at]
            watch = self._roster.watch(table, int(event["row"]))
            episode = describe_open(watch, table.spec.moved, table.copies[at])
            change = transition(episode, WHAT[event["what"]], int(event["at_ns"]), int(event["found_ns"]))
            found.append(((int(event["reading"]), table.spec.bit, int(event["slot"])), change))
        return found

    def _judged(self, end: int) -> Judged:
        rows = self._scratch.out[:end]
        names = ("series", "measured_ns", "value", "flag", "verdict", "raised", "late")
        return Judged(*(rows[name].copy() for name in names))
