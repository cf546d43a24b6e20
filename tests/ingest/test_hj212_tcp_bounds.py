"""What nobody can do to a port: fill it, block it, or make others wait."""

import socket
import time

import pytest

from ingest.message import Block
from ingest.records import PartFailed
from ingest.sources.hj212_tcp import line
from tests.ingest.hj212_probe import A, B, Caller, Journal, Probe, qn_of, soon, station, upload


def can_send(caller: Caller, data: bytes, times: int) -> bool:
    """Whether all of it is taken; not more than 500 times a second."""
    try:
        for _ in range(times):
            caller.send(data)
            time.sleep(0.002)
    except OSError:
        return False
    return True


def test_all_connections_together_are_bounded_and_who_is_registered_is_kept() -> None:
    with Probe(most_connections=3) as probe, Journal(probe):
        loggers = [probe.caller().send(upload(mn)) for mn in (A, B)]
        for caller in loggers:
            caller.answers(1)
        strangers = [probe.caller(), probe.caller()]
        assert strangers[0].is_closed(), "the older of those who have said nothing makes room"
        late = probe.caller().send(upload(A, 1))
        late.answers(1)
        assert strangers[1].is_closed()
        assert probe.caller().is_closed(), "now all are registered"
        for number, caller in enumerate(loggers):
            caller.send(upload(A, 2 + number)).answers(1)
        soon(lambda: (probe.ended("displaced"), probe.ended("full")) == (2, 1))


def test_connections_of_one_address_are_bounded_and_others_are_let_in() -> None:
    with Probe(most_of_one_address=2) as probe:
        for _ in range(2):
            probe.caller("127.0.0.2").send(upload())
        probe.take(2)
        assert probe.caller("127.0.0.2").is_closed()
        probe.caller("127.0.0.3").send(upload())
        probe.take(1)
        soon(lambda: probe.ended("address_full") == 1)


def test_who_goes_makes_room() -> None:
    with Probe(most_of_one_address=2) as probe:
        for number in range(20):
            caller = probe.caller().send(upload(number=number))
            probe.serve(1)
            caller.answers(1)
            caller.close()
            soon(lambda: probe.source.connections == 0)


def test_a_longer_frame_than_is_allowed_is_no_frame() -> None:
    long = upload()
    with Probe(most_data_bytes=64, frame_time_s=0.3) as probe:
        probe.caller().send(long + upload())
        while sum(map(len, probe.payloads)) < 2 * len(long):
            probe.take(1)
        assert b"".join(probe.payloads) == long + upload()
        assert probe.counted("frames") == 0


def test_a_frame_that_does_not_end_is_given_up_and_the_next_one_is_taken() -> None:
    with Probe(frame_time_s=0.3) as probe:
        caller = probe.caller().send(upload()[:40])
        probe.serve(1)
        assert probe.payloads == [upload()[:40]]
        caller.send(upload())
        probe.serve(1)
        assert caller.answers(1) == [("9014", qn_of(upload()))]


@pytest.mark.parametrize("said", [b"", b"#", b"##01", upload()[:-3]])
def test_a_connection_without_a_frame_is_closed(said: bytes) -> None:
    with Probe(first_frame_s=0.3) as probe:
        assert probe.caller().send(said).is_closed()
        soon(lambda: probe.ended("no_frame") == 1)


def test_a_connection_from_which_nothing_comes_any_more_is_closed() -> None:
    with Probe(idle_s=0.6) as probe, Journal(probe):
        caller = probe.caller()
        for number in range(4):
            caller.send(upload(number=number)).answers(1)
            time.sleep(0.25)
        assert caller.is_closed()
        soon(lambda: probe.ended("idle") == 1)


def test_who_sends_one_byte_a_moment_is_closed_all_the_same() -> None:
    with Probe(first_frame_s=1.0) as probe:
        caller = probe.caller()
        assert not all(can_send(caller, bytes([byte]), 1) for byte in b"##8000" + b"x" * 3_000)


def test_a_line_of_garbage_is_closed_and_only_so_much_of_it_is_kept() -> None:
    with Probe(most_garbage_bytes=4_096) as probe, Journal(probe):
        caller = probe.caller()
        assert not can_send(caller, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 20, 1_000)
        soon(lambda: probe.ended("garbage") == 1)
        assert sum(map(len, probe.payloads)) <= 4_096 + 65_536


def test_garbage_between_good_frames_closes_nothing() -> None:
    with Probe(most_garbage_bytes=512) as probe, Journal(probe):
        caller = probe.caller()
        for number in range(10):
            caller.send(b"x" * 300 + upload(number=number)).answers(1)


def test_strangers_garbage_is_kept_only_up_to_a_measure_and_closes_their_lines_sooner() -> None:
    with Probe() as probe, Journal(probe):
        for _ in range(200):
            assert probe.caller().send(b"y" * 18_000).is_closed()
        soon(lambda: probe.ended("garbage") == 200)
        assert probe.counted("garbage_bytes") > 200 * 16_384
        assert sum(map(len, probe.payloads)) <= 2 << 20, "1 MiB a minute, and a minute may end meanwhile"


def test_strangers_are_read_in_smaller_pieces_than_loggers() -> None:
    with Probe() as probe, Journal(probe):
        probe.caller().send(upload()).answers(1)
        probe.caller()
        soon(lambda: probe.source.connections == 2)
        port = probe.source._port
        assert port is not None
        pieces = {each.is_proved: len(each.get_buffer(-1)) for each in port._lines}
        assert pieces[False] * 16 == pieces[True]


