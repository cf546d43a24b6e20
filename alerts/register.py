"""The register of stations as it is entered by hand: every version of every entry, in the ledger's database.

Beside it what loggers share with us, which nobody is shown, and what was last heard of each logger.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Literal

import sqlalchemy as sa

from alerts import loggers, schema
from alerts.database import open_engine, transaction, upgrade
from alerts.loggers import Heard, KnownLogger
from alerts.records import Clock

What = Literal["added", "changed", "admitted", "removed"]
NUMBER = sa.select(sa.func.coalesce(sa.func.max(schema.stations.c.number), 0)).scalar_subquery()
SHARED_NS = sa.select(sa.func.coalesce(sa.func.max(schema.station_secrets.c.entered_ns), 0)).scalar_subquery()
# Two numbers that never fall, and of which one rises with every change.
VERSION = sa.select((NUMBER + SHARED_NS).label("version"))


class RegisterMoved(Exception):
    """Somebody else changed the register meanwhile: read it again, and check again what was to be entered."""


@dataclass(frozen=True, slots=True)
class Change:
    """A new version of a station's entry. `body`: the entry as JSON, "" where it is removed."""

    station: str
    what: What
    body: str


@dataclass(frozen=True, slots=True)
class Version:
    """A change as it was kept."""

    number: int
    station: str
    what: What
    entered_ns: int
    entered_by: str
    body: str


@dataclass(frozen=True, slots=True)
class Shared:
    """What a logger shares with us; None: nothing, or leave it as it is."""

    password: str | None = field(default=None, repr=False)
    sm4_key: bytes | None = field(default=None, repr=False)


