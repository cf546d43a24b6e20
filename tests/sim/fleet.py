"""What the stations send: readings that break limits, and whatever else stations do. And what they sent, to be held against what arrived."""

import heapq
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isnan, nan

from rules.readings import SECOND_NS, Kind, Level, SeriesKey
from rules.watches import Escalation, Persistence
from tests.rules.watching import Handmade, limit, watch
from tests.sim.world import Fault, World

STATIONS = ("S1", "S2", "S3")
PARAMETERS = ("p0", "p1")
INTERVAL_S = 2.0
INTERVAL_NS = round(INTERVAL_S * SECOND_NS)
MOST_LATE_S = 8.0

Key = tuple[str, str, int]  # station, parameter, measured_ns


def watchlist() -> Handmade:
    """Every check that there is, on every station."""
    watches = []
    for station in STATIONS:
        first, second = (SeriesKey(station, parameter, Kind.MINUTE) for parameter in PARAMETERS)
        watches += [
            watch(
                "exceedance",
                series=first,
                limits=[limit(high=5.0)],
                raise_after=Persistence(2, 3),
                clear_after=Persistence(2, 2),
                escalation=[Escalation(2.0, Level.RED)],
                interval_ns=INTERVAL_NS,
            ),
            watch(
                "flat_line",
                {"suspect_after_s": 6, "fail_after_s": 12, "tolerance": 0.001},
                series=first,
                interval_ns=INTERVAL_NS,
            ),
            watch(
                "gross_range", {"fail": (-10.0, 50.0), "suspect": (0.0, 20.0)}, series=second, interval_ns=INTERVAL_NS
            ),
            watch("spike", {"suspect": 5.0, "fail": 15.0}, series=second, interval_ns=INTERVAL_NS),
            watch(
                "rate_of_change",
                {"suspect": 4.0},
                series=second,
                raise_after=Persistence(1, 1, 0),
                interval_ns=INTERVAL_NS,
            ),
            watch("impossible_time", {"ahead_s": 60, "earliest": "2020-01-01"}, series=first, interval_ns=INTERVAL_NS),
            watch("silence", {"suspect_after": 2.0, "fail_after": 5.0}, series=first, interval_ns=INTERVAL_NS),
            watch("equipment_flag", {"flags": ("D",), "says": "suspect"}, series=first, interval_ns=INTERVAL_NS),
        ]
    return Handmade(watches, [(station, Kind.MINUTE) for station in STATIONS])


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as a station made it. `good`: the readings that can be read; `bad`: how many problems it has."""

    topic: str
    payload: bytes
    good: dict[Key, float]
    bad: int = 0


@dataclass(slots=True)
class _Station:
    name: str
    next_s: float
    silent_until_s: float = 0.0
    mood: str = "calm"
    last: tuple[int, dict[str, float]] | None = None


@dataclass(slots=True)
class Fleet:
    """Makes messages when their time has come. Every payload is unlike every other."""

    world: World
    sent: dict[bytes, Sent] = field(default_factory=dict)
    _stations: list[_Station] = field(default_factory=list)
    _later: list[tuple[float, int, Sent]] = field(default_factory=list)  # a heap
    _made: int = 0

    def __post_init__(self) -> None:
        self._stations = [_Station(name, self.world.dice.uniform(0.0, INTERVAL_S)) for name in STATIONS]

    @property
    def next_s(self) -> float:
        """When somebody speaks next."""
        later_s = self._later[0][0] if self._later else 1e9
        return min(later_s, *(station.next_s for station in self._stations))

    def is_done(self) -> bool:
        return self.world.is_calm and not self._later

    def speak(self) -> list[Sent]:
        """What is sent now."""
        spoken = []
        for station in self._stations:
            if station.next_s <= self.world.now_s:
                station.next_s += INTERVAL_S
                if not self.world.is_calm:
                    spoken += self._messages(station)
        while self._later and (self._later[0][0] <= self.world.now_s or self.world.is_calm):
            spoken.append(heapq.heappop(self._later)[2])
        return spoken

    def _messages(self, station: _Station) -> list[Sent]:
        world, dice = self.world, self.world.dice
        if world.strikes(Fault.SILENCE):
            station.silent_until_s = world.now_s + dice.uniform(4.0, 13.0)
        if world.now_s < station.silent_until_s:
            return []
        values = self._values(station)
        measured_ns = world.true_ns() // 1_000_000 * 1_000_000
        messages = [self._message(station, measured_ns, values)]
        if world.strikes(Fault.DUPLICATE) and station.last:
            messages.append(self._message(station, *station.last))
        if world.strikes(Fault.CONFLICT) and station.last:
            at_ns, known = dice.choice((station.last, (measured_ns, values)))
            messages.append(self._message(station, at_ns, {code: value + 1.0 for code, value in known.items()}))
        if world.strikes(Fault.WRONG_CLOCK):
            off_ns = dice.choice((3600, -10 * 365 * 86_400)) * SECOND_NS
            messages.append(self._message(station, measured_ns + off_ns, values))
        if world.strikes(Fault.BAD_BYTES):
            messages.append(self._noise(station))
        station.last = (measured_ns, values)
        if world.strikes(Fault.LATE):
            due_s = world.now_s + dice.uniform(0.5, MOST_LATE_S)
            for message in messages:
                heapq.heappush(self._later, (due_s, self._made, message))
                self._made += 1
            return []
        return messages

    def _values(self, station: _Station) -> dict[str, float]:
        dice = self.world.dice
        if dice.random() < 0.2:
            station.mood = dice.choice(("calm", "calm", "over", "far over", "flat", "missing"))
        level = {"over": 6.0, "far over": 11.0}.get(station.mood, 3.0)
        first = level if station.mood == "flat" else level + round(dice.uniform(-0.5, 0.5), 3)
        second = 10.0 + round(dice.uniform(-3.0, 3.0), 3)
        if dice.random() < 0.1:
            second = dice.choice((40.0, 70.0, -20.0, 18.0))
        return {"p0": nan if station.mood == "missing" else first, "p1": second}

    def _message(self, station: _Station, measured_ns: int, values: dict[str, float]) -> Sent:
        wire: dict[str, float | str | None] = {code: None if isnan(v) else v for code, v in values.items()}
        body: dict[str, object] = {"station": station.name, "kind": "minute", "time": _text(measured_ns)}
        good, bad = {(station.name, code, measured_ns): value for code, value in values.items()}, 0
        code = self.world.dice.choice(PARAMETERS)
        if self.world.strikes(Fault.BAD_VALUE):
            wire[code] = "n/a"
            del good[station.name, code, measured_ns]
            bad = 1
        elif self.world.strikes(Fault.FLAG):
            body["flags"] = {code: self.world.dice.choice("DDM")}
        return self._keep(station, {**body, "values": wire}, good, bad)

    def _keep(self, station: _Station, body: dict[str, object], good: dict[Key, float], bad: int) -> Sent:
        self._made += 1
        payload = json.dumps({**body, "seq": self._made}).encode()
        sent = self.sent[payload] = Sent(f"jianwei/v1/{station.name}/minute", payload, good, bad)
        return sent

    def _noise(self, station: _Station) -> Sent:
        self._made += 1
        topics = (f"jianwei/v1/{station.name}/minute", f"jianwei/v1/{station.name}/minute", "other/things")
        payload = self.world.dice.choice((b"\xff\xfe", b'{"station":', b"[]")) + b" " + str(self._made).encode()
        sent = self.sent[payload] = Sent(self.world.dice.choice(topics), payload, {}, bad=1)
        return sent


def _text(ns: int) -> str:
    return (
        datetime.fromtimestamp(ns / SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{ns % SECOND_NS // 1_000_000:03}Z"
    )
