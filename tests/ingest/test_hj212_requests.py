"""Requests to stations: how they are written, when they are sent, and what answers make of them."""

import pytest

from ingest.hj212.framing import Connection
from ingest.hj212.profiles import Profile, Stations
from ingest.hj212.requests import Dialogue, Pace, Patience
from ingest.hj212.segment import Frame
from ingest.hj212.sm4 import looks_encrypted
from rules.readings import SECOND_NS
from tests.ingest.hj212_asking import (
    FINAL,
    MN,
    NOON_NS,
    SPAN,
    asked,
    dialogue,
    frame_of,
    live,
    minute,
    qn_of,
    said,
    states,
)

QN = "20260512120000000"
HEAD = f"QN={QN};ST=32"


@pytest.mark.parametrize(
    ("edition", "cn", "fields", "written"),
    [
        ("2017", "1011", {}, f"{HEAD};CN=1011;PW=sesame;MN={MN};Flag=5;CP=&&&&"),
        ("2017", "1012", {}, f"{HEAD};CN=1012;PW=sesame;MN={MN};Flag=5;CP=&&SystemTime=20260512120000&&"),
        ("2017", "1062", {"RtdInterval": "30"}, f"{HEAD};CN=1062;PW=sesame;MN={MN};Flag=5;CP=&&RtdInterval=30&&"),
        (
            "2017",
            "2051",
            SPAN,
            f"{HEAD};CN=2051;PW=sesame;MN={MN};Flag=5;CP=&&BeginTime=20260512080000,EndTime=20260512100000&&",
        ),
        (
            "2005",
            "1000",
            {"OverTime": "5", "ReCount": "3"},
            f"{HEAD};CN=1000;PW=sesame;MN={MN};Flag=1;CP=&&OverTime=5;ReCount=3&&",
        ),
        ("2025", "2012", {}, f"{HEAD};CN=2012;PW=sesame;MN={MN};Flag=9;CP=&&&&"),
    ],
)
def test_a_request_is_written_in_the_edition_of_its_station(
    edition: str, cn: str, fields: dict[str, str], written: str
) -> None:
    it = dialogue(edition)
    it.ask(asked(cn, fields=fields), NOON_NS)
    (frame,) = it.step(NOON_NS)
    assert frame[6:-6].decode() == written
    assert isinstance(Connection().receive(frame)[0], Frame)


def test_data_commands_to_a_station_of_2025_with_a_key_are_encrypted_and_others_are_not() -> None:
    stations = Stations({MN: Profile(key=b"0" * 16)})
    for cn, fields, hidden in (("2051", SPAN, True), ("1011", {}, False)):
        it = Dialogue(stations)
        it.heard(live("2025"), NOON_NS)
        it.ask(asked(cn, fields=fields), NOON_NS)
        (frame,) = it.step(NOON_NS)
        assert looks_encrypted(frame[6:-6]) == hidden
        (read,) = Connection(stations).receive(frame)
        assert isinstance(read, Frame)
        assert read.params == fields


def test_history_comes_in_frames_and_ends_with_a_word() -> None:
    it = dialogue()
    it.ask(asked("2051", fields=SPAN), NOON_NS)
    qn = qn_of(it.step(NOON_NS)[0])
    it.heard(said(qn, "9011", "QnRtn=1"), NOON_NS)
    it.heard(minute(qn), NOON_NS)
    it.heard(minute(qn), NOON_NS)  # again
    it.heard(minute("20260512120001000", "20260512090100"), NOON_NS)  # a QN of its own
    it.heard(minute("20260512120002000", "20260512115900"), NOON_NS)  # live: not of the span
    it.heard(live(), NOON_NS)
    it.heard(said(qn, "9012", "ExeRtn=1"), NOON_NS)
    moved = it.moved()
    assert states(moved) == ["sent", "accepted", "done"]
    assert (moved[-1].frames, moved[-1].readings, moved[-1].said) == (2, 6, "")
    assert it.next_ns is None


