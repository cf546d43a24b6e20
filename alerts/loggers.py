"""What was last heard of loggers: of registered stations, and of those that wait to be admitted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import sqlalchemy as sa

from alerts import schema

LoggerState = Literal["connected", "gone", "waiting", "refused"]

MOST_WAITING = 1_000  # loggers that nobody has registered: the newest are kept
MOST_NAMES = 500  # in one question
MOST_LETTERS: Mapping[str, int] = {"mn": 32, "address": 64, "edition": 16, "why": 500}
TABLE = schema.loggers


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of a logger. `station`: its id in the register, "" where its MN is registered for none.

    `edition` "" and `offset_ns` None: not said this time. `times`: connections or attempts that this tells of, 0 where
    it is only still there.
    """

    mn: str
    source: str
    station: str
    state: LoggerState
    address: str
    edition: str
    at_ns: int
    times: int = 1
    offset_ns: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class KnownLogger:
    """All that was heard of a logger on one source."""

    mn: str
    source: str
    station: str
    state: LoggerState
    address: str
    edition: str
    first_ns: int
    last_ns: int
    times: int
    offset_ns: int | None
    why: str


def note(connection: sa.Connection, heard: Sequence[Heard]) -> None:
    """Adds what was heard to what is known. The letters of an MN count the same large and small.

    Of loggers of no registered station the newest `MOST_WAITING` are kept: made-up MNs fill nothing.
    """
    short = [replace(one, **{name: getattr(one, name)[:most] for name, most in MOST_LETTERS.items()}) for one in heard]
    known = {_name(one): one for one in _known(connection, sorted({one.mn.upper() for one in short}))}
    before = set(known)
    for one in short:
        known[_name(one)] = _after(known.get(_name(one)), one)
    touched = dict.fromkeys(map(_name, short))
    if new := [asdict(known[name]) for name in touched if name not in before]:
        connection.execute(sa.insert(TABLE), new)
    if changed := [asdict(known[name]) for name in touched if name in before]:
        rows = [{"of_mn": row["mn"], "of_source": row["source"], **row} for row in changed]
        connection.execute(sa.update(TABLE).where(_is_named()), rows)
    _drop_oldest_waiting(connection)


def rename(connection: sa.Connection, station: str, mn: str) -> None:
    """A station's entry changed: who waited under its MN waits no longer, what its former logger said goes.

    `mn` "": the station is removed.
    """
    of_mn = sa.func.upper(TABLE.c.mn) == mn.upper()
    connection.execute(sa.delete(TABLE).where(TABLE.c.station == station, sa.not_(of_mn)))
    if mn:
        gone = {"station": station, "state": "gone", "why": ""}
        connection.execute(sa.update(TABLE).where(of_mn, TABLE.c.station == "").values(gone))


def _name(one: Heard | KnownLogger) -> tuple[str, str]:
    return one.mn.upper(), one.source


def _is_named() -> sa.ColumnElement[bool]:
    return sa.and_(TABLE.c.mn == sa.bindparam("of_mn"), TABLE.c.source == sa.bindparam("of_source"))


def _known(connection: sa.Connection, names: Sequence[str]) -> Iterator[KnownLogger]:
    for start in range(0, len(names), MOST_NAMES):
        among = sa.func.upper(TABLE.c.mn).in_(names[start : start + MOST_NAMES])
        for row in connection.execute(sa.select(TABLE).where(among)).mappings():
            yield KnownLogger(**row)


def _after(known: KnownLogger | None, heard: Heard) -> KnownLogger:
    """What is known once this was heard, too. What is older than the newest only counts."""
    said: dict[str, Any] = {
        "station": heard.station,
        "state": heard.state,
        "address": heard.address,
        "edition": heard.edition,
        "last_ns": heard.at_ns,
        "offset_ns": heard.offset_ns,
        "why": heard.why,
    }
    if known is None:
        return KnownLogger(mn=heard.mn, source=heard.source, first_ns=heard.at_ns, times=heard.times, **said)
    times = min(known.times + heard.times, 2**31 - 1)
    if heard.at_ns < known.last_ns:
        return replace(known, first_ns=min(known.first_ns, heard.at_ns), times=times)
    for name in ("address", "edition"):
        said[name] = said[name] or getattr(known, name)
    if heard.offset_ns is None:
        said["offset_ns"] = known.offset_ns
    return replace(known, times=times, **said)


def _drop_oldest_waiting(connection: sa.Connection) -> None:
    waits = TABLE.c.station == ""
    over = (connection.scalar(sa.select(sa.func.count()).select_from(TABLE).where(waits)) or 0) - MOST_WAITING
    if over > 0:
        oldest = sa.select(TABLE.c.mn, TABLE.c.source).where(waits).order_by(TABLE.c.last_ns, TABLE.c.mn).limit(over)
        gone = [{"of_mn": row.mn, "of_source": row.source} for row in connection.execute(oldest)]
        connection.execute(sa.delete(TABLE).where(_is_named()), gone)