def test_a_flood_of_the_worst_bytes_holds_no_logger_up() -> None:
    worst = b"##8000" + b"FFFF\r\n" * 16
    with Probe() as probe, Journal(probe):
        logger = probe.caller().send(upload())
        logger.answers(1)
        longest_s = 0.0
        for number in range(1, 40):
            probe.caller().send(worst * 200)
            began_s = time.monotonic()
            logger.send(upload(number=number)).answers(1)
            longest_s = max(longest_s, time.monotonic() - began_s)
        assert longest_s < 1.0


def test_who_is_refused_again_and_again_is_closed() -> None:
    with Probe(most_refused=10) as probe:
        caller = probe.caller().send(b"".join(upload("X", number) for number in range(9)))
        assert caller.is_silent()
        caller.send(upload("X", 9))
        assert caller.is_closed()
        soon(lambda: probe.ended("refused") == 1)


def test_a_forwarder_with_a_stranger_among_its_stations_stays() -> None:
    with Probe(most_refused=10) as probe, Journal(probe):
        caller = probe.caller()
        for number in range(30):
            caller.send(upload("X", number) + upload(A, number)).answers(1)


def test_a_logger_that_does_not_read_its_answers_is_closed() -> None:
    with Probe(most_unread_bytes=1_024, window_messages=100_000, share_messages=100_000) as probe, Journal(probe):
        caller = probe.caller()
        caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        frames = b"".join(upload(number=number) for number in range(500))
        assert not can_send(caller, frames, 400)
        soon(lambda: probe.ended("unread_answers") == 1)


def test_a_logger_that_sends_without_end_waits_for_itself_alone() -> None:
    frames = b"".join(upload(number=number) for number in range(1_000))
    with Probe(share_messages=50) as probe:
        flood = probe.caller()
        flood.socket.settimeout(0.5)
        assert not can_send(flood, frames, 500)
        other = probe.caller().send(upload(B))
        soon(lambda: probe.counted("frames") > 50)
        time.sleep(0.3)
        taken = probe.source.take()
        assert taken is not None
        messages = [topic for block in taken.blocks for topic in block.topics]
        assert messages.count(f"jianwei/hj212/{B}") == 1
        assert len(messages) <= 50 + 65_536 // len(upload()) + 1, "its share, and what one read brought"
        probe.source.acknowledge(taken.token)
        assert other.answers(1) == [("9014", qn_of(upload(B)))]
        probe.take(50)


def test_when_the_window_is_full_nobody_is_read_and_then_everybody_is_and_nothing_is_lost() -> None:
    frames = [[upload(mn, number) for number in range(200)] for mn in (A, B)]
    with Probe(window_messages=40, share_messages=40) as probe:
        callers = [probe.caller() for _ in frames]
        for frame in frames[0]:
            callers[0].send(frame)
        soon(lambda: probe.source._inbox.full)
        time.sleep(0.1)
        held = probe.source._inbox.held
        for frame in frames[1]:
            callers[1].send(frame)
        time.sleep(0.3)
        assert probe.source._inbox.held == held, "nobody is read"
        with Journal(probe):
            for caller, own in zip(callers, frames, strict=True):
                assert [qn for _, qn in caller.answers(200)] == [qn_of(frame) for frame in own]
        assert sorted(probe.payloads) == sorted(frame for own in frames for frame in own)


def test_a_length_that_lies_costs_its_frame_and_no_other() -> None:
    lies = [b"##9999", b"##0000", b"##0001", b"##12x4", b"##8192", b"##-001"]
    with Probe(frame_time_s=0.3) as probe, Journal(probe):
        caller = probe.caller()
        for number, lie in enumerate(lies):
            caller.send(lie + upload(number=number)[6:60])
            time.sleep(0.6)
            assert caller.send(upload(number=number)).answers(1)[0][1] == qn_of(upload(number=number))


def test_thousands_of_connections_that_come_and_go_leave_nothing() -> None:
    with Probe() as probe, Journal(probe):
        for number in range(2_000):
            caller = probe.caller()
            if number % 3 == 0:
                caller.send(upload(number=number))
            if number % 2:
                caller.reset()
            else:
                caller.close()
            probe.callers.clear()
        assert probe.caller().send(upload()).answers(1)
        probe.callers[0].close()
        soon(lambda: probe.source.connections == 0)
        port = probe.source._port
        assert port is not None
        assert not port._lines
        assert not port._unproved
        assert not port._of_address
        assert not probe.told(PartFailed)


def test_a_mistake_of_ours_costs_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    hear = line.Line._hear

    def fails(self: line.Line, speaker: object, envelope: object, now_ns: int) -> None:
        if self.address == "127.0.0.2":
            raise ZeroDivisionError
        hear(self, speaker, envelope, now_ns)  # type: ignore[arg-type]

    monkeypatch.setattr(line.Line, "_hear", fails)
    with Probe(station(A), station(B)) as probe, Journal(probe):
        other = probe.caller().send(upload(B))
        other.answers(1)
        assert probe.caller("127.0.0.2").send(upload()).is_closed()
        assert probe.told(PartFailed)
        other.send(upload(B, 1)).answers(1)
        soon(lambda: probe.ended("error") == 1)


def test_what_comes_together_is_one_block() -> None:
    with Probe() as probe:
        probe.caller().send(b"".join(upload(number=number) for number in range(100)))
        blocks: list[Block] = [block for taken in probe.take(100) for block in taken.blocks]
        assert len(blocks) < 50
