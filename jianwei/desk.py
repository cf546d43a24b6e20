"""The desk between the ledger and the stations: hands requests out, writes down what came of them, asks for gaps.

Nothing here waits for a station. A source tells what it hears on its own thread; it is written down in the next step.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from alerts.database import LedgerUnavailable
from alerts.loggers import Heard, LoggerState
from alerts.register import SqlRegister
from alerts.requests import FINAL, Ask, Move, Requested, SqlRequests
from ingest.hj212.askable import PAST
from ingest.message import Asking, Health, Request
from ingest.records import Clock, LoggerRefused, LoggerSeen, Record, RequestMoved
from ingest.site import Roster
from jianwei.gaps import CAME, Readable, gap_in, gap_of, note_on
from jianwei.request_settings import RequestSettings
from rules.readings import SECOND_NS

GAPS, GREETING = "gap", "connection"  # who asks, where nobody did
IDLE_S = 0.5
RETRY_S = 2.0
MOST_HEARD = 20_000  # records that wait to be written down
LOST_S = 7_200.0  # a source that has said nothing of a request for so long has forgotten it
SETTLE_S = 5.0  # from the last frame until its readings are in the store
LOOK_BACK_S = 86_400.0  # silences that ended before a start, and how long before
DAY_NS = 86_400 * SECOND_NS
HOUR_NS = 3_600 * SECOND_NS
AGAIN = "the service was started again; it is asked again"
NOT_AGAIN = "the service ended meanwhile; whether the station did it is not known"
ACTS = "3"  # commands of equipment: done twice is not the same as done once


@dataclass(slots=True)
class _Given:
    """A request that a source has."""

    request: Requested
    since_ns: int


class Desk:
    """One step at a time, on one thread; `hear` on any.

    `sources`: those whose stations can be asked. Requests of people go before those of gaps, a station is given one at a
    time, and of gaps no more than `most_at_once` over all stations.
    """

    def __init__(
        self,
        requests: SqlRequests,
        register: SqlRegister,
        sources: Sequence[Asking],
        store: Readable,
        roster: Roster,
        settings: RequestSettings,
        clock: Clock,
    ) -> None:
        self._requests = requests
        self._register = register
        self._sources = {source.name: source for source in sources}
        self._store = store
        self._roster = roster
        self._settings = settings
        self._clock = clock
        self._told: deque[RequestMoved] = deque(maxlen=MOST_HEARD)
        self._seen: deque[LoggerSeen | LoggerRefused] = deque(maxlen=MOST_HEARD)
        self._loggers: dict[tuple[str, str], Heard] = {}  # by MN and source: to be written down, as are the next
        self._moves: list[Move] = []
        self._greetings: list[tuple[Ask, int]] = []  # unless the same was asked since
        self._unfilled: list[Requested] = []  # requests of gaps that nobody answered
        self._connected: dict[str, str] = {}  # source by MN
        self._given: dict[int, _Given] = {}
        self._settled_ns: dict[str, int] = {}  # by MN: when a gap may be asked for again
        self._ended: dict[str, tuple[str, int]] = {}  # episodes to look at: their station, and when
        self._last_number = 0  # of the ledger's transitions
        self._begun = False
        self._why = ""

    def hear(self, record: Record) -> None:
        """What a source tells. Any thread; never waits."""
        if isinstance(record, RequestMoved):
            self._told.append(record)
        elif isinstance(record, LoggerSeen | LoggerRefused):
            self._seen.append(record)

    def health(self, now_ns: int) -> Health:  # noqa: ARG002  # every part is told the time
        return Health(ok=not self._why, why=self._why)

    def step(self) -> float:
        """Answers how long to wait for the next."""
        now_ns = self._clock()
        try:
            if not self._begun:
                self._begin(now_ns)
            self._listen(now_ns)
            self._write_down(now_ns)
            if self._settings.fetch_gaps:
                self._plan(now_ns)
            self._hand_out(now_ns)
            self._write_down(now_ns)
            self._note(now_ns)
        except LedgerUnavailable as error:
            self._why = f"requests to stations wait: {error}"
            return RETRY_S
        self._why = ""
        return IDLE_S

    def close(self) -> None:
        """Writes down what was told until now. What was not answered is taken up at the next start."""
        now_ns = self._clock()
        self._listen(now_ns)
        self._write_down(now_ns)
        self._register.nobody_is_connected()

    # What a source told.

    def _begin(self, now_ns: int) -> None:
        """Takes up what an earlier run left."""
        for left in self._requests.open():
            if left.state != "due":
                acts = left.cn.startswith(ACTS)
                self._moves.append(
                    Move(left.number, "unanswered" if acts else "due", NOT_AGAIN if acts else AGAIN, now_ns)
                )
        self._ended = {episode: (station, now_ns) for episode, station in self._requests.without_note(GAPS)}
        self._begun = True

    def _listen(self, now_ns: int) -> None:
        for _ in range(len(self._told)):
            self._follow(self._told.popleft(), now_ns)
        for _ in range(len(self._seen)):
            seen = self._seen.popleft()
            if isinstance(seen, LoggerSeen):
                self._see(seen, now_ns)
            else:
                self._keep(self._refusal(seen))

    def _keep(self, heard: Heard) -> None:
        """Of a logger the newest alone, with all its connections; of as many loggers as may wait."""
        name = heard.mn.upper(), heard.source
        before = self._loggers.pop(name, None)
        if before is not None:
            heard = replace(heard, times=heard.times + before.times)
        if len(self._loggers) < MOST_HEARD:
            self._loggers[name] = heard

    def _see(self, it: LoggerSeen, now_ns: int) -> None:
        mn = it.mn.upper()
        is_new = it.connected and self._connected.get(mn) != it.source
        self._keep(
            Heard(
                it.mn,
                it.source,
                it.station,
                "connected" if it.connected else "gone",
                it.address,
                it.edition,
                it.at_ns,
                times=int(is_new),
                offset_ns=it.offset_ns,
            )
        )
        if it.connected:
            self._connected[mn] = it.source
        elif self._connected.get(mn) == it.source:
            del self._connected[mn]
        if is_new:
            self._greet(it, now_ns)

    def _refusal(self, it: LoggerRefused) -> Heard:
        """A logger that is refused may be registered: then it is not one that waits to be admitted."""
        mn = it.mn.upper()
        stations = self._roster.site.stations.values()
        station = "" if it.is_unknown else next((each.id for each in stations if each.mn.upper() == mn), "")
        state: LoggerState = "waiting" if it.is_unknown else "refused"
        return Heard(it.mn, it.source, station, state, it.address, it.edition, it.at_ns, why=it.why)

    def _greet(self, record: LoggerSeen, now_ns: int) -> None:
        """What the standard has a platform set on the first connection, as far as the settings say so."""
        for cn, fields in self._settings.on_connection.asked():
            since_ns = 0 if fields else now_ns - DAY_NS  # a clock goes wrong again
            self._greetings.append((Ask(record.station, record.mn, cn, fields, by=GREETING), since_ns))

    def _follow(self, record: RequestMoved, now_ns: int) -> None:
        """Of a request that nobody was given from here, or that has ended, nothing is written."""
        given = self._given.get(record.number)
        if given is None:
            return
        given.since_ns = now_ns
        move = Move(record.number, record.state, record.said, record.at_ns, record.frames, record.readings)
        if record.state in FINAL:
            del self._given[record.number]
            if given.request.episode:
                move = self._after(given.request, move, now_ns)
        self._moves.append(move)

    def _after(self, request: Requested, move: Move, now_ns: int) -> Move:
        """What could not fill a gap now may later. A lost connection costs no try."""
        self._settled_ns[request.mn.upper()] = now_ns + round(SETTLE_S * SECOND_NS)
        if move.state == "gone" and now_ns - request.asked_ns <= self._settings.gap_wait_h * HOUR_NS:
            return Move(move.number, "due", move.said, move.at_ns)
        if move.state == "unanswered":
            self._unfilled.append(request)
        self._look_at(request, now_ns)
        return move

    def _look_at(self, request: Requested, now_ns: int) -> None:
        self._ended[request.episode] = (request.station, now_ns + round(SETTLE_S * SECOND_NS))

    def _write_down(self, now_ns: int) -> None:
        """What is to be asked again comes first: else its episode would look as if all had ended."""
        asks = [ask for ask, since_ns in self._greetings if not self._requests.was_asked(ask, since_ns)]
        asks += [self._later(request, now_ns) for request in self._unfilled if self._has_tries(request)]
        if asks:
            self._requests.put(asks)
        self._greetings, self._unfilled = [], []
        self._requests.moved(self._moves)
        self._moves = []
        self._register.note_loggers(list(self._loggers.values()))
        self._loggers.clear()

    def _has_tries(self, request: Requested) -> bool:
        asked = self._requests.of_episode(request.episode, request.station)
        return sum(each.fields == request.fields for each in asked) < self._settings.tries

    def _later(self, it: Requested, now_ns: int) -> Ask:
        later_ns = now_ns + round(self._settings.retry_s * SECOND_NS)
        return Ask(it.station, it.mn, it.cn, it.fields, GAPS, it.episode, later_ns)

    # What is asked.

    def _plan(self, now_ns: int) -> None:
        """Silences that have ended since the last look become requests, once."""
        since_ns = now_ns - round(LOOK_BACK_S * SECOND_NS)
        last, ends = self._requests.cleared("silence", self._last_number, since_ns=since_ns)
        site, settings = self._roster.site, self._settings
        with_logger = {logger.station: logger.mn for logger in self._register.loggers()} if ends else {}
        asks = []
        for ended in ends:
            station = site.stations.get(ended.station)
            if station is None or site.catalogue is None or ended.station not in with_logger:
                continue
            gap = gap_of(ended, station, site.catalogue, round(settings.longest_gap_d * DAY_NS))
            if gap is None or self._requests.of_episode(ended.episode, ended.station):
                continue
            asked_ns = now_ns + round(settings.grace_s * SECOND_NS)
            cn = PAST[gap.kind]
            asks += [
                Ask(ended.station, with_logger[ended.station], cn, fields, GAPS, ended.episode, asked_ns)
                for fields in gap.pieces(settings.piece_periods)
            ]
        if asks:
            self._requests.put(asks)
        self._last_number = last

    def _hand_out(self, now_ns: int) -> None:
        busy = {given.request.mn.upper() for given in self._given.values()}
        gaps = sum(bool(given.request.episode) for given in self._given.values())
        for request in sorted(self._requests.due(now_ns), key=lambda request: (bool(request.episode), request.number)):
            mn = request.mn.upper()
            source = self._connected.get(mn)
            if request.number in self._given or mn in busy:
                continue
            if source not in self._sources:
                self._wait(request, now_ns)
            elif not request.episode or (gaps < self._settings.most_at_once and self._is_wanted(request, now_ns)):
                busy.add(mn)
                gaps += bool(request.episode)
                self._given[request.number] = _Given(request, now_ns)
                self._sources[source].ask(Request(request.number, request.mn, request.cn, request.fields))
        self._forget(now_ns)

    def _wait(self, request: Requested, now_ns: int) -> None:
        """A station that is not connected has some time to come."""
        hours = self._settings.gap_wait_h if request.episode else self._settings.wait_h
        if now_ns - request.asked_ns > hours * HOUR_NS:
            said = f"the station was not connected for {hours:g} h"
            self._moves.append(Move(request.number, "unanswered", said, now_ns))
            if request.episode:
                self._look_at(request, now_ns)

    def _is_wanted(self, request: Requested, now_ns: int) -> bool:
        """Loggers that were kept waiting send by themselves: what is there is not asked for."""
        if now_ns < self._settled_ns.get(request.mn.upper(), 0):
            return False
        site = self._roster.site
        gap = gap_in(request, site.stations.get(request.station), site.catalogue) if site.catalogue else None
        if gap is None or gap.missing(self._store) != 0:
            return True
        self._moves.append(Move(request.number, "done", CAME, now_ns))
        self._look_at(request, now_ns)
        return False

    def _forget(self, now_ns: int) -> None:
        for number, given in list(self._given.items()):
            if now_ns - given.since_ns > LOST_S * SECOND_NS:
                del self._given[number]
                said = "nothing was heard of it any more"
                self._moves.append(Move(number, "unanswered", said, now_ns))

    # What is noted.

    def _note(self, now_ns: int) -> None:
        """An episode all of whose requests have ended gets one note."""
        site = self._roster.site
        for episode, (station, at_ns) in list(self._ended.items()):
            if now_ns < at_ns or site.catalogue is None:
                continue
            asked = self._requests.of_episode(episode, station)
            if all(each.is_final for each in asked) and not self._requests.notes(episode):
                gaps = [gap_in(each, site.stations.get(station), site.catalogue) for each in asked]
                self._requests.note(episode, GAPS, *note_on(asked, gaps, self._store))
            del self._ended[episode]