@pytest.mark.parametrize(
    ("cn", "body", "state", "words"),
    [
        ("9011", "QnRtn=2", "refused", "it refuses (QnRtn 2)"),
        ("9011", "QnRtn=3", "refused", "wrong password (QnRtn 3)"),
        ("9011", "QnRtn=77", "refused", "a code that no edition has (QnRtn 77)"),
        ("9011", "", "refused", "a code that no edition has (QnRtn is missing)"),
        ("9012", "ExeRtn=100", "done", "it has no such data (ExeRtn 100)"),
        ("9012", "ExeRtn=4", "refused", "it took too long (ExeRtn 4)"),
        ("9012", "ExeRtn=1", "done", ""),
        ("9013", "", "done", ""),
        ("9014", "", "done", ""),
    ],
)
@pytest.mark.parametrize("edition", ["2005", "2017", "2025"])
def test_what_a_station_answers_is_told_in_words(edition: str, cn: str, body: str, state: str, words: str) -> None:
    it = dialogue(edition)
    it.ask(asked("2012" if cn == "9013" else "1012"), NOON_NS)
    assert it.heard(said(qn_of(it.step(NOON_NS)[0]), cn, body, edition), NOON_NS) == ""
    last = it.moved()[-1]
    assert (last.state, last.said) == (state, words)


def test_what_was_asked_for_is_told() -> None:
    it = dialogue()
    it.ask(asked("1011"), NOON_NS)
    qn = qn_of(it.step(NOON_NS)[0])
    it.heard(said(qn, "9011", "QnRtn=1"), NOON_NS)
    it.heard(frame_of(f"QN={qn};ST=32;CN=1011;PW=sesame;MN={MN};Flag=4;CP=&&SystemTime=20260512115955&&"), NOON_NS)
    it.heard(said(qn, "9012", "ExeRtn=1"), NOON_NS)
    assert it.moved()[-1].said == "SystemTime 20260512115955"


def test_what_goes_on_for_ever_is_done_with_its_first_data() -> None:
    it = dialogue()
    it.ask(asked("2011"), NOON_NS)
    qn = qn_of(it.step(NOON_NS)[0])
    it.heard(live(qn="20260512115959000"), NOON_NS)
    it.heard(said(qn, "9011", "QnRtn=1"), NOON_NS)
    assert states(it.moved()) == ["sent", "accepted"]
    it.heard(live(qn="20260512120030000"), NOON_NS)
    assert states(it.moved()) == ["done"]


def test_without_an_answer_the_same_is_sent_again_three_times_ten_seconds_apart_and_then_given_up() -> None:
    it = dialogue()
    it.ask(asked("1061"), NOON_NS)
    sent = []
    for second in range(60):
        sent += [(second, frame) for frame in it.step(NOON_NS + second * SECOND_NS)]
    assert [second for second, _ in sent] == [0, 10, 20, 30]
    assert len({frame for _, frame in sent}) == 1
    moved = it.moved()
    assert states(moved) == ["sent"] * 4 + ["unanswered"]
    assert moved[-1].said == "asked 4 times, 10 s apart, and no answer"
    assert moved[-1].at_ns == NOON_NS + 40 * SECOND_NS


def test_a_station_that_took_it_is_not_asked_again_and_has_time_while_data_come() -> None:
    it = dialogue(patience=Patience(work_s=60, whole_s=150))
    it.ask(asked("2051", fields=SPAN), NOON_NS)
    qn = qn_of(it.step(NOON_NS)[0])
    it.heard(said(qn, "9011", "QnRtn=1"), NOON_NS)
    ended = []
    for second in range(1, 200):
        if second in {50, 100, 149}:
            it.heard(minute(qn, f"2026051209{second % 60:02d}00"), NOON_NS + second * SECOND_NS)
        assert it.step(NOON_NS + second * SECOND_NS) == []
        ended += [(second, each) for each in it.moved() if each.state in FINAL]
    ((second, last),) = ended
    assert (second, last.state, last.frames) == (150, "done", 3)
    assert last.said == "it took the request and did not say how it went"


def test_a_station_that_took_it_and_sends_nothing_has_not_answered() -> None:
    it = dialogue()
    it.ask(asked("1012"), NOON_NS)
    it.heard(said(qn_of(it.step(NOON_NS)[0]), "9011", "QnRtn=1"), NOON_NS)
    it.step(NOON_NS + 60 * SECOND_NS)
    assert it.moved()[-1].state == "unanswered"


def test_a_station_is_asked_one_thing_at_a_time_and_two_stations_of_one_line_at_once() -> None:
    it = dialogue()
    it.heard(live(mn="OTHER-1"), NOON_NS)
    for number, mn in ((1, MN), (2, MN), (3, "other-1")):
        it.ask(asked("1061", number, mn), NOON_NS)
    first, other = it.step(NOON_NS), it.step(NOON_NS + SECOND_NS)
    assert [b"MN=" + MN.encode() in frame for frame in first + other] == [True, False]
    assert qn_of(first[0]) != qn_of(other[0])
    it.heard(said(qn_of(first[0]), "9012", "ExeRtn=1"), NOON_NS)
    assert len(it.step(NOON_NS + SECOND_NS * 2)) == 1


