"""The outside of a frame: who says what of it, and what is to be answered. A server need not know more.

A logger sends the same head minute after minute, so it is read once. What of a stream is plainly right is cut by its
length; all else goes through a `Connection`, which says the same of what both can read. What stands in CP is nobody's
business here: whether it can be read or not, the bytes are kept, and who is answered need not send them again.
"""

from dataclasses import dataclass, field, replace

import msgspec

from ingest.hj212.answers import answer
from ingest.hj212.crc import written
from ingest.hj212.framing import CHECK_BYTES, END_BYTES, HEAD_BYTES, HEADER, Bounds, Connection, Unread
from ingest.hj212.profiles import Profile, Stations
from ingest.hj212.segment import OPENING, Frame, Head, Refused, profile_in, read_frame, read_head, read_outside
from rules.readings import SECOND_NS

QN, QN_UNTIL, AFTER_QN = b"QN=", 20, b";"
END = b"\r\n"
AROUND_BYTES = HEAD_BYTES + CHECK_BYTES + END_BYTES
MARK = "00000000000000000"  # stands where a QN will
MOST_KNOWN = 20_000
LONGEST_HEAD = 256  # that is remembered


@dataclass(frozen=True, slots=True)
class Known:
    """A head but for its QN, and the answer but for its QN: what stands before and after it, None where none is asked for."""

    head: Head
    profile: Profile
    around: tuple[bytes, bytes] | None = field(repr=False)


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A frame whose check fits and whose head can be read. `data`: the data segment in the clear."""

    raw: bytes
    data: bytes
    qn: str
    known: Known

    def __repr__(self) -> str:
        """Without the bytes: a password is in them."""
        return f"Envelope(qn={self.qn!r}, known={self.known!r})"

    @property
    def answer(self) -> bytes | None:
        """What is to be said when the frame is durable."""
        around = self.known.around
        if around is None or not self.qn:
            return None
        data = around[0] + self.qn.encode() + around[1]
        return b"##%04d%b%b\r\n" % (len(data), data, written(data))

    def opened(self, stations: Stations) -> Frame:
        """The whole frame, with what stands in CP as far as it can be read."""
        head = replace(self.known.head, qn=self.qn)
        try:
            return read_frame(self.raw, self.data, stations, (), None)
        except Refused:
            return Frame(self.raw, self.data, head, {}, {}, None, (), ())


class Heads:
    """Heads that were met, within bounds, for all connections of a server."""

    def __init__(self, stations: Stations) -> None:
        self.stations = stations
        self._known: dict[bytes, Known | None] = {}

    def plain(self, raw: bytes, data: bytes) -> Envelope | None:
        """The envelope of a frame whose check fits; None where anything is in doubt."""
        opened = data.find(OPENING)
        if not data.startswith(QN) or data[QN_UNTIL : QN_UNTIL + 1] != AFTER_QN or opened < 0:
            return None
        qn, named = data[len(QN) : QN_UNTIL], data[QN_UNTIL:opened]
        if not qn.isdigit():
            return None
        known = self._known[named] if named in self._known else self._new(named, data)
        return None if known is None else Envelope(raw, data, qn.decode(), known)

    def of(self, frame: Frame) -> Envelope:
        """The envelope of a frame that was read in the careful way."""
        return Envelope(frame.raw, frame.data, frame.head.qn, _known(frame.head, profile_in(frame.data, self.stations)))

    def _new(self, named: bytes, data: bytes) -> Known | None:
        profile, known = profile_in(data, self.stations), None
        try:
            head = read_head(named.decode("latin-1"), profile)
        except Refused:
            pass
        else:
            known = None if b"QN" in named else _known(head, profile)
        if len(named) <= LONGEST_HEAD:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[named] = known
        return known


def _known(head: Head, profile: Profile) -> Known:
    said = answer(replace(head, qn=MARK))
    around = None
    if said is not None:
        before, _, after = said[HEAD_BYTES : -CHECK_BYTES - END_BYTES].partition(MARK.encode())
        around = (before, after)
    return Known(replace(head, qn=""), profile, around)


class Stream:
    """What comes on one connection: bytes in; envelopes, and bytes that are none, out, in order."""

    def __init__(self, heads: Heads, bounds: Bounds) -> None:
        self._heads = heads
        self._bounds = bounds
        self._held = b""  # the beginning of a frame that is right so far
        self._since_ns = 0  # when it began
        self._careful = Connection(heads.stations, bounds, read=read_outside)

    @property
    def waiting(self) -> int:
        """Bytes that are held."""
        return len(self._held) + self._careful.waiting

    def register(self, heads: Heads) -> None:
        """From now on these stations are registered."""
        self._heads = heads
        self._careful.register(heads.stations)

    def receive(self, data: bytes, now_ns: int) -> list[Envelope | Unread]:
        """What has become complete."""
        if self._careful.waiting:
            return self._of(self._careful.receive(data, now_ns))
        if not self._held:
            self._since_ns = now_ns
        else:
            data, self._held = self._held + data, b""
        out: list[Envelope | Unread] = []
        at, most, plain = 0, self._bounds.most_data, self._heads.plain
        while at < len(data):
            segment = plainly_framed(data, at, most)
            if segment is None:
                break
            end = at + len(segment) + AROUND_BYTES
            envelope = plain(data[at:end], segment)
            if envelope is None:
                break
            out.append(envelope)
            at = end
            self._since_ns = now_ns
        if at < len(data):
            rest = data[at:]
            if _may_become_plain(rest, most):
                self._held = rest
            else:
                out += self._carefully(rest)
        return out

    def expire(self, now_ns: int) -> list[Envelope | Unread]:
        """Gives up what has waited for too long; call it now and then."""
        out: list[Envelope | Unread] = []
        if self._held and now_ns - self._since_ns >= self._bounds.settled_s * SECOND_NS:
            held, self._held = self._held, b""
            out += self._carefully(held)
        return out + self._of(self._careful.expire(now_ns))

    def close(self, now_ns: int) -> list[Envelope | Unread]:
        """What can be made of the rest, for nothing more will come."""
        held, self._held = self._held, b""
        return self._carefully(held) + self._of(self._careful.close(now_ns))

    def _carefully(self, data: bytes) -> list[Envelope | Unread]:
        """As if all of it had come when its beginning did."""
        return self._of(self._careful.receive(data, self._since_ns))

    def _of(self, pieces: list[Frame | Unread]) -> list[Envelope | Unread]:
        return [piece if isinstance(piece, Unread) else self._heads.of(piece) for piece in pieces]


def plainly_framed(stream: bytes, at: int, most_data: int) -> bytes | None:
    """The data segment of the frame that begins at `at` and is plainly right; None where anything is in doubt."""
    start = at + HEAD_BYTES
    digits = stream[at + len(HEADER) : start]
    if not digits.isdigit() or not stream.startswith(HEADER, at):
        return None
    end = start + int(digits)
    data = stream[start:end]
    if not 0 < len(data) <= most_data or stream[end : end + CHECK_BYTES + END_BYTES] != written(data) + END:
        return None
    return data


def _may_become_plain(rest: bytes, most_data: int) -> bool:
    """Whether it is the beginning of a frame that is right so far."""
    if len(rest) < HEAD_BYTES:
        return HEADER.startswith(rest[: len(HEADER)]) and (rest[len(HEADER) :] or b"0").isdigit()
    digits = rest[len(HEADER) : HEAD_BYTES]
    if not rest.startswith(HEADER) or not digits.isdigit():
        return False
    length = int(digits)
    return 0 < length <= most_data and len(rest) < HEAD_BYTES + length + CHECK_BYTES
