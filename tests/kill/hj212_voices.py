"""What data loggers say of a load, in three editions of HJ 212, and what must be in the store when it was answered."""

import json
from functools import lru_cache

from rules.schema import Station
from simulators.hj212 import Edition, Logger, Upload, framed
from simulators.load import VALUES, Load, Plan
from simulators.loggers.manner import codes_of_2005

# By place, so that of the load's eight kinds of stations those that say "missing" or flag a value do it in 2017 and 2025.
EDITIONS: tuple[Edition, ...] = ("2005", "2017", "2025", "2017")
READINGS = 10  # a sample
Values = dict[str, float | None]
Said = tuple[Values, list[tuple[str, dict[str, str]]]]


class Voices:
    """The load's messages as frames. A station is called by its place, a sample by its turn."""

    def __init__(self, plan: Plan) -> None:
        self._load = Load(plan)
        self._said = lru_cache(maxsize=4_000)(_said)
        self.loggers = [
            Logger(station.id, edition=edition, codes=codes_of_2005() if edition == "2005" else None)
            for place, station in enumerate(self.stations)
            for edition in (EDITIONS[place % len(EDITIONS)],)
        ]

    @property
    def stations(self) -> list[Station]:
        return self._load.stations

    def frame(self, place: int, turn: int, qn_ns: int, *, again: bool = False) -> bytes:
        """`again`: it was kept meanwhile."""
        logger, measured_ns = self.loggers[place], self.measured_ns(turn)
        again = again and logger.edition == "2025"  # the one that has a mark for it
        return framed(logger, Upload("2011", qn_ns, measured_ns, self._of(place, turn)[1], again=again))

    def readings(self, place: int, turn: int) -> Values:
        """What the store must hold of it."""
        return self._of(place, turn)[0]

    def measured_ns(self, turn: int) -> int:
        plan = self._load.plan
        return plan.start_ns + turn * plan.interval_ns

    def _of(self, place: int, turn: int) -> Said:
        payload = self._load.payload(turn * len(self.stations) + place)
        return self._said(payload[payload.index(VALUES) :])


def _said(text: bytes) -> Said:
    """The load says the same few thousand things again and again."""
    content = json.loads(b"{" + text)
    values: Values = content["values"]
    flags: dict[str, str] = content.get("flags", {})
    items = []
    for parameter, value in values.items():
        fields = {} if value is None else {"Rtd": repr(value)}
        items.append((parameter, fields | {"Flag": flags.get(parameter, "B" if value is None else "N")}))
    return values, items
