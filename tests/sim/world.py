"""A world made from one seed: its time, its dice, its disk, and what goes wrong in it and when.

Nothing else in the simulation rolls dice or asks for the time, so the same seed tells the same story.
"""

import hashlib
import random
import shutil
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rules.readings import SECOND_NS

# Six seconds before a midnight in UTC, so that a day of the journal ends in the middle of a history.
BEGIN_NS = 1_772_409_594 * SECOND_NS
FAULTS_END_S = 20.0


class Killed(BaseException):
    """The process is gone: no code of it runs any more, and the disk stays as it was at that moment."""


class Mistake(Exception):
    """A mistake in the code, as far as the other parts can tell."""


class Fault(StrEnum):
    """One kind of thing that goes wrong."""

    KILL = "kill"
    POWER = "power"  # what the ledger wrote lately goes with the kill, as its `synchronous = NORMAL` allows
    STOP = "stop"
    CONNECTION = "connection"
    RESEND = "resend"
    DISK_FULL = "disk full"
    JOURNAL_UNSURE = "journal unsure"  # an entry is written, and an error returned
    JOURNAL_UNREADABLE = "journal unreadable"
    STORE_BUSY = "store busy"
    STORE_UNSURE = "store unsure"  # rows are written, and Busy returned
    STORE_REFUSES = "store refuses"
    LEDGER_LOCKED = "ledger locked"
    LEDGER_UNSURE = "ledger unsure"
    QUARANTINE_LOCKED = "quarantine locked"
    JUDGING_FAILS = "judging fails"  # by a mistake in the code: the worker begins again from its snapshot
    SNAPSHOT_UNREADABLE = "snapshot unreadable"
    CHANNEL_DOWN = "channel down"
    CHANNEL_UNSURE = "channel unsure"  # the receiver has the notice, and the sender an error
    CLOCK_BACK = "clock back"
    SLOW_PART = "slow part"
    RETENTION = "retention"
    LATE = "late"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    BAD_BYTES = "bad bytes"
    BAD_VALUE = "bad value"
    WRONG_CLOCK = "wrong clock"
    FLAG = "flag"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class Manner:
    """How a kind of fault comes: in so many spells of so many seconds, with a chance at each occasion in them."""

    most_spells: int
    longest_s: float
    least_chance: float
    most_chance: float


ALWAYS_S = 2 * FAULTS_END_S
MANNERS = {
    Fault.KILL: Manner(1, ALWAYS_S, 0.002, 0.012),
    Fault.POWER: Manner(1, ALWAYS_S, 0.3, 0.8),
    Fault.STOP: Manner(1, ALWAYS_S, 0.001, 0.006),
    Fault.CONNECTION: Manner(1, ALWAYS_S, 0.005, 0.05),
    Fault.RESEND: Manner(1, ALWAYS_S, 0.02, 0.1),
    Fault.DISK_FULL: Manner(2, 6.0, 0.5, 1.0),
    Fault.JOURNAL_UNSURE: Manner(3, 5.0, 0.1, 0.5),
    Fault.JOURNAL_UNREADABLE: Manner(3, 5.0, 0.1, 0.9),
    Fault.STORE_BUSY: Manner(2, 15.0, 0.5, 1.0),
    Fault.STORE_UNSURE: Manner(3, 10.0, 0.1, 0.9),
    Fault.STORE_REFUSES: Manner(1, ALWAYS_S, 1.0, 1.0),
    Fault.LEDGER_LOCKED: Manner(3, 8.0, 0.1, 1.0),
    Fault.LEDGER_UNSURE: Manner(3, 8.0, 0.1, 0.5),
    Fault.QUARANTINE_LOCKED: Manner(2, 8.0, 0.2, 1.0),
    Fault.JUDGING_FAILS: Manner(2, 8.0, 0.1, 0.6),
    Fault.SNAPSHOT_UNREADABLE: Manner(1, ALWAYS_S, 0.1, 0.5),
    Fault.CHANNEL_DOWN: Manner(3, 8.0, 0.1, 1.0),
    Fault.CHANNEL_UNSURE: Manner(3, 10.0, 0.1, 0.5),
    Fault.CLOCK_BACK: Manner(1, ALWAYS_S, 0.001, 0.004),
    Fault.SLOW_PART: Manner(2, 8.0, 0.5, 1.0),
    Fault.RETENTION: Manner(1, ALWAYS_S, 0.05, 0.3),
    Fault.LATE: Manner(2, 15.0, 0.05, 0.4),
    Fault.DUPLICATE: Manner(2, 15.0, 0.05, 0.4),
    Fault.CONFLICT: Manner(2, 15.0, 0.05, 0.3),
    Fault.BAD_BYTES: Manner(2, 15.0, 0.02, 0.2),
    Fault.BAD_VALUE: Manner(2, 15.0, 0.02, 0.2),
    Fault.WRONG_CLOCK: Manner(2, 15.0, 0.02, 0.2),
    Fault.FLAG: Manner(2, 15.0, 0.1, 0.9),
    Fault.SILENCE: Manner(2, 15.0, 0.02, 0.1),
}


