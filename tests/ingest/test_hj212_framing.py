"""Frames out of a stream: any cut gives the same, nothing waits for ever, and nothing that comes makes it grow."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.hj212.framing import PIECE, Bounds, Connection, Unread
from ingest.hj212.segment import Frame
from rules.readings import SECOND_NS
from simulators.hj212 import Logger, Upload, framed
from tests.ingest.hj212_speaking import AT_NS, LOGGER, NOW_NS, pieces, realtime, values

KEY = b"0" * 16
SAMPLES = [
    realtime("1"),
    realtime("2", 60)[:-2],  # without its line end
    realtime("3", 120)[:50],  # cut short
    b"##9990" + realtime("4", 180)[6:],  # a length that swallows all
    b"##0020" + realtime("5", 240)[6:],
    b"\r\n\x00AT+OK\r\n",
    b"#",
    b"##12",
    framed(LOGGER, Upload("3020", AT_NS, AT_NS, [("i11001", {"Info": "//a;##0011b&&\r\nABCD\r\n//"})])),
    framed(Logger(LOGGER.mn, edition="2025", key=KEY), Upload("2011", AT_NS, AT_NS, [("w01018", {"Rtd": "6"})])),
    bytes(range(256)),
]


def test_frames_come_as_soon_as_they_are_whole() -> None:
    connection, frame = Connection(), realtime()
    assert connection.receive(frame[:-1], NOW_NS) == []
    assert values(connection.receive(frame[-1:], NOW_NS)) == ["41.7"]
    assert connection.waiting == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(SAMPLES), max_size=8), st.data())
def test_any_cut_into_reads_gives_the_same(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    assert pieces(stream, cuts) == pieces(stream)


def test_one_byte_a_read_gives_the_same() -> None:
    stream = b"".join(SAMPLES) * 2
    assert pieces(stream, range(len(stream))) == pieces(stream)


def test_every_byte_is_in_a_frame_or_told_but_blank_lines() -> None:
    stream = b"".join(SAMPLES) + b"\r\n\r\n" + realtime("7")
    out = pieces(stream)
    assert b"".join(piece.raw for piece in out).replace(b"\r\n", b"") == stream.replace(b"\r\n", b"")
    for piece in out:
        assert stream.startswith(piece.raw, piece.offset)


def test_a_frame_that_is_never_finished_is_given_up() -> None:
    connection = Connection(bounds=Bounds(frame_time_s=10))
    assert connection.receive(realtime()[:80], NOW_NS) == []
    assert connection.expire(NOW_NS + 9 * SECOND_NS) == []
    given_up = connection.expire(NOW_NS + 10 * SECOND_NS)
    assert given_up == [Unread(realtime()[:80], 0, ("incomplete",))]
    assert values(connection.receive(realtime("2"), NOW_NS + 11 * SECOND_NS)) == ["2"]


def test_a_drip_of_bytes_does_not_put_the_end_off() -> None:
    connection, frame = Connection(bounds=Bounds(frame_time_s=10)), realtime()
    for second in range(10):
        assert connection.receive(frame[second : second + 1], NOW_NS + second * SECOND_NS) == []
    assert len(connection.expire(NOW_NS + 10 * SECOND_NS)) == 1


def test_a_length_that_is_too_large_costs_no_more_than_the_time_of_a_frame() -> None:
    connection = Connection()
    assert connection.receive(b"##0300" + realtime("1")[6:] + realtime("2", 60), NOW_NS) == []
    assert values(connection.expire(NOW_NS + 10 * SECOND_NS)) == ["1", "2"]


def too_long(frame: bytes, more: int) -> bytes:
    """The frame with a length that says more than there is."""
    return b"##%04d" % (len(frame) - 12 + more) + frame[6:]


@pytest.mark.parametrize("more", [1, 2, 3, 4, 5])
def test_a_length_that_is_a_little_too_large_costs_nothing(more: int) -> None:
    sent = too_long(realtime("1"), more) + too_long(realtime("2", 60), more)
    assert values(Connection().receive(sent, NOW_NS)) == ["1", "2"]
    assert pieces(sent, range(len(sent))) == pieces(sent)


@pytest.mark.parametrize("more", [6, 7, 100, 900])
def test_a_frame_that_is_whole_but_for_its_length_is_taken_once_the_line_is_quiet(more: int) -> None:
    """Its station waits for an answer, and says nothing before it has one."""
    connection, sent = Connection(), too_long(realtime("1"), more)
    for turn in range(0, 20, 2):
        assert connection.receive(sent, NOW_NS + turn * SECOND_NS) == []
        assert connection.expire(NOW_NS + (turn + 1) * SECOND_NS - 1) == []
        (frame,) = connection.expire(NOW_NS + (turn + 1) * SECOND_NS)
        assert isinstance(frame, Frame)
        assert "length_mismatch" in frame.warnings
        assert connection.waiting == 0


def test_a_frame_that_pauses_is_waited_for() -> None:
    connection, frame = Connection(), realtime("1")
    assert connection.receive(frame[:80], NOW_NS) == []
    assert connection.expire(NOW_NS + 9 * SECOND_NS) == []
    assert values(connection.receive(frame[80:], NOW_NS + 9 * SECOND_NS)) == ["1"]


@pytest.mark.parametrize("filler", [b"#", b"##0900", b"A", b"\r\n", b"##8000&&0000\r\n", b"0000\r\n", b"##", b"##99"])
def test_what_is_held_is_bounded(filler: bytes) -> None:
    connection, out, most = Connection(), 0, 0
    for _ in range(100):
        out += len(connection.receive(filler * (4_096 // len(filler)), NOW_NS))
        most = max(most, connection.waiting)
    assert most < 2 * Bounds().most_data + PIECE
    assert out <= 100 * 4_096 // PIECE + 1
    found = values([*connection.receive(b"\r\n" + realtime("9"), NOW_NS), *connection.close(NOW_NS)])
    assert found == ["9"]


def test_a_header_may_claim_only_so_many_line_ends() -> None:
    """Else a frame of line ends would have its check worked out over and over."""
    claims = b"##9990" + b"0000\r\n" * 1_300
    out = pieces(claims + realtime("3"))
    assert values(out) == ["3"]


def test_a_repetition_is_known_within_a_connection() -> None:
    again = [piece for piece in pieces(realtime() * 2 + realtime("42")) if isinstance(piece, Frame)]
    assert ["duplicate_frame" in frame.warnings for frame in again] == [False, True, False]


def test_no_password_and_no_key_shows_where_a_frame_is_printed() -> None:
    frame = pieces(realtime())[0]
    assert "123456" not in repr(frame)


def test_mutated_frames_raise_nothing_and_leave_nothing_behind() -> None:
    """A hundred thousand frames with bytes turned, left out, doubled and moved; the same ones every time."""
    dice = random.Random(212)
    connection, taken, unread = Connection(), 0, 0
    for number in range(100_000):
        frame = bytearray(SAMPLES[number % len(SAMPLES)])
        for _ in range(dice.randrange(4)):
            at = dice.randrange(len(frame))
            what = dice.randrange(4)
            if what == 0:
                frame[at] = dice.randrange(256)
            elif what == 1:
                frame[at : at + dice.randrange(1, 6)] = b""
            elif what == 2:
                frame[at:at] = frame[at : at + dice.randrange(1, 9)]
            else:
                frame[at] = dice.choice(b"#&;,=-/0123456789\r\n")
            frame = frame or bytearray(b"#")
        for piece in connection.receive(bytes(frame), NOW_NS):
            taken += isinstance(piece, Frame)
            unread += isinstance(piece, Unread)
        assert connection.waiting < 2 * Bounds().most_data
        assert len(connection._seen) <= 64
    assert taken > 1_000
    assert unread > 1_000
