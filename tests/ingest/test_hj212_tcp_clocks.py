"""Clocks of stations: what is known of them, what is told, and when they are set."""

import re

import pytest

from ingest.hj212.envelopes import Envelope, Heads, Stream
from ingest.hj212.framing import Bounds
from ingest.hj212.profiles import Stations
from ingest.records import LoggerClock, LoggerSeen
from ingest.sources.hj212_tcp.clocks import StationClock
from jianwei.clock import SimulatedClock
from rules.readings import SECOND_NS
from simulators.hj212 import Logger, Upload, framed, wire
from tests.ingest.hj212_probe import A, Caller, Probe, qn_of, soon, station, upload

NOW_NS = 1_778_544_000 * SECOND_NS


def frame(sent_ns: int, cn: str = "2011", *, again: bool = False, measured_ns: int | None = None) -> Envelope:
    logger = Logger(A, edition="2025")
    measured_ns = sent_ns if measured_ns is None else measured_ns
    raw = framed(logger, Upload(cn, sent_ns, measured_ns, [("w01018", {"Rtd": "1"})], again=again))
    (envelope,) = Stream(Heads(Stations()), Bounds()).receive(raw, NOW_NS)
    assert isinstance(envelope, Envelope)
    return envelope


def clock_after(*heard: tuple[float, float], again: bool = False) -> StationClock:
    """Frames by when they came and when they say they were sent, in seconds."""
    clock = StationClock()
    for came_s, sent_s in heard:
        clock.heard(frame(NOW_NS + int(sent_s * 1e9), again=again), NOW_NS + int(came_s * 1e9))
    return clock


def test_a_clock_that_looks_right_is_believed_at_once() -> None:
    clock = clock_after((0, -0.2))
    assert clock.offset_ns == -200_000_000
    assert not clock.is_sure


@pytest.mark.parametrize("wrong_s", [-3_600, -61, 61, 86_400])
def test_a_clock_that_looks_wrong_is_believed_when_frames_agree_and_the_least_delay_counts(wrong_s: int) -> None:
    heard = [(0.0, wrong_s - 2.0), (30.0, wrong_s + 30 - 0.5), (60.0, wrong_s + 60 - 1.0)]
    assert clock_after(*heard[:2]).offset_ns is None
    clock = clock_after(*heard)
    assert clock.offset_ns == int((wrong_s - 0.5) * 1e9)
    assert clock.is_sure


def test_kept_frames_that_come_in_a_row_say_nothing() -> None:
    assert clock_after(*[(number * 0.01, -3_600 + number * 60) for number in range(50)]).offset_ns is None


def test_kept_frames_that_come_slowly_say_nothing() -> None:
    assert clock_after(*[(number * 2.0, -3_600 + number * 60) for number in range(50)]).offset_ns is None


def test_one_frame_that_was_on_its_way_for_long_changes_nothing() -> None:
    clock = clock_after(*[(30.0 * n, 30.0 * n + 90) for n in range(4)], (150, 90 - 400), (180, 180 + 90))
    assert clock.offset_ns == 90 * SECOND_NS


def test_the_same_frame_again_and_again_says_nothing() -> None:
    assert clock_after(*[(2.0 * number, -300) for number in range(8)]).offset_ns is None


def test_data_that_are_marked_as_sent_again_say_nothing() -> None:
    assert clock_after((0, 0), again=True).offset_ns is None


def test_only_frames_that_tell_of_now_are_looked_at() -> None:
    clock = StationClock()
    for number in range(5):
        clock.heard(frame(NOW_NS + number * 60 * SECOND_NS - 100, "2051"), NOW_NS + number * 60 * SECOND_NS)
    assert clock.offset_ns is None


def test_a_clock_that_was_set_is_soon_known_to_be_right() -> None:
    clock = clock_after(*[(30.0 * n, 30.0 * n + 90) for n in range(5)])
    for number in range(5, 8):
        clock.heard(frame(NOW_NS + number * 30 * SECOND_NS), NOW_NS + number * 30 * SECOND_NS)
    clock.forget()
    clock.heard(frame(NOW_NS + 300 * SECOND_NS), NOW_NS + 300 * SECOND_NS)
    assert clock.offset_ns == 0


