"""How wrong a station's clock is, told from the times at which it says it speaks.

A frame that was kept, or comes again, says a time that is past. So a delay can only make a clock look slow: one that looks
right is believed at once, one that looks wrong when several frames agree that came at different times. Of those that
agree the one with the least delay counts.
"""

import re
from collections import deque

from ingest.hj212.envelopes import Envelope
from ingest.hj212.times import time_ns
from rules.readings import SECOND_NS

DATA_TIME = re.compile(rb"[&;,]DataTime=([0-9]{14})(?![0-9])")
FRESH = frozenset({"2011", "1013", "9015"})  # said at the moment that their QN names
LAST = 5  # looked at
AGREEING = 3
AGREE_NS = 5 * SECOND_NS
RIGHT_NS = 10 * SECOND_NS
APART_NS = SECOND_NS  # what comes within is one frame, or kept ones in a row


class StationClock:
    """Of one station. Give it every frame; `offset_ns` is how far its clock is before ours, None while nobody knows."""

    def __init__(self) -> None:
        self.offset_ns: int | None = None
        self.is_sure = False  # several frames agree
        self._samples: deque[int] = deque(maxlen=LAST)
        self._said: deque[str] = deque(maxlen=LAST)  # a frame that comes again says what it said
        self._last_ns = 0

    def heard(self, envelope: Envelope, received_ns: int) -> None:
        """Looks at the QN of a frame that says what is now."""
        head = envelope.known.head
        if head.cn not in FRESH or head.sent_again or abs(received_ns - self._last_ns) < APART_NS:
            return
        said = envelope.qn or _data_time(envelope)
        said_ns = time_ns(said)
        if said_ns is None or said in self._said:
            return
        self._last_ns = received_ns
        self._said.append(said)
        self._samples.append(said_ns - received_ns)
        self._judge()

    def forget(self) -> None:
        """The clock was set: what it said before counts no more."""
        self._samples.clear()
        self.offset_ns, self.is_sure = None, False

    def _judge(self) -> None:
        newest_first = sorted(self._samples, reverse=True)
        for most, least in zip(newest_first, newest_first[AGREEING - 1 :], strict=False):
            if most - least <= AGREE_NS:
                self.offset_ns, self.is_sure = most, True
                return
        if abs(self._samples[-1]) <= RIGHT_NS:
            self.offset_ns, self.is_sure = self._samples[-1], False


def _data_time(envelope: Envelope) -> str:
    """Of a logger of 2005, which may be without QN."""
    found = DATA_TIME.search(envelope.data)
    return found[1].decode() if found else ""
