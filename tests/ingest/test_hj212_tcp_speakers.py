"""Who may speak on a line, and what the operator is told of who may not."""

import time

from ingest.records import LoggerRefused, LoggerSeen, LoggerTwice
from ingest.site import Secrets
from tests.ingest.hj212_probe import A, B, Probe, qn_of, soon, station, upload

STRANGER = "C0000000000003"


def test_an_unknown_mn_is_answered_nothing_handed_on_nowhere_and_shown_to_the_operator() -> None:
    with Probe() as probe:
        caller = probe.caller().send(upload(STRANGER))
        soon(lambda: probe.told(LoggerRefused))
        (told,) = probe.told(LoggerRefused)
        assert (told.mn, told.is_unknown, told.address, told.edition) == (STRANGER, True, "127.0.0.1", "2017")
        assert probe.nothing_comes()
        assert caller.is_silent()


def test_a_stranger_that_goes_on_is_told_once_a_minute() -> None:
    with Probe() as probe:
        probe.caller().send(b"".join(upload(STRANGER, number) for number in range(20)))
        soon(lambda: probe.counted("refused") == 20)
        assert len(probe.told(LoggerRefused)) == 1


def test_many_strangers_cannot_fill_the_operator_s_list() -> None:
    with Probe(most_refused=10_000) as probe:
        probe.caller().send(b"".join(upload(f"X{number}") for number in range(1_000)))
        soon(lambda: probe.counted("refused") == 1_000)
        assert len(probe.told(LoggerRefused)) <= 240, "120 a minute, and a minute may end meanwhile"


def test_who_is_admitted_while_the_line_is_open_is_taken_on_it() -> None:
    with Probe() as probe:
        caller = probe.caller().send(upload(STRANGER))
        soon(lambda: probe.told(LoggerRefused))
        probe.register(station(A), station(STRANGER))
        time.sleep(1.2)  # the register is looked at now and then
        caller.send(upload(STRANGER, 1))
        probe.serve(1)
        assert caller.answers(1) == [("9014", qn_of(upload(STRANGER, 1)))]


def test_who_is_taken_out_of_the_register_is_a_stranger_from_then_on() -> None:
    with Probe() as probe:
        caller = probe.caller().send(upload(A) + upload(B, 1))
        probe.serve(2)
        caller.answers(2)
        probe.register(station(B))
        time.sleep(1.2)
        caller.send(upload(A, 2) + upload(B, 3))
        probe.serve(1)
        assert caller.answers(1) == [("9014", qn_of(upload(B, 3)))]
        assert [told.mn for told in probe.told(LoggerRefused)] == [A]
        assert [told.mn for told in probe.told(LoggerSeen) if not told.connected] == [A]


def test_the_mn_of_the_register_counts_whatever_the_case_of_its_letters() -> None:
    with Probe(station("WE-07", mn="abc123"), station(B)) as probe:
        caller = probe.caller().send(upload("ABC123") + upload("Abc123", 1))
        probe.serve(2)
        assert probe.topics == ["jianwei/hj212/ABC123", "jianwei/hj212/Abc123"], "as the station sends it"
        assert len(caller.answers(2)) == 2
        assert {(told.station, told.mn) for told in probe.told(LoggerSeen)} == {("WE-07", "abc123")}


def test_a_wrong_password_is_answered_nothing_and_told_without_the_password() -> None:
    with Probe(station(A), secrets={A: Secrets(password="right1")}) as probe:
        caller = probe.caller().send(upload(A, password="wrong1"))
        soon(lambda: probe.told(LoggerRefused))
        (told,) = probe.told(LoggerRefused)
        assert (told.mn, told.is_unknown, told.edition) == (A, False, "2017")
        assert "password" in told.why
        assert "right1" not in repr(probe.records)
        assert "wrong1" not in repr(probe.records)
        assert probe.nothing_comes()
        caller.send(upload(A, 1, password="right1"))
        probe.serve(1)
        assert caller.answers(1) == [("9014", qn_of(upload(A, 1)))]


