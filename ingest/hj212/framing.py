"""Frames out of a stream of bytes, however it is cut into reads.

    ##  length (4 digits)  data segment  check (4 hexadecimal digits)  CR LF

The length says where the check stands; check and line end prove it. Where they are not there, a check that fits and a
CR LF are looked for before the next header. What is then still no frame goes as `Unread`, and reading goes on at the
next header. Nothing that is received raises, and at most one frame and one piece of garbage are held.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice

from ingest.hj212.crc import CHECKS, crc
from ingest.hj212.profiles import Stations
from ingest.hj212.segment import EDITION_SHIFT, Frame, Refused, profile_in, read_frame
from ingest.hj212.sm4 import decrypted, looks_encrypted
from rules.readings import SECOND_NS

HEADER = b"##"
NEXT_HEADER = re.compile(rb"##[0-9]{4}")
CHECK_AND_END = re.compile(rb"([0-9A-Fa-f]{1,4})\r\n")
CHECK_AND_HEADER = re.compile(rb"([0-9A-Fa-f]{4})(\r?)##")
# What may still become one of both when more bytes come.
BEGUN = re.compile(rb"[0-9A-Fa-f]{0,4}\r?|[0-9A-Fa-f]{4}\r?#")
LINE_END = re.compile(rb"(?<=[0-9A-Fa-f]{4})\r\n")
FLAG = re.compile(rb"Flag=([0-9]{1,3})(?![0-9])")
HEAD_BYTES, CHECK_BYTES, END_BYTES = 6, 4, 2
MOST_TRIED = 16  # line ends that one header may claim
PIECE = 1024  # bytes of garbage that are told at once
REMEMBERED = 64  # frames that a repetition is known by

Read = Callable[[bytes, bytes, Stations, tuple[str, ...], int | None], Frame]


@dataclass(frozen=True, slots=True)
class Bounds:
    """`most_data`: bytes of a data segment; the standard has 1024, loggers send more.

    A frame whose end does not come within `frame_time_s` is given up. One that is whole but for a length that says
    otherwise is taken after `settled_s` without another byte. A DataTime may lie `most_ahead_s` in the future.
    """

    most_data: int = 8192
    frame_time_s: float = 10.0
    settled_s: float = 1.0
    most_ahead_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Unread:
    """Bytes that became no frame: where in the stream they began, and the names of the reasons."""

    raw: bytes
    offset: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Proved:
    """A data segment, in the clear, whose check fits."""

    data: bytes
    warnings: tuple[str, ...]
    encrypted: bool = False


@dataclass(slots=True)
class _Garbage:
    """Bytes between frames, until they are told."""

    offset: int = 0
    raw: bytearray = field(default_factory=bytearray)
    reasons: dict[str, None] = field(default_factory=dict)


class Connection:
    """What one station, or a few through one forwarder, send. Bytes in, frames and unread bytes out, in order.

    `read` makes the frame of a data segment whose check fits; it may look at less of it.
    """

    def __init__(self, stations: Stations | None = None, bounds: Bounds | None = None, read: Read = read_frame) -> None:
        self._stations = stations or Stations()
        self._read = read
        self._bounds = bounds or Bounds()
        self._limit = HEAD_BYTES + min(self._bounds.most_data, 9_999) + CHECK_BYTES + END_BYTES
        self._buffer = bytearray()
        self._offset = 0  # of the buffer's first byte in the stream
        self._since_ns = 0  # when that byte came
        self._heard_ns = 0  # when the last one did
        self._garbage = _Garbage()
        self._seen: OrderedDict[tuple[object, ...], None] = OrderedDict()
        self._out: list[Frame | Unread] = []

    @property
    def waiting(self) -> int:
        """Bytes that are held."""
        return len(self._buffer) + len(self._garbage.raw)

    def register(self, stations: Stations) -> None:
        """From now on these stations are registered."""
        self._stations = stations

    def receive(self, data: bytes, now_ns: int | None = None) -> list[Frame | Unread]:
        """What has become complete. Without `now_ns` no DataTime lies in the future and nothing waits for too long."""
        if not self._buffer:
            self._since_ns = now_ns or 0
        self._heard_ns = now_ns or 0
        self._buffer += data
        self._drain(now_ns, ended=False)
        return self._taken()

    def expire(self, now_ns: int) -> list[Frame | Unread]:
        """Gives up what has waited for too long; call it now and then."""
        if self.waiting and now_ns - self._since_ns >= self._bounds.frame_time_s * SECOND_NS:
            return self.close(now_ns)
        if self.waiting and now_ns - self._heard_ns >= self._bounds.settled_s * SECOND_NS:
            while self._settle(now_ns):
                self._drain(now_ns, ended=False)
        return self._taken()

    def close(self, now_ns: int | None = None) -> list[Frame | Unread]:
        """What can be made of the rest, for nothing more will come."""
        self._drain(now_ns, ended=True)
        self._tell_garbage()
        return self._taken()

    def _taken(self) -> list[Frame | Unread]:
        out, self._out = self._out, []
        return out

    def _drain(self, now_ns: int | None, *, ended: bool) -> None:
        buffer = self._buffer
        while buffer:
            at = buffer.find(HEADER)
            if at < 0:
                held = 1 if buffer.endswith(b"#") and not ended else 0
                self._discard(len(buffer) - held, "garbage")
                return
            if at or buffer.startswith(b"###"):
                self._discard(at or 1, "garbage")
            elif not self._at_header(now_ns, ended=ended):
                return
            elif now_ns is not None:
                self._since_ns = now_ns

    def _at_header(self, now_ns: int | None, *, ended: bool) -> bool:
        """Takes what begins at the header that the buffer begins with. False: more bytes are needed."""
        buffer = self._buffer
        digits = bytes(buffer[2:HEAD_BYTES])
        if len(digits) < 4 and (not digits or digits.isdigit()):
            if ended:
                self._discard(len(buffer), "incomplete")
            return ended
        if not digits.isdigit():
            self._discard(2, "bad_length")
            return True
        end = HEAD_BYTES + int(digits)
        if end - HEAD_BYTES > self._bounds.most_data:
            return self._search(now_ns, ended=ended, reason="too_long")
        # What may be check and end, or the beginning of both.
        tail = bytes(buffer[end : end + CHECK_BYTES + 3])
        finished, followed = CHECK_AND_END.match(tail), CHECK_AND_HEADER.match(tail)
        if finished:
            self._take(end, finished[1], end + finished.end(), (), now_ns)
        elif followed:
            warning = "tail_cr" if followed[2] else "tail_missing"
            self._take(end, followed[1], end + followed.end() - len(HEADER), (warning,), now_ns)
        elif len(buffer) < end or BEGUN.fullmatch(tail):
            if not ended:
                return False
            whole = re.fullmatch(rb"([0-9A-Fa-f]{4})(\r?)", tail)
            if whole is None:
                return self._search(now_ns, ended=True, reason="incomplete")
            self._take(end, whole[1], len(buffer), ("tail_cr" if whole[2] else "tail_missing",), now_ns)
        else:
            return self._search(now_ns, ended=ended, reason="crc_mismatch")
        return True

    def _take(self, end: int, check: bytes, until: int, warnings: tuple[str, ...], now_ns: int | None) -> None:
        """The frame whose structure is right, or its refusal."""
        proved = self._prove(bytes(self._buffer[HEAD_BYTES:end]), check)
        if isinstance(proved, _Proved):
            self._accept(replace(proved, warnings=(*warnings, *proved.warnings)), until, now_ns)
        # A length that is one to three too large makes a short check of the end of the check.
        elif not self._take_proved(bytes(self._buffer[:until]), until, now_ns):
            self._refuse(until, proved)

    def _search(self, now_ns: int | None, *, ended: bool, reason: str) -> bool:
        """Looks for a check that fits and a line end before the next header."""
        held = self._beginning()
        following = NEXT_HEADER.search(held, 2)
        until = following.start() if following else len(held)
        if self._take_proved(held, until, now_ns):
            return True
        if following or ended or len(held) >= self._limit:
            self._discard(until if following or ended else 2, reason)
            return True
        return False

    def _settle(self, now_ns: int) -> bool:
        """Takes the frame that is whole, though its length says that more should come."""
        held = self._beginning()
        following = NEXT_HEADER.search(held, 2)
        whole = held[len(HEADER) : HEAD_BYTES].isdigit() and len(held) > HEAD_BYTES
        return whole and self._take_proved(held, following.start() if following else len(held), now_ns)

    def _beginning(self) -> bytes:
        """As much as one frame may have; a copy, for what a pattern looks at cannot be cut."""
        return bytes(self._buffer[: self._limit])

    def _take_proved(self, held: bytes, until: int, now_ns: int | None) -> bool:
        """Takes what a line end and a check before `until` prove, if they do."""
        claimed = LINE_END.finditer(held, HEAD_BYTES + CHECK_BYTES, until)
        for end in [line_end.start() for line_end in islice(claimed, MOST_TRIED)]:
            at = end - CHECK_BYTES
            proved = self._prove(held[HEAD_BYTES:at], held[at:end])
            if isinstance(proved, _Proved):
                told = replace(proved, warnings=("length_mismatch", *proved.warnings))
                self._accept(told, end + END_BYTES, now_ns)
                return True
        return False

    def _prove(self, data: bytes, check: bytes) -> "_Proved | str":
        """The data segment if the check fits, in the way of the standard or of the station; else the reason."""
        said, profile = int(check, 16), profile_in(data, self._stations)
        shown: tuple[str, ...] = ("crc_unpadded",) if len(check) < CHECK_BYTES else ()
        if check != check.upper():
            shown = (*shown, "crc_lower_case")
        sealed = looks_encrypted(data)
        if sealed and profile.key is not None:
            clear = decrypted(data, profile.key)
            if crc(clear) == said:
                return _Proved(clear, shown, encrypted=True)
        if crc(data) == said:
            return _Proved(data, shown)
        if any(CHECKS[name](data) == said for name in profile.checks):
            return _Proved(data, (*shown, "crc_variant"))
        if sealed and _may_be_encrypted(data):
            return "encrypted_no_key" if profile.key is None else "encrypted_other_key"
        return "crc_mismatch"

    def _accept(self, proved: _Proved, until: int, now_ns: int | None) -> None:
        raw = bytes(self._buffer[:until])
        latest_ns = None if now_ns is None else now_ns + int(self._bounds.most_ahead_s * SECOND_NS)
        try:
            frame = self._read(raw, proved.data, self._stations, proved.warnings, latest_ns)
        except Refused as refused:
            self._refuse(until, refused.reason)
            return
        self._tell_garbage()
        if self._came_before(frame):
            frame = replace(frame, warnings=(*frame.warnings, "duplicate_frame"))
        self._out.append(replace(frame, encrypted=proved.encrypted, offset=self._offset))
        self._advance(until)

    def _refuse(self, until: int, reason: str) -> None:
        self._tell_garbage()
        self._out.append(Unread(bytes(self._buffer[:until]), self._offset, (reason,)))
        self._advance(until)

    def _came_before(self, frame: Frame) -> bool:
        head = frame.head
        if not head.qn:
            return False
        key = (head.mn, head.cn, head.qn, head.packet, crc(frame.data), len(frame.data))
        known = key in self._seen
        self._seen[key] = None
        self._seen.move_to_end(key)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return known

    def _discard(self, count: int, reason: str) -> None:
        """Bytes to the garbage, which is told in pieces of one size, however it comes."""
        garbage, at = self._garbage, 0
        while at < count:
            if not garbage.raw:
                garbage.offset = self._offset + at
            taken = self._buffer[at : min(count, at + PIECE - len(garbage.raw))]
            garbage.raw += taken
            garbage.reasons[reason] = None
            at += len(taken)
            if len(garbage.raw) == PIECE:
                self._tell_garbage()
                garbage = self._garbage
        self._advance(count)

    def _tell_garbage(self) -> None:
        """Blank lines between frames are nothing to tell."""
        garbage, self._garbage = self._garbage, _Garbage()
        if garbage.raw.strip() or list(garbage.reasons) not in ([], ["garbage"]):
            self._out.append(Unread(bytes(garbage.raw), garbage.offset, tuple(garbage.reasons)))

    def _advance(self, count: int) -> None:
        del self._buffer[:count]
        self._offset += count


def _may_be_encrypted(data: bytes) -> bool:
    """Whether the edition in Flag is one that encrypts."""
    flag = FLAG.search(data)
    return flag is not None and int(flag[1]) >> EDITION_SHIFT >= 2
