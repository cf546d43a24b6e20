"""Files as the messages of stations: rows of tables written as json_v1, or messages that were kept as lines."""

import gzip
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from math import isnan
from pathlib import Path
from typing import NamedTuple, Protocol

from ingest.table_files import CellProblem, Convert, Row, read_rows
from ingest.table_maps import TableMap
from jianwei.moments import written
from rules.readings import SECOND_NS
from simulators import wire
from simulators.targets import read_lines

MOST_PROBLEMS = 1_000  # kept; the rest is counted
LONGEST_NAP_S = 0.2
PIECE = 1 << 20


class Spoken(NamedTuple):
    """A message: when it was due, and where it stands. `values` are the readings in it, None where nobody counted."""

    due_ns: int
    topic: str
    payload: bytes
    file: Path
    line: int
    values: int | None
    missing: int = 0


@dataclass(slots=True)
class Replay:
    """What was read and sent so far. `missing` are among `values`; lines of messages are not looked into."""

    messages: int = 0
    values: int = 0
    missing: int = 0
    bad: int = 0
    problems: list[tuple[Path, CellProblem]] = field(default_factory=list)

    def complain(self, file: Path, problem: CellProblem) -> None:
        """A cell, a line or the rest of a file that cannot be read."""
        self.bad += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append((file, problem))

    def count(self, message: Spoken) -> None:
        """It was handed over."""
        self.messages += 1
        self.values += message.values or 0
        self.missing += message.missing


class Speaker(Protocol):
    """What messages are handed to: a publisher."""

    def publish(self, topic: str, payload: bytes) -> int: ...

    def poll(self) -> None: ...

    def flush(self) -> None: ...


def spoken(files: Mapping[Path, TableMap | None], convert: Convert, replay: Replay) -> Iterator[Spoken]:
    """The messages of all files, by time; within a file in its order. A file without a map holds lines of messages."""
    parts = [
        _of_lines(file, replay) if table_map is None else _of_rows(file, table_map, convert, replay)
        for file, table_map in files.items()
    ]
    return merge(*parts, key=_due_ns)


def told(messages: Iterable[Spoken], speaker: Speaker, replay: Replay, speed: float | None) -> Iterator[Spoken]:
    """Hands over every message when it is due, and waits in the end until all are acknowledged; yields them behind.

    `speed`: seconds of the files in a second, beginning with the first message; None: as fast as it goes.
    """
    began_s = time.monotonic()
    first_ns: int | None = None
    for message in messages:
        first_ns = message.due_ns if first_ns is None else first_ns
        while speed is not None:
            ahead_s = (message.due_ns - first_ns) / SECOND_NS / speed - (time.monotonic() - began_s)
            if ahead_s <= 0:
                break
            speaker.poll()
            time.sleep(min(ahead_s, LONGEST_NAP_S))
        speaker.publish(message.topic, message.payload)
        replay.count(message)
        yield message
    speaker.flush()


def holds_lines(path: Path) -> bool:
    """Whether it holds messages, as `jianwei simulate` writes them, and not a table. Raises OSError."""
    with path.open("rb") as file:
        return file.read(1) == b"{"


def line_count(path: Path) -> int:
    """For a progress bar. Raises OSError."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(PIECE), b""))


def _due_ns(message: Spoken) -> int:
    return message.due_ns


def _of_rows(file: Path, table_map: TableMap, convert: Convert, replay: Replay) -> Iterator[Spoken]:
    for row in read_rows(file, table_map, convert):
        if isinstance(row, CellProblem):
            replay.complain(file, row)
        else:
            missing = sum(map(isnan, row.values.values()))
            topic = wire.topic_of(row.station, table_map.kind)
            yield Spoken(
                row.measured_ns, topic, _payload(row, table_map.kind), file, row.line, len(row.values), missing
            )


def _payload(row: Row, kind: str) -> bytes:
    """Values as exact as they were read, and the time to the nanosecond."""
    message: dict[str, object] = {
        "station": row.station,
        "kind": kind,
        "time": written(row.measured_ns),
        "values": {parameter: None if isnan(value) else value for parameter, value in row.values.items()},
    }
    if row.flags:
        message["flags"] = row.flags
    return wire.dumped(message)


def _of_lines(file: Path, replay: Replay) -> Iterator[Spoken]:
    line = 0
    try:
        for line, (sent_ns, topic, payload) in enumerate(read_lines(file), 1):
            yield Spoken(sent_ns, topic, payload, file, line, None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"not a line that `jianwei simulate` writes ({error}); the file is left here"
        replay.complain(file, CellProblem(line + 1, "", why))
