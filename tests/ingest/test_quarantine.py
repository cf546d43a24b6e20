"""What could not be read or stored is kept once, byte for byte, with its place and reason, and can be retried."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import quarantine
from ingest.message import Problem, position_of
from ingest.quarantine import CLASSES, Quarantine, QuarantineUnavailable, reason_class

PROBLEM = Problem(position_of(3, 1), "$.values.p1", "bad value: a text is no number", b'{"a": \xff}', "mqtt", "t/1", 77)
texts = st.text(st.characters(), max_size=8)  # lone surrogates too: a topic may hold them
problems = st.builds(
    Problem,
    st.integers(0, 2**62),
    texts,
    texts,
    st.binary(max_size=50),
    texts,
    texts,
    st.integers(-(2**62), 2**62),
)


@pytest.fixture
def kept(tmp_path: Path) -> Quarantine:
    return Quarantine(tmp_path / "new" / "quarantine.sqlite")


def test_a_problem_comes_back_as_it_was(kept: Quarantine) -> None:
    kept.keep([PROBLEM])
    (entry,) = kept.entries()
    assert entry.problem == PROBLEM
    assert (entry.reason_class, entry.retried_ns) == ("bad_value", None)
    assert kept.get(entry.id) == entry
    assert kept.get(entry.id + 1) is None


def test_of_an_enormous_payload_the_beginning_is_kept(kept: Quarantine, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot be kept would hold up judging for ever."""
    monkeypatch.setattr(quarantine, "MOST_PAYLOAD_BYTES", 5)
    kept.keep([replace(PROBLEM, payload=b"0123456789")])
    (entry,) = kept.entries()
    assert entry.problem.payload == b"01234"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(problems, max_size=8))
def test_whatever_a_station_sends_can_be_kept(kept: Quarantine, found: list[Problem]) -> None:
    before = kept.count()
    kept.keep(found)
    kept.keep(found)
    fresh = kept.entries(after=before, most=1_000)
    assert {entry.problem.payload for entry in fresh} <= {problem.payload for problem in found}
    assert kept.count() == before + len(fresh)


def test_lone_surrogates_are_shown_as_such(kept: Quarantine) -> None:
    kept.keep([replace(PROBLEM, topic="t/\ud800", where="$.\udfff", reason="bad \ud800")])
    (entry,) = kept.entries()
    assert (entry.problem.topic, entry.problem.where) == ("t/\\ud800", "$.\\udfff")


def test_judging_again_changes_nothing_but_other_places_of_a_message_are_others(kept: Quarantine) -> None:
    kept.keep([PROBLEM, replace(PROBLEM, where="$.values.p2")])
    kept.keep([PROBLEM, replace(PROBLEM, reason="said in other words")])
    assert (kept.count(), kept.count_messages()) == (2, 1)
    assert kept.entries()[0].problem.reason == PROBLEM.reason


def test_problems_are_listed_from_any_id_on_and_by_class(kept: Quarantine) -> None:
    for index in range(10):
        reason = "not JSON: x" if index % 2 else "bad time: y"
        kept.keep([replace(PROBLEM, position=index, reason=reason)])
    numbers = [entry.id for entry in kept.entries()]
    assert numbers == sorted(numbers)
    assert [entry.id for entry in kept.entries(after=numbers[3], most=4)] == numbers[4:8]
    assert {entry.problem.position for entry in kept.entries(only="not_json")} == {1, 3, 5, 7, 9}
    assert kept.counts() == {"bad_time": 5, "not_json": 5}
    assert kept.entries(only="other") == []


def test_a_retry_marks_every_problem_of_its_message(kept: Quarantine) -> None:
    kept.keep([PROBLEM, replace(PROBLEM, where="$.b"), replace(PROBLEM, position=9)])
    kept.mark_retried([PROBLEM.position], 500)
    assert [entry.retried_ns for entry in kept.entries()] == [500, 500, None]


def test_the_command_line_reads_and_marks_while_the_worker_writes(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.sqlite"
    worker, other = Quarantine(path), Quarantine(path)

    def write() -> None:
        for index in range(100):
            worker.keep([replace(PROBLEM, position=index)])

    thread = threading.Thread(target=write)
    thread.start()
    for index in range(50):
        other.mark_retried([index], 1)
        assert other.count() <= 100
    thread.join()
    assert other.count() == worker.count() == 100


def test_it_survives_its_process(tmp_path: Path) -> None:
    first = Quarantine(tmp_path / "q.sqlite")
    first.keep([PROBLEM])
    first.close()
    assert Quarantine(tmp_path / "q.sqlite").entries()[0].problem == PROBLEM


def test_all_or_nothing_when_it_cannot_write_and_it_goes_on_afterwards(kept: Quarantine) -> None:
    pages = kept._connection.execute("PRAGMA page_count").fetchone()[0]
    kept._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    many = [replace(PROBLEM, position=n, payload=bytes(3_000)) for n in range(20)]
    with pytest.raises(QuarantineUnavailable, match="full"):
        kept.keep(many)
    assert kept.count() == 0
    kept._connection.execute("PRAGMA max_page_count = 100000")
    kept.keep(many)
    assert kept.count() == 20


def test_who_holds_it_for_long_is_an_os_error_as_the_worker_expects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "WAIT_FOR_LOCK_S", 0.05)
    kept = Quarantine(tmp_path / "q.sqlite")
    with closing(sqlite3.connect(tmp_path / "q.sqlite", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(OSError, match="locked"):
            kept.keep([PROBLEM])
    kept.keep([PROBLEM])
    assert kept.count() == 1


def test_what_is_no_quarantine_is_told(tmp_path: Path) -> None:
    (tmp_path / "q.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(QuarantineUnavailable, match=r"q\.sqlite cannot be opened"):
        Quarantine(tmp_path / "q.sqlite")


@pytest.mark.parametrize(("start", "word"), CLASSES.items())
def test_a_reason_has_the_class_that_its_beginning_says(start: str, word: str) -> None:
    assert reason_class(f"{start}: and so on") == word


def test_an_unforeseen_reason_has_a_class_too() -> None:
    assert reason_class("never heard of") == "other"
