"""Whatever dies, and whenever: verdicts, transitions, ids and quarantine are those of a run that nothing disturbed."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import pipeline
from ingest.message import Busy, Ledger, Refused, ResumePoint, Stored
from rules.readings import Judged, SeriesKey, Transition
from tests.ingest.stepped import MEMORY, Died, MemoryStore, Rows, Stepped, message

VALUES: list[Any] = [50.0, 50.05, 57.0, 75.0, 95.0, -3.0, 12.0, None, "text"]
ENDLESS = 3_000

samples = st.builds(
    lambda back, station, values: (back, station, values),
    st.sampled_from([0, 0, 0, 0, 1, 2, 7]),  # minutes late
    st.sampled_from(["S1", "S1", "S2", "S9"]),  # nobody watches the last
    st.dictionaries(st.sampled_from(["p0", "p1"]), st.sampled_from(VALUES), min_size=1),
)
entries = st.lists(st.tuples(st.integers(0, 3), st.lists(samples, max_size=5), st.booleans()), min_size=1, max_size=30)


def write(site: Stepped, story: Sequence[tuple[int, Sequence[tuple[int, str, dict[str, Any]]], bool]]) -> None:
    minute = 10
    for step, sent, tick in story:
        minute += step
        messages = [message(minute - back, values, station) for back, station, values in sent]
        if step == 3:
            messages.append(("jianwei/v1/S1/minute", b"{not json"))
        site.append(minute, *messages, tick=tick or not messages)


class FragileLedger:
    """A ledger whose process dies before or after a transaction, or whose disk is full, when the dice say so."""

    def __init__(self, ledger: Ledger, fate: "Fate") -> None:
        self._ledger = ledger
        self._fate = fate

    def record(self, transitions: Sequence[Transition], *, judged: int, stored: int, snapshot: bytes | None) -> None:
        self._fate.may_die()
        if self._fate.says("full"):
            raise OSError("no space left on device")
        self._ledger.record(transitions, judged=judged, stored=stored, snapshot=snapshot)
        self._fate.may_die()

    def turn(self, entry: int, version: int) -> None:
        self._fate.may_die()
        if self._fate.says("full"):
            raise OSError("no space left on device")
        self._ledger.turn(entry, version)
        self._fate.may_die()

    def resume(self) -> ResumePoint:
        return self._ledger.resume()


class FragileStore(MemoryStore):
    """The same for the store: rows may be there although nobody knows, or only some of them."""

    def __init__(self, rows: Rows, fate: "Fate") -> None:
        super().__init__()
        self.rows = rows
        self._fate = fate

    def write(self, rows: Judged, keys: Sequence[SeriesKey]) -> Stored | Refused | Busy:
        self._fate.may_die()
        if self._fate.says("busy"):
            if self._fate.says("half"):
                half = len(rows) // 2
                columns = (getattr(rows, name)[:half] for name in Judged.__dataclass_fields__)
                super().write(Judged(*columns), keys)
            return Busy(1.0, "busy")
        answer = super().write(rows, keys)
        self._fate.may_die()
        return answer


class Fate:
    """Draws what happens. After `mercy` draws nothing happens any more, so that every story ends."""

    def __init__(self, data: st.DataObject, mercy: int) -> None:
        self._data = data
        self._left = mercy

    def says(self, what: str) -> bool:
        if not self._left:
            return False
        self._left -= 1
        return bool(self._data.draw(st.integers(0, 4), label=what) == 4)

    def may_die(self) -> None:
        if self.says("die"):
            raise Died


def lived(folder: Path, story: Any, data: st.DataObject, **worker: Any) -> tuple[Stepped, Rows]:
    """Runs the story through processes that die; the last one, at rest, and what the store holds."""
    rows: Rows = {}
    fate = Fate(data, mercy=data.draw(st.integers(0, 120), label="mercy"))

    def start() -> Stepped:
        return Stepped(folder, FragileStore(rows, fate), through=lambda ledger: FragileLedger(ledger, fate), **worker)

    site = start()
    write(site, story)
    rest = 0
    for _ in range(ENDLESS):
        site.clock.now_ns += 700_000_000
        try:
            worked = site.uploader.step() == 0.0 if fate.says("upload") else site.worker.step()
            rest = 0 if worked or fate.says("any") else rest + 1
        except Died:
            site.drop()
            site = start()
            rest = 0
        if rest > 3 and not fate._left:
            break
    site.settle()
    return site, rows


@settings(deadline=None, max_examples=40)
@given(entries, st.data())
def test_a_kill_at_any_moment_changes_nothing_that_is_found(story: Any, data: st.DataObject) -> None:
    with (
        tempfile.TemporaryDirectory(dir=MEMORY) as one,
        tempfile.TemporaryDirectory(dir=MEMORY) as other,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(pipeline, "READINGS_A_SERIES", data.draw(st.sampled_from([0, 0, 1]), label="readings"))
        calm = Stepped(Path(one), snapshot_every_s=1e9, most_messages=10_000)
        write(calm, story)
        calm.settle()
        assert isinstance(calm.store, MemoryStore)

        site, rows = lived(
            Path(other),
            story,
            data,
            most_rows=data.draw(st.sampled_from([3, 20, 200_000]), label="most_rows"),
            most_messages=data.draw(st.sampled_from([1, 3, 8]), label="most_messages"),
            snapshot_every_s=data.draw(st.sampled_from([0.0, 60.0, 600.0]), label="snapshot_every_s"),
        )

        assert site.transitions() == calm.transitions()
        assert rows == calm.store.rows
        assert site.kept() == calm.kept()
        assert site.ledger.resume().judged == site.journal.last() == site.uploader.stored
        assert not site.worker.is_catching_up
        for process in (calm, site):
            process.drop()


@settings(deadline=None, max_examples=20)
@given(entries, st.integers(1, 40), st.integers(1, 6), st.booleans())
def test_a_portion_of_any_size_and_a_clean_stop_anywhere_give_the_same(
    story: Any, most_messages: int, stop_after: int, clean: bool
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as one, tempfile.TemporaryDirectory(dir=MEMORY) as other:
        calm = Stepped(Path(one), most_messages=10_000)
        write(calm, story)
        calm.settle()
        assert isinstance(calm.store, MemoryStore)

        first = Stepped(Path(other), most_messages=most_messages, snapshot_every_s=0.0)
        write(first, story)
        for _ in range(stop_after):
            first.worker.step()
        while clean and first.uploader.step() == 0.0:
            pass
        if clean:
            first.worker.finish()
        first.drop()
        second = Stepped(Path(other), first.store, most_messages=most_messages)
        second.settle()

        assert second.transitions() == calm.transitions()
        assert isinstance(second.store, MemoryStore)
        assert second.store.rows == calm.store.rows
        if clean:
            assert second.restored == [True]
        for process in (calm, second):
            process.drop()