def test_no_more_wait_than_the_bound() -> None:
    it = dialogue(patience=Patience(most_waiting=2))
    for number in range(4):
        it.ask(asked("1061", number), NOON_NS)
    assert [(each.number, each.state) for each in it.moved()] == [(2, "refused"), (3, "refused")]


def test_all_connections_together_send_at_a_bounded_rate_and_no_qn_twice() -> None:
    pace = Pace(2.0)
    lines = [Dialogue(pace=pace) for _ in range(5)]
    for number, line in enumerate(lines):
        line.heard(live(), NOON_NS)
        line.ask(asked("1061", number), NOON_NS)
    sent = [
        (tenth, qn_of(frame)) for tenth in range(30) for line in lines for frame in line.step(NOON_NS + tenth * 10**8)
    ]
    assert [tenth for tenth, _ in sent] == [0, 5, 10, 15, 20]
    assert all(line.next_ns is not None for line in lines)
    assert len({pace.qn(NOON_NS) for _ in range(50)} | {qn for _, qn in sent}) == 55


def test_a_late_answer_and_one_that_nobody_asked_for_change_nothing_and_are_told() -> None:
    it = dialogue()
    it.heard(live(mn="OTHER-1"), NOON_NS)
    it.ask(asked("1061"), NOON_NS)
    qn = qn_of(it.step(NOON_NS)[0])
    assert it.heard(said(qn, "9012", "ExeRtn=1", mn="OTHER-1"), NOON_NS).endswith("which this station was not sent")
    assert "20260101000000000" in it.heard(said("20260101000000000", "9011", "QnRtn=1"), NOON_NS)
    assert it.heard(said(qn, "9012", "ExeRtn=1"), NOON_NS) == ""
    assert it.heard(said(qn, "9012", "ExeRtn=2"), NOON_NS) == f"9012 to the request {qn}, which had ended"
    assert states(it.moved()) == ["sent", "done"]


def test_the_late_answer_to_one_request_is_none_to_the_next() -> None:
    it = dialogue(patience=Patience(again=0))
    it.ask(asked("1061", 1), NOON_NS)
    it.ask(asked("1061", 2), NOON_NS)
    first = qn_of(it.step(NOON_NS)[0])
    (second,) = it.step(NOON_NS + 10 * SECOND_NS)
    assert it.heard(said(first, "9011", "QnRtn=2"), NOON_NS + 11 * SECOND_NS) != ""
    it.heard(said(qn_of(second), "9012", "ExeRtn=1"), NOON_NS + 12 * SECOND_NS)
    assert [(each.number, each.state) for each in it.moved()][-1] == (2, "done")


def test_a_lost_connection_leaves_nothing_open() -> None:
    it = dialogue()
    for number in range(3):
        it.ask(asked("1061", number), NOON_NS)
    it.step(NOON_NS)
    it.close(NOON_NS)
    it.ask(asked("1061", 3), NOON_NS)
    assert [(each.number, each.state) for each in it.moved()] == [
        (0, "sent"),
        (0, "gone"),
        (1, "gone"),
        (2, "gone"),
        (3, "gone"),
    ]
    assert it.step(NOON_NS) == []


@pytest.mark.parametrize(
    ("cn", "fields", "words"),
    [
        ("1072", {}, "1072 is no command that a station is asked"),
        ("1062", {}, "1062 needs RtdInterval: a whole number from 30 to 3600"),
        ("1062", {"RtdInterval": "10"}, "RtdInterval is a whole number from 30 to 3600, not '10'"),
        ("1064", {"MinInterval": "7"}, "MinInterval is one of 1, 2, 3"),
        ("2051", {**SPAN, "EndTime": "20260512070000"}, "BeginTime lies after EndTime"),
        ("2051", {**SPAN, "EndTime": "tomorrow&&"}, "EndTime is a time such as"),
        ("1011", {"PW": "x"}, "1011 has no field PW"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_it_is_sent(cn: str, fields: dict[str, str], words: str) -> None:
    it = dialogue()
    it.ask(asked(cn, fields=fields), NOON_NS)
    (moved,) = it.moved()
    assert moved.state == "refused"
    assert words in moved.said
    assert it.step(NOON_NS) == []


def test_a_clock_that_was_set_back_delays_nothing_for_long() -> None:
    it = dialogue()
    it.ask(asked("1061"), NOON_NS)
    it.step(NOON_NS)
    assert len(it.step(NOON_NS - 3_600 * SECOND_NS)) == 1
