"""The desk hands out what is asked, once, to where the station is, and writes down what came of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.message import Asking
from ingest.records import LoggerRefused
from jianwei.desk import AGAIN, NOT_AGAIN
from jianwei.request_settings import OnConnection
from tests.jianwei.at_the_desk import MN, Office

Open = Callable[..., Office]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Open]:
    opened = []

    def open_it(**settings: object) -> Office:
        opened.append(Office(tmp_path, **settings))
        return opened[-1]

    yield open_it
    for each in opened:
        each.close()


def test_the_played_source_can_be_asked(office: Open) -> None:
    assert isinstance(office().line, Asking)


def test_a_request_goes_to_where_its_station_is_and_what_came_of_it_is_kept(office: Open) -> None:
    it = office()
    it.connect()
    number = it.put("1062", RtdInterval="30")
    for _ in range(3):
        it.step()
    assert [(each.number, each.mn, each.cn, each.fields) for each in it.line.asked] == [
        (number, MN, "1062", {"RtdInterval": "30"})
    ]
    it.tell(number, "sent", "accepted", said="")
    it.step()
    assert it.state(number) == ("accepted", "")
    it.tell(number, "done", said="RtdInterval 30", frames=1, readings=2)
    it.step()
    assert it.state(number) == ("done", "RtdInterval 30")
    it.step(1_000)
    assert len(it.line.asked) == 1


def test_what_is_put_while_it_runs_is_handed_out_and_a_station_gets_one_at_a_time(office: Open) -> None:
    it = office()
    it.connect()
    it.step()
    first, second = it.put(), it.put()
    it.step()
    assert [each.number for each in it.line.asked] == [first]
    it.tell(first, "sent", "unanswered", said="no answer")
    it.step()
    assert [each.number for each in it.line.asked] == [first, second]
    assert it.state(first) == ("unanswered", "no answer")


def test_a_request_waits_for_its_station_and_not_for_ever(office: Open) -> None:
    it = office(wait_h=2)
    early = it.put()
    it.step(3_600)
    assert it.line.asked == []
    it.connect()
    it.step()
    assert [each.number for each in it.line.asked] == [early]
    it.tell(early, "sent", "gone", said="the connection was lost")
    it.connect(connected=False)
    it.step()
    assert it.state(early) == ("gone", "the connection was lost")
    late = it.put()
    it.step(7_201)
    assert it.state(late) == ("unanswered", "the station was not connected for 2 h")


def test_a_start_takes_up_what_was_left_but_does_nothing_to_equipment_twice(office: Open) -> None:
    it = office()
    it.connect()
    clock, sample = it.put("1012"), it.put("3012", PolId="w01018")
    it.step()
    it.tell(clock, "sent")
    it.step()
    it.tell(clock, "done")
    it.step()
    it.tell(sample, "sent", "accepted")
    it.step()
    again = it.put("1061")
    it.step()
    it.desk = it.opened()
    it.step()
    assert it.state(sample) == ("unanswered", NOT_AGAIN)
    assert it.state(again)[0] == "due"
    it.connect()
    it.step()
    assert [each.number for each in it.line.asked] == [clock, sample, again]
    it.tell(again, "sent")
    it.step()
    it.desk = it.opened()
    it.step()
    assert it.state(again) == ("due", AGAIN)


def test_what_is_told_of_foreign_requests_is_not_written(office: Open) -> None:
    it = office()
    number = it.put()
    it.tell(number, "done")
    it.tell(77, "done")
    it.step()
    assert it.state(number)[0] == "due"


def test_a_source_that_forgets_a_request_leaves_it_unanswered(office: Open) -> None:
    it = office()
    it.connect()
    number = it.put()
    it.step()
    it.step(7_201)
    assert it.state(number) == ("unanswered", "nothing was heard of it any more")


def test_what_is_heard_of_loggers_is_kept(office: Open) -> None:
    it = office()
    for _ in range(3):
        it.connect()
    it.desk.hear(
        LoggerRefused("loggers", "NOBODY-1", "10.0.0.8", "2017", it.clock.now_ns, is_unknown=True, why="unknown")
    )
    it.step()
    it.desk.hear(LoggerRefused("loggers", MN, "10.0.0.7", "2017", it.clock.now_ns, is_unknown=False, why="password"))
    it.step(1)
    (known,) = it.register.loggers()
    assert (known.station, known.state, known.why, known.times) == ("WE-07", "refused", "password", 2)
    (waits,) = it.register.waiting()
    assert (waits.mn, waits.state) == ("NOBODY-1", "waiting")
    it.connect()
    it.step(1)
    assert it.register.loggers()[0].state == "connected"
    it.desk.close()
    assert it.register.loggers()[0].state == "gone"


def test_a_connection_asks_for_nothing_unless_the_settings_say_so(office: Open) -> None:
    it = office()
    it.connect()
    it.step()
    it.step()
    assert it.line.asked == []


def test_what_the_settings_say_is_asked_once_and_the_clock_once_a_day(office: Open) -> None:
    it = office(on_connection=OnConnection(set_clock=True, time_out_s=10, repeats=3, minute_interval_min=10))

    def come() -> list[str]:
        before = len(it.line.asked)
        it.connect()
        for _ in range(5):
            it.step(1)
            if it.line.asked:
                it.tell(it.line.asked[-1].number, "sent", "done")
        it.connect(connected=False)
        it.step(1)
        return [each.cn for each in it.line.asked[before:]]

    assert come() == ["1012", "1000", "1064"]
    assert come() == []
    it.step(86_400)
    assert come() == ["1012"]
