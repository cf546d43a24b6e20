"""A desk on a ledger of its own, with a source and a store that a test plays."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from alerts.ledger import SqlLedger
from alerts.register import SqlRegister
from alerts.requests import Ask, SqlRequests
from ingest.hj212.times import time_ns
from ingest.message import Request, StoredReading, StoreUnreadable
from ingest.records import LoggerSeen, RequestMoved
from ingest.site import Roster, Site
from jianwei.clock import SimulatedClock
from jianwei.desk import Desk
from jianwei.request_settings import RequestSettings
from rules.readings import SECOND_NS, Kind, Transition
from rules.register import load_stations
from tests.alerts.found import change
from tests.jianwei.serving import CATALOGUE

MN = "C0FFEE0000000000000000A7"
STATION = f"""
stations:
- id: WE-07
  name: {{zh: 排口, en: Outlet}}
  station_type: wastewater_outlet
  classes: {{GB 18918: "1A"}}
  feeds: {{realtime: 60, minute: 600, hour: 3600}}
  logger: {{mn: {MN}}}
"""
STATIONS = load_stations({"s.yaml": STATION}, CATALOGUE)
SITE = Site(CATALOGUE, STATIONS)
SILENT_FROM, SILENT_TO = "20260512080130", "20260512120115"


def at(text: str) -> int:
    """A time in Beijing."""
    found = time_ns(text)
    assert found is not None
    return found


NOW_NS = at("20260512120200")


class Line:
    """A source of which a test says what becomes of requests."""

    name = "loggers"

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def ask(self, request: Request) -> None:
        self.asked.append(request)


class Shelf:
    """A store that holds one value at each of these times."""

    def __init__(self) -> None:
        self.times: set[int] = set()
        self.is_away = False

    def read(
        self, station: str, parameter: str | None, kind: Kind | None, from_ns: int, until_ns: int
    ) -> list[StoredReading]:
        assert parameter is None
        assert kind is not None
        if self.is_away:
            raise StoreUnreadable("the store is away")
        return [
            StoredReading(station, "w01018", kind, at_ns, 20.0, 0, 1, 0)
            for at_ns in sorted(self.times)
            if from_ns <= at_ns < until_ns
        ]

    def put(self, first: str, last: str, interval_s: int = 600) -> None:
        self.times.update(range(at(first), at(last) + 1, interval_s * SECOND_NS))


class Office:
    """The desk and all round it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.url = f"sqlite:///{folder / 'ledger.sqlite'}"
        self.clock = SimulatedClock(NOW_NS)
        self.requests = SqlRequests(self.url, self.clock)
        self.register = SqlRegister(self.url, self.clock)
        self.ledger = SqlLedger(self.url, [], self.clock)
        self.line, self.shelf = Line(), Shelf()
        self.settings = RequestSettings(**settings)
        self.desk = self.opened()

    def opened(self) -> Desk:
        """Another desk on the same, as after a start."""
        return Desk(self.requests, self.register, [self.line], self.shelf, Roster(SITE), self.settings, self.clock)

    def step(self, after_s: float = 0) -> None:
        self.clock.now_ns += round(after_s * SECOND_NS)
        self.desk.step()

    def put(self, cn: str = "1061", **fields: str) -> int:
        return self.requests.put([Ask("WE-07", MN, cn, fields, by="somebody")])[0]

    def connect(self, connected: bool = True) -> None:  # it is or it is not
        self.desk.hear(LoggerSeen("loggers", "WE-07", MN, "10.0.0.9", "2017", connected, self.clock.now_ns))

    def tell(self, number: int, *states: str, said: str = "", frames: int = 0, readings: int = 0) -> None:
        for state in states:
            moved: Any = state
            self.desk.hear(RequestMoved("loggers", number, moved, said, self.clock.now_ns, frames, readings))

    def state(self, number: int) -> tuple[str, str]:
        found = self.requests.get(number)
        assert found is not None
        return found.state, found.said

    def silence(self, kind: Kind = Kind.MINUTE, begun: str = SILENT_FROM, ended: str = SILENT_TO) -> str:
        """A silence that has ended, in the ledger; its episode."""
        episode = f"{kind.name.lower()}{begun}"
        about: dict[str, Any] = {
            "check": "silence",
            "episode": episode,
            "station": "WE-07",
            "parameter": "",
            "kind": kind,
        }
        times = {"since_ns": at(begun), "first": None, "worst": None, "last": None, "limit": None}
        told = [change(**about, **times, at_ns=at(begun)), change(**about, **times, what="cleared", at_ns=at(ended))]
        self.record(told)
        return episode

    def record(self, told: Iterable[Transition]) -> None:
        self.ledger.record(list(told), judged=0, stored=0, snapshot=None)

    def close(self) -> None:
        for part in (self.requests, self.register, self.ledger):
            part.close()
