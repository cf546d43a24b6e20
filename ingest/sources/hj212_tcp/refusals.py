"""Loggers that may not speak are told to the operator, and no stranger can make this the operator's only work."""

from ingest.hj212.segment import Head
from ingest.records import Emit, LoggerRefused
from rules.readings import SECOND_NS

AGAIN_NS = 60 * SECOND_NS  # the same of the same logger
MOST_A_MINUTE = 120  # of all: MNs can be invented
MINUTE_NS = 60 * SECOND_NS
MOST_REMEMBERED = 10_000


class Refusals:
    """Tells each refusal of a logger at most once a minute."""

    def __init__(self, source: str, emit: Emit) -> None:
        self._source = source
        self._emit = emit
        self._told: dict[tuple[str, str], int] = {}
        self._minute = 0
        self._count = 0

    def tell(self, mn: str, address: str, edition: str, why: str, at_ns: int, *, is_unknown: bool) -> None:
        key = (mn.upper(), why)
        last_ns = self._told.get(key)
        if last_ns is not None and 0 <= at_ns - last_ns < AGAIN_NS:
            return
        if at_ns // MINUTE_NS != self._minute:
            self._minute, self._count = at_ns // MINUTE_NS, 0
        self._count += 1
        if self._count > MOST_A_MINUTE:
            return
        if len(self._told) >= MOST_REMEMBERED:
            self._told.clear()
        self._told[key] = at_ns
        self._emit(LoggerRefused(self._source, mn, address, edition, at_ns, is_unknown, why))

    def stranger(self, head: Head, address: str, at_ns: int) -> None:
        """Nobody has registered this MN."""
        why = "nobody has registered this MN: admit it, or tell its people that it sends to the wrong place"
        self.tell(head.mn, address, head.edition, why, at_ns, is_unknown=True)
