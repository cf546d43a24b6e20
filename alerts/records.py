"""What delivery tells about itself: one typed record a happening, as in the ingest room."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NoticeSent:
    """`event_ns`: when it happened at the station; `found_ns`: when we could know; `sent_ns`: when the receiver had it."""

    channel: str
    took_s: float
    event_ns: int
    found_ns: int
    sent_ns: int


@dataclass(frozen=True, slots=True)
class NoticeFailed:
    """It will be tried again. `reason`: auth | rate_limited | client | server | timeout | unreachable."""

    channel: str
    reason: str
    error: str
    retry_after_s: float


@dataclass(frozen=True, slots=True)
class NoticeDead:
    """It will not be tried again; the ledger keeps and shows it."""

    channel: str
    reason: str
    error: str
    transition: str


@dataclass(frozen=True, slots=True)
class LedgerRefused:
    """The ledger could not be read or written; what was sent meanwhile may be sent again."""

    channel: str
    why: str
    retry_in_s: float


Record = NoticeSent | NoticeFailed | NoticeDead | LedgerRefused
Emit = Callable[[Record], None]
Clock = Callable[[], int]  # ns since 1970 UTC
