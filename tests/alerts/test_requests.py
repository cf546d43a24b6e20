"""What stations are asked is kept with what came of it; notes stay with their episodes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.ledger import SqlLedger
from alerts.requests import Ask, Move, SqlRequests
from tests.alerts.found import HOUR_NS, NOON_NS, change

SPAN = {"EndTime": "20260301100000", "BeginTime": "20260301080000"}
HISTORY = Ask("S-01", "MN-1", "2051", SPAN, by="somebody", episode="e" * 32)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[SqlRequests]:
    requests = SqlRequests(url_of(tmp_path), lambda: NOON_NS)
    yield requests
    requests.close()


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.sqlite'}"


def test_a_request_is_due_until_it_moves(kept: SqlRequests) -> None:
    (number,) = kept.put([HISTORY])
    (due,) = kept.due(NOON_NS)
    assert (due.number, due.station, due.mn, due.cn, due.fields) == (number, "S-01", "MN-1", "2051", SPAN)
    assert (due.asked_ns, due.asked_by, due.episode, due.is_final) == (NOON_NS, "somebody", "e" * 32, False)
    kept.moved([Move(number, "sent", "", NOON_NS + 1), Move(number, "accepted", "", NOON_NS + 2)])
    assert kept.due(NOON_NS) == []
    assert [each.state for each in kept.open()] == ["accepted"]


def test_the_first_end_of_a_request_stays(kept: SqlRequests) -> None:
    (number,) = kept.put([HISTORY])
    kept.moved([Move(number, "done", "well", NOON_NS + 5, 3, 12)])
    kept.moved([Move(number, "unanswered", "late", NOON_NS + 6), Move(number, "due", "", NOON_NS + 7)])
    ended = kept.get(number)
    assert ended is not None
    assert (ended.state, ended.said, ended.moved_ns, ended.frames, ended.readings) == (
        "done",
        "well",
        NOON_NS + 5,
        3,
        12,
    )
    assert kept.open() == []


def test_what_shall_be_asked_later_is_not_due_before(kept: SqlRequests) -> None:
    kept.put([Ask("S-01", "MN-1", "1011", asked_ns=NOON_NS + 60)])
    assert kept.due(NOON_NS + 59) == []
    assert len(kept.due(NOON_NS + 60)) == 1


def test_requests_are_found_by_station_the_newest_first(kept: SqlRequests) -> None:
    first, other, second = kept.put([HISTORY, Ask("S-02", "MN-2", "1011"), HISTORY])
    assert [each.number for each in kept.newest("S-01")] == [second, first]
    assert [each.number for each in kept.newest(most=2)] == [second, other]
    assert [each.number for each in kept.of_episode("e" * 32, "S-01")] == [first, second]


def test_the_same_is_known_whatever_the_order_of_its_fields(kept: SqlRequests) -> None:
    kept.put([HISTORY])
    again = Ask("S-01", "MN-1", "2051", dict(sorted(SPAN.items())), by="somebody")
    assert kept.was_asked(again, NOON_NS)
    assert not kept.was_asked(again, NOON_NS + 1)
    assert not kept.was_asked(Ask("S-01", "MN-1", "2051", SPAN, by="another"), NOON_NS)


def test_an_episode_lacks_its_note_when_its_last_request_has_ended(kept: SqlRequests) -> None:
    numbers = kept.put([HISTORY, HISTORY])
    kept.moved([Move(numbers[0], "done", "", NOON_NS)])
    assert kept.without_note("gaps") == []
    kept.moved([Move(numbers[1], "refused", "", NOON_NS)])
    assert kept.without_note("gaps") == [("e" * 32, "S-01")]
    kept.note("e" * 32, "gaps", "补齐", "filled")
    assert kept.without_note("gaps") == []
    (note,) = kept.notes("e" * 32)
    assert (note.by, note.zh, note.en, note.noted_ns) == ("gaps", "补齐", "filled", NOON_NS)


def test_the_ends_of_a_check_are_told_from_a_number_on_and_not_from_long_ago(tmp_path: Path, kept: SqlRequests) -> None:
    assert kept.cleared("silence", 0, since_ns=0) == (0, [])
    ledger = SqlLedger(url_of(tmp_path), [], lambda: NOON_NS)
    silent = {"check": "silence", "episode": "a" * 32}
    found = [
        change(**silent),
        change(**silent, what="cleared", at_ns=NOON_NS + HOUR_NS),
        change(),
        change(what="cleared"),
    ]
    ledger.record(found, judged=1, stored=1, snapshot=None)
    ledger.close()
    last, (transition,) = kept.cleared("silence", 0, since_ns=NOON_NS)
    assert (last, transition.episode, transition.what) == (4, "a" * 32, "cleared")
    assert kept.cleared("silence", 2, since_ns=NOON_NS) == (4, [])
    assert kept.cleared("silence", 0, since_ns=NOON_NS + 1) == (4, [])
