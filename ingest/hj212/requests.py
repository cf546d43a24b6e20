"""Requests to stations over one connection, without I/O: what is sent when, and what the answers mean.

A station is asked one thing at a time. It says with 9011 whether it will do it, sends data where data are asked for,
and says with 9012 how it went; a notice it answers with 9013. Without a 9011 the same request is sent again, with the
same QN; after it the station has time to work. Every request that is asked ends, and only once.
"""

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ingest.hj212.answers import INTERACTION
from ingest.hj212.askable import ASKABLE, FROM, HISTORY, TO, problems, written
from ingest.hj212.profiles import Stations
from ingest.hj212.segment import Frame, Head
from ingest.hj212.series import TEXTS
from ingest.hj212.times import MILLISECOND_NS, written_qn, written_time
from ingest.message import Request
from rules.readings import SECOND_NS

State = Literal["sent", "accepted", "done", "refused", "unanswered", "gone"]
SAYS, DID = "9011", "9012"
ANSWERS = frozenset({SAYS, DID, "9013", "9014"})
WELL, NO_DATA = "1", "100"
RETURNS: Mapping[str, str] = {SAYS: "QnRtn", DID: "ExeRtn"}
MEANINGS: Mapping[str, Mapping[str, str]] = {
    SAYS: {
        "2": "it refuses",
        "3": "wrong password",
        "4": "wrong MN",
        "5": "wrong ST",
        "6": "wrong Flag",
        "7": "wrong QN",
        "8": "it does not know the command",
        "9": "it is busy",
        "99": "the check did not fit",
        "100": "refused for a reason of its own",
    },
    DID: {
        "2": "failed, and it does not know why",
        "3": "a condition does not hold",
        "4": "it took too long",
        "5": "it is busy",
        "6": "a fault of its system",
    },
}
TOLD = frozenset({"SystemTime", "RtdInterval", "MinInterval", "VaseNo", "CstartTime", "Ctime", "Stime"})
LONGEST_TOLD = 40
MOST_KNOWN = 10_000  # frames of one request: what comes twice is one
REMEMBERED = 64  # requests that ended: their late answers are known as such


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for a 9011, and how often the request is sent again.

    `work_s`: for more from a station that works at it; `whole_s`: for all of it. `most_waiting`: requests that wait for
    their turn, for each station.
    """

    answer_s: float = 10.0
    again: int = 3
    work_s: float = 60.0
    whole_s: float = 900.0
    most_waiting: int = 16


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a request; the last of it is one of done, refused, unanswered and gone. `said` for people."""

    number: int
    state: State
    said: str
    at_ns: int
    frames: int = 0
    readings: int = 0


