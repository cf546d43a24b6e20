"""The worker's two cursors: what is found goes on without the store, and rows that were let go come back from the journal."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from ingest import pipeline
from ingest.formats.json_v1 import JsonV1
from ingest.message import Columns, Ledger, ResumePoint
from ingest.pipeline import JournalFallsShort
from ingest.records import BatchJudged, CatchUp, PartFailed, Quarantined, TransitionsFound
from ingest.stores.sqlite import SqliteStore
from rules.readings import SECOND_NS, Kind, Transition
from tests.ingest.stepped import MemoryStore, Stepped, message
from tests.rules.watching import MINUTE_NS, START_NS

GOOD, BAD = {"p0": 50.0}, {"p0": 95.0}


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot with every step, however few readings it covers."""
    monkeypatch.setattr(pipeline, "READINGS_A_SERIES", 0)


def hours(site: Stepped, entries: int, first: int = 0) -> None:
    """An entry a minute with a reading each; every tenth is out of range."""
    for minute in range(first, first + entries):
        site.append(minute, message(minute, BAD if minute % 10 == 9 else GOOD))


def rows_of(site: Stepped) -> int:
    assert isinstance(site.store, MemoryStore)
    return len(site.store.rows)


def test_a_message_becomes_a_row_and_what_it_means_a_transition(tmp_path: Path) -> None:
    site = Stepped(tmp_path)
    site.append(1, message(1, {"p0": 95.0, "p1": None}))
    site.settle()

    assert isinstance(site.store, MemoryStore)
    assert {name[:2]: row[0] for name, row in site.store.rows.items()} == {("S1", "p0"): "95.0", ("S1", "p1"): "nan"}
    opened = [t for t in site.transitions() if t.rule == "gross_range"]
    assert [(t.what, t.station, t.parameter) for t in opened] == [("opened", "S1", "p0")]
    assert site.worker.judged == site.uploader.stored == 1


def test_a_tick_falls_after_the_messages_of_its_entry_and_tells_who_is_silent(tmp_path: Path) -> None:
    site = Stepped(tmp_path)
    site.append(0, message(0, GOOD), message(0, GOOD, "S2"))
    site.append(4, message(4, GOOD), tick=True)
    site.settle()
    assert [(t.station, t.rule) for t in site.transitions()] == [("S2", "silence")]
    site.append(9, tick=True)
    site.settle()
    silent = [(t.station, t.what) for t in site.transitions() if t.rule == "silence"]
    assert ("S1", "opened") in silent
    assert site.uploader.stored == 3, "an entry without a row is stored when those before it are"


def test_a_problem_is_kept_with_its_bytes_its_place_and_its_reason_and_the_rest_goes_on(tmp_path: Path) -> None:
    site = Stepped(tmp_path)
    topic, payload = message(1, {"p0": 50.0, "p1": "text"})
    site.append(1, ("elsewhere", b"\xff\x00"), (topic, payload), ("jianwei/v1/S1/minute", b"{"))
    site.settle()

    kept = {e.problem.position & 0xFFFFF: e.problem for e in site.quarantine.entries()}
    assert {index: (p.where, p.payload) for index, p in kept.items()} == {
        0: ("", b"\xff\x00"),
        1: ("$.values.p1", payload),
        2: ("$", b"{"),
    }
    assert kept[0].reason == "no format for this topic"
    assert kept[1].reason.startswith("bad value")
    assert kept[2].reason.startswith("not JSON")
    assert all(p.position >> 20 == 1 and p.source == "mqtt" for p in kept.values())
    assert rows_of(site) == 1
    assert {(r.reason, r.problems) for r in site.told(Quarantined)} == {
        ("no_format", 1),
        ("bad_value", 1),
        ("not_json", 1),
    }


def test_rows_that_are_let_go_come_back_when_the_store_does(tmp_path: Path) -> None:
    calm = Stepped(tmp_path / "calm")
    hours(calm, 40)
    calm.settle()

    store = MemoryStore()
    site = Stepped(tmp_path / "site", store, most_rows=8)
    hours(site, 10)
    site.settle()
    store.away = True
    hours(site, 30, first=10)
    for _ in range(40):
        site.worker.step()
        site.uploader.step()
    assert site.worker.is_catching_up
    assert site.worker.judged == 40, "what is found does not wait for the store"
    assert site.transitions() == calm.transitions()
    assert site.uploader.waiting <= 8 + 5, "memory is bounded by the hand-over and one offer more"
    assert site.uploader.stored < 40

    store.away = False
    site.uploader.step()
    site.settle()
    assert isinstance(calm.store, MemoryStore)
    assert store.rows == calm.store.rows
    assert site.uploader.stored == 40
    assert [c.done for c in site.told(CatchUp)] == [False, True]
    assert site.transitions() == calm.transitions(), "what is found again changes nothing"
    again = [b for b in site.told(BatchJudged) if b.again]
    assert again
    assert sum(len(t.transitions) for t in site.told(TransitionsFound)) == len(calm.transitions())