@dataclass(frozen=True, slots=True)
class Spell:
    """Between these times this goes wrong, with this chance at each occasion."""

    from_s: float
    until_s: float
    chance: float


class World:
    """`root`: a folder of its own, where the disks lie. `faults`: those that come whatever the dice say, and often."""

    def __init__(self, seed: int, root: Path, faults: Collection[Fault] = ()) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.now_s = 0.0
        self.is_calm = False  # nothing goes wrong any more
        self.struck: Counter[str] = Counter()
        self.story: list[str] = []
        self._root = root
        self._disks = 0
        self.disk = root / "0"
        self.disk.mkdir()
        self._begin_ns = BEGIN_NS + self.dice.choice((0, 0, 3600)) * SECOND_NS
        self._set_back_ns = 0
        self._older_ledger: dict[str, bytes] = {}
        self.spells = {fault: self._spells(manner, on=fault in faults) for fault, manner in MANNERS.items()}
        if self.expects(Fault.POWER) or self.expects(Fault.SNAPSHOT_UNREADABLE):
            # Retention leaves days to the journal, which here it has not: what an older snapshot needs would be gone.
            self.spells[Fault.RETENTION] = []

    def _spells(self, manner: Manner, *, on: bool) -> list[Spell]:
        """None for about half of all faults, so that each can hide no other."""
        if self.dice.random() < 0.5 and not on:
            return []
        chance = manner.most_chance if on else self.dice.uniform(manner.least_chance, manner.most_chance)
        if manner.longest_s == ALWAYS_S:
            return [Spell(0.0, ALWAYS_S, chance)]
        starts = [self.dice.uniform(0.0, FAULTS_END_S) for _ in range(self.dice.randint(1, manner.most_spells))]
        return [Spell(start, start + self.dice.uniform(0.5, manner.longest_s), chance) for start in starts]

    # Time.

    def true_ns(self) -> int:
        """The time that a good clock shows."""
        return self._begin_ns + round(self.now_s * SECOND_NS)

    def clock(self) -> int:
        """The machine's wall clock, which may be set back."""
        return self.true_ns() - self._set_back_ns

    def monotonic(self) -> float:
        return self.now_s

    def set_clock_back(self) -> None:
        back_s = self.dice.choice((0.3, 2.0, 7.0))
        self._set_back_ns += round(back_s * SECOND_NS)
        self.tell("clock", f"set back by {back_s} s")

    # What goes wrong.

    def expects(self, fault: Fault) -> bool:
        """Whether this goes wrong somewhere in this history."""
        return bool(self.spells[fault])

    def strikes(self, fault: Fault) -> bool:
        """Whether it goes wrong now."""
        if self.is_calm:
            return False
        for spell in self.spells[fault]:
            if spell.from_s <= self.now_s < spell.until_s and self.dice.random() < spell.chance:
                self.struck[fault] += 1
                return True
        return False

    def may_die(self, where: str) -> None:
        """A moment at which a kill may come."""
        if self.strikes(Fault.KILL):
            self.kill(where)

    def kill(self, where: str) -> None:
        """The next process finds the files as they are now, whatever the dying one still does to its own."""
        self.tell("world", f"killed {where}")
        self._disks += 1
        disk = self._root / str(self._disks)
        shutil.copytree(self.disk, disk)
        self.disk = disk
        if self._older_ledger and self.strikes(Fault.POWER):
            self._lose_what_the_ledger_wrote()
        raise Killed(where)

    def remember_ledger(self) -> None:
        """The ledger as it is now is what a loss of power may leave of it."""
        if self.expects(Fault.POWER):
            self._older_ledger = {path.name: path.read_bytes() for path in self.disk.glob("ledger.sqlite*")}

    def _lose_what_the_ledger_wrote(self) -> None:
        self.tell("world", "the power failed, and the ledger is an older one")
        for path in self.disk.glob("ledger.sqlite*"):
            path.unlink()
        for name, content in self._older_ledger.items():
            (self.disk / name).write_bytes(content)

    @contextmanager
    def trouble(self, before: Fault, after: Fault | None, error: type[Exception], what: str) -> Iterator[None]:
        """Round something durable: it may fail before, or when it is done, or never come to an end."""
        self.may_die(f"before {what}")
        if self.strikes(before):
            self.tell("world", f"{before}: no {what}")
            raise error(f"simulated: {before}")
        yield
        self.may_die(f"after {what}")
        if after is not None and self.strikes(after):
            self.tell("world", f"{after}: {what} done, and nobody knows")
            raise error(f"simulated: {after}")

    # What is told afterwards.

    def tell(self, who: str, what: str) -> None:
        self.story.append(f"{self.now_s:8.3f}  {who:<10} {what}")

    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.story).encode()).hexdigest()
