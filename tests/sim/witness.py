"""Looks on, and knows nothing of the parts but what they promise: every broken promise is an AssertionError."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from alerts.bodies import as_text
from alerts.events import AlertEvent
from ingest.journal import SqliteJournal
from ingest.judging import Found, Lane
from ingest.message import Entry, position_of
from ingest.quarantine import Quarantine
from ingest.stores.sqlite import SqliteStore
from rules.engine import Engine
from rules.readings import Judged, Kind, SeriesKey, Transition
from rules.watches import Watchlist
from tests.sim.fleet import STATIONS, Fleet, Key, Sent
from tests.sim.parts import Receiver, is_refused
from tests.sim.process import MOST_HELD, MOST_ROWS, Process, chooser
from tests.sim.world import Fault, World

MOST_TAKEN = MOST_HELD + 25  # one arrival more than the window: what is sent at once, and sent again
MOST_FOUND = 160  # rows of one portion of the journal: two readings a message, and as many amendments
MOST_ENTRIES = 1_000_000
Row = tuple[str, int, int, int]  # value as text (nan equals nan), flag, verdict, raised


@dataclass(slots=True)
class Witness:
    """Reads the disk with connections of its own."""

    world: World
    fleet: Fleet
    receiver: Receiver
    watchlist: Watchlist
    published: list[Sent] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    _journaled: set[bytes] = field(default_factory=set)
    _cursor: tuple[int, int] = (0, 0)
    _lives: tuple[object, int, int, int] = (None, 0, 0, 0)
    _ticks: int = 0

    # While it goes on.

    def acknowledged(self, message: Sent) -> None:
        """The broker lets go of a message: it must be in the journal."""
        if message.payload not in self._journaled:
            self.read_journal()
        assert message.payload in self._journaled, f"acknowledged, and not in the journal: {message.payload!r}"

    def read_journal(self) -> None:
        """What is on the disk and was not seen before. Entries that retention drops later are kept here."""
        with closing(SqliteJournal(self.world.disk / "journal")) as journal:
            new = journal.read(self.entries[-1].number if self.entries else 0, MOST_ENTRIES)
        self.entries += new
        self._journaled.update(payload for entry in new for block in entry.blocks for payload in block.payloads)

    def look(self, process: Process) -> None:
        """After every step, what is cheap to see."""
        assert process.uploader.waiting <= MOST_ROWS + MOST_FOUND, "the uploader holds too much"
        for source in process.sources:
            assert source.window.held <= MOST_TAKEN, "a source holds too much"
        assert process.recorder.held <= MOST_TAKEN * len(process.sources), "the recorder holds too much"
        life, judged, stored, ticked_ns = self._lives
        if life is process:
            assert process.worker.judged >= judged, "judged moved back"
            assert process.uploader.stored >= stored, "stored moved back"
        self._ticks += process.recorder.ticked_ns != (ticked_ns if life is process else 0)
        self._lives = (process, process.worker.judged, process.uploader.stored, process.recorder.ticked_ns)

    def look_at_disk(self, *, power_failed: bool) -> None:
        """At every start: what the last life left behind."""
        self.read_journal()
        with closing(sqlite3.connect(self.world.disk / "ledger.sqlite")) as ledger:
            judged, stored = ledger.execute("SELECT judged, stored FROM cursor").fetchone()
        if not power_failed:
            assert judged >= self._cursor[0], "the cursor `judged` moved back"
            assert stored >= self._cursor[1], "the cursor `stored` moved back"
        self._cursor = (judged, stored)
        newest = self.entries[-1].number if self.entries else 0
        assert stored <= judged <= newest, f"stored {stored}, judged {judged}, the journal ends at {newest}"
        owed = self._expected([entry for entry in self.entries if entry.number <= stored])
        missing = owed.keys() - self._stored().keys()
        assert not missing, f"the cursor says stored up to {stored}, the store lacks {sorted(missing)[:3]}"

    # When all is over.

    def judge(self) -> None:
        """Everything that was promised, held against one undisturbed way through the journal."""
        self.read_journal()
        self._judge_messages()
        ticks = sum(entry.tick for entry in self.entries)
        assert ticks >= self._ticks, f"time passed {self._ticks} times, the journal has {ticks} ticks"
        found = Lane(Engine(self.watchlist), 0, chooser).judge(self.entries)
        self._judge_store(found)
        self._judge_quarantine(found)
        self._judge_ledger(found.transitions)
        self._judge_notices(found.transitions)
        with closing(SqliteJournal(self.world.disk / "journal")) as journal:
            findings = journal.verify()
        assert not findings, f"the journal is damaged: {findings}"

    def _judge_messages(self) -> None:
        lost = [message.payload for message in self.published if message.payload not in self._journaled]
        assert not lost, f"{len(lost)} messages are nowhere, among them {lost[0]!r}"
        strange = self._journaled - self.fleet.sent.keys()
        assert not strange, f"in the journal, and never sent: {strange}"

    def _judge_store(self, found: Found) -> None:
        """By what the stations said, and by what an undisturbed engine says of it."""
        stored = self._stored()
        expected = self._expected(self.entries)
        values = {key: row[0] for key, row in stored.items()}
        assert values == expected, _difference(values, expected)
        judged = {key: row for key, row in _folded(found.rows, found.keys).items() if not self._refuses(key)}
        assert stored == judged, _difference(stored, judged)

    def _judge_quarantine(self, found: Found) -> None:
        with closing(Quarantine(self.world.disk / "quarantine.sqlite")) as quarantine:
            kept = quarantine.entries(most=MOST_ENTRIES)
        problems = {(p.position, p.where, p.reason, p.payload) for p in found.problems}
        by_store = {k.problem.where for k in kept if k.problem.source == "store"}
        of_messages = {
            (k.problem.position, k.problem.where, k.problem.reason, k.problem.payload)
            for k in kept
            if k.problem.source != "store"
        }
        assert of_messages == problems
        bad = {position: self.fleet.sent[payload].bad for position, payload in self._positions()}
        counted = [position for position, *_ in of_messages]
        assert {p: n for p, n in bad.items() if n} == {p: counted.count(p) for p in set(counted)}
        refused = {
            f"{station}/{parameter}/minute/{measured_ns}"
            for station, parameter, measured_ns in self._said(self.entries)
            if self._refuses((station, parameter, measured_ns))
        }
        assert by_store == refused, f"refused and not kept, or kept and not refused: {by_store ^ refused}"

    def _judge_ledger(self, found: Sequence[Transition]) -> None:
        first: dict[str, Transition] = {}
        for change in found:
            assert first.setdefault(change.id, change) is change, (
                f"two changes have one id: {first[change.id]}, {change}"
            )
        with closing(sqlite3.connect(self.world.disk / "ledger.sqlite")) as ledger:
            recorded = [body for (body,) in ledger.execute("SELECT body FROM transitions ORDER BY number")]
        expected = [str(as_text(change)) for change in found]
        lacking = [body for body in expected if body not in recorded]
        assert not lacking, f"{len(lacking)} changes are not in the ledger, the first is {lacking[0]}"
        strange = [body for body in recorded if body not in expected]
        assert not strange, f"the ledger has {len(strange)} changes that no undisturbed run finds: {strange[0]}"
        assert recorded == expected, "the changes are in another order than they were found in"

    def _judge_notices(self, found: Sequence[Transition]) -> None:
        """Each at least once; those of one station in their order; and the same thing said twice is the same."""
        events: dict[str, AlertEvent] = {}
        for event in self.receiver.events:
            known = events.setdefault(event.id, event)
            assert known == event or self.world.expects(Fault.POWER), "one id, and two different notices"
        names = {(e.data.episode, e.data.what, e.data.level, e.time) for e in events.values()}
        assert len(names) == len(events), "one change was told under two ids"
        for station in STATIONS:
            told = [event.id for event in events.values() if event.subject == station]
            expected = [transition.id for transition in found if transition.station == station]
            assert told == expected, f"{station} was told {told}, and this was found: {expected}"

    def _positions(self) -> list[tuple[int, bytes]]:
        return [
            (position_of(entry.number, at), payload)
            for entry in self.entries
            for at, payload in enumerate(payload for block in entry.blocks for payload in block.payloads)
        ]

    def _said(self, entries: Sequence[Entry]) -> dict[Key, str]:
        """What the stations said last of each reading, in the order in which it was journaled."""
        said: dict[Key, str] = {}
        for entry in entries:
            for block in entry.blocks:
                for payload in block.payloads:
                    said.update({key: repr(value) for key, value in self.fleet.sent[payload].good.items()})
        return said

    def _expected(self, entries: Sequence[Entry]) -> dict[Key, str]:
        return {key: value for key, value in self._said(entries).items() if not self._refuses(key)}

    def _refuses(self, key: Key) -> bool:
        station, parameter, measured_ns = key
        is_so = is_refused(SeriesKey(station, parameter, Kind.MINUTE), measured_ns)
        return self.world.expects(Fault.STORE_REFUSES) and is_so

    def _stored(self) -> dict[Key, Row]:
        with closing(SqliteStore(self.world.disk / "store")) as store:
            readings = [reading for station in STATIONS for reading in store.read(station, None, None, 0, 2**62)]
        return {
            (r.station, r.parameter, r.measured_ns): (repr(float(r.value)), r.flag, r.verdict, r.raised)
            for r in readings
        }


def _folded(rows: Judged, keys: Sequence[SeriesKey]) -> dict[Key, Row]:
    """As `Judged` says that a store keeps them."""
    kept: dict[Key, Row] = {}
    for at in range(len(rows)):
        key = keys[int(rows.series[at])]
        name = (key.station, key.parameter, int(rows.measured_ns[at]))
        said = repr(float(rows.value[at])), int(rows.flag[at])
        if rows.late[at] and name in kept and kept[name][:2] == said:
            continue
        kept[name] = (*said, int(rows.verdict[at]), int(rows.raised[at]))
    return kept


def _difference(got: Mapping[Key, object], expected: Mapping[Key, object]) -> str:
    names = sorted(name for name in got.keys() | expected.keys() if got.get(name) != expected.get(name))
    told = [f"{name}: {got.get(name)} in the store, {expected.get(name)} expected" for name in names[:3]]
    return f"{len(names)} readings differ: {'; '.join(told)}"