class SqlRegister:
    """Opens the database at `url` and brings its schema up to date, but for one that only looks (`upgrades` False).

    Any number of threads and processes may read and write. Who only looks at a database from before there was a
    register finds an empty one. Every method raises LedgerUnavailable when the database cannot be used. `clock`: ns
    UTC, for the time of entering.
    """

    def __init__(self, url: str, clock: Clock, *, upgrades: bool = True) -> None:
        self._engine = open_engine(url)
        self._clock = clock
        self._one_writer = Lock()
        if upgrades:
            upgrade(self._engine)
        self._is_there = upgrades or self._has_tables()

    def number(self) -> int:
        """The version of the entries: that of the last change, 0 before the first."""
        return sum(row["number"] for row in self._ask(sa.select(NUMBER.label("number"))))

    def version(self) -> int:
        """Rises whenever an entry or something shared changes; costs next to nothing."""
        return sum(row["version"] for row in self._ask(VERSION))

    def present(self, number: int | None = None) -> dict[str, str]:
        """The entries as JSON by station, sorted; as they were after the change `number` where it is told."""
        rows = schema.stations
        newest = sa.select(sa.func.max(rows.c.number)).group_by(rows.c.station)
        if number is not None:
            newest = newest.where(rows.c.number <= number)
        question = sa.select(rows.c.station, rows.c.body).where(rows.c.number.in_(newest), rows.c.body != "")
        return dict(sorted((row["station"], row["body"]) for row in self._ask(question)))

    def history(self, station: str | None = None) -> list[Version]:
        """Every version of a station's entry, or of all, in the order of entering."""
        question = sa.select(schema.stations).order_by(schema.stations.c.number)
        if station is not None:
            question = question.where(schema.stations.c.station == station)
        return [Version(**row) for row in self._ask(question)]

    def enter(
        self,
        changes: Sequence[Change],
        by: str,
        *,
        seen: int,
        shared: Mapping[str, Shared] | None = None,
        forget: Iterable[str] = (),
    ) -> None:
        """One transaction: entries, and what is shared with their loggers. `forget`: stations whose secrets go first.

        `seen`: what `version` told before the changes were checked against the rest; raises RegisterMoved, and nothing
        is done, when it tells something else by now. What was shared with a removed station is forgotten.
        """
        with self._writing() as connection:
            if connection.scalar(VERSION) != seen:
                raise RegisterMoved("the register was changed by somebody else meanwhile")
            now_ns = self._clock()
            for change in changes:
                row = {"station": change.station, "what": change.what, "body": change.body}
                connection.execute(sa.insert(schema.stations), {**row, "entered_ns": now_ns, "entered_by": by})
                loggers.rename(connection, change.station, mn_of(change.body) if change.body else "")
            gone = {change.station for change in changes if not change.body}
            for station in sorted(gone.union(forget)):
                _share(connection, station, Shared(), now_ns, forget=True)
            for station, secrets in sorted((shared or {}).items()):
                _share(connection, station, secrets, now_ns)

    def shared(self) -> dict[str, Shared]:
        """What loggers share with us, by station: for a running service, and for nobody's eyes."""
        return {
            row["station"]: Shared(row["password"], row["sm4_key"])
            for row in self._ask(sa.select(schema.station_secrets))
            if row["password"] is not None or row["sm4_key"] is not None
        }

    def has_shared(self) -> dict[str, tuple[bool, bool]]:
        """Whether a password and a key are set, by station."""
        table = schema.station_secrets
        has = {"password": table.c.password.is_not(None), "key": table.c.sm4_key.is_not(None)}
        question = sa.select(table.c.station, *(column.label(name) for name, column in has.items()))
        return {row["station"]: (bool(row["password"]), bool(row["key"])) for row in self._ask(question)}

    def differs(self, shared: Mapping[str, Shared]) -> set[str]:
        """Stations with which something else is shared by now."""
        present = self.shared()
        return {
            station
            for station, told in shared.items()
            if (known := present.get(station, Shared()))
            != replace(
                known,
                password=known.password if told.password is None else told.password,
                sm4_key=known.sm4_key if told.sm4_key is None else told.sm4_key,
            )
        }

    # Loggers.

    def note_loggers(self, heard: Sequence[Heard]) -> None:
        """One transaction. Of loggers of no registered station only the newest are kept, `loggers.MOST_WAITING`."""
        if heard:
            with self._writing() as connection:
                loggers.note(connection, heard)

    def nobody_is_connected(self) -> None:
        """A service starts or ends: whoever was connected is gone."""
        table = schema.loggers
        with self._writing() as connection:
            connection.execute(sa.update(table).where(table.c.state == "connected").values(state="gone"))

    def loggers(self) -> list[KnownLogger]:
        """All of registered stations, by station."""
        table = schema.loggers
        question = sa.select(table).where(table.c.station != "").order_by(table.c.station, table.c.mn, table.c.source)
        return [KnownLogger(**row) for row in self._ask(question)]

    def waiting(self) -> list[KnownLogger]:
        """Those of no registered station, the newest first."""
        table = schema.loggers
        question = sa.select(table).where(table.c.station == "").order_by(table.c.last_ns.desc(), table.c.mn)
        return [KnownLogger(**row) for row in self._ask(question)]

    def close(self) -> None:
        self._engine.dispose()

    def _has_tables(self) -> bool:
        with transaction(self._engine, writes=False) as connection:
            return sa.inspect(connection).has_table(schema.stations.name)

    def _ask(self, question: sa.Select[Any]) -> Sequence[sa.RowMapping]:
        self._is_there = self._is_there or self._has_tables()
        if not self._is_there:
            return ()
        with transaction(self._engine, writes=False) as connection:
            return connection.execute(question).mappings().all()

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """Our threads wait for each other here, as in `SqlLedger`."""
        with self._one_writer, transaction(self._engine, writes=True) as connection:
            yield connection


def _share(connection: sa.Connection, station: str, told: Shared, now_ns: int, *, forget: bool = False) -> None:
    """A row stays when all is forgotten: `version` must not fall."""
    table = schema.station_secrets
    newest_ns = connection.scalar(sa.select(sa.func.max(table.c.entered_ns))) or 0
    known = connection.execute(sa.select(table).where(table.c.station == station)).one_or_none()
    if forget and (known is None or (known.password is None and known.sm4_key is None)):
        return
    row: dict[str, Any] = {"entered_ns": max(now_ns, newest_ns + 1)}
    if forget or told.password is not None:
        row["password"] = told.password
    if forget or told.sm4_key is not None:
        row["sm4_key"] = told.sm4_key
    if known is None:
        connection.execute(sa.insert(table), {"station": station, "password": None, "sm4_key": None, **row})
    else:
        connection.execute(sa.update(table).where(table.c.station == station), row)


def mn_of(body: str) -> str:
    """The MN of an entry: what its logger calls itself, else the station's id."""
    entry = json.loads(body)
    return str((entry.get("logger") or {}).get("mn") or entry["id"])
