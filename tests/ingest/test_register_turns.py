"""The register changes while the worker works: every entry is judged by the stations of its time, whatever dies."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import pipeline
from ingest.records import CatchUp
from rules.engine import RULE_IS_GONE
from rules.readings import Kind
from rules.watches import Watchlist
from tests.ingest.stepped import MEMORY, Died, MemoryStore, Rows, Stepped, message, watches
from tests.ingest.test_pipeline_properties import ENDLESS, Fate, FragileLedger, FragileStore, entries, write
from tests.rules.watching import Handmade

BOTH, ONE, OTHER, NOBODY = ("S1", "S2"), ("S1",), ("S2",), ()
VERSIONS: Sequence[Sequence[str]] = [ONE, BOTH, OTHER, NOBODY, BOTH, ONE, OTHER, BOTH]


def registered(version: int) -> Watchlist:
    stations = VERSIONS[min(version, len(VERSIONS) - 1)]
    watched = [watch for watch in watches() if watch.subject.station in stations]
    return Handmade(watched, [(station, Kind.MINUTE) for station in stations])


class Lived:
    """Processes that die on one folder, while somebody changes the register."""

    def __init__(self, folder: Path, fate: Fate, **worker: Any) -> None:
        self.rows: Rows = {}
        self.version = 0
        self._folder = folder
        self._fate = fate
        self._worker = worker
        self.process = self._started()

    def change(self) -> None:
        """The register's next version."""
        self.version += 1
        self.process.worker.rebind(self.version)

    def step(self) -> bool:
        """Whether there was anything to do."""
        try:
            if self._fate.says("upload"):
                return self.process.uploader.step() == 0.0
            return self.process.worker.step()
        except Died:
            self.process.drop()
            self.process = self._started()
            return True

    def _started(self) -> Stepped:
        process = Stepped(
            self._folder,
            FragileStore(self.rows, self._fate),
            through=lambda ledger: FragileLedger(ledger, self._fate),
            registers=registered,
            **self._worker,
        )
        process.worker.rebind(self.version)
        return process


def lived(folder: Path, story: Any, data: st.DataObject, **worker: Any) -> Lived:
    fate = Fate(data, mercy=data.draw(st.integers(0, 120), label="mercy"))
    changes = data.draw(st.lists(st.integers(0, 60), max_size=len(VERSIONS) - 1, unique=True), label="changes")
    site = Lived(folder, fate, **worker)
    write(site.process, story)
    rest = 0
    for step in range(ENDLESS):
        site.process.clock.now_ns += 700_000_000
        if step in changes:
            site.change()
        rest = 0 if site.step() or fate.says("any") else rest + 1
        if rest > 3 and not fate._left and step > 60:
            break
    site.process.append(10_000, tick=True)
    site.process.settle()
    return site


