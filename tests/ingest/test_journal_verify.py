"""Verification finds whatever was done to a finished day, and nothing where nothing was done."""

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from ingest import segments
from ingest.journal import SqliteJournal
from ingest.message import Block
from ingest.verification import verify

NOON_NS = 1_772_366_400_000_000_000
DAY_NS = 86_400_000_000_000
DAYS = ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"]
EVERY = 61  # every so many bytes one is flipped: a prime, so that all fields are met


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    journal = SqliteJournal(tmp_path, sync=False)
    for n in range(12):
        part = Block("mqtt", NOON_NS, ["t/1", "t/2"], [b"%d" % n, b"some payload %d" % n])
        journal.append([part], NOON_NS + n // 3 * DAY_NS, tick=n % 2 == 0)
    journal.close()
    assert [day.sealed for day in journal.days()] == [True, True, True, False]
    assert journal.verify() == []
    return tmp_path


def findings(folder: Path) -> list[str]:
    return [finding.day for finding in verify(folder, lambda _day: None)]


@pytest.mark.parametrize("day", DAYS[:3])
def test_every_flipped_byte_of_a_sealed_day_is_found(folder: Path, day: str) -> None:
    path = segments.path_of(folder, day)
    good = path.read_bytes()
    for at in range(0, len(good), EVERY):
        path.write_bytes(good[:at] + bytes([good[at] ^ (1 << at % 8)]) + good[at + 1 :])
        assert day in findings(folder), f"byte {at} of {day}"
    path.write_bytes(good)
    assert findings(folder) == []


def test_a_flipped_byte_in_an_entry_of_the_open_day_is_found(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "2026-03-04.sqlite", isolation_level=None)) as other:
        good = other.execute(
            "SELECT number, written_ns, messages, digest, body FROM entries WHERE number = 11"
        ).fetchone()
        bad = [(*good[:3], flipped, good[4]) for flipped in flips(good[3])]
        bad += [(*good[:4], flipped) for flipped in flips(good[4])]
        bad += [(11, good[1] + 1, *good[2:]), (11, good[1], good[2] + 1, *good[3:])]
        for row in bad:
            other.execute("REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", row)
            assert 11 in {finding.number for finding in verify(folder, lambda _day: None)}
        other.execute("REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", good)
        assert findings(folder) == []


def flips(old: bytes) -> list[bytes]:
    return [old[:at] + bytes([old[at] ^ 1]) + old[at + 1 :] for at in range(0, len(old), 3)]


def test_an_entry_taken_out_of_or_moved_within_the_open_day_is_found(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "2026-03-04.sqlite", isolation_level=None)) as other:
        other.execute("UPDATE entries SET number = 20 - number")
        assert findings(folder)
        other.execute("UPDATE entries SET number = 20 - number")
        assert findings(folder) == []
        other.execute("DELETE FROM entries WHERE number = 11")
        assert findings(folder) == ["2026-03-04"]


def test_a_changed_origin_of_the_open_day_is_found(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "2026-03-04.sqlite")) as other, other:
        other.execute("UPDATE origin SET previous = '2026-03-02'")
    assert "2026-03-04" in findings(folder)


@pytest.mark.parametrize("day", DAYS)
def test_a_missing_day_is_found(folder: Path, day: str) -> None:
    segments.path_of(folder, day).unlink()
    assert findings(folder)


def test_swapped_days_are_found(folder: Path) -> None:
    one, two = segments.path_of(folder, DAYS[0]), segments.path_of(folder, DAYS[1])
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(kept)
    assert set(DAYS[:2]) <= set(findings(folder))


@pytest.mark.parametrize(("day", "name"), [(DAYS[0], "2026-02-11"), (DAYS[1], "2026-03-05"), (DAYS[3], "2026-03-09")])
def test_a_renamed_day_is_found(folder: Path, day: str, name: str) -> None:
    segments.path_of(folder, day).rename(segments.path_of(folder, name))
    assert name in findings(folder)


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("size", [0, 50, 5_000])
def test_a_truncated_file_is_found(folder: Path, day: str, size: int) -> None:
    path = segments.path_of(folder, day)
    path.write_bytes(path.read_bytes()[:size])
    assert findings(folder)


def test_a_day_put_in_from_elsewhere_is_found(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = SqliteJournal(tmp_path_factory.mktemp("other"), sync=False)
    other.append([Block("mqtt", NOON_NS, ["t"], [b"x"])], NOON_NS - DAY_NS, tick=False)
    other.close()
    shutil.copy(next(iter(other._folder.glob("*.sqlite"))), segments.path_of(folder, "2026-02-28"))
    assert findings(folder)


def test_a_journal_that_is_being_written_verifies_clean(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, sync=False)
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            journal.append([Block("mqtt", n, ["t"], [b"%d" % n])], NOON_NS + n * DAY_NS // 50, tick=False)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        for _ in range(15):
            assert verify(tmp_path, lambda _day: None) == []
    finally:
        stop.set()
        writer.join(10)
    assert journal.verify() == []
