"""The journal gives back what was put in, in order, from any cursor, whatever the disk and the clock do."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import segments
from ingest.journal import JournalDamaged, SqliteJournal
from ingest.message import Block, Entry, JournalUnavailable
from rules.readings import SECOND_NS

NOON_NS = 1_772_366_400_000_000_000  # 2026-03-01T12:00Z
DAY_NS = 86_400_000_000_000


def block(*payloads: bytes, received_ns: int = NOON_NS) -> Block:
    return Block("mqtt", received_ns, [f"t/{n}" for n in range(len(payloads))], list(payloads))


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that no compression makes smaller."""
    return random.Random(seed).randbytes(size)


def whole(journal: SqliteJournal) -> list[Entry]:
    return journal.read(0, 10**9)


blocks = st.builds(
    lambda source, at, messages: Block(source, at, [t for t, _ in messages], [p for _, p in messages]),
    st.sampled_from(["a", "b"]),
    st.integers(0, 2**62),
    st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=40)), max_size=6),
)
commits = st.lists(
    st.tuples(st.lists(blocks, max_size=3), st.integers(-DAY_NS, DAY_NS), st.booleans()), min_size=1, max_size=12
)


@settings(deadline=None, max_examples=40)
@given(commits, st.data())
def test_any_cursor_and_any_portion_give_what_was_appended(
    appended: list[tuple[list[Block], int, bool]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal, reader = SqliteJournal(Path(folder), sync=False), SqliteJournal(Path(folder))
        expected, now_ns, newest_ns = [], NOON_NS, 0
        for number, (parts, step_ns, tick) in enumerate(appended, 1):
            now_ns += step_ns
            passed_ns = min(max(step_ns, 0), 60 * SECOND_NS) if number > 1 else 0
            newest_ns = max(now_ns, newest_ns + passed_ns - passed_ns // 10)
            assert journal.append(parts, now_ns, tick=tick) == number
            expected.append(Entry(number, newest_ns, tick, parts))
            if data.draw(st.booleans()):
                journal.close()  # and goes on by itself
        after = data.draw(st.integers(0, len(expected)))
        most = data.draw(st.integers(0, 20))
        for one in (journal, reader):
            assert one.last() == len(expected)
            assert whole(one) == expected
            portion = one.read(after, most)
            assert portion == expected[after : after + len(portion)]
            sizes = [sum(map(len, entry.blocks)) for entry in expected[after:]]
            assert bool(portion) == bool(sizes)
            assert len(portion) <= 1 or sum(sizes[: len(portion)]) <= most
            assert len(portion) == len(sizes) or sum(sizes[: len(portion) + 1]) > most
        assert journal.verify() == []
        journal.close()
        reader.close()


def test_a_clock_that_goes_back_changes_neither_day_nor_order(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, sync=False)
    for now_ns in (NOON_NS, NOON_NS + DAY_NS, NOON_NS - DAY_NS, NOON_NS + DAY_NS + 1):
        journal.append([], now_ns, tick=True)
    assert [day.day for day in journal.days()] == ["2026-03-01", "2026-03-02"]
    *others, last_ns = (entry.written_ns - NOON_NS for entry in whole(journal))
    assert others == [0, DAY_NS, DAY_NS]
    assert DAY_NS + 1 <= last_ns <= DAY_NS + 60 * SECOND_NS, "a leap of the clock is no time that passed"


def test_time_goes_on_when_the_clock_was_set_back_and_the_two_agree_again(tmp_path: Path) -> None:
    """Who waits for what does not come must not wait for ever. A restart changes nothing of it."""
    journal = SqliteJournal(tmp_path, sync=False)
    journal.append([], NOON_NS + 3600 * SECOND_NS, tick=True)
    written_ns = []
    for step in range(9_000):
        if step == 100:
            journal.close()
            journal = SqliteJournal(tmp_path, sync=False)
        journal.append([], NOON_NS + step * 5 * SECOND_NS, tick=True)
        written_ns.append(journal.read(journal.last() - 1, 10)[0].written_ns - NOON_NS)
        if step == 50:
            assert journal.ahead_ns > 3000 * SECOND_NS
    steps = {later - earlier for earlier, later in pairwise(written_ns)}
    assert steps <= {0, 4_500_000_000, 5 * SECOND_NS} | {s for s in steps if 0 < s < 5 * SECOND_NS}
    assert min(later - earlier for earlier, later in pairwise(written_ns[101:])) >= 4_500_000_000
    assert written_ns[-1] == 8_999 * 5 * SECOND_NS
    assert journal.ahead_ns == 0


def test_a_closed_day_is_one_file_and_is_sealed_at_the_next_append(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, sync=False)
    journal.append([block(b"x")], NOON_NS, tick=False)
    whole(journal)  # a reader of our own does not hold it up
    journal.append([block(b"y")], NOON_NS + DAY_NS, tick=False)
    assert [day.sealed for day in journal.days()] == [False, False]
    journal.append([block(b"z")], NOON_NS + DAY_NS, tick=False)
    assert [day.sealed for day in journal.days()] == [True, False]
    assert not list(tmp_path.glob("2026-03-01.sqlite-*"))
    assert journal.verify() == []


def test_a_day_that_somebody_else_reads_is_sealed_later(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, sync=False)
    journal.append([block(b"x")], NOON_NS, tick=False)
    other = sqlite3.connect(tmp_path / "2026-03-01.sqlite")
    other.execute("SELECT * FROM entries").fetchone()
    for _ in range(3):
        journal.append([block(b"y")], NOON_NS + DAY_NS, tick=False)
        assert [day.sealed for day in journal.days()] == [False, False]
    assert journal.verify() == []
    other.close()
    journal.append([block(b"y")], NOON_NS + DAY_NS, tick=False)
    assert [day.sealed for day in journal.days()] == [True, False]


def test_a_restart_seals_what_the_run_before_left_open(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, sync=False)
    for day in range(3):
        journal.append([block(b"x")], NOON_NS + day * DAY_NS, tick=False)
    journal.close()
    again = SqliteJournal(tmp_path, sync=False)
    again.append([block(b"x")], NOON_NS + 3 * DAY_NS, tick=False)
    again.append([block(b"x")], NOON_NS + 3 * DAY_NS, tick=False)
    again.append([block(b"x")], NOON_NS + 3 * DAY_NS, tick=False)
    assert [day.sealed for day in again.days()] == [True, True, True, False]
    assert again.verify() == []


def test_a_full_disk_takes_nothing_and_the_journal_goes_on_when_there_is_room(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, sync=False, most_pages=60)
    written = 0
    with suppress(JournalUnavailable):
        for _ in range(100):
            journal.append([block(noise(20_000, seed=written))], NOON_NS, tick=False)
            written += 1
    assert 0 < written < 100
    before = whole(journal)
    assert len(before) == written
    with pytest.raises(JournalUnavailable, match="full"):
        journal.append([block(noise(20_000))], NOON_NS, tick=False)
    assert journal.verify() == []
    journal.most_pages = None
    assert journal.append([block(noise(20_000))], NOON_NS, tick=False) == written + 1
    assert whole(journal)[:-1] == before
    assert journal.verify() == []


def test_a_disk_that_is_full_when_a_day_begins_leaves_no_half_day(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, sync=False)
    journal.append([block(b"x")], NOON_NS, tick=False)
    journal.most_pages = 2
    with pytest.raises(JournalUnavailable):
        journal.append([block(b"y")], NOON_NS + DAY_NS, tick=False)
    assert journal.verify() == []
    assert [entry.number for entry in whole(journal)] == [1]
    journal.most_pages = None
    assert journal.append([block(b"y")], NOON_NS + DAY_NS, tick=False) == 2
    assert journal.append([block(b"y")], NOON_NS + DAY_NS, tick=False) == 3
    assert [entry.number for entry in whole(journal)] == [1, 2, 3]
    assert journal.verify() == []


def test_a_folder_that_cannot_be_written_is_unavailable_not_a_crash(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal", sync=False)
    (tmp_path / "journal").rmdir()
    with pytest.raises(JournalUnavailable):
        journal.append([block(b"x")], NOON_NS, tick=False)
    (tmp_path / "journal").mkdir()
    assert journal.append([block(b"x")], NOON_NS, tick=False) == 1


def test_reading_goes_on_while_days_change(tmp_path: Path) -> None:
    """A reader with its own files, in a thread, misses no entry of a writer who is always in a hurry."""
    journal, reader = SqliteJournal(tmp_path, sync=False), SqliteJournal(tmp_path)
    count = 400
    seen: list[int] = []

    def read() -> None:
        while len(seen) < count:
            seen.extend(entry.number for entry in reader.read(len(seen), 7))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    for number in range(count):
        journal.append([block(b"x", b"y")], NOON_NS + number * DAY_NS // 20, tick=False)
    thread.join(30)
    assert seen == list(range(1, count + 1))


def test_an_entry_that_was_taken_out_is_not_passed_over(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, sync=False)
    for n in range(5):
        journal.append([block(b"%d" % n)], NOON_NS, tick=False)
    with sqlite3.connect(tmp_path / "2026-03-01.sqlite") as other:
        other.execute("DELETE FROM entries WHERE number = 3")
    other.close()
    assert [entry.number for entry in journal.read(0, 2)] == [1, 2]
    with pytest.raises(JournalDamaged):
        journal.read(2, 10)


def test_a_body_that_was_changed_is_not_read(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, sync=False)
    journal.append([block(b"x" * 100)], NOON_NS, tick=False)
    with sqlite3.connect(tmp_path / "2026-03-01.sqlite") as other:
        (body,) = other.execute("SELECT body FROM entries").fetchone()
        other.execute("UPDATE entries SET body = ?", (body[:-6] + bytes([body[-6] ^ 1]) + body[-5:],))
    other.close()
    with pytest.raises(JournalDamaged):
        journal.read(0, 10)


def test_retention_drops_whole_days_and_nothing_that_is_still_needed(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, sync=False)
    for n in range(12):  # three entries a day
        journal.append([block(b"%d" % n)], NOON_NS + n // 3 * DAY_NS, tick=False)
    assert journal.drop_before("2026-03-04", upto=5) == ["2026-03-01"]
    assert [entry.number for entry in whole(journal)] == list(range(4, 13))
    assert journal.verify() == []
    assert journal.drop_before("2026-03-03", upto=12) == ["2026-03-02"]
    assert journal.drop_before("2027-01-01", upto=12) == ["2026-03-03"], "the newest day stays"
    assert [entry.number for entry in whole(journal)] == [10, 11, 12]
    assert journal.append([], NOON_NS + 4 * DAY_NS, tick=True) == 13
    assert journal.verify() == []
    (tmp_path / "2026-03-04.sqlite").unlink()
    assert journal.verify() != []


def test_sizes_are_told(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, sync=False)
    assert (journal.last(), journal.size_bytes(), journal.days()) == (0, 0, [])
    journal.append([block(noise(50_000))], NOON_NS, tick=False)
    assert 50_000 < journal.size_bytes() < 200_000
    assert journal.free_bytes() > 0
    (day,) = journal.days()
    assert (day.day, day.first, day.last, day.sealed) == ("2026-03-01", 1, 1, False)


WRITER = """
import sys
from pathlib import Path
from ingest.journal import SqliteJournal
from ingest.message import Block
journal = SqliteJournal(Path(sys.argv[1]))
number = journal.last()
while True:
    number += 1
    payload = b"%d " % number * (number % 400)
    got = journal.append([Block("s", 0, ["t"], [payload])], 1_772_366_400_000_000_000 + number * 20_000_000_000_000, tick=False)
    assert got == number
    print(got, flush=True)
"""


@pytest.mark.kill
def test_what_append_returned_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    dice = random.Random(5)
    told = 0
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        ) as writer:
            assert writer.stdout is not None
            told = int(writer.stdout.readline())
            time.sleep(dice.random() * 0.1)
            os.kill(writer.pid, signal.SIGKILL)
            lines = writer.stdout.read().split()
            told = int(lines[-1]) if lines else told
        journal = SqliteJournal(tmp_path)
        found = whole(journal)
        assert [entry.number for entry in found] == list(range(1, len(found) + 1))
        assert told <= len(found) <= told + 1
        for entry in found:
            assert entry.blocks[0].payloads == [b"%d " % entry.number * (entry.number % 400)]
        assert journal.verify() == []
        journal.close()


def test_a_day_is_named_in_utc() -> None:
    assert segments.day_of(NOON_NS + DAY_NS // 2 - 1) == "2026-03-01"
    assert segments.day_of(NOON_NS + DAY_NS // 2) == "2026-03-02"


@pytest.mark.parametrize(("sync", "level"), [(True, 2), (False, 0)])
def test_a_commit_waits_for_the_disk_unless_told_not_to(tmp_path: Path, sync: bool, level: int) -> None:
    """2 is FULL: what append returned survives a power failure. No test can cut the power."""
    with closing(segments.open_for_writing(tmp_path / "2026-03-01.sqlite", sync=sync)) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
