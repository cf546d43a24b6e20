"""The order of things for every message: read from the journal, judge, keep what was found, offer the rows.

There are two cursors. `judged`: how far transitions are in the ledger. `stored`: how far rows are in the store. While
the store is away judging goes on and rows are let go; when it is back, a second lane makes them again from the journal.
"""

from collections import Counter
from time import perf_counter

from ingest.judging import Found, Lane
from ingest.message import Health, Journal, Ledger, ResumePoint
from ingest.quarantine import Quarantine, reason_class
from ingest.records import BatchJudged, CatchUp, Clock, Emit, PartFailed, Quarantined, TransitionsFound
from ingest.registers import FormatsOf, Restore, Turns
from ingest.uploader import Uploader
from rules.readings import SECOND_NS
from rules.snapshots import SnapshotUnreadable

MOST_MESSAGES = 4_000
PATIENCE_S = 20.0  # judging twice costs more than alerts that wait so long for a store that is only slow
READINGS_A_SERIES = 10  # between snapshots: a snapshot costs as much as there are series


class JournalFallsShort(Exception):  # it names a state of the world
    """The ledger knows entries that the journal does not have: they belong to different data folders, or files went.

    Going on would give their numbers to other messages, which would then be passed over.
    """


class Worker:
    """Judges what the journal holds.

    `restore` and `formats` make engines and formats under a version of the register, see `registers.Turns`; which one
    holds from where on is a matter of the ledger, and `rebind` asks for another. `clock` only bounds how far behind its
    messages a full but working store may hold judging (`patience_s`). A snapshot is taken of the lane whose rows go to
    the store, at most every `snapshot_every_s` of the journal's time, and at `finish`.
    """

    def __init__(
        self,
        journal: Journal,
        restore: Restore,
        formats: FormatsOf,
        quarantine: Quarantine,
        uploader: Uploader,
        ledger: Ledger,
        clock: Clock,
        emit: Emit,
        *,
        snapshot_every_s: float = 60.0,
        most_messages: int = MOST_MESSAGES,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._journal = journal
        self._turns = Turns(restore, formats)
        self._wanted: int | None = None  # the version of the register; None: the one there is
        self._quarantine = quarantine
        self._uploader = uploader
        self._ledger = ledger
        self._clock = clock
        self._emit = emit
        self._snapshot_every_ns = round(snapshot_every_s * SECOND_NS)
        self._most_messages = most_messages
        self._patience_ns = round(patience_s * SECOND_NS)
        self._live: Lane | None = None  # None: begin from the ledger
        self._found: Found | None = None  # by the live lane, and not yet handed on
        self._again: Lane | None = None
        self._remade: Found | None = None  # by the other lane, and not yet accepted
        self._is_attached = True  # the live lane's rows go to the store
        self._has_begun = False
        self._known = 0  # transitions up to here were recorded before this start
        self._mark = 0  # of the newest snapshot that was recorded
        self._snapshot_ns: int | None = None  # journal time of it, or of the start
        self._readings = 0  # judged since
        self._why = ""
        self.judged = 0

    @property
    def is_catching_up(self) -> bool:
        """Rows were let go, and are not all made again."""
        return not self._is_attached

    def step(self) -> bool:
        """Judges one portion of what is new, and makes one portion of rows again where they are owed.

        False when there is nothing to do, or somebody must be given time. Raises JournalDamaged, JournalFallsShort
        and whatever is a mistake in the code; the next call then begins from the last snapshot.
        """
        try:
            live = self._live or self._begin()
            self._turn(live)
            was_idle = not self._advance(live)
            live = self._live or live
            worked = self._found is not None and self._hand_on(self._found)
            if not self._is_attached:
                worked = self._catch_up(live, self._most_messages if was_idle else self._most_messages // 4) or worked
        except OSError as error:
            self._why = f"what was found cannot be kept, and waits: {error}"
            return False
        self._why = ""
        return worked

    def rebind(self, version: int) -> None:
        """From the next boundary between entries on the register of this version judges, with formats made afresh.

        From any thread. What was learnt goes on; open episodes of whatever is no longer watched end at the next tick.
        """
        self._wanted = version
        self._turns.refresh()

    def finish(self) -> None:
        """A clean stop, after the last step: the next start goes on from here. Raises OSError when it cannot."""
        if self._live is None or self._found is not None:
            return
        # After a start the lane may still be on its way to what was judged before: the snapshot stands for the lane.
        snapshot = self._live.engine.snapshot() if self._is_attached else None
        self._ledger.record([], judged=self._live.entry, stored=self._stored(), snapshot=snapshot)

    def health(self, now_ns: int) -> Health:  # noqa: ARG002  # every part is told the time
        """Red while the ledger or the quarantine takes nothing."""
        return Health(not self._why, self._why)

    # The live lane.

    def _begin(self) -> Lane:
        at = self._ledger.resume()
        if at.judged > self._journal.last():
            raise JournalFallsShort(
                f"the ledger has judged entry {at.judged}, the journal ends at {self._journal.last()}"
            )
        if not self._has_begun:
            self._uploader.begin(at.stored)
            self._known = at.judged
            self._has_begun = True
        self._turns.begin(at.turns)
        self._found = self._remade = self._again = None
        self._is_attached = True
        self._mark = at.mark
        self._snapshot_ns = None
        self.judged = at.judged
        self._live = self._lane_from(at)
        return self._live

    def _lane_from(self, at: ResumePoint) -> Lane:
        try:
            return self._turns.lane(at.snapshot, at.mark)
        except SnapshotUnreadable as error:
            why = f"the snapshot at entry {at.mark} cannot be read ({error}): judging again from the oldest entry"
            self._emit(PartFailed("worker", why))
            return self._turns.lane(None, 0)

    def _turn(self, live: Lane) -> None:
        """Lets another register hold after everything that was judged under the present one. Raises OSError."""
        wanted = self._wanted
        if wanted is not None and wanted != self._turns.newest:
            entry = max(live.entry, self.judged)  # the lane may still be on its way to what was judged before a start
            self._ledger.turn(entry, wanted)
            self._turns.add(entry, wanted)

    def _advance(self, live: Lane) -> bool:
        """Judges new entries, unless what was found before still waits. False when there are none."""
        if self._found is None and (entries := self._journal.read(live.entry, self._most_messages)):
            began = perf_counter()
            self._live = None  # an engine that broke off in the middle is not used again
            lane, entries = self._turns.portion(live, entries)
            self._found = lane.judge(entries)
            self._live = lane
            self._found.took_s = perf_counter() - began
        return self._found is not None

    def _hand_on(self, found: Found) -> bool:
        """Quarantine, then ledger, then store. False when the store must be given time. Raises OSError."""
        if not found.is_recorded:
            self._record(found)
        if self._is_attached and found.entry > self._uploader.offered and not self._offer(found):
            if self._may_wait(found):
                return False
            self._is_attached = False
        self._found = None
        return True

    def _record(self, found: Found) -> None:
        if found.problems:
            self._quarantine.keep(found.problems)
        lane = self._live if self._is_attached else None
        snapshot = lane.engine.snapshot() if lane and self._is_snapshot_due(lane, found) else None
        self._ledger.record(found.transitions, judged=found.entry, stored=self._stored(), snapshot=snapshot)
        self.judged = max(self.judged, found.entry)
        found.is_recorded = True
        if snapshot is not None:
            self._was_snapshot(found)
        self._tell(found)

    def _offer(self, found: Found) -> bool:
        return self._uploader.offer(found.entry, found.rows, found.keys)

    def _may_wait(self, found: Found) -> bool:
        """Whether a full uploader is only behind, and what was found is young: what is told of later messages waits, too."""
        age_ns = self._clock() - found.newest_received_ns
        return self._uploader.well and 0 <= age_ns < self._patience_ns

    # The other lane.

    def _catch_up(self, live: Lane, most_messages: int) -> bool:
        """Makes a portion of the rows again that were let go; True when some were accepted. Raises OSError."""
        if self._again is None:
            if not self._uploader.well:
                return False
            self._again = self._lane_from(self._ledger.resume())
            self._snapshot_ns = None
            self._emit(CatchUp(self._uploader.offered + 1, live.entry, done=False))
        lane = self._again
        if self._remade is None:
            entries = [e for e in self._journal.read(lane.entry, most_messages) if e.number <= live.entry]
            if entries:
                began = perf_counter()
                self._again = None
                lane, entries = self._turns.portion(lane, entries)
                self._remade = lane.judge(entries)
                self._again = lane
                self._remade.took_s = perf_counter() - began
        remade = self._remade
        if remade is not None:
            if remade.entry > self._uploader.offered and not self._offer(remade):
                return False
            self._remade = None
            self._tell_again(remade)
            if self._is_snapshot_due(lane, remade):
                snapshot = lane.engine.snapshot()
                self._ledger.record([], judged=remade.entry, stored=self._stored(), snapshot=snapshot)
                self._was_snapshot(remade)
        if lane.entry >= live.entry:
            self._again = None
            self._is_attached = True
            self._emit(CatchUp(lane.entry, live.entry, done=True))
        return True

    # Snapshots and telling.

    def _is_snapshot_due(self, lane: Lane, found: Found) -> bool:
        """Not while an earlier one waits for the store to pass it: a start could use neither."""
        if self._snapshot_ns is None:
            self._snapshot_ns = found.written_ns
            self._readings = 0
        self._readings += len(found.rows)
        return (
            found.written_ns - self._snapshot_ns >= self._snapshot_every_ns
            and self._readings >= READINGS_A_SERIES * len(lane.engine.keys)
            and self._uploader.stored >= self._mark
        )

    def _was_snapshot(self, found: Found) -> None:
        self._mark = found.entry
        self._snapshot_ns = found.written_ns
        self._readings = 0

    def _stored(self) -> int:
        return min(self._uploader.stored, self.judged)

    def _tell(self, found: Found) -> None:
        self._emit(_batch_judged(found, again=False))
        for word, count in Counter(reason_class(problem.reason) for problem in found.problems).items():
            self._emit(Quarantined(count, word))
        if found.transitions and found.entry > self._known:
            self._emit(TransitionsFound(found.transitions))

    def _tell_again(self, remade: Found) -> None:
        self._emit(_batch_judged(remade, again=True))


def _batch_judged(found: Found, *, again: bool) -> BatchJudged:
    return BatchJudged(
        entry=found.entry,
        messages=found.messages,
        readings=len(found.rows),
        problems=len(found.problems),
        counts=found.counts,
        newest_received_ns=found.newest_received_ns,
        took_s=found.took_s,
        again=again,
    )
