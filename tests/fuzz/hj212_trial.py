"""One input for everything that reads HJ 212, and what must hold whatever the input is.

The first byte says which stations are registered and what the rest is: a stream as it stands, or data segments with a
NUL between them, each of which gets a frame whose check fits, so that what lies behind the check is reached. The next
two say how the stream is cut into reads.
"""

import random
from collections import Counter
from fractions import Fraction

from ingest.formats.hj212 import MOST_PROBLEMS, Hj212
from ingest.hj212.answers import answer
from ingest.hj212.crc import written
from ingest.hj212.envelopes import Heads, Stream
from ingest.hj212.framing import PIECE, Bounds, Connection, Unread
from ingest.hj212.profiles import Profile, Stations
from ingest.hj212.requests import ANSWERS, Dialogue, Pace
from ingest.hj212.segment import Frame, read_outside
from ingest.hj212.sm4 import OPENING, encrypted
from ingest.hj212.times import MILLISECOND_NS
from ingest.message import Request
from rules.readings import EquipmentFlag
from tests.ingest.hj212_speaking import MN, NOW_NS
from tests.ingest.json_reading import ReadColumns

MOST_HELD = 2 * Bounds().most_data + PIECE
LONGEST = 9_999
# What the first byte says beside the register; the topic is the last bit of it.
SEGMENTS, SEALED, TOPIC = 4, 8, 16
A_BYTE_A_READ = 60
TIMES = 3  # until a layout is known
KEY = bytes(range(16))
ODD = Profile(
    "WE-07",
    key=KEY,
    checks=("modbus", "hj212_swapped"),
    encoding="gbk",
    flags={"N": EquipmentFlag.NORMAL, "3": EquipmentFlag.FAULT, "#": EquipmentFlag.STOPPED},
    codes={"S01": "w01018"},
    factors={"w00000": Fraction(36, 10)},
    converted=frozenset({"a21026"}),
)
LOCKED = Profile("WE-08", password="123456", edition="2005")
REGISTERS = (
    Stations(),
    Stations({}, {"011": "w01018", "02": "a21026"}, ["w01018", "a21026", "w0000x"]),
    Stations({MN: ODD}, {"011": "w01018"}),
    Stations({MN: LOCKED}),
)
TOPICS = ("site/7/raw", f"jianwei/hj212/{MN}")
# The first is sent at NOW_NS, which is its QN; the others at the milliseconds after.
ASKED = (
    Request(1, MN, "2061", {"BeginTime": "20260512000000", "EndTime": "20260512090000"}),
    Request(2, MN, "1011"),
    Request(3, MN, "2012"),
)
ENDS = frozenset({"done", "refused", "unanswered", "gone"})


def stream_of(said: bytes) -> bytes:
    """The bytes on the line."""
    what, rest = said[0], said[3:]
    if not what & (SEGMENTS | SEALED):
        return rest
    segments = [one for one in rest.split(b"\0") if 0 < len(one) <= LONGEST]
    if what & SEALED:
        sealed = ((one, encrypted(one, KEY)) for one in segments if OPENING in one)
        return b"".join(b"##%04d%b%b\r\n" % (len(one), line, written(one)) for one, line in sealed)
    return b"".join(b"##%04d%b%b\r\n" % (len(one), one, written(one)) for one in segments)


class Trial:
    """Takes inputs, one after the other, as a service does that has read others before."""

    def __init__(self) -> None:
        self._short = [Hj212(stations) for stations in REGISTERS]
        self._careful = [Hj212(stations) for stations in REGISTERS]
        self._short_read, self._careful_read = ReadColumns(), ReadColumns()
        self.seen: Counter[str] = Counter()

    def take(self, said: bytes) -> None:
        """Fails where something does not hold."""
        if len(said) < 4:
            return
        stream, which = stream_of(said), said[0] & 3
        dice = random.Random(said[1] << 8 | said[2])
        pieces = read_at_once(stream, REGISTERS[which])
        nothing_is_lost(stream, pieces)
        if said[1] & 1:
            assert read_in_pieces(stream, REGISTERS[which], dice) == pieces, "another cut gave other frames"
        else:
            are_served_alike(stream, REGISTERS[which], dice)
            for _ in range(TIMES if said[1] & 2 else 1):
                self._both_ways(stream, which, TOPICS[bool(said[0] & TOPIC)])
        frames = [piece for piece in pieces if isinstance(piece, Frame)]
        for frame in frames:
            is_answered_well(frame)
        is_heard_well(frames)
        self.seen.update({"frames": len(frames), "unread": len(pieces) - len(frames)})

    def _both_ways(self, payload: bytes, which: int, topic: str) -> None:
        """The short way, with what it remembers of the inputs before, says what the careful way does."""
        short, careful = self._short[which], self._careful[which]
        told = short.decode(topic, payload, self._short_read)
        speaker = careful._new_topic(topic)
        asked = careful._carefully(payload, 0, self._careful_read, speaker) if payload else told
        assert len(told) <= MOST_PROBLEMS
        assert list(told) == list(asked), "the short way tells otherwise"
        said, asked_for = self._short_read.taken(), self._careful_read.taken()
        # A frame may say a thing in any order.
        assert sorted(said, key=repr) == sorted(asked_for, key=repr), "the short way says otherwise"
        self.seen["readings"] += len(said)


