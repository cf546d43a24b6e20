"""What loggers are answered, when, in which order, and on which line."""

import pytest

from ingest.hj212.answers import answer
from ingest.hj212.crc import written
from ingest.hj212.framing import Connection
from ingest.hj212.segment import Frame
from ingest.sources.hj212_tcp import line
from tests.ingest.hj212_probe import A, B, Probe, qn_of, soon, upload


def test_a_frame_is_answered_when_the_journal_holds_it_and_not_before() -> None:
    with Probe() as probe:
        caller = probe.caller().send(upload())
        taken = probe.take(1)
        assert (probe.topics, probe.payloads) == ([f"jianwei/hj212/{A}"], [upload()])
        assert caller.is_silent()
        probe.acknowledge(taken)
        assert caller.answers(1) == [("9014", qn_of(upload()))]


@pytest.mark.parametrize("edition", ["2005", "2017", "2025", "surface_water"])
@pytest.mark.parametrize("cn", ["2011", "2051", "2021", "2081", "2072"])
def test_the_answer_is_byte_for_byte_that_of_the_standard(edition: str, cn: str) -> None:
    frame = upload(cn=cn, edition=edition)  # type: ignore[arg-type]
    (read,) = Connection().receive(frame)
    assert isinstance(read, Frame)
    expected = answer(read.head)
    assert expected is not None
    with Probe() as probe:
        caller = probe.caller().send(frame)
        probe.serve(1)
        assert caller.socket.recv(1_000) == expected


def test_answers_leave_in_the_order_of_the_frames_and_in_one_write() -> None:
    frames = [upload(number=number) for number in range(50)]
    with Probe() as probe:
        caller = probe.caller().send(b"".join(frames))
        probe.serve(50)
        caller.socket.settimeout(10)
        soon(lambda: probe.counted("answers") == 50)
        heard = caller.socket.recv(65_536)
        assert heard.count(b"CN=9014") == 50, "they came together"
        caller.heard = heard
        assert [qn for _, qn in caller.answers(50)] == [qn_of(frame) for frame in frames]


def test_an_answer_goes_to_the_line_that_brought_the_frame_and_to_no_other() -> None:
    with Probe() as probe:
        callers = [probe.caller() for _ in range(5)]
        for number, caller in enumerate(callers):
            caller.send(upload(number=number))
        probe.serve(5)
        for number, caller in enumerate(callers):
            assert caller.answers(1) == [("9014", qn_of(upload(number=number)))]
            assert caller.is_silent(0.02)


def test_what_is_durable_in_another_order_is_answered_in_the_order_in_which_it_came() -> None:
    with Probe() as probe:
        caller = probe.caller()
        groups = []
        for number in range(3):
            caller.send(upload(number=number))
            groups += probe.take(1)
        probe.acknowledge(groups[:0:-1])
        assert caller.is_silent()
        probe.acknowledge(groups[:1])
        assert [qn for _, qn in caller.answers(3)] == [qn_of(upload(number=number)) for number in range(3)]


def test_a_line_that_is_closed_is_answered_nothing_and_the_next_one_neither() -> None:
    with Probe() as probe:
        caller = probe.caller().send(upload())
        taken = probe.take(1)
        caller.reset()
        soon(lambda: probe.source.connections == 0)
        again = probe.caller().send(upload(number=1))
        probe.acknowledge(taken)
        assert again.is_silent()
        probe.serve(1)
        assert again.answers(1) == [("9014", qn_of(upload(number=1)))]


def test_a_frame_that_comes_again_is_handed_on_and_answered_again() -> None:
    """The answer was lost: the engine and the store know what they have."""
    with Probe() as probe:
        caller = probe.caller()
        for _ in range(2):
            caller.send(upload())
            probe.serve(1)
            assert caller.answers(1) == [("9014", qn_of(upload()))]
        assert probe.payloads == [upload(), upload()]


def test_who_wants_no_answer_gets_none() -> None:
    with Probe() as probe:
        caller = probe.caller().send(upload(answers=False) + upload(answers=False, edition="2005"))
        probe.serve(2)
        assert caller.is_silent()


def test_a_heartbeat_is_answered_at_once_and_is_no_message() -> None:
    """There is nothing in it that could be lost; a journal that is away costs no line."""
    with Probe() as probe:
        caller = probe.caller().send(upload() + upload(cn="9015", edition="2025", number=1))
        assert caller.answers(1) == [("9013", qn_of(upload(number=1)))]
        probe.serve(1)
        assert caller.answers(1) == [("9014", qn_of(upload()))]
        assert probe.nothing_comes()


def test_who_asks_for_the_time_is_answered_and_then_told_it() -> None:
    with Probe() as probe:
        caller = probe.caller().send(upload(cn="1013"))
        assert caller.is_silent()
        probe.serve(1)
        first, (cn, _) = caller.answers(2)
        assert (first, cn) == (("9013", qn_of(upload())), "1012")


def test_a_frame_whose_content_nobody_can_read_is_kept_and_answered_all_the_same() -> None:
    """Its bytes are in the journal: to have them again would not make them better."""
    broken = upload().replace(b"DataTime=2026", b"DataTime=2O26")
    body = broken[6:-6]
    frame = b"##%04d%b%b\r\n" % (len(body), body, written(body))
    with Probe() as probe:
        caller = probe.caller()
        caller.send(frame)
        probe.serve(1)
        assert caller.answers(1) == [("9014", qn_of(frame))]
        caller.send(frame[:30])  # another way to read it: by and by
        caller.send(frame[30:].replace(b"\r\n", b"\r") + upload(number=9))
        probe.serve(2)
        assert [cn for cn, _ in caller.answers(2)] == ["9014", "9014"]


def test_a_forwarder_speaks_for_many_stations_on_one_line() -> None:
    with Probe() as probe:
        caller = probe.caller().send(upload(A) + upload(B, number=1) + upload(A, number=2))
        probe.serve(3)
        assert probe.topics == [f"jianwei/hj212/{mn}" for mn in (A, B, A)]
        assert len(caller.answers(3)) == 3


def test_who_has_said_everything_still_gets_its_answers_and_then_the_line_is_closed() -> None:
    with Probe() as probe:
        caller = probe.caller().send(upload())
        caller.socket.shutdown(1)
        taken = probe.take(1)
        assert caller.is_silent()
        probe.acknowledge(taken)
        assert caller.answers(1) == [("9014", qn_of(upload()))]
        caller.socket.settimeout(line.LINGER_S / 2)
        assert caller.is_closed(), "at once"
        soon(lambda: probe.source.connections == 0)


def test_lines_that_may_have_gone_do_not_pile_up_while_the_journal_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "LINGER_S", 0.1)
    with Probe() as probe:
        for number in range(3):
            probe.caller().send(upload(number=number)).close()
        probe.take(3)
        soon(lambda: probe.source.connections == 0)
