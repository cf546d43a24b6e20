"""The outside of frames: any cut of a stream gives the same, the short way and the careful one say the same."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.hj212.answers import answer
from ingest.hj212.crc import crc
from ingest.hj212.envelopes import LONGEST_HEAD, MOST_KNOWN, Envelope, Heads, Stream, plainly_framed
from ingest.hj212.framing import Bounds, Connection, Unread
from ingest.hj212.profiles import Profile, Stations
from ingest.hj212.segment import Frame, read_outside
from rules.readings import SECOND_NS
from simulators.hj212 import Edition, Logger, Upload, framed, modbus, wire
from tests.ingest.hj212_speaking import AT_NS, NOW_NS

STATIONS = Stations(
    {
        "MODBUS1": Profile("M", checks=("modbus",)),
        "SECRET1": Profile("S", password="right"),
        "OTHER": Profile("O", edition="2005"),
    }
)
KEY = b"0" * 16


def frame(mn: str, number: int, edition: Edition, password: str, *, wants_answer: bool) -> bytes:
    logger = Logger(mn, edition=edition, password=password, answers=wants_answer)
    return framed(logger, Upload("2011", AT_NS + number * SECOND_NS, AT_NS, [("w01018", {"Rtd": "1", "Flag": "N"})]))


frames = st.builds(
    frame,
    st.sampled_from(["A", "b", "MODBUS1", "SECRET1", "OTHER"]),
    st.integers(0, 5),
    st.sampled_from(["2005", "2017", "2025", "surface_water"]),
    st.sampled_from(["right", "wrong"]),
    wants_answer=st.booleans(),
)
ODD = [
    lambda data: data[:-2],
    lambda data: data[:-1],
    lambda data: data[:-4] + b"0000\r\n",
    lambda data: data.replace(b"ST=", b"ST ="),
    lambda data: wire(data[6:-6].replace(b"QN=", b"QM=")),
    lambda data: wire(data[6:-6].replace(b"CN=2011", b"CN=7777")),
    lambda data: wire(data[6:-6], proof=modbus(data[6:-6])),
    lambda data: wire(data[6:-6].replace(b";ST=", b";QN=20260101000000000;ST=")),
    lambda data: wire(data[6:-6].replace(b";ST", b"9;ST")),
    lambda data: wire(b""),
    lambda data: wire(b"CP=&&&&"),
    lambda data: b"##9999" + data[6:],
    lambda data: b"##0001" + data[6:],
    lambda data: data[:-6] + data[-6:].lower(),
    lambda data: b"\r\n",
    lambda data: b"#",
    lambda data: b"GET / HTTP/1.1\r\n\r\n",
]
pieces = st.one_of(frames, st.builds(lambda odd, data: odd(data), st.sampled_from(ODD), frames), st.binary(max_size=8))
streams = st.lists(pieces, max_size=8).map(b"".join)


def told(out: list[Envelope | Unread]) -> list[object]:
    return [
        (piece.raw, piece.reasons)
        if isinstance(piece, Unread)
        else (piece.raw, piece.data, piece.qn, piece.known.head.mn, piece.known.profile.station, piece.answer)
        for piece in out
    ]


def read(data: bytes, cuts: list[int]) -> list[object]:
    stream, out, at = Stream(Heads(STATIONS), Bounds()), [], 0
    for cut in [*sorted(cuts), len(data)]:
        out += stream.receive(data[at:cut], NOW_NS)
        at = max(at, cut)
    return told(out + stream.close(NOW_NS))


@settings(max_examples=400)
@given(streams, st.data())
def test_any_cut_of_a_stream_gives_the_same(data: bytes, draw: st.DataObject) -> None:
    cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=8))
    assert read(data, cuts) == read(data, [])


@settings(max_examples=400)
@given(streams)
def test_the_short_way_says_the_same_as_the_careful_one(data: bytes) -> None:
    careful = Connection(STATIONS, Bounds(), read=read_outside)
    expected: list[object] = []
    for piece in [*careful.receive(data, NOW_NS), *careful.close(NOW_NS)]:
        if isinstance(piece, Unread):
            expected.append((piece.raw, piece.reasons))
        else:
            head = piece.head
            station = STATIONS.profile(head.mn).station
            expected.append((piece.raw, piece.data, head.qn, head.mn, station, answer(head)))
    assert read(data, []) == expected


def test_the_answer_is_that_of_the_codec_for_every_edition() -> None:
    heads = Heads(Stations())
    for edition in ("2005", "2017", "2025", "surface_water"):
        raw = frame("A", 1, edition, "a b;c", wants_answer=True)
        (whole,) = Connection().receive(raw)
        assert isinstance(whole, Frame)
        data = plainly_framed(raw, 0, 8_192)
        assert data is not None
        envelope = heads.plain(raw, data)
        assert envelope is None or envelope.answer == answer(whole.head)


def test_an_encrypted_frame_is_an_envelope_with_the_key_and_none_without() -> None:
    logger = Logger("SEALED", edition="2025", key=KEY)
    raw = framed(logger, Upload("2011", AT_NS, AT_NS, [("w01018", {"Rtd": "1", "Flag": "N"})]))
    with_key = Stream(Heads(Stations({"SEALED": Profile("S", key=KEY)})), Bounds())
    (envelope,) = with_key.receive(raw, NOW_NS)
    assert isinstance(envelope, Envelope)
    assert envelope.raw == raw
    assert envelope.answer
    assert envelope.opened(Stations()).items == {"w01018": {"Rtd": "1", "Flag": "N"}}
    (unread,) = Stream(Heads(Stations()), Bounds()).receive(raw, NOW_NS)
    assert isinstance(unread, Unread)
    assert unread.reasons == ("encrypted_no_key",)


def test_a_frame_that_never_ends_is_given_up_after_its_time_whatever_way_it_is_read() -> None:
    raw = frame("A", 1, "2017", "p", wants_answer=True)
    for begun in (raw[:50], b"x" + raw[:50], raw[:4]):
        stream = Stream(Heads(Stations()), Bounds(frame_time_s=10))
        assert stream.receive(begun, NOW_NS) == []
        assert stream.receive(b"", NOW_NS + 9 * SECOND_NS) == []
        assert stream.expire(NOW_NS + 9 * SECOND_NS) == []
        assert b"".join(piece.raw for piece in stream.expire(NOW_NS + 10 * SECOND_NS)) == begun
        assert stream.waiting == 0
        assert len(stream.receive(raw, NOW_NS + 10 * SECOND_NS)) == 1


def test_what_comes_by_drops_does_not_gain_time_by_it() -> None:
    raw = frame("A", 1, "2017", "p", wants_answer=True)
    stream = Stream(Heads(Stations()), Bounds(frame_time_s=10))
    for second in range(11):
        stream.receive(raw[second : second + 1], NOW_NS + second * SECOND_NS)
    assert stream.expire(NOW_NS + 10 * SECOND_NS)


def test_what_is_remembered_of_heads_is_bounded() -> None:
    heads = Heads(Stations())
    for number in range(MOST_KNOWN + 10):
        data = b"QN=20260512080000000;ST=32;CN=2011;MN=A%d;Flag=5;CP=&&&&" % number
        assert heads.plain(b"", data) is not None
    assert len(heads._known) <= MOST_KNOWN
    before = len(heads._known)
    long = b"QN=20260512080000000;ST=32;CN=2011;MN=A;Flag=5;X=%b;CP=&&&&" % (b"y" * LONGEST_HEAD)
    assert heads.plain(b"", long) is not None
    assert len(heads._known) == before


def test_a_password_shows_in_no_repr() -> None:
    raw = frame("A", 1, "2017", "hunter2", wants_answer=True)
    (envelope,) = Stream(Heads(Stations()), Bounds()).receive(raw, NOW_NS)
    assert isinstance(envelope, Envelope)
    assert "hunter2" not in repr(envelope)
    assert re.search(rb"PW=hunter2", raw)
    assert crc(envelope.data) == int(raw[-6:-2], 16)
