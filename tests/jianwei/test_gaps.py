"""A gap asks for itself when its station is back: once, in pieces, and the episode says what came."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jianwei.gaps import gap_of
from rules.readings import SECOND_NS, Kind
from tests.alerts.found import change
from tests.jianwei.at_the_desk import NOW_NS, STATIONS, Office, at
from tests.jianwei.serving import CATALOGUE

Open = Callable[..., Office]
WHOLE = ("20260512075000", "20260512115000")  # from the period that came last to the one that is over
DAY_NS = 86_400 * SECOND_NS


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Open]:
    opened = []

    def open_it(**settings: object) -> Office:
        it = Office(tmp_path, **{"grace_s": 60, **settings})
        opened.append(it)
        it.connect()
        it.step()
        return it

    yield open_it
    for each in opened:
        each.close()


def spans(it: Office) -> list[tuple[str, str, str]]:
    return [(each.cn, each.fields["BeginTime"], each.fields["EndTime"]) for each in it.line.asked]


def answer(it: Office, *states: str, frames: int = 0, readings: int = 0, said: str = "") -> None:
    """To all that was asked and did not end."""
    ended = {each.number for each in it.requests.newest() if each.is_final}
    for asked in it.line.asked:
        if asked.number not in ended:
            it.tell(asked.number, *states, frames=frames, readings=readings, said=said)
    it.step()


@pytest.mark.parametrize(
    ("kind", "begun", "ended", "found"),
    [
        (Kind.MINUTE, "20260512080130", "20260512120115", (Kind.MINUTE, *WHOLE)),
        (Kind.HOUR, "20260512030410", "20260512090500", (Kind.HOUR, "20260512020000", "20260512080000")),
        (Kind.REALTIME, "20260512080130", "20260512120115", (Kind.MINUTE, *WHOLE)),
        (Kind.MINUTE, "20260512080100", "20260512080200", (Kind.MINUTE, "20260512075000", "20260512075000")),
        (Kind.MINUTE, "20260101000000", "20260512120115", (Kind.MINUTE, "20260505115000", "20260512115000")),
        (Kind.DAY, "20260501090000", "20260512120115", None),
        (None, "20260501090000", "20260512120115", None),
    ],
)
def test_what_is_asked_for_after_a_silence(
    kind: Kind | None, begun: str, ended: str, found: tuple[Kind, str, str] | None
) -> None:
    """The station has no feed of days; the longest gap is a week."""
    told = change(station="WE-07", kind=kind, what="cleared", since_ns=at(begun), at_ns=at(ended))
    gap = gap_of(told, STATIONS["WE-07"], CATALOGUE, 7 * DAY_NS)
    assert (gap and (gap.kind, gap.first_ns, gap.last_ns)) == (found and (found[0], at(found[1]), at(found[2])))


def test_days_begin_at_midnight_in_beijing() -> None:
    station = STATIONS["WE-07"].model_copy(update={"feeds": {"day": 86_400}})
    told = change(kind=Kind.DAY, what="cleared", since_ns=at("20260510010000"), at_ns=at("20260513010000"))
    gap = gap_of(told, station, CATALOGUE, 30 * DAY_NS)
    assert gap is not None
    assert (gap.first_ns, gap.last_ns, gap.periods) == (at("20260509000000"), at("20260512000000"), 4)


def test_a_gap_is_asked_for_in_pieces_one_after_the_other_and_its_note_says_what_came(office: Open) -> None:
    it = office(piece_periods=10)
    episode = it.silence()
    it.step()
    it.step(59)
    assert spans(it) == [], "a logger that was kept waiting has its time"
    it.step(1)
    assert spans(it) == [("2051", "20260512075000", "20260512092000")]
    for first, last in (("20260512075000", "20260512092000"), ("20260512093000", "20260512110000")):
        it.shelf.put(first, last)
        answer(it, "sent", "accepted", "done", frames=10, readings=40)
        it.step(6)
    assert spans(it)[1:] == [
        ("2051", "20260512093000", "20260512110000"),
        ("2051", "20260512111000", "20260512115000"),
    ]
    answer(it, "sent", "accepted", "done", frames=2, readings=8)
    assert it.requests.notes(episode) == []
    it.shelf.put("20260512111000", "20260512112000")
    it.step(6)
    (note,) = it.requests.notes(episode)
    assert note.en == (
        "Asked the logger for the minute data of 2026-05-12 07:50:00 to 2026-05-12 11:50:00 (UTC+8): 3 requests, 22 frames "
        "with 88 readings came; 3 of 25 periods are still missing."
    )
    assert note.zh == (
        "向数采仪请求补传 2026-05-12 07:50:00 至 2026-05-12 11:50:00（北京时间）的分钟数据：3 次请求，收到 22 帧、88 个数值；"
        "25 个时段中仍缺 3 个。"
    )


def test_nothing_is_asked_or_noted_twice_also_after_a_start(office: Open) -> None:
    it = office()
    episode = it.silence()
    it.step()
    it.step(60)
    answer(it, "sent", "done", frames=25, readings=100)
    it.step(6)
    it.desk = it.opened()
    it.connect()
    for _ in range(3):
        it.step(100)
    assert len(it.line.asked) == 1
    assert len(it.requests.notes(episode)) == 1


def test_a_silence_that_ended_while_nobody_looked_is_asked_for_at_the_next_start(office: Open) -> None:
    it = office()
    it.silence()
    it.clock.now_ns += 3_600 * SECOND_NS
    it.desk = it.opened()
    it.connect()
    it.step()
    it.step(60)
    assert len(it.line.asked) == 1


def test_what_came_by_itself_is_not_asked_for(office: Open) -> None:
    it = office()
    episode = it.silence()
    it.step()
    it.shelf.put(*WHOLE)
    it.step(60)
    it.step(6)
    assert it.line.asked == []
    (note,) = it.requests.notes(episode)
    assert note.en == (
        "The minute data of 2026-05-12 07:50:00 to 2026-05-12 11:50:00 (UTC+8) came by themselves: nothing was asked; "
        "all 25 periods are there."
    )
    assert "自行补传" in note.zh


def test_values_of_the_moment_and_minutes_that_were_missed_together_are_asked_for_once(office: Open) -> None:
    it = office()
    episodes = [it.silence(kind) for kind in (Kind.REALTIME, Kind.MINUTE)]
    it.step()
    it.step(60)
    it.shelf.put(*WHOLE)
    answer(it, "sent", "done", frames=25, readings=100)
    for _ in range(3):
        it.step(6)
    assert len(it.line.asked) == 1
    assert [len(it.requests.notes(episode)) for episode in episodes] == [1, 1]


def test_no_answer_is_tried_again_later_a_few_times(office: Open) -> None:
    it = office(tries=3, retry_s=100)
    episode = it.silence()
    it.step()
    it.step(60)
    for tries in (1, 2, 3):
        assert len(it.line.asked) == tries
        answer(it, "sent", "unanswered", said="no answer")
        it.step(99)
        assert len(it.line.asked) == tries
        it.step(7)
    assert len(it.line.asked) == 3
    (note,) = it.requests.notes(episode)
    assert note.en.endswith("3 requests did not succeed (no answer); 25 of 25 periods are still missing.")
    assert note.zh.endswith("3 次请求未成功；25 个时段中仍缺 25 个。")


def test_a_lost_connection_costs_no_try_but_is_not_waited_for_for_ever(office: Open) -> None:
    it = office(tries=1, gap_wait_h=2)
    episode = it.silence()
    it.step()
    it.step(60)
    answer(it, "sent", "gone", said="the connection was lost")
    it.connect(connected=False)
    it.step(3_600)
    it.connect()
    it.step()
    assert len(it.line.asked) == 2
    answer(it, "sent", "gone", said="the connection was lost")
    it.connect(connected=False)
    it.step(3_700)
    it.step(6)
    assert len(it.line.asked) == 2
    assert "not connected for 2 h" in it.requests.notes(episode)[0].en


def test_people_go_first(office: Open) -> None:
    it = office()
    it.silence()
    it.step()
    it.clock.now_ns += 60 * SECOND_NS
    it.put("1011")
    it.step()
    assert [each.cn for each in it.line.asked] == ["1011"]


def test_what_cannot_be_counted_is_said(office: Open) -> None:
    it = office()
    episode = it.silence()
    it.step()
    it.shelf.is_away = True
    it.step(60)
    answer(it, "sent", "done", frames=25, readings=100)
    it.step(6)
    (note,) = it.requests.notes(episode)
    assert note.en.endswith("what is still missing could not be counted.")


def test_it_can_be_switched_off(office: Open) -> None:
    it = office(fetch_gaps=False)
    it.silence()
    it.step()
    it.step(3_600)
    assert it.requests.newest() == []


def test_a_station_without_a_logger_is_not_asked(tmp_path: Path) -> None:
    it = Office(tmp_path)
    it.silence()
    it.step()
    assert it.requests.newest() == []
    assert it.clock.now_ns == NOW_NS
    it.close()
