"""Who is watched by what: series, feeds and stations get their numbers here, and their rows in the tables of checks."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from rules.checks import CHECKS
from rules.episodes import MANNER
from rules.ordering import GIVEN, NEWEST
from rules.readings import Kind, SeriesKey
from rules.state import Records
from rules.tables import NOBODY, Distinct, Table, grown
from rules.watches import Subject, Watch, Watchlist

FIRST_ROOM = 64


class Roster:
    """Numbers are given once, in the order of asking, and never change.

    Raises ValueError where a watch cannot be kept: an unknown check, a subject of another sort, too long a window.
    """

    def __init__(self, watchlist: Watchlist) -> None:
        self.watchlist = watchlist
        self.keys: list[SeriesKey] = []
        self.stations: list[str] = []
        self.feeds: list[tuple[str, Kind]] = []
        self.names: list[str] = []  # of rules and units, as records know them
        self.manners = Distinct(MANNER)
        self.tables = {name: Table(spec, FIRST_ROOM) for name, spec in CHECKS.items()}
        self.newest: Records = np.zeros(FIRST_ROOM, NEWEST)
        self.given: Records = np.zeros(FIRST_ROOM, GIVEN)
        self._series: dict[SeriesKey, int] = {}
        self._stations: dict[str, list[tuple[Table, int, int]]] = {}
        self._feeds: dict[tuple[str, Kind], list[tuple[Table, int, int]]] = {}
        self._names: dict[str, int] = {}
        for station, kind in watchlist.feeds():
            self._feed(station, kind)

    def place(self, key: SeriesKey) -> int:
        """The number of a series; one that is new is bound to its rules."""
        known = self._series.get(key)
        if known is not None:
            return known
        watches = self.watchlist.of_series(key)
        leads = [*self._feed(key.station, key.kind), *self._station(key.station)]
        series = len(self.keys)
        self._make_room(series + 1)
        leads += self._rows(watches, "series", series)
        for table, slot, row in leads:
            table.lead(slot, series, row)
        self.newest[series]["watched"] = bool(watches)
        self._series[key] = series
        self.keys.append(key)
        return series

    def subject(self, table: Table, row: int) -> Subject:
        number = int(table.subject[row])
        if table.spec.subject == "series":
            return Subject(*self.keys[number])
        if table.spec.subject == "feed":
            station, kind = self.feeds[number]
            return Subject(station, "", kind)
        return Subject(self.stations[number])

    def rule(self, table: Table, row: int) -> str:
        return self.names[int(self.manners.records[table.manner[row]]["rule"])]

    def watch(self, table: Table, row: int) -> Watch:
        """The watch that stands behind a row. The watchlist is asked again: a row keeps only what kernels need."""
        subject, rule = self.subject(table, row), self.rule(table, row)
        if subject.kind is None:
            watches = self.watchlist.of_station(subject.station)
        elif not subject.parameter:
            watches = self.watchlist.of_feed(subject.station, subject.kind)
        else:
            watches = self.watchlist.of_series(SeriesKey(subject.station, subject.parameter, subject.kind))
        return next(w for w in watches if w.rule == rule and w.check == table.spec.name)

    def count_abnormal(self) -> None:
        """Makes the counters of equipment flags anew from the newest reading of each series."""
        table = self.tables["equipment_flag"]
        table.state["abnormal"] = 0
        flags = self.newest["ordered_flag"][: len(self.keys)].astype(np.int64)
        for slot in range(table.slots):
            rows = table.place[: len(self.keys), slot]
            watched = rows != NOBODY
            told = table.limits.records["flags"][table.state["told"][rows[watched]]].astype(np.int64)
            np.add.at(table.state["abnormal"], rows[watched], (told >> flags[watched] & 1).astype(np.int32))

    def _feed(self, station: str, kind: Kind) -> list[tuple[Table, int, int]]:
        feed = (station, kind)
        if feed not in self._feeds:
            self.feeds.append(feed)
            self._feeds[feed] = self._rows(self.watchlist.of_feed(station, kind), "feed", len(self.feeds) - 1)
        return self._feeds[feed]

    def _station(self, station: str) -> list[tuple[Table, int, int]]:
        if station not in self._stations:
            self.stations.append(station)
            watches = self.watchlist.of_station(station)
            self._stations[station] = self._rows(watches, "station", len(self.stations) - 1)
        return self._stations[station]

    def _rows(self, watches: Sequence[Watch], sort: str, subject: int) -> list[tuple[Table, int, int]]:
        """A row for each watch, in the next slot of its check."""
        slots: Counter[str] = Counter()
        rows = []
        for watch in watches:
            table = self.tables.get(watch.check)
            if table is None or table.spec.subject != sort:
                raise ValueError(f"{watch.rule}: {watch.check} is not a check of a {sort}")
            row = table.add(watch, subject, self._name(watch.rule), self._name(watch.unit), self.manners)
            rows.append((table, slots[watch.check], row))
            slots[watch.check] += 1
        return rows

    def _name(self, name: str) -> int:
        number = self._names.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number

    def _make_room(self, series: int) -> None:
        if series <= self.newest.size:
            return
        self.newest, self.given = grown(self.newest, series), grown(self.given, series)
        for table in self.tables.values():
            table.make_room_for_series(self.newest.size)