@settings(deadline=None, max_examples=40)
@given(entries, st.data())
def test_whoever_judges_again_judges_each_entry_by_the_stations_of_its_time(story: Any, data: st.DataObject) -> None:
    """What is found depends on the journal and on the turns in the ledger, not on who died when."""
    with (
        tempfile.TemporaryDirectory(dir=MEMORY) as one,
        tempfile.TemporaryDirectory(dir=MEMORY) as other,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(pipeline, "READINGS_A_SERIES", data.draw(st.sampled_from([0, 0, 1]), label="readings"))
        site = lived(
            Path(other),
            story,
            data,
            most_rows=data.draw(st.sampled_from([3, 20, 200_000]), label="most_rows"),
            most_messages=data.draw(st.sampled_from([1, 3, 8]), label="most_messages"),
            snapshot_every_s=data.draw(st.sampled_from([0.0, 60.0, 600.0]), label="snapshot_every_s"),
        )
        turns = site.process.ledger.resume().turns
        assert not turns or turns[-1][1] == site.version
        assert turns or site.version == 0

        calm = Stepped(Path(one), snapshot_every_s=1e9, most_messages=10_000, registers=registered)
        write(calm, story)
        calm.append(10_000, tick=True)
        for turn in turns:
            calm.ledger.turn(*turn)
        calm.settle()
        assert isinstance(calm.store, MemoryStore)

        assert site.process.transitions() == calm.transitions()
        assert site.rows == calm.store.rows
        assert site.process.kept() == calm.kept()
        for process in (calm, site.process):
            process.drop()


def test_a_station_that_is_added_is_judged_from_the_next_entry_on(tmp_path: Path) -> None:
    site = Stepped(tmp_path, registers=registered)
    for minute in (1, 2):
        site.append(minute, message(minute, {"p0": 95.0}, "S2"))
        site.settle()
    assert site.transitions() == []
    site.worker.rebind(1)
    site.settle()
    assert site.ledger.resume().turns == ((2, 1),)
    site.append(3, message(3, {"p0": 95.0}, "S2"))
    site.settle()
    assert {change.at_ns for change in site.transitions()} != set()
    assert {change.station for change in site.transitions()} == {"S2"}
    site.drop()


def test_open_episodes_of_a_station_that_is_removed_end_at_the_next_tick(tmp_path: Path) -> None:
    site = Stepped(tmp_path, registers=registered)
    site.append(1, message(1, {"p0": 95.0}))
    site.settle()
    opened = {change.episode for change in site.transitions()}
    assert opened
    site.worker.rebind(3)
    site.append(2, tick=True)
    site.settle()
    cleared = [change for change in site.transitions() if change.what == "cleared"]
    assert {change.episode for change in cleared} == opened
    assert {change.reason for change in cleared} == {RULE_IS_GONE}
    site.drop()


def test_an_episode_goes_on_where_its_station_stays(tmp_path: Path) -> None:
    site = Stepped(tmp_path, registers=registered)
    site.append(1, message(1, {"p0": 95.0}))
    site.settle()
    site.worker.rebind(1)
    site.append(2, message(2, {"p0": 95.0}), tick=True)
    site.append(3, message(3, {"p0": 30.0}))
    site.settle()
    of_range = [change for change in site.transitions() if change.check == "gross_range"]
    assert [change.what for change in of_range] == ["opened", "cleared"]
    site.drop()


def test_what_was_judged_before_a_kill_is_not_judged_by_stations_that_came_later(tmp_path: Path) -> None:
    """The kill comes before a snapshot: all is judged again, and what S1 opened is known when it is removed."""
    first = Stepped(tmp_path, registers=registered, snapshot_every_s=1e9)
    first.append(1, message(1, {"p0": 95.0}))
    first.settle()
    first.drop()
    second = Stepped(tmp_path, first.store, registers=registered)
    second.worker.rebind(2)
    second.append(2, tick=True)
    second.settle()
    found = second.transitions()
    assert {change.episode for change in found if change.what == "cleared"} == {
        change.episode for change in found if change.what == "opened"
    }
    assert found
    second.drop()


def test_a_register_that_changes_while_the_store_is_away_holds_at_once_and_for_rows_made_again(tmp_path: Path) -> None:
    store = MemoryStore()
    site = Stepped(tmp_path, store, registers=registered, most_rows=1, most_messages=1, patience_s=0.0)
    store.away = True
    for minute in (1, 2, 3):
        site.append(minute, message(minute, {"p0": 95.0}, "S2"))
    for _ in range(10):
        site.worker.step()
        site.uploader.step()
        site.clock.now_ns += 10**9
    assert site.worker.is_catching_up
    site.worker.rebind(1)
    site.append(4, message(4, {"p0": 95.0}, "S2"))
    for _ in range(5):
        site.worker.step()
    assert {change.station for change in site.transitions()} == {"S2"}
    store.away = False
    for _ in range(100):
        site.uploader.step()
        site.worker.step()
    assert site.told(CatchUp)[-1].done
    verdicts = [row[2] for (_, _, _, _), row in sorted(store.rows.items())]
    assert len(verdicts) == 4
    assert len(set(verdicts[:3])) == 1
    assert verdicts[3] != verdicts[0]
    site.drop()