class Pace:
    """So many frames a second over all connections, and QNs that no two requests share."""

    def __init__(self, per_s: float = 5.0) -> None:
        self._gap_ns = round(SECOND_NS / per_s)
        self._last_ns = -self._gap_ns
        self._last_qn_ms = 0

    @property
    def next_ns(self) -> int:
        """When the next frame may go."""
        return self._last_ns + self._gap_ns

    def take(self, now_ns: int) -> bool:
        """Whether a frame may go now; if so, it counts as gone. A clock that was set back stops nobody."""
        if self._last_ns <= now_ns < self.next_ns:
            return False
        self._last_ns = now_ns
        return True

    def qn(self, now_ns: int) -> str:
        """The time, or the next millisecond that was not given."""
        self._last_qn_ms = max(self._last_qn_ms + 1, now_ns // MILLISECOND_NS)
        return written_qn(self._last_qn_ms * MILLISECOND_NS)


@dataclass(slots=True)
class _Open:
    """A request that a station was sent."""

    request: Request
    qn: str
    begun_ns: int
    since_ns: int  # since when the next sign is waited for
    sent: int = 0
    accepted: bool = False
    frames: int = 0
    readings: int = 0
    said: str = ""  # fields that were asked for
    known: set[int] = field(default_factory=set)  # frames that came, by their hash


@dataclass(slots=True)
class _Station:
    """`head`: how it last spoke."""

    head: Head
    waiting: deque[Request] = field(default_factory=deque)
    open: _Open | None = None


class Dialogue:
    """Requests to the stations of one connection. Give it every frame of the connection, and call `step` by `next_ns`."""

    def __init__(
        self, stations: Stations | None = None, pace: Pace | None = None, patience: Patience | None = None
    ) -> None:
        self.stations = stations or Stations()  # replaced when the register changes
        self._pace = pace or Pace()
        self._patience = patience or Patience()
        self._stations: dict[str, _Station] = {}
        self._busy: dict[str, _Station] = {}  # those that are asked something, or will be
        self._by_qn: dict[str, _Station] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()  # QNs
        self._moved: list[Moved] = []

    @property
    def next_ns(self) -> int | None:
        """When `step` is due again; None: not before something is asked."""
        if not self._busy:
            return None
        opened = [station.open for station in self._busy.values()]
        return max(self._pace.next_ns, min(0 if it is None else self._deadline_ns(it) for it in opened))

    def ask(self, request: Request, now_ns: int) -> None:
        """Takes it up; or tells at once why not."""
        station = self._stations.get(request.mn.upper())
        wrong = problems(request.cn, request.fields)
        if wrong:
            self._tell(request, "refused", "; ".join(wrong), now_ns)
        elif station is None:
            self._tell(request, "gone", "the station is not connected", now_ns)
        elif len(station.waiting) >= self._patience.most_waiting:
            self._tell(request, "refused", "too many requests wait for this station; ask again later", now_ns)
        else:
            station.waiting.append(request)
            self._busy[request.mn.upper()] = station

    def step(self, now_ns: int) -> list[bytes]:
        """The frames to send now."""
        frames = []
        for station in list(self._busy.values()):
            if station.open is not None and not station.open.since_ns <= now_ns < self._deadline_ns(station.open):
                frames += self._overdue(station, station.open, now_ns)
            if station.open is None and station.waiting and self._pace.take(now_ns):
                request = station.waiting.popleft()
                station.open = _Open(request, self._pace.qn(now_ns), now_ns, now_ns)
                self._by_qn[station.open.qn] = station
                frames.append(self._sent(station, station.open, now_ns))
        return frames

    def met(self, head: Head) -> None:
        """A registered station speaks on this connection. `heard` does it too."""
        mn = head.mn.upper()
        station = self._stations.get(mn)
        if station is None:
            self._stations[mn] = _Station(head)
        elif head.st != INTERACTION:
            station.head = head

    def heard(self, frame: Frame, now_ns: int) -> str:
        """A frame of a registered station: one of `ANSWERS`, or while `next_ns` is not None any; others may be left out.

        The sentence, if any, is about an answer that nobody waits for.
        """
        if frame.head.cn in ANSWERS:
            return self._answered(frame, now_ns)
        self.met(frame.head)
        station = self._stations[frame.head.mn.upper()]
        if station.open is not None and _belongs(frame, station.open):
            self._came(station, station.open, frame, now_ns)
        return ""

    def moved(self) -> list[Moved]:
        """What became of requests since the last call, in order."""
        moved, self._moved = self._moved, []
        return moved

    def close(self, now_ns: int) -> None:
        """The connection is lost: whatever has not ended is gone."""
        for station in list(self._busy.values()):
            if station.open is not None:
                self._end(station, station.open, "gone", "the connection was lost before it had ended", now_ns)
            for request in station.waiting:
                self._tell(request, "gone", "the connection was lost before it was sent", now_ns)
        self._stations.clear()
        self._busy.clear()

    # What is waited for. A clock that was set back ends a wait: nobody knows how long it has been.

    def _deadline_ns(self, opened: _Open) -> int:
        patience = self._patience
        if not opened.accepted:
            return opened.since_ns + round(patience.answer_s * SECOND_NS)
        whole_ns = opened.begun_ns + round(patience.whole_s * SECOND_NS)
        return min(opened.since_ns + round(patience.work_s * SECOND_NS), whole_ns)

    def _overdue(self, station: _Station, opened: _Open, now_ns: int) -> list[bytes]:
        """Sent again, or given up."""
        if opened.accepted:
            said = "it took the request and did not say how it went"
            # What came has come; that it said no end does not take it back.
            self._end(station, opened, "done" if opened.frames else "unanswered", said, now_ns)
        elif opened.sent > self._patience.again:
            said = f"asked {opened.sent} times, {self._patience.answer_s:g} s apart, and no answer"
            self._end(station, opened, "unanswered", said, now_ns)
        elif self._pace.take(now_ns):
            return [self._sent(station, opened, now_ns)]
        return []

    def _sent(self, station: _Station, opened: _Open, now_ns: int) -> bytes:
        opened.sent += 1
        opened.since_ns = now_ns
        said = "" if opened.sent == 1 else f"sent again, {opened.sent - 1} of {self._patience.again}"
        self._tell(opened.request, "sent", said, now_ns)
        request, head = opened.request, station.head
        key = self.stations.profile(head.mn).key
        return written(head, opened.qn, request.cn, request.fields, now_ns, key)

    # What comes.

    def _answered(self, frame: Frame, now_ns: int) -> str:
        cn, qn = frame.head.cn, frame.params.get("QN") or frame.head.qn  # 2005 says it in CP
        station = self._by_qn.get(qn)
        if station is None or station.open is None or frame.head.mn.upper() not in {"", station.head.mn.upper()}:
            why = "which had ended" if qn in self._ended else "which this station was not sent"
            return f"{cn} to the request {qn or 'without QN'}, {why}"
        opened, name = station.open, RETURNS.get(cn, "")
        code = frame.params.get(name, "") if name else WELL
        if code == NO_DATA and cn == DID:
            self._end(station, opened, "done", "it has no such data (ExeRtn 100)", now_ns)
        elif code != WELL:
            meaning = MEANINGS[cn].get(code, "a code that no edition has")
            self._end(station, opened, "refused", f"{meaning} ({name} {code or 'is missing'})", now_ns)
        elif cn != SAYS:
            self._end(station, opened, "done", "", now_ns)
        elif not opened.accepted:
            self._accept(opened, now_ns)
        return ""

    def _came(self, station: _Station, opened: _Open, frame: Frame, now_ns: int) -> None:
        """Data of a request. What came already is no more of them, but a sign."""
        if not opened.accepted:
            self._accept(opened, now_ns)
        opened.since_ns = now_ns
        known = hash(frame.data)
        if known not in opened.known:
            if len(opened.known) < MOST_KNOWN:
                opened.known.add(known)
            opened.frames += 1
            opened.readings += sum(len(fields.keys() - TEXTS) for fields in frame.items.values())
        told = {name: text[:LONGEST_TOLD] for name, text in frame.params.items() if name in TOLD}
        opened.said = ", ".join(f"{name} {text}" for name, text in told.items()) or opened.said
        if ASKABLE[opened.request.cn].ends == "data":
            self._end(station, opened, "done", "", now_ns)

    def _accept(self, opened: _Open, now_ns: int) -> None:
        opened.accepted = True
        opened.since_ns = now_ns
        self._tell(opened.request, "accepted", "", now_ns)

    def _end(self, station: _Station, opened: _Open, state: State, said: str, now_ns: int) -> None:
        said = "; ".join(part for part in (opened.said, said) if part)
        self._tell(opened.request, state, said, now_ns, opened.frames, opened.readings)
        station.open = None
        if not station.waiting:
            del self._busy[station.head.mn.upper()]
        del self._by_qn[opened.qn]
        self._ended[opened.qn] = None
        while len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)

    def _tell(self, request: Request, state: State, said: str, now_ns: int, frames: int = 0, readings: int = 0) -> None:
        self._moved.append(Moved(request.number, state, said, now_ns, frames, readings))


def _belongs(frame: Frame, opened: _Open) -> bool:
    """Whether a frame is data of the request: by its QN, or, where loggers give data a QN of their own, by what it is."""
    head, request = frame.head, opened.request
    if head.cn != request.cn:
        return False
    if opened.qn in {head.qn, frame.params.get("QN")}:
        return True
    if head.cn not in HISTORY:
        return opened.accepted
    if not opened.accepted or frame.measured_ns is None:
        return False
    return request.fields[FROM] <= written_time(frame.measured_ns) <= request.fields[TO]
