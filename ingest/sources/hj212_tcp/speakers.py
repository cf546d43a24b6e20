"""Who may speak on a line: the register as the port needs it, and what is known of each station's logger just now."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Literal

from ingest.hj212.envelopes import Envelope, Heads
from ingest.hj212.profiles import Profile
from ingest.hj212.stations import stations_of
from ingest.records import Emit, LoggerClock, LoggerSeen, LoggerTwice
from ingest.site import Roster
from ingest.sources.hj212_tcp.clocks import FRESH, StationClock
from ingest.sources.hj212_tcp.settings import Hj212TcpSourceSettings
from rules.readings import SECOND_NS
from rules.schema import Logger, Station

if TYPE_CHECKING:
    from ingest.sources.hj212_tcp.line import Line

VERY_WRONG_NS = 300 * SECOND_NS
TELL_AGAIN_NS = 3_600 * SECOND_NS


class Speaker:
    """A registered station's logger. `lines` are the connections on which it spoke, the newest last: that one is asked."""

    def __init__(self, station: str) -> None:
        self.station = self.mn = station
        self.corrects = False
        self.edition = ""
        self.clock = StationClock()
        self.lines: list[Line] = []
        self.heard_ns = 0
        self.seen_ns = 0  # when it was last told that it is there
        self.twice_ns = self.wrong_ns = self.set_ns = 0  # when that was last told, or tried
        self._networks: list[IPv4Network | IPv6Network] = []

    def registered(self, station: Station) -> None:
        """What the register says of it now."""
        logger = station.logger or Logger()
        self.mn = station.mn
        self.corrects = logger.clock == "correct"
        self._networks = [ip_network(network) for network in logger.addresses]

    def may_come_from(self, address: str) -> bool:
        if not self._networks:
            return True
        try:
            came = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(came in network for network in self._networks)


class Speakers:
    """All of them, as the register has them now."""

    def __init__(self, settings: Hj212TcpSourceSettings, roster: Roster, emit: Emit) -> None:
        self._settings = settings
        self._roster = roster
        self._emit = emit
        self._all: dict[str, Speaker] = {}  # by station
        self._by_mn: dict[str, Speaker] = {}
        self.number = -1  # of the register that this was made from
        self.refresh()

    def refresh(self) -> bool:
        """Looks whether the register was replaced."""
        number, site = self._roster.number, self._roster.site
        if self.number == number:
            return False
        heads = Heads(stations_of(site))
        found: dict[str, Speaker] = {}
        for station in site.stations.values() if site.catalogue is not None else ():
            found[station.id] = speaker = self._all.get(station.id) or Speaker(station.id)
            speaker.registered(station)
        self.heads, self._all, self.number = heads, found, number
        self._by_mn = {speaker.mn.upper(): speaker for speaker in found.values()}
        return True

    def of(self, profile: Profile) -> Speaker | None:
        return self._all.get(profile.station)

    def named(self, mn: str) -> Speaker | None:
        return self._by_mn.get(mn.upper())

    def came(self, speaker: Speaker, line: "Line", envelope: Envelope, now_ns: int) -> None:
        """It speaks on this line for the first time."""
        speaker.edition = envelope.known.head.edition
        speaker.lines.append(line)
        if envelope.known.head.cn in FRESH:
            speaker.clock.heard(envelope, now_ns)
        self._seen(speaker, line.address, now_ns, connected=True)

    def heard(self, speaker: Speaker, line: "Line", envelope: Envelope, now_ns: int) -> None:
        """A frame of it."""
        speaker.heard_ns = now_ns
        if envelope.known.head.cn in FRESH:
            speaker.clock.heard(envelope, now_ns)
            self._look_at_clock(speaker, now_ns)
        if len(speaker.lines) > 1 and line is not speaker.lines[-1]:
            self._twice(speaker, line, now_ns)

    def left(self, speaker: Speaker, line: "Line", now_ns: int) -> None:
        """A line on which it spoke is closed."""
        speaker.lines.remove(line)
        if not speaker.lines:
            self._seen(speaker, line.address, now_ns, connected=False)

    def report(self, now_ns: int) -> None:
        """Tells who is still there; call it every second or so."""
        every_ns = round(self._settings.seen_every_s * SECOND_NS)
        for speaker in self._all.values():
            if speaker.lines and speaker.heard_ns != speaker.seen_ns and _is_over(speaker.seen_ns, every_ns, now_ns):
                self._seen(speaker, speaker.lines[-1].address, now_ns, connected=True)

    def wants_time(self, speaker: Speaker, now_ns: int) -> bool:
        """Whether its clock should be set, by the register and what is known of it. Then it is not asked again for a while."""
        offset_ns, limit_ns = speaker.clock.offset_ns, self._settings.clock_limit_s * SECOND_NS
        if not speaker.corrects or not speaker.clock.is_sure or offset_ns is None or abs(offset_ns) <= limit_ns:
            return False
        if not _is_over(speaker.set_ns, round(self._settings.clock_every_s * SECOND_NS), now_ns):
            return False
        speaker.set_ns = now_ns
        return True

    def _look_at_clock(self, speaker: Speaker, now_ns: int) -> None:
        offset_ns = speaker.clock.offset_ns
        if (
            offset_ns is None
            or abs(offset_ns) <= VERY_WRONG_NS
            or not _is_over(speaker.wrong_ns, TELL_AGAIN_NS, now_ns)
        ):
            return
        speaker.wrong_ns = now_ns
        side = "ahead of" if offset_ns > 0 else "behind"
        said = f"its clock is {abs(offset_ns) / SECOND_NS:.0f} s {side} ours"
        self.tell_clock(speaker, "wrong", said, now_ns)

    def tell_clock(self, speaker: Speaker, state: Literal["wrong", "set", "not_set"], said: str, now_ns: int) -> None:
        """What is to be said of its clock."""
        offset_ns = speaker.clock.offset_ns or 0
        self._emit(LoggerClock(self._settings.name, speaker.station, speaker.mn, offset_ns, state, said, now_ns))

    def _twice(self, speaker: Speaker, line: "Line", now_ns: int) -> None:
        """The older of two lines speaks although there is a newer one: two loggers have one MN, or one has two lines."""
        if not _is_over(speaker.twice_ns, TELL_AGAIN_NS, now_ns):
            return
        speaker.twice_ns = now_ns
        newest = speaker.lines[-1].address
        self._emit(LoggerTwice(self._settings.name, speaker.station, speaker.mn, newest, line.address, now_ns))

    def _seen(self, speaker: Speaker, address: str, now_ns: int, *, connected: bool) -> None:
        speaker.seen_ns = now_ns
        name, offset_ns = self._settings.name, speaker.clock.offset_ns
        self._emit(
            LoggerSeen(name, speaker.station, speaker.mn, address, speaker.edition, connected, now_ns, offset_ns)
        )


def _is_over(since_ns: int, span_ns: int, now_ns: int) -> bool:
    """Whether so much time has passed; it has when the clock was set back, for nobody knows."""
    return not 0 <= now_ns - since_ns < span_ns
