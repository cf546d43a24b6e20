"""What the rim tells about itself: one typed record a happening.

`emit` is handed to every part; what becomes of a record (a log line, a metric, both) is decided in one place,
`jianwei/telemetry.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rules.readings import Counts, Transition


@dataclass(frozen=True, slots=True)
class Connected:
    source: str
    session_present: bool


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    source: str
    why: str
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class PossibleLoss:
    """Messages may have been lost outside our reach, for example a broker forgot our session."""

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Rebalanced:
    """A consumer group dealt its partitions anew. `left`: messages that were handed over and will come again, to somebody."""

    source: str
    partitions: int  # that are ours now; 0 while they are dealt
    left: int


@dataclass(frozen=True, slots=True)
class SourceLag:
    """`messages` wait at the brokers behind the newest that we have. `loop_lag_s`: the client's loop had no time so long."""

    source: str
    messages: int
    loop_lag_s: float


@dataclass(frozen=True, slots=True)
class LoggerSeen:
    """A registered station's logger came (`connected`), is still there, or went.

    `offset_ns`: how far its clock is before ours; None where it has not said the time.
    """

    source: str
    station: str
    mn: str
    address: str
    edition: str
    connected: bool
    at_ns: int
    offset_ns: int | None = None


@dataclass(frozen=True, slots=True)
class LoggerRefused:
    """A logger whose data we do not take: nobody has registered its MN (`is_unknown`), or `why` says what is wrong."""

    source: str
    mn: str
    address: str
    edition: str
    at_ns: int
    is_unknown: bool
    why: str


@dataclass(frozen=True, slots=True)
class LoggerTwice:
    """Both of two lines speak for one station: two loggers have its MN, or one has two lines. `address` is of the newer."""

    source: str
    station: str
    mn: str
    address: str
    other: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class LoggerClock:
    """A station's clock is far from ours (wrong), or became of 1012 what `said` says."""

    source: str
    station: str
    mn: str
    offset_ns: int
    state: Literal["wrong", "set", "not_set"]
    said: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class LinesServed:
    """What a port for loggers did since it last told. `ended`: connections by why they ended."""

    source: str
    open: int
    accepted: int
    ended: Mapping[str, int]
    frames: int
    refused: int
    answers: int
    garbage_bytes: int


@dataclass(frozen=True, slots=True)
class RequestMoved:
    """What became of a request to a station. `said`: in the words of the protocol or ours, for the operator.

    `state`: sent (and waits for an answer), accepted (9011 has said so), done, refused, unanswered, or gone (the
    station is not connected).
    """

    source: str
    number: int
    state: Literal["sent", "accepted", "done", "refused", "unanswered", "gone"]
    said: str
    at_ns: int
    frames: int = 0  # of data that came for it
    readings: int = 0


@dataclass(frozen=True, slots=True)
class EntryWritten:
    """`took_s`: the commit. `lag_s`: since the oldest of the messages was received; 0 for an entry of time alone."""

    messages: int
    payload_bytes: int
    took_s: float
    lag_s: float = 0.0


@dataclass(frozen=True, slots=True)
class JournalRefused:
    why: str
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class BatchJudged:
    """A step of the worker. `newest_received_ns`: of the messages in it, for lag. `again`: catch-up of the store."""

    entry: int
    messages: int
    readings: int
    problems: int
    counts: Counts
    newest_received_ns: int
    took_s: float
    again: bool = False


@dataclass(frozen=True, slots=True)
class TransitionsFound:
    transitions: Sequence[Transition]


@dataclass(frozen=True, slots=True)
class Quarantined:
    problems: int
    reason: str  # a short class of reason, for a metric label


@dataclass(frozen=True, slots=True)
class RowsStored:
    rows: int
    took_s: float


@dataclass(frozen=True, slots=True)
class StoreBusy:
    why: str
    retry_after_s: float


@dataclass(frozen=True, slots=True)
class RowsRefused:
    rows: int
    why: str


@dataclass(frozen=True, slots=True)
class RegisterBound:
    """The register of stations was changed, and is followed from now on. `version`: of its entries."""

    version: int
    stations: int


@dataclass(frozen=True, slots=True)
class CatchUp:
    """The store is behind: rows are made again from the journal between these entries; `done` when it has caught up."""

    from_entry: int
    to_entry: int
    done: bool


@dataclass(frozen=True, slots=True)
class DeadLettersPublished:
    letters: int


@dataclass(frozen=True, slots=True)
class DeadLettersDelayed:
    """Nobody took them: they wait in quarantine."""

    why: str
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class DeadLetterRefused:
    """It stays in quarantine and is not offered again."""

    why: str
    payload_bytes: int


@dataclass(frozen=True, slots=True)
class PartFailed:
    """A thread met an error that nobody expected; it goes on after a pause, and health is red until it works again."""

    part: str
    error: str


Record = (
    Connected
    | ConnectionLost
    | PossibleLoss
    | Rebalanced
    | SourceLag
    | LoggerSeen
    | LoggerRefused
    | LoggerTwice
    | LoggerClock
    | LinesServed
    | RequestMoved
    | EntryWritten
    | JournalRefused
    | BatchJudged
    | TransitionsFound
    | Quarantined
    | RowsStored
    | StoreBusy
    | RowsRefused
    | RegisterBound
    | CatchUp
    | DeadLettersPublished
    | DeadLettersDelayed
    | DeadLetterRefused
    | PartFailed
)
Emit = Callable[[Record], None]
Clock = Callable[[], int]  # ns since 1970 UTC: the wall clock, or a simulated one