def read_at_once(stream: bytes, stations: Stations) -> list[Frame | Unread]:
    connection = Connection(stations)
    return connection.receive(stream, NOW_NS) + connection.close(NOW_NS)


def read_in_pieces(stream: bytes, stations: Stations, dice: random.Random) -> list[Frame | Unread]:
    """At a few places, or a byte at a time from some place on."""
    connection, out, at = Connection(stations), [], 0
    cuts = {dice.randrange(len(stream) + 1) for _ in range(dice.choice((1, 2, 5)))}
    if dice.random() < 0.2:
        cuts |= {*range(min(cuts), min(cuts) + A_BYTE_A_READ)}
    for until in [*sorted(cuts), len(stream)]:
        out += connection.receive(stream[at:until], NOW_NS)
        at = until
        assert connection.waiting <= MOST_HELD, "it holds too much"
    out += connection.close(NOW_NS)
    assert connection.waiting == 0
    return out


def are_served_alike(stream: bytes, stations: Stations, dice: random.Random) -> None:
    """A server reads only heads, and cuts what is plainly right by its length; it takes and answers the same."""
    served, at, out = Stream(Heads(stations), Bounds()), 0, []
    while at < len(stream):
        until = at + dice.choice((9, 90, 700))
        out += served.receive(stream[at:until], NOW_NS)
        at = until
        assert served.waiting <= MOST_HELD, "it holds too much"
    out += served.close(NOW_NS)
    careful = Connection(stations, read=read_outside)
    pieces = careful.receive(stream, NOW_NS) + careful.close(NOW_NS)
    taken = [(piece.raw, answer(piece.head)) for piece in pieces if isinstance(piece, Frame)]
    assert [(one.raw, one.answer) for one in out if not isinstance(one, Unread)] == taken, "the server says otherwise"


def nothing_is_lost(stream: bytes, pieces: list[Frame | Unread]) -> None:
    """Every byte is in a piece, in order, but for blanks between them."""
    at = 0
    for piece in pieces:
        assert piece.offset >= at
        assert not stream[at : piece.offset].strip()
        assert stream.startswith(piece.raw, piece.offset)
        at = piece.offset + len(piece.raw)
    assert not stream[at:].strip()


def is_answered_well(frame: Frame) -> None:
    """What we say is a frame itself, and is about this one."""
    said = answer(frame.head)
    if said is None:
        return
    (read,) = read_at_once(said, Stations())
    assert isinstance(read, Frame)
    assert read.head.cn in {"9013", "9014"}
    assert (read.params.get("QN") or read.head.qn) == frame.head.qn
    assert not {*read.warnings} & {"length_mismatch", "oversize", "whitespace", "separator", "field_order"}


def is_heard_well(frames: list[Frame]) -> None:
    """A station is asked some things; whatever it says, each request ends, and once."""
    dialogue, now_ns = Dialogue(pace=Pace(per_s=1_000.0)), NOW_NS
    ours = [
        frame for frame in frames if frame.head.mn.upper() == MN or (frame.head.cn in ANSWERS and not frame.head.mn)
    ]
    if any(frame.head.mn for frame in ours):
        dialogue.met(next(frame.head for frame in ours if frame.head.mn))
    for request in ASKED:
        dialogue.ask(request, now_ns)
    for frame in ours:
        for sent in dialogue.step(now_ns):
            assert read_at_once(sent, Stations()), "a request is bytes of a frame"
        dialogue.heard(frame, now_ns)
        now_ns += MILLISECOND_NS
    dialogue.close(now_ns)
    ends = Counter(moved.number for moved in dialogue.moved() if moved.state in ENDS)
    assert ends == {request.number: 1 for request in ASKED}
