"""The ledger: what was found, who must still be told, and how far the worker is, kept in one database."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import sqlalchemy as sa

from alerts import schema
from alerts.bodies import as_text, transition_from
from alerts.database import LedgerUnavailable, open_engine, transaction, upgrade
from alerts.episodes import Episode, episode_from, moved, row_of
from alerts.records import Clock
from alerts.routing import Route, channels_for
from rules.readings import Transition

__all__ = ["Due", "Episode", "Lag", "LedgerUnavailable", "Resumed", "SqlLedger"]

MOST_IDS = 5_000  # in one question; databases bound the number of parameters
MOVE_CURSOR = sa.update(schema.cursor).values(
    {
        name: sa.case(
            (schema.cursor.c[name] < sa.bindparam(f"now_{name}"), sa.bindparam(f"now_{name}")),
            else_=schema.cursor.c[name],
        )
        for name in ("judged", "stored")
    }
)
# A start needs the newest snapshot that is not past the stored cursor, and may soon need a newer one.
PRUNE_SNAPSHOTS = sa.delete(schema.snapshots).where(
    schema.snapshots.c.mark
    < sa.select(sa.func.max(schema.snapshots.c.mark))
    .where(schema.snapshots.c.mark <= sa.select(schema.cursor.c.stored).scalar_subquery())
    .correlate(None)
    .scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where the worker goes on.

    Everything up to the journal's entry `judged` is recorded, up to `stored` is stored, and `snapshot` holds the
    engine after entry `mark`, which is not past `stored` (0 and None: begin with an empty engine). `turns` are the
    changes of the register, oldest first: after which entry which version of it judges.
    """

    judged: int = 0
    stored: int = 0
    mark: int = 0
    snapshot: bytes | None = None
    turns: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """A notice that waits for its channel. `number` is the transition's place in the ledger's order."""

    transition: Transition
    number: int
    attempts: int
    recorded_ns: int


@dataclass(frozen=True, slots=True)
class Lag:
    """What a channel has not been told. `oldest_ns`: when the oldest waiting notice was recorded."""

    channel: str
    due: int
    dead: int
    oldest_ns: int | None