def test_new_entries_are_judged_while_old_rows_are_made_again(tmp_path: Path) -> None:
    store = MemoryStore()
    site = Stepped(tmp_path, store, most_rows=1, most_messages=4)
    store.away = True
    hours(site, 20)
    for _ in range(20):
        site.worker.step()
        site.uploader.step()
    store.away = False
    site.uploader.step()
    hours(site, 10, first=20)
    site.worker.step()
    assert site.worker.judged > 20
    assert site.worker.is_catching_up
    site.settle()
    assert (site.worker.judged, site.uploader.stored, len(store.rows)) == (30, 30, 30)


def test_a_store_that_works_but_is_slow_is_waited_for_while_messages_are_young(tmp_path: Path) -> None:
    site = Stepped(tmp_path, most_rows=5, patience_s=2.0)
    hours(site, 20)
    received_ns = START_NS + 9 * MINUTE_NS + SECOND_NS  # of the last message in the second portion
    site.clock.now_ns = received_ns + SECOND_NS
    assert site.worker.step()
    assert not site.worker.step(), "the hand-over is full: judging waits"
    assert not site.worker.is_catching_up
    site.clock.now_ns += SECOND_NS
    assert site.worker.step()
    assert site.worker.is_catching_up
    site.settle()
    assert rows_of(site) == 20


def test_a_slow_store_never_holds_alerts_on_what_is_behind_already(tmp_path: Path) -> None:
    """Else a store that takes a little all the time, and less than comes, would keep every alert waiting for longer."""
    site = Stepped(tmp_path, most_rows=5, patience_s=2.0)
    hours(site, 20)
    site.clock.now_ns = START_NS + 60 * MINUTE_NS
    for _ in range(4):
        site.worker.step()
    assert site.worker.judged == 20
    site.settle()
    assert rows_of(site) == 20


def test_a_start_goes_on_from_the_snapshot_and_the_entries_after_it(tmp_path: Path, often: None) -> None:
    first = Stepped(tmp_path)
    hours(first, 25)
    first.settle()
    mark = first.ledger.resume().mark
    assert 0 < mark < 25
    first.drop()

    second = Stepped(tmp_path, first.store)
    second.settle()
    assert second.restored == [True]
    assert sum(b.messages for b in second.told(BatchJudged)) == 25 - mark
    assert not second.told(TransitionsFound), "what was recorded before is not told again"


def test_a_clean_stop_leaves_nothing_to_judge_again(tmp_path: Path) -> None:
    first = Stepped(tmp_path)
    hours(first, 25)
    first.settle()
    first.worker.finish()
    first.drop()
    second = Stepped(tmp_path, first.store)
    second.settle()
    assert second.restored == [True]
    assert not second.told(BatchJudged)
    assert second.worker.judged == 25


def test_no_snapshot_is_taken_of_a_state_whose_rows_are_not_on_their_way(tmp_path: Path, often: None) -> None:
    store = MemoryStore()
    site = Stepped(tmp_path, store, most_rows=1, snapshot_every_s=0.0)
    store.away = True
    hours(site, 30)
    for _ in range(30):
        site.worker.step()
        site.uploader.step()
    assert site.worker.judged == 30
    site.worker.finish()
    site.drop()
    second = Stepped(tmp_path, store, most_rows=1, snapshot_every_s=0.0)
    store.away = False
    second.settle()
    assert len(store.rows) == 30


def test_a_damaged_snapshot_costs_time_and_nothing_else(tmp_path: Path) -> None:
    first = Stepped(tmp_path)
    hours(first, 25)
    first.settle()
    first.worker.finish()
    found = first.transitions()
    first.drop()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE snapshots SET engine = substr(engine, 1, length(engine) - 3)")
    ledger.close()

    second = Stepped(tmp_path, first.store)
    hours(second, 5, first=25)
    second.settle()
    assert second.restored == [False]
    assert "cannot be read" in second.told(PartFailed)[0].error
    assert second.transitions()[: len(found)] == found
    assert rows_of(second) == 30
    assert second.uploader.stored == 30


