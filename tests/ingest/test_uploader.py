"""Rows reach the store in their order, through a bounded hand-over, and what it refuses is kept with its words."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.message import Busy, Refused, Stored
from ingest.quarantine import Quarantine, QuarantineUnavailable
from ingest.records import Record, RowsRefused, RowsStored, StoreBusy
from ingest.uploader import LAST_RETRY_S, Uploader, joined
from rules.readings import Judged, Kind, SeriesKey
from tests.ingest.stepped import MemoryStore

KEYS = [SeriesKey("S1", "p0", Kind.MINUTE), SeriesKey("S2", "p0", Kind.HOUR)]


def rows(*values: float, series: int = 0, first: int = 0) -> Judged:
    size = len(values)
    return Judged(
        series=np.full(size, series, np.int64),
        measured_ns=np.arange(first, first + size, dtype=np.int64),
        value=np.array(values, np.float64),
        flag=np.zeros(size, np.uint8),
        verdict=np.ones(size, np.uint8),
        raised=np.zeros(size, np.uint64),
        late=np.zeros(size, np.bool_),
    )


class Scripted(MemoryStore):
    """Answers as the script says, and then takes everything; `order` is what came, in order."""

    def __init__(self, *script: Stored | Refused | Busy) -> None:
        super().__init__()
        self.script = list(script)
        self.order: list[float] = []

    def write(self, rows: Judged, keys: Sequence[SeriesKey]) -> Stored | Refused | Busy:
        answer = self.script.pop(0) if self.script else Stored()
        if not isinstance(answer, Busy):
            self.order += rows.value.tolist()
        self.writes.append(len(rows))
        return answer


class Hand:
    """An uploader with its store and quarantine."""

    def __init__(self, folder: Path, *script: Stored | Refused | Busy, chance: float = 0.5, **more: Any) -> None:
        self.records: list[Record] = []
        self.store = Scripted(*script)
        self.quarantine = Quarantine(folder / "quarantine.sqlite")
        self.chance = chance
        self.uploader = Uploader(self.store, self.quarantine, self.records.append, dice=lambda: self.chance, **more)

    def told(self, kind: type[Record]) -> list[Any]:
        return [record for record in self.records if isinstance(record, kind)]


def test_rows_go_in_the_order_of_their_entries_and_move_the_mark_when_they_are_durable(tmp_path: Path) -> None:
    hand = Hand(tmp_path)
    for entry in range(1, 6):
        assert hand.uploader.offer(entry, rows(entry, entry + 0.5), KEYS)
    assert (hand.uploader.offered, hand.uploader.stored, hand.uploader.waiting) == (5, 0, 10)
    assert hand.uploader.step() == 0.0
    assert hand.store.order == sorted(hand.store.order)
    assert (hand.uploader.stored, hand.uploader.waiting, hand.uploader.rows_stored) == (5, 0, 10)
    assert hand.store.writes == [10], "what waits together is written together"
    assert hand.uploader.step() > 0, "nothing more: it may be waited"
    assert [r.rows for r in hand.told(RowsStored)] == [10]


def test_rows_named_by_other_keys_are_another_write(tmp_path: Path) -> None:
    hand = Hand(tmp_path)
    other = list(KEYS)
    hand.uploader.offer(1, rows(1), KEYS)
    hand.uploader.offer(2, rows(2), other)
    hand.uploader.offer(3, rows(), other)
    hand.uploader.step()
    assert hand.uploader.stored == 1
    hand.uploader.step()
    assert (hand.uploader.stored, hand.store.order) == (3, [1, 2])


def test_one_write_is_bounded_unless_one_entry_alone_is_larger(tmp_path: Path) -> None:
    hand = Hand(tmp_path)
    for entry, size in enumerate([6_000, 6_000, 12_000], 1):
        hand.uploader.offer(entry, rows(*range(size)), KEYS)
    while hand.uploader.step() == 0.0:
        pass
    assert hand.store.writes == [6_000, 6_000, 12_000]


def test_a_full_hand_over_takes_no_rows_but_lets_time_pass(tmp_path: Path) -> None:
    hand = Hand(tmp_path, most_rows=3)
    assert hand.uploader.offer(1, rows(1, 2), KEYS)
    assert hand.uploader.offer(2, rows(3, 4), KEYS), "one offer more than the bound"
    assert not hand.uploader.offer(3, rows(5), KEYS)
    assert (hand.uploader.offered, hand.uploader.waiting) == (2, 4)
    assert hand.uploader.offer(3, rows(), KEYS)
    hand.uploader.step()
    assert hand.uploader.stored == 3
    assert hand.uploader.offer(4, rows(5), KEYS)


def test_ticks_alone_do_not_make_the_queue_grow(tmp_path: Path) -> None:
    hand = Hand(tmp_path)
    hand.store.script = [Busy(1.0, "away")] * 10
    hand.uploader.offer(1, rows(1), KEYS)
    for entry in range(2, 2_000):
        hand.uploader.offer(entry, rows(), KEYS)
    assert len(hand.uploader._queue) == 1
    hand.uploader.step()
    assert hand.uploader.stored == 0
    hand.store.script = []
    hand.uploader.step()
    assert hand.uploader.stored == 1_999


def test_a_busy_store_is_asked_again_with_the_same_rows_and_nothing_passes_them(tmp_path: Path) -> None:
    hand = Hand(tmp_path, Busy(1.0, "disk full"), Busy(1.0, "disk full"))
    hand.uploader.offer(1, rows(1, 2), KEYS)
    assert hand.uploader.step() > 0
    hand.uploader.offer(2, rows(3), KEYS)
    assert hand.uploader.step() > 0
    health = hand.uploader.health(0)
    assert (health.ok, hand.uploader.well, hand.uploader.stored) == (False, False, 0)
    assert "disk full" in health.why
    assert "3 rows wait" in health.why
    while hand.uploader.step() == 0.0:
        pass
    assert hand.store.order == [1, 2, 3]
    assert hand.uploader.health(0).ok
    assert hand.uploader.well


@settings(deadline=None)
@given(st.floats(0.01, 30.0), st.floats(0, 1, exclude_max=True), st.integers(1, 40))
def test_pauses_double_with_jitter_and_stay_between_what_the_store_asks_and_a_minute(
    asked_s: float, chance: float, times: int
) -> None:
    quarantine = None  # a store that is only busy needs none
    records: list[Record] = []
    store = Scripted(*[Busy(asked_s, "busy")] * times)
    uploader = Uploader(store, quarantine, records.append, dice=lambda: chance)  # type: ignore[arg-type]
    uploader.offer(1, rows(1), KEYS)
    pauses = [uploader.step() for _ in range(times)]
    assert [r.retry_after_s for r in records if isinstance(r, StoreBusy)] == pauses
    for turn, pause_s in enumerate(pauses):
        longest_s = min(asked_s * 2.0 ** min(turn, 10), LAST_RETRY_S)
        assert max(longest_s / 2, asked_s) <= pause_s <= max(longest_s, asked_s)


def test_pauses_begin_anew_after_a_success(tmp_path: Path) -> None:
    hand = Hand(tmp_path, *[Busy(1.0, "x")] * 4, Stored(), Busy(1.0, "x"))
    hand.uploader.offer(1, rows(1), KEYS)
    pauses = [hand.uploader.step() for _ in range(5)]
    assert pauses == [1.0, 1.5, 3.0, 6.0, 0.0]
    hand.uploader.offer(2, rows(2), KEYS)
    assert hand.uploader.step() == 1.0


def test_a_store_may_ask_for_longer_than_a_minute(tmp_path: Path) -> None:
    hand = Hand(tmp_path, Busy(600.0, "quota"))
    hand.uploader.offer(1, rows(1), KEYS)
    assert hand.uploader.step() == 600.0


def test_refused_rows_are_kept_as_the_store_said_each_under_its_own_entry(tmp_path: Path) -> None:
    hand = Hand(tmp_path, Refused([1, 2], ["too old", "no such field"]))
    hand.uploader.offer(4, rows(1.0, np.nan), KEYS)
    hand.uploader.offer(7, rows(3.0, 4.0, series=1, first=50), KEYS)
    hand.uploader.step()
    assert hand.uploader.stored == 7
    assert (hand.uploader.rows_stored, hand.uploader.rows_refused) == (2, 2)
    first, second = (kept.problem for kept in hand.quarantine.entries())
    assert (first.position >> 20, first.reason) == (4, "refused by the store: too old")
    assert (second.position >> 20, second.reason) == (7, "refused by the store: no such field")
    assert json.loads(first.payload) == {
        "station": "S1",
        "parameter": "p0",
        "kind": "minute",
        "measured_ns": 1,
        "value": None,
        "flag": 0,
        "verdict": 1,
    }
    assert second.where == "S2/p0/hour/50"
    assert [r.rows for r in hand.told(RowsRefused)] == [2]


def test_two_refused_rows_of_one_entry_and_place_in_time_are_both_kept(tmp_path: Path) -> None:
    hand = Hand(tmp_path, Refused([0, 1], ["a", "b"]))
    hand.uploader.offer(1, joined([rows(1.0), rows(2.0, series=1)]), KEYS)
    hand.uploader.step()
    assert hand.quarantine.count() == 2


def test_while_the_quarantine_takes_nothing_no_mark_moves_and_the_rows_wait(tmp_path: Path) -> None:
    hand = Hand(tmp_path, Refused([0], ["no"]), Refused([0], ["no"]))
    hand.uploader.offer(1, rows(1.0), KEYS)
    hand.quarantine._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(QuarantineUnavailable):
        hand.uploader.step()
    assert (hand.uploader.stored, hand.uploader.waiting) == (0, 1)
    hand.quarantine._connection.execute("PRAGMA query_only = OFF")
    hand.uploader.step()
    assert hand.uploader.stored == 1


def test_a_start_begins_where_the_store_was(tmp_path: Path) -> None:
    hand = Hand(tmp_path)
    hand.uploader.offer(3, rows(1.0), KEYS)
    hand.uploader.begin(17)
    assert (hand.uploader.offered, hand.uploader.stored, hand.uploader.waiting) == (17, 17, 0)
    assert hand.uploader.step() > 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.booleans()), max_size=40))
def test_whatever_the_store_says_every_row_reaches_it_once_and_in_order(
    steps: list[tuple[int, bool, bool]],
) -> None:
    store = Scripted()
    uploader = Uploader(store, None, lambda _: None, most_rows=6)  # type: ignore[arg-type]  # nothing is refused
    number, expected = 0.0, []
    other = list(KEYS)
    for entry, (size, busy, mixed) in enumerate(steps, 1):
        some = [number + n for n in range(size)]
        if uploader.offer(entry, rows(*some), other if mixed else KEYS):
            expected += some
            number += size
        if busy:
            store.script = [Busy(0.1, "busy")]
            uploader.step()
        elif size % 2:
            uploader.step()
        assert uploader.waiting <= 6 + 4
    store.script = []
    while uploader.step() == 0.0:
        pass
    assert store.order == expected
    assert uploader.stored == uploader.offered
    assert uploader.waiting == 0