class SqlLedger:
    """Opens the database at `url` (as SQLAlchemy writes it) and brings its schema up to date.

    Any number of threads and processes may share the database, but one worker records. Every method raises
    LedgerUnavailable when the database cannot be used. `clock`: ns UTC, for the time of recording and sending.
    """

    def __init__(self, url: str, routes: Sequence[Route], clock: Clock) -> None:
        self._engine = open_engine(url)
        self._routes = tuple(routes)
        self._clock = clock
        self._one_writer = Lock()
        upgrade(self._engine)

    def record(self, transitions: Sequence[Transition], *, judged: int, stored: int, snapshot: bytes | None) -> None:
        """One transaction. Transitions with known ids change nothing and tell nobody; the cursor never moves back."""
        with self._writing() as connection:
            if transitions:
                self._record_new(connection, {transition.id: transition for transition in transitions})
            connection.execute(MOVE_CURSOR, {"now_judged": judged, "now_stored": stored})
            if snapshot is not None:
                connection.execute(sa.delete(schema.snapshots).where(schema.snapshots.c.mark == judged))
                connection.execute(sa.insert(schema.snapshots), {"mark": judged, "engine": snapshot})
                connection.execute(PRUNE_SNAPSHOTS)

    def resume(self) -> Resumed:
        with transaction(self._engine, writes=False) as connection:
            judged, stored = connection.execute(sa.select(schema.cursor.c.judged, schema.cursor.c.stored)).one()
            newest = (
                sa.select(schema.snapshots)
                .where(schema.snapshots.c.mark <= stored)
                .order_by(schema.snapshots.c.mark.desc())
                .limit(1)
            )
            row = connection.execute(newest).one_or_none()
            all_turns = sa.select(schema.turns.c.entry, schema.turns.c.version).order_by(schema.turns.c.number)
            turns = tuple((entry, version) for entry, version in connection.execute(all_turns))
        mark, snapshot = (0, None) if row is None else (row.mark, row.engine)
        return Resumed(judged, stored, mark, snapshot, turns)

    def turn(self, entry: int, version: int) -> None:
        """After this entry of the journal the register of this version judges."""
        with self._writing() as connection:
            connection.execute(sa.insert(schema.turns), {"entry": entry, "version": version})

    def due(self, channel: str, now_ns: int, *, horizon_ns: int, most: int) -> list[Due]:
        """The oldest notices of a channel, of stations none of whose notices waits for its next attempt.

        An attempt more than `horizon_ns` ahead was planned by a clock that has been set back: it counts as due.
        """
        waits = schema.outbox.alias()
        held = sa.select(waits.c.station).where(
            waits.c.channel == channel,
            waits.c.state == "due",
            waits.c.due_ns > now_ns,
            waits.c.due_ns <= now_ns + horizon_ns,
        )
        question = (
            sa.select(
                schema.transitions.c.body, schema.outbox.c.number, schema.outbox.c.attempts, schema.outbox.c.recorded_ns
            )
            .join_from(schema.outbox, schema.transitions, schema.transitions.c.id == schema.outbox.c.transition)
            .where(
                schema.outbox.c.channel == channel, schema.outbox.c.state == "due", schema.outbox.c.station.not_in(held)
            )
            .order_by(schema.outbox.c.number)
            .limit(most)
        )
        with transaction(self._engine, writes=False) as connection:
            rows = connection.execute(question).all()
        return [Due(transition_from(row.body), row.number, row.attempts, row.recorded_ns) for row in rows]

    def sent(self, channel: str, transition: str) -> None:
        """The receiver has it."""
        self._mark(channel, transition, {"state": "sent", "sent_ns": self._clock()})

    def postpone(self, channel: str, transition: str, due_ns: int, error: str) -> None:
        """An attempt failed; the next is due at `due_ns`."""
        self._mark(channel, transition, {"due_ns": due_ns, "last_error": error})

    def bury(self, channel: str, transition: str, error: str) -> None:
        """It will not be tried again. The row stays, and is counted in `outbox_lag`."""
        self._mark(channel, transition, {"state": "dead", "last_error": error})

    def episodes(self, *, open_only: bool = False, station: str | None = None, limit: int = 100) -> list[Episode]:
        """The newest first."""
        question = (
            sa.select(schema.episodes).order_by(schema.episodes.c.since_ns.desc(), schema.episodes.c.id).limit(limit)
        )
        if open_only:
            question = question.where(schema.episodes.c.state == "open")
        if station is not None:
            question = question.where(schema.episodes.c.station == station)
        with transaction(self._engine, writes=False) as connection:
            return [episode_from(row) for row in connection.execute(question)]

    def find(self, id_start: str, *, limit: int = 10) -> list[Episode]:
        """Episodes whose id begins so, for people who do not type 32 digits."""
        question = sa.select(schema.episodes).where(schema.episodes.c.id.startswith(id_start, autoescape=True))
        with transaction(self._engine, writes=False) as connection:
            return [
                episode_from(row) for row in connection.execute(question.order_by(schema.episodes.c.id).limit(limit))
            ]

    def transitions(self, episode: str) -> list[Transition]:
        """All changes of an episode, in the order they were recorded."""
        question = (
            sa.select(schema.transitions.c.body)
            .where(schema.transitions.c.episode == episode)
            .order_by(schema.transitions.c.number)
        )
        with transaction(self._engine, writes=False) as connection:
            return [transition_from(body) for body in connection.scalars(question)]

    def outbox_lag(self) -> list[Lag]:
        """One for each channel that ever had a notice, sorted."""
        question = (
            sa.select(
                schema.outbox.c.channel,
                schema.outbox.c.state,
                sa.func.count(),
                sa.func.min(schema.outbox.c.recorded_ns),
            )
            .where(schema.outbox.c.state != "sent")
            .group_by(schema.outbox.c.channel, schema.outbox.c.state)
        )
        with transaction(self._engine, writes=False) as connection:
            found = {(channel, state): (n, oldest) for channel, state, n, oldest in connection.execute(question)}
            channels = connection.scalars(
                sa.select(schema.outbox.c.channel).distinct().order_by(schema.outbox.c.channel)
            ).all()
        lags = []
        for channel in channels:
            due, oldest_ns = found.get((channel, "due"), (0, None))
            lags.append(Lag(channel, due, found.get((channel, "dead"), (0, None))[0], oldest_ns))
        return lags

    def sent_count(self) -> int:
        """Notices that receivers have."""
        question = sa.select(sa.func.count()).select_from(schema.outbox).where(schema.outbox.c.state == "sent")
        with transaction(self._engine, writes=False) as connection:
            return int(connection.scalar(question) or 0)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """A transaction that writes. Our threads wait for each other here.

        SQLite has one writer too, but who waits for it there sleeps and asks again, up to ten times a second, and whoever
        asks at the right moment is next: with many channels some would come late by seconds.
        """
        with self._one_writer, transaction(self._engine, writes=True) as connection:
            yield connection

    def _record_new(self, connection: sa.Connection, found: dict[str, Transition]) -> None:
        known = {
            row.id for row in _rows(connection, sa.select(schema.transitions.c.id), schema.transitions.c.id, found)
        }
        new = [transition for transition in found.values() if transition.id not in known]
        if not new:
            return
        touched = dict.fromkeys(transition.episode for transition in new)
        rows = _rows(connection, sa.select(schema.episodes), schema.episodes.c.id, touched)
        before = {row.id: episode_from(row) for row in rows}
        now = dict(before)
        last_number = connection.scalar(sa.select(sa.func.max(schema.transitions.c.number))) or 0
        recorded_ns = self._clock()
        changes, notices = [], []
        for number, transition in enumerate(new, last_number + 1):
            episode = now[transition.episode] = moved(now.get(transition.episode), transition)
            changes.append(_change(transition, number, recorded_ns))
            notices += [
                _notice(transition, channel, number, recorded_ns)
                for channel in channels_for(self._routes, transition, episode.worst_level)
            ]
        connection.execute(sa.insert(schema.transitions), changes)
        if fresh := [row_of(episode) for key, episode in now.items() if key not in before]:
            connection.execute(sa.insert(schema.episodes), fresh)
        if older := [{"key": key, **row_of(now[key])} for key in before]:
            connection.execute(sa.update(schema.episodes).where(schema.episodes.c.id == sa.bindparam("key")), older)
        if notices:
            connection.execute(sa.insert(schema.outbox), notices)

    def _mark(self, channel: str, transition: str, columns: dict[str, Any]) -> None:
        box = schema.outbox
        with self._writing() as connection:
            connection.execute(
                sa.update(box)
                .where(box.c.transition == transition, box.c.channel == channel, box.c.state == "due")
                .values(attempts=box.c.attempts + 1, **columns)
            )


def _rows(
    connection: sa.Connection, question: sa.Select[Any], key: sa.Column[Any], ids: Iterable[str]
) -> list[sa.Row[Any]]:
    """The rows whose `key` is among `ids`."""
    rest = list(ids)
    found: list[sa.Row[Any]] = []
    while rest:
        found += connection.execute(question.where(key.in_(rest[:MOST_IDS])))
        rest = rest[MOST_IDS:]
    return found


def _change(transition: Transition, number: int, recorded_ns: int) -> dict[str, Any]:
    return {
        "id": transition.id,
        "number": number,
        "episode": transition.episode,
        "what": transition.what,
        "level": transition.level,
        "at_ns": transition.at_ns,
        "found_ns": transition.found_ns,
        "recorded_ns": recorded_ns,
        "body": as_text(transition),
    }


def _notice(transition: Transition, channel: str, number: int, recorded_ns: int) -> dict[str, Any]:
    return {
        "transition": transition.id,
        "channel": channel,
        "number": number,
        "station": transition.station,
        "state": "due",
        "attempts": 0,
        "due_ns": 0,
        "recorded_ns": recorded_ns,
        "sent_ns": None,
        "last_error": "",
    }