def test_a_ledger_that_is_ahead_of_the_journal_is_not_worked_on(tmp_path: Path) -> None:
    first = Stepped(tmp_path)
    hours(first, 3)
    first.settle()
    first.drop()
    for path in (tmp_path / "journal").iterdir():
        path.unlink()
    second = Stepped(tmp_path)
    hours(second, 2)
    with pytest.raises(JournalFallsShort, match="judged entry 3, the journal ends at 2"):
        second.worker.step()
    assert second.worker.judged == 0
    assert not rows_of(second)


class FullLedger:
    """Takes nothing while `full`."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.full = False

    def record(self, transitions: Sequence[Transition], *, judged: int, stored: int, snapshot: bytes | None) -> None:
        if self.full:
            raise OSError("no space left on device")
        self.ledger.record(transitions, judged=judged, stored=stored, snapshot=snapshot)

    def turn(self, entry: int, version: int) -> None:
        self.ledger.turn(entry, version)

    def resume(self) -> ResumePoint:
        return self.ledger.resume()


def test_a_full_ledger_makes_health_red_holds_rows_back_and_goes_on_by_itself(tmp_path: Path) -> None:
    ledgers: list[FullLedger] = []

    def through(ledger: Ledger) -> Ledger:
        ledgers.append(FullLedger(ledger))
        return ledgers[-1]

    site = Stepped(tmp_path, through=through)
    hours(site, 3)
    ledgers[0].full = True
    assert not site.worker.step()
    assert not site.worker.step()
    health = site.worker.health(0)
    assert not health.ok
    assert "no space left" in health.why
    assert site.worker.judged == site.uploader.offered == 0, "no row goes before what it means is recorded"

    ledgers[0].full = False
    site.settle()
    assert site.worker.health(0).ok
    assert rows_of(site) == 3
    assert len(site.told(BatchJudged)) == 1, "it is not judged again, only kept again"


def test_rows_that_the_store_refuses_are_kept_with_its_words_and_the_cursor_goes_on(tmp_path: Path) -> None:
    store = MemoryStore()
    store.refuses = frozenset({"S2"})
    site = Stepped(tmp_path, store)
    site.append(1, message(1, GOOD), message(1, BAD, "S2"), message(1, GOOD))
    site.settle()
    (kept,) = site.quarantine.entries()
    assert kept.reason_class == "refused_by_store"
    assert kept.problem.reason == "refused by the store: no such station"
    assert site.uploader.stored == 1
    assert rows_of(site) == 1


def test_the_embedded_store_and_the_pretended_one_hold_the_same(tmp_path: Path) -> None:
    held = Stepped(tmp_path / "memory")
    site = Stepped(tmp_path / "site", SqliteStore(tmp_path / "site" / "store", sync=False))
    for process in (held, site):
        hours(process, 25)
        process.append(30, message(12, {"p0": 51.5}), message(29, {"p0": None}))
        process.settle()
    assert isinstance(held.store, MemoryStore)
    stored = site.store.read("S1", None, Kind.MINUTE, 0, 2**62)
    assert {
        (r.station, r.parameter, r.kind, r.measured_ns): (repr(r.value), r.flag, r.verdict, r.raised) for r in stored
    } == held.store.rows
    site.store.close()


class Mistaken:
    """A format that breaks its promise once it is told to."""

    def __init__(self) -> None:
        self.breaks = False

    def decode(self, topic: str, payload: bytes, columns: Columns) -> Sequence[tuple[str, str]]:
        if self.breaks:
            columns.extend([0], 0, [1.0], None)  # half a message is in the columns
            raise ZeroDivisionError("a mistake in the code")
        return JsonV1().decode(topic, payload, columns)


def test_a_mistake_in_the_code_begins_again_from_the_last_snapshot(tmp_path: Path) -> None:
    mistaken = Mistaken()
    site = Stepped(tmp_path, formats=lambda: lambda _source, _topic: mistaken)
    hours(site, 12)
    site.worker.step()
    mistaken.breaks = True
    with pytest.raises(ZeroDivisionError):
        site.worker.step()
    mistaken.breaks = False
    site.settle()
    assert site.restored == [False, False], "an engine that broke off in the middle is not used again"
    assert (site.worker.judged, site.uploader.stored, rows_of(site)) == (12, 12, 12)