def test_a_password_that_is_changed_holds_from_then_on_on_open_lines() -> None:
    with Probe(station(A), secrets={A: Secrets(password="old")}) as probe:
        caller = probe.caller().send(upload(A, password="old"))
        probe.serve(1)
        caller.answers(1)
        probe.register(station(A), secrets={A: Secrets(password="new")})
        time.sleep(1.2)
        caller.send(upload(A, 1, password="old") + upload(A, 2, password="new"))
        probe.serve(1)
        assert caller.answers(1) == [("9014", qn_of(upload(A, 2)))]


def test_each_logger_speaks_only_from_the_networks_of_its_entry() -> None:
    with Probe(station(A, addresses=["127.0.0.2", "10.0.0.0/8"]), station(B)) as probe:
        wrong = probe.caller().send(upload(A) + upload(B, 1))
        probe.serve(1)
        assert wrong.answers(1) == [("9014", qn_of(upload(B, 1)))]
        (told,) = probe.told(LoggerRefused)
        assert (told.mn, told.is_unknown) == (A, False)
        assert "127.0.0.1" in told.why
        right = probe.caller("127.0.0.2").send(upload(A, 2))
        probe.serve(1)
        assert right.answers(1) == [("9014", qn_of(upload(A, 2)))]


def test_the_edition_of_the_register_says_how_a_logger_is_read_and_answered() -> None:
    """It is there for loggers whose Flag says something else, so a frame of another is none to refuse."""
    with Probe(station(A, edition="2005")) as probe:
        caller = probe.caller().send(upload(A))
        probe.serve(1)
        assert b"CP=&&QN=" in caller.socket.recv(1_000), "the answer of 2005"
        assert not probe.told(LoggerRefused)


def test_bytes_that_are_no_frame_are_handed_on_under_whoever_spoke_last() -> None:
    broken = upload(A, 1)[:-6] + b"0000\r\n"
    with Probe() as probe:
        probe.caller().send(broken + upload(A) + broken)
        probe.serve(3)
        assert probe.topics == ["jianwei/hj212/-", f"jianwei/hj212/{A}", f"jianwei/hj212/{A}"]
        assert probe.payloads == [broken, upload(A), broken]


def test_a_logger_is_seen_when_it_comes_while_it_sends_and_when_it_goes() -> None:
    with Probe() as probe:
        caller = probe.caller().send(upload(A))
        probe.serve(1)
        soon(lambda: len(probe.told(LoggerSeen)) == 1)
        time.sleep(1.2)
        assert len(probe.told(LoggerSeen)) == 1, "nothing came since"
        caller.send(upload(A, 1))
        soon(lambda: len(probe.told(LoggerSeen)) == 2)
        probe.serve(1)
        caller.close()
        soon(lambda: len(probe.told(LoggerSeen)) == 3)
        assert [told.connected for told in probe.told(LoggerSeen)] == [True, True, False]
        assert {(told.station, told.address) for told in probe.told(LoggerSeen)} == {(A, "127.0.0.1")}


def test_a_second_line_of_a_station_is_told_once_when_both_speak_and_both_are_served() -> None:
    with Probe() as probe:
        old = probe.caller("127.0.0.1").send(upload(A))
        probe.serve(1)
        new = probe.caller("127.0.0.2").send(upload(A, 1))
        probe.serve(1)
        assert not probe.told(LoggerTwice), "the older one may be dead, and nobody knows it yet"
        for number in range(2, 6):
            old.send(upload(A, number))
            probe.serve(1)
            new.send(upload(A, 10 + number))
            probe.serve(1)
        (told,) = probe.told(LoggerTwice)
        assert (told.station, told.address, told.other) == (A, "127.0.0.2", "127.0.0.1")
        assert len(old.answers(5)) == len(new.answers(5)) == 5
        new.close()
        soon(lambda: probe.source.connections == 1)
        assert all(seen.connected for seen in probe.told(LoggerSeen)), "it is still there"


def test_a_stranger_who_speaks_properly_is_given_time_to_be_admitted() -> None:
    with Probe(first_frame_s=0.3) as probe:
        silent, stranger = probe.caller(), probe.caller().send(upload(STRANGER))
        assert silent.is_closed()
        assert stranger.is_silent(0.5)
        soon(lambda: probe.ended("no_frame") == 1)
