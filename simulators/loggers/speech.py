"""What a station says, as frames of its logger."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from rules.readings import Kind
from simulators.hj212 import COMMAND, Fields, Logger, Upload, beijing, check, items_of, packets
from simulators.samples import Said

DAY_DIGITS = 8  # of a time that says no time of day
CHECK_BYTES, END_BYTES = 4, 2


def shown(said: Said, ahead_ns: int) -> Said:
    """The same as a clock that is `ahead_ns` tells it: an instant has its time, a mean the whole hour or day of any clock."""
    sample = said.sample
    if not ahead_ns or sample.kind != Kind.REALTIME:
        return said
    return replace(said, sample=replace(sample, measured_ns=sample.measured_ns + ahead_ns))


def upload_of(voice: Logger, said: Said, sent_ns: int, *, again: bool, qn: str = "") -> Upload:
    """What is said when the logger's clock shows `sent_ns`.

    `again`: it was kept meanwhile. `qn`: of the request to which it is the answer.
    """
    sample, measured_ns = said.sample, None
    items: Sequence[tuple[str, Fields]] = items_of(voice, sample, said.decimals)
    params: list[tuple[str, str]] = []
    if said.harm == "text_value":
        items = [(code, _as_text(fields) if code == said.spoilt else fields) for code, fields in items]
    if said.harm == "naive_time":
        params.append(("DataTime", beijing(sample.measured_ns)[:DAY_DIGITS]))
    else:
        measured_ns = sample.measured_ns
    marked = again and voice.edition == "2025"  # the one edition that has a mark for it
    return Upload(COMMAND[sample.kind], sent_ns, measured_ns, items, params, again=marked, qn=qn)


def payload_of(voice: Logger, said: Said, sent_ns: int, ahead_ns: int) -> bytes:
    """A message for a broker: the frames as they would stand on a line, garbled ones too."""
    frames = packets(voice, upload_of(voice, shown(said, ahead_ns), sent_ns + ahead_ns, again=said.held))
    return garbled(frames[0], said.sample.seq) if said.harm == "garbled" else b"".join(frames)


def garbled(frame: bytes, turn: int) -> bytes:
    """Not a frame any more: cut short, noise, or another check, by turns."""
    if turn % 3 == 0:
        return frame[: len(frame) * 2 // 3]
    if turn % 3 == 1:
        return noise(frame)
    end = len(frame) - CHECK_BYTES - END_BYTES
    return frame[:end] + f"{check(frame[6:end]) ^ 0xFFFF:04X}".encode() + frame[-END_BYTES:]


def noise(of: bytes) -> bytes:
    """Thirty-two bytes that look like nothing."""
    return hashlib.sha256(of).digest().replace(b"#", b"?")


def _as_text(fields: Fields) -> Fields:
    return {name: text if name == "Flag" else f"{text}mg" for name, text in fields.items()}
