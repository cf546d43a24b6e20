"""Old days of the journal go when the site says so, and never one that a start would read again."""

from pathlib import Path

import pytest

from ingest.journal import SqliteJournal
from ingest.message import Block
from ingest.records import PartFailed, Record
from jianwei.clock import SimulatedClock
from jianwei.retention import Retention
from rules.readings import SECOND_NS

NOON_NS = 1_772_366_400 * SECOND_NS  # 2026-03-01T12:00Z
DAY_NS = 86_400 * SECOND_NS


class Kept:
    """A journal with an entry on each of six days, and a clock at the last of them."""

    def __init__(self, folder: Path, keep_days: int | None, needed_from: int = 10**9) -> None:
        self.journal = SqliteJournal(folder, sync=False)
        for day in range(6):
            self.journal.append([Block("mqtt", NOON_NS, ["t"], [b"x"])], NOON_NS + day * DAY_NS, tick=False)
        self.clock = SimulatedClock(NOON_NS + 5 * DAY_NS)
        self.records: list[Record] = []
        self.asked = 0
        self.needed_from = needed_from
        self.retention = Retention(self.journal, keep_days, self.mark, self.clock, self.records.append)

    def mark(self) -> int:
        self.asked += 1
        return self.needed_from

    @property
    def days(self) -> list[str]:
        return [day.day[-2:] for day in self.journal.days()]


def test_nothing_goes_unless_somebody_says_so(tmp_path: Path) -> None:
    kept = Kept(tmp_path, None)
    kept.retention.step()
    assert len(kept.days) == 6
    assert kept.asked == 0


def test_days_older_than_the_setting_go_and_the_rest_can_be_read(tmp_path: Path) -> None:
    kept = Kept(tmp_path, 2)
    kept.retention.step()
    assert kept.days == ["04", "05", "06"], "two whole days and today"
    assert [entry.number for entry in kept.journal.read(0, 100)] == [4, 5, 6]
    assert kept.journal.verify() == []


def test_what_a_start_would_read_again_stays(tmp_path: Path) -> None:
    kept = Kept(tmp_path, 2, needed_from=1)
    kept.retention.step()
    assert kept.days[0] == "02"


def test_it_looks_once_an_hour(tmp_path: Path) -> None:
    kept = Kept(tmp_path, 2)
    for _ in range(10):
        kept.retention.step()
        kept.clock.now_ns += 60 * SECOND_NS
    assert kept.asked == 1
    kept.clock.now_ns += 3_600 * SECOND_NS
    kept.retention.step()
    assert kept.asked == 2


@pytest.mark.parametrize("error", [OSError("the ledger is locked")])
def test_what_cannot_be_removed_now_is_told_and_tried_again(tmp_path: Path, error: OSError) -> None:
    kept = Kept(tmp_path, 2)
    fails = [error]

    def mark() -> int:
        if fails:
            raise fails.pop()
        return 10**9

    retention = Retention(kept.journal, 2, mark, kept.clock, kept.records.append)
    retention.step()
    assert kept.records == [PartFailed("retention", "the ledger is locked")]
    assert len(kept.days) == 6
    kept.clock.now_ns += 3_601 * SECOND_NS
    retention.step()
    assert len(kept.days) == 3
