"""Nothing is acknowledged before it is in the journal; a full disk stops the taking; time passes in ticks."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.journal import SqliteJournal
from ingest.message import Block, Entry, Health, JournalUnavailable, Taken
from ingest.recorder import FIRST_RETRY_S, LAST_RETRY_S, Recorder
from ingest.records import EntryWritten, JournalRefused, Record
from jianwei.clock import SimulatedClock
from rules.readings import SECOND_NS

NOON_NS = 1_772_366_400 * SECOND_NS


class Given:
    """A source that holds takings and remembers what it was told."""

    def __init__(self, name: str, diary: list[tuple[str, Any]]) -> None:
        self.name = name
        self.diary = diary
        self.waiting: list[Taken] = []
        self._tokens = 0

    def gets(self, *payloads: bytes) -> None:
        """One more taking: a block of these messages."""
        self._tokens += 1
        block = Block(self.name, NOON_NS, [f"t/{n}" for n in range(len(payloads))], list(payloads))
        self.waiting.append(Taken([block] if payloads else [], (self.name, self._tokens)))

    def start(self) -> None:
        """It needs no thread."""

    def take(self) -> Taken | None:
        if not self.waiting:
            return None
        self.diary.append(("taken", self.waiting[0].token))
        return self.waiting.pop(0)

    def acknowledge(self, token: object) -> None:
        self.diary.append(("acknowledged", token))

    def health(self, now_ns: int) -> Health:
        return Health(ok=True)

    def stop(self) -> None:
        """Nothing to stop."""


class Paper:
    """A journal in memory that may be full."""

    def __init__(self, diary: list[tuple[str, Any]]) -> None:
        self.diary = diary
        self.entries: list[Entry] = []
        self.full = False
        self.full_after: int | None = None

    def append(self, blocks: Sequence[Block], now_ns: int, *, tick: bool) -> int:
        if self.full or len(self.entries) == self.full_after:
            raise JournalUnavailable("the disk is full")
        number = len(self.entries) + 1
        self.entries.append(Entry(number, now_ns, tick, list(blocks)))
        self.diary.append(("written", number))
        return number

    def read(self, after: int, most_messages: int) -> list[Entry]:
        return self.entries[after:]

    def last(self) -> int:
        return len(self.entries)

    @property
    def payloads(self) -> list[bytes]:
        return [payload for entry in self.entries for block in entry.blocks for payload in block.payloads]


class Desk:
    """A recorder with two sources and a clock that the test sets."""

    def __init__(self, **more: Any) -> None:
        self.diary: list[tuple[str, Any]] = []
        self.clock = SimulatedClock(NOON_NS)
        self.records: list[Record] = []
        self.one, self.other = Given("one", self.diary), Given("other", self.diary)
        self.journal = Paper(self.diary)
        self.woken = 0
        self.recorder = Recorder(
            [self.one, self.other], self.journal, self.clock, self.records.append, written=self._wake, **more
        )

    def _wake(self) -> None:
        self.woken += 1

    def after(self, seconds: float) -> bool:
        self.clock.now_ns += round(seconds * SECOND_NS)
        return self.recorder.step()

    def did(self, what: str) -> list[Any]:
        return [thing for done, thing in self.diary if done == what]


def test_what_came_is_written_in_order_and_acknowledged_afterwards() -> None:
    desk = Desk()
    desk.one.gets(b"a", b"b")
    desk.other.gets(b"c")
    assert desk.recorder.step()
    assert desk.journal.payloads == [b"a", b"b", b"c"]
    assert [done for done, _ in desk.diary] == ["taken", "taken", "written", "acknowledged", "acknowledged"]
    assert (desk.recorder.messages, desk.recorder.held, desk.woken) == (3, 0, 1)
    assert [(r.messages, r.payload_bytes) for r in desk.records if isinstance(r, EntryWritten)] == [(3, 3)]
    assert not desk.recorder.step()


def test_a_taking_without_messages_is_acknowledged_without_an_entry() -> None:
    desk = Desk()
    desk.one.gets()
    desk.recorder.step()
    assert desk.did("acknowledged") == [("one", 1)]
    assert not desk.journal.entries


def test_while_the_disk_is_full_nothing_more_is_taken_and_nothing_acknowledged() -> None:
    desk = Desk()
    desk.journal.full = True
    desk.one.gets(b"a")
    assert not desk.recorder.step()
    desk.one.gets(b"b")
    desk.other.gets(b"c")
    for _ in range(20):
        assert not desk.after(0.5)
    assert desk.did("taken") == [("one", 1)]
    assert not desk.did("acknowledged")
    assert desk.recorder.held == 1
    health = desk.recorder.health(desk.clock.now_ns)
    assert not health.ok
    assert "the disk is full" in health.why
    assert "nothing is acknowledged" in health.why

    desk.journal.full = False
    assert desk.after(LAST_RETRY_S)
    assert desk.recorder.health(desk.clock.now_ns).ok
    desk.recorder.step()
    assert desk.journal.payloads == [b"a", b"b", b"c"]
    assert desk.did("acknowledged") == [("one", 1), ("one", 2), ("other", 1)]


def test_pauses_double_up_to_ten_seconds_and_the_journal_is_left_alone_meanwhile() -> None:
    desk = Desk(tick_s=3_600)
    desk.journal.full = True
    desk.one.gets(b"a")
    desk.recorder.step()
    for _ in range(100):
        desk.after(1.0)
    pauses = [r.retry_in_s for r in desk.records if isinstance(r, JournalRefused)]
    assert pauses[:4] == [FIRST_RETRY_S, 0.2, 0.4, 0.8]
    assert max(pauses) == LAST_RETRY_S
    assert len(pauses) < 25


def test_a_disk_that_fills_up_between_two_entries_leaves_the_first_acknowledged() -> None:
    desk = Desk(most_messages=2)
    desk.journal.full_after = 1
    desk.one.gets(b"a", b"b", b"c")
    desk.other.gets(b"d")
    desk.recorder.step()
    assert desk.journal.payloads == [b"a", b"b"]
    assert not desk.did("acknowledged"), "the taking is not whole in the journal"
    desk.journal.full_after = None
    desk.after(1.0)
    assert desk.journal.payloads == [b"a", b"b", b"c", b"d"], "nothing twice, nothing lost"
    assert desk.did("acknowledged") == [("one", 1), ("other", 1)]


def test_a_tick_comes_whenever_the_clock_passes_a_multiple_and_after_the_messages() -> None:
    desk = Desk(tick_s=5)
    assert not desk.after(4.9)
    desk.one.gets(b"a")
    assert desk.after(0.1)
    assert [(e.tick, len(e.blocks)) for e in desk.journal.entries] == [(True, 1)]
    assert desk.recorder.ticked_ns == NOON_NS + 5 * SECOND_NS
    assert not desk.after(4.9)
    assert desk.after(12.0), "one tick for all that were passed"
    assert not desk.recorder.step()
    assert [e.tick for e in desk.journal.entries] == [True, True]
    assert desk.after(3.1), "NOON + 25 s"


def test_a_tick_goes_with_the_last_of_several_entries() -> None:
    desk = Desk(tick_s=5, most_messages=1)
    desk.one.gets(b"a", b"b", b"c")
    desk.after(5.0)
    assert [(e.tick, e.blocks[0].payloads) for e in desk.journal.entries] == [
        (False, [b"a"]),
        (False, [b"b"]),
        (True, [b"c"]),
    ]


def test_a_tick_that_the_disk_did_not_take_is_owed() -> None:
    desk = Desk(tick_s=5)
    desk.journal.full = True
    desk.after(5.0)
    assert desk.recorder.ticked_ns == 0
    desk.journal.full = False
    desk.after(1.0)
    assert [e.tick for e in desk.journal.entries] == [True]


@pytest.mark.parametrize("back_s", [1.0, 7.0, 3_600.0, 86_400.0 * 365])
def test_a_clock_that_is_set_back_stops_neither_ticks_nor_messages(back_s: float) -> None:
    desk = Desk(tick_s=5)
    desk.after(5.0)
    desk.clock.now_ns -= round(back_s * SECOND_NS)
    desk.one.gets(b"a")
    assert desk.recorder.step()
    before = len(desk.journal.entries)
    for _ in range(20):
        desk.after(1.0)
    ticks = len(desk.journal.entries) - before
    assert 2 <= ticks <= 5
    assert desk.did("acknowledged") == [("one", 1)]


def test_a_clock_that_is_set_back_does_not_prolong_a_pause() -> None:
    desk = Desk()
    desk.journal.full = True
    desk.one.gets(b"a")
    desk.recorder.step()
    desk.journal.full = False
    desk.clock.now_ns -= 3_600 * SECOND_NS
    desk.recorder.step()
    assert desk.journal.payloads == [b"a"]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 9), max_size=9)), max_size=12),
    st.integers(1, 5),
    st.integers(1, 12),
)
def test_entries_are_bounded_and_hold_every_byte_in_order(
    takings: list[tuple[bool, list[int]]], most_messages: int, most_bytes: int
) -> None:
    desk = Desk(most_messages=most_messages, most_bytes=most_bytes)
    sent: dict[str, list[bytes]] = {"one": [], "other": []}
    for turn, (to_one, sizes) in enumerate(takings):
        source = desk.one if to_one else desk.other
        payloads = [bytes([turn + 1]) * size for size in sizes]
        source.gets(*payloads)
        sent[source.name] += payloads
    for _ in range(40):
        desk.recorder.step()
    for entry in desk.journal.entries:
        sizes = [len(payload) for block in entry.blocks for payload in block.payloads]
        assert len(sizes) <= most_messages
        assert sum(sizes) <= most_bytes or len(sizes) == 1
    assert of_source(desk.journal.entries, "one") == sent["one"]
    assert of_source(desk.journal.entries, "other") == sent["other"]
    assert len(desk.did("acknowledged")) == len(takings)


def of_source(entries: Iterable[Entry], name: str) -> list[bytes]:
    return [payload for e in entries for block in e.blocks if block.source == name for payload in block.payloads]


def test_cut_blocks_keep_keys_and_headers_beside_their_messages() -> None:
    desk = Desk(most_messages=2)
    whole = Block(
        "one", NOON_NS, ["t/0", "t/1", "t/2"], [b"a", b"b", b"c"], [b"k0", None, b"k2"], [[], [("h", b"1")], []]
    )
    desk.one.waiting.append(Taken([whole], ("one", 1)))
    desk.recorder.step()
    first, second = (entry.blocks[0] for entry in desk.journal.entries)
    assert (first.topics, first.keys, first.headers) == (["t/0", "t/1"], [b"k0", None], [[], [("h", b"1")]])
    assert (second.topics, second.keys, second.headers) == (["t/2"], [b"k2"], [[]])


def test_headers_cut_an_entry_as_payloads_do() -> None:
    desk = Desk(most_bytes=1_000)
    heavy = [[("h", b"v" * 600)], [("h", b"v" * 600)]]
    desk.one.waiting.append(Taken([Block("one", NOON_NS, ["t", "t"], [b"a", b"b"], [], heavy)], ("one", 1)))
    desk.recorder.step()
    assert [len(block) for entry in desk.journal.entries for block in entry.blocks] == [1, 1]


def test_a_small_disk_is_survived_by_the_real_journal_as_well(tmp_path: Path) -> None:
    desk = Desk()
    journal = SqliteJournal(tmp_path, sync=False, most_pages=8)
    recorder = Recorder([desk.one], journal, desk.clock, desk.records.append, tick_s=3_600)
    noise = [bytes((n * 7 + k * k) % 251 for k in range(1_500)) for n in range(60)]
    for payload in noise:
        desk.one.gets(payload)
    for _ in range(200):
        desk.clock.now_ns += SECOND_NS
        recorder.step()
    written = recorder.messages
    assert 0 < written < 60
    assert len(desk.did("acknowledged")) == written
    assert not recorder.health(0).ok

    journal.most_pages = None
    for _ in range(200):
        desk.clock.now_ns += SECOND_NS
        recorder.step()
    assert of_source(journal.read(0, 10**6), "one") == noise
    assert recorder.health(0).ok
    journal.close()