def test_a_logger_of_2005_without_qn_is_known_by_its_datatime() -> None:
    raw = framed(Logger(A, edition="2005"), Upload("2011", NOW_NS, NOW_NS, [("w01018", {"Rtd": "1"})]))
    body = re.sub(rb"QN=\d+;", b"", raw[6:-6])
    (envelope,) = Stream(Heads(Stations()), Bounds()).receive(wire(body), NOW_NS)
    assert isinstance(envelope, Envelope)
    clock = StationClock()
    clock.heard(envelope, NOW_NS + SECOND_NS)
    assert clock.offset_ns == -SECOND_NS


def send_three(probe: Probe, caller: Caller, clock: SimulatedClock, wrong_s: int) -> None:
    """Three live frames, half a minute apart, of a clock that is wrong."""
    for _ in range(3):
        clock.now_ns += 30 * SECOND_NS
        caller.send(upload(A, now_ns=clock.now_ns + wrong_s * SECOND_NS, answers=False))
        probe.serve(1)


def test_the_offset_is_told_with_the_station() -> None:
    clock = SimulatedClock(NOW_NS)
    with Probe(clock=clock) as probe:
        send_three(probe, probe.caller(), clock, -40)
        probe.callers[0].close()
        soon(lambda: [told for told in probe.told(LoggerSeen) if not told.connected])
        assert probe.told(LoggerSeen)[0].offset_ns is None
        assert probe.told(LoggerSeen)[-1].offset_ns == -40 * SECOND_NS
        assert not probe.told(LoggerClock), "nobody is told of so little"


def test_a_clock_that_is_five_minutes_wrong_is_told_once_an_hour() -> None:
    clock = SimulatedClock(NOW_NS)
    with Probe(clock=clock) as probe:
        caller = probe.caller()
        for _ in range(3):
            send_three(probe, caller, clock, 400)
        (told,) = probe.told(LoggerClock)
        assert (told.station, told.state, told.offset_ns) == (A, "wrong", 400 * SECOND_NS)
        assert "400 s ahead" in told.said
        clock.now_ns += 3_600 * SECOND_NS
        send_three(probe, caller, clock, 400)
        assert len(probe.told(LoggerClock)) == 2
        assert caller.is_silent(), "the register does not want it set"


def test_where_the_register_wants_it_a_wrong_clock_is_set_once_an_hour_and_the_result_is_told() -> None:
    clock = SimulatedClock(NOW_NS)
    with Probe(station(A, clock="correct"), clock=clock) as probe:
        caller = probe.caller()
        send_three(probe, caller, clock, 90)
        ((cn, qn),) = caller.answers(1)
        assert cn == "1012"
        for said in ("9011;CP=&&QnRtn=1&&", "9012;CP=&&ExeRtn=1&&"):
            cn, _, body = said.partition(";")
            caller.send(wire(f"QN={qn};ST=91;CN={cn};PW=123456;MN={A};Flag=4;{body}".encode()))
        soon(lambda: probe.told(LoggerClock))
        (told,) = probe.told(LoggerClock)
        assert (told.state, told.offset_ns) == ("set", 90 * SECOND_NS)
        send_three(probe, caller, clock, 90)
        assert caller.is_silent(), "it was asked less than an hour ago"


def test_a_clock_that_is_a_little_wrong_is_left_alone() -> None:
    clock = SimulatedClock(NOW_NS)
    with Probe(station(A, clock="correct"), clock=clock) as probe:
        caller = probe.caller()
        send_three(probe, caller, clock, 59)
        assert caller.is_silent()


def test_a_station_that_does_not_take_our_time_is_told() -> None:
    clock = SimulatedClock(NOW_NS)
    with Probe(station(A, clock="correct"), clock=clock) as probe:
        caller = probe.caller()
        send_three(probe, caller, clock, -90)
        ((_, qn),) = caller.answers(1)
        caller.send(wire(f"QN={qn};ST=91;CN=9011;PW=123456;MN={A};Flag=4;CP=&&QnRtn=2&&".encode()))
        soon(lambda: probe.told(LoggerClock))
        (told,) = probe.told(LoggerClock)
        assert told.state == "not_set"
        assert "refused" in told.said
        assert qn_of(upload(A)) != qn
