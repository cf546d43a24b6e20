"""What a platform says, read by a reader of the simulator's own: it takes what the standard prints, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulators.hj212 import check

HEADER, END = b"##", b"\r\n"
HEAD_BYTES, CHECK_BYTES = 6, 4
OPENING, CLOSING = b"CP=&&", b"&&"
MOST_DATA = 1024
SEPARATORS = str.maketrans({",": ";"})


class NoFrameError(Exception):
    """The platform said something that is no frame of the standard."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame. `head` and `params` by name, as they came."""

    head: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def cn(self) -> str:
        return self.head.get("CN", "")

    @property
    def qn(self) -> str:
        """Of what it is about: an answer of 2005 says it among its parameters."""
        return self.params.get("QN") or self.head.get("QN", "")

    @property
    def packet(self) -> str:
        """Which packet it is about, "" where it says none."""
        return self.params.get("PNO") or self.head.get("PNO", "")


class Reader:
    """Frames out of the bytes of a connection, however they were cut."""

    def __init__(self) -> None:
        self._left = bytearray()

    def read(self, data: bytes) -> list[Heard]:
        """The frames that are whole now. Raises NoFrameError; the connection is of no use then."""
        self._left += data
        found: list[Heard] = []
        while len(self._left) >= HEAD_BYTES:
            digits = bytes(self._left[len(HEADER) : HEAD_BYTES])
            if not self._left.startswith(HEADER) or not digits.isdigit() or int(digits) > MOST_DATA:
                raise NoFrameError(f"the platform said {bytes(self._left[:20])!r}, which is no frame")
            end = HEAD_BYTES + int(digits)
            whole = end + CHECK_BYTES + len(END)
            if len(self._left) < whole:
                break
            frame = bytes(self._left[:whole])
            del self._left[:whole]
            segment = frame[HEAD_BYTES:end]
            if frame[end:] != f"{check(segment):04X}".encode() + END:
                raise NoFrameError(f"the platform's check does not fit: {frame[:60]!r}")
            found.append(_parsed(segment))
        return found


def _parsed(segment: bytes) -> Heard:
    head, opened, rest = segment.partition(OPENING)
    if not opened or not rest.endswith(CLOSING):
        raise NoFrameError(f"the platform said {segment[:60]!r}, without CP=&& and &&")
    return Heard(_fields(head), _fields(rest[: -len(CLOSING)]))


def _fields(text: bytes) -> dict[str, str]:
    """name=value, cut at ; and , (the standard writes both between BeginTime and EndTime)."""
    words = text.decode("ascii", "replace").translate(SEPARATORS).split(";")
    return {name: value for name, equals, value in (word.partition("=") for word in words) if equals}
