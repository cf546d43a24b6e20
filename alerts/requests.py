"""What stations are asked for, and what came of it; and notes on episodes. In the ledger's database."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal

import sqlalchemy as sa

from alerts import schema
from alerts.bodies import transition_from
from alerts.database import open_engine, transaction, upgrade
from alerts.records import Clock
from rules.readings import Transition

State = Literal["due", "sent", "accepted", "done", "refused", "unanswered", "gone"]
FINAL = frozenset({"done", "refused", "unanswered", "gone"})
TABLE, NOTES = schema.requests, schema.notes
LONGEST_SAID = 500


@dataclass(frozen=True, slots=True)
class Ask:
    """Something to be asked, at `asked_ns` at the earliest (None: now). `episode`: whose gap it shall fill."""

    station: str
    mn: str
    cn: str
    fields: Mapping[str, str] = field(default_factory=dict)
    by: str = ""
    episode: str = ""
    asked_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Requested:
    """A request as it is kept."""

    number: int
    station: str
    mn: str
    cn: str
    fields: Mapping[str, str]
    asked_ns: int
    asked_by: str
    episode: str
    state: State
    moved_ns: int
    said: str
    frames: int
    readings: int

    @property
    def is_final(self) -> bool:
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class Move:
    """What became of a request; `due` where it shall be asked again."""

    number: int
    state: State
    said: str
    at_ns: int
    frames: int = 0
    readings: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on an episode."""

    episode: str
    by: str
    zh: str
    en: str
    noted_ns: int


class SqlRequests:
    """Opens the database at `url` and brings its schema up to date.

    Any number of threads and processes may use it. Every method raises LedgerUnavailable when the database cannot be
    used. `clock`: ns UTC.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._engine = open_engine(url)
        self._clock = clock
        self._one_writer = Lock()
        upgrade(self._engine)

    def put(self, asks: Sequence[Ask]) -> list[int]:
        """Their numbers, in the same order. One transaction."""
        numbers = []
        with self._one_writer, transaction(self._engine, writes=True) as connection:
            for ask in asks:
                row = _row(ask, self._clock())
                numbers.append(connection.execute(sa.insert(TABLE).returning(TABLE.c.number), row).scalar_one())
        return numbers

    def due(self, now_ns: int, most: int = 1_000) -> list[Requested]:
        """What may be asked by now, the oldest first."""
        question = sa.select(TABLE).where(TABLE.c.state == "due", TABLE.c.asked_ns <= now_ns)
        return self._ask(question.order_by(TABLE.c.number).limit(most))

    def open(self, most: int = 10_000) -> list[Requested]:
        """What has not ended."""
        return self._ask(sa.select(TABLE).where(TABLE.c.state.not_in(FINAL)).order_by(TABLE.c.number).limit(most))

    def moved(self, moves: Sequence[Move]) -> None:
        """One transaction. What has ended stays as it is, whatever is told of it later."""
        if not moves:
            return
        with self._one_writer, transaction(self._engine, writes=True) as connection:
            for move in moves:
                change = sa.update(TABLE).where(TABLE.c.number == move.number, TABLE.c.state.not_in(FINAL))
                connection.execute(
                    change.values(
                        state=move.state,
                        said=move.said[:LONGEST_SAID],
                        moved_ns=move.at_ns,
                        frames=move.frames,
                        readings=move.readings,
                    )
                )

    def get(self, number: int) -> Requested | None:
        return next(iter(self._ask(sa.select(TABLE).where(TABLE.c.number == number))), None)

    def newest(self, station: str | None = None, most: int = 100) -> list[Requested]:
        """Of a station, or of all, the newest first."""
        question = sa.select(TABLE).order_by(TABLE.c.number.desc()).limit(most)
        return self._ask(question if station is None else question.where(TABLE.c.station == station))

    def of_episode(self, episode: str, station: str) -> list[Requested]:
        """Those that shall fill its gap, in the order of asking."""
        question = sa.select(TABLE).where(TABLE.c.station == station, TABLE.c.episode == episode)
        return self._ask(question.order_by(TABLE.c.number))

    def was_asked(self, ask: Ask, since_ns: int) -> bool:
        """Whether the same asker asked the same of the station since then."""
        row = _row(ask, 0)
        same = [TABLE.c[name] == row[name] for name in ("station", "cn", "fields", "asked_by")]
        return bool(self._ask(sa.select(TABLE).where(*same, TABLE.c.asked_ns >= since_ns).limit(1)))

    def cleared(self, check: str, after: int, *, since_ns: int) -> tuple[int, list[Transition]]:
        """Ends of a check's episodes that were recorded since then, after the change `after`; and the last change's number."""
        rows = schema.transitions
        question = (
            sa.select(rows.c.body)
            .join(schema.episodes, schema.episodes.c.id == rows.c.episode)
            .where(rows.c.number > after, rows.c.what == "cleared", rows.c.recorded_ns >= since_ns)
            .where(schema.episodes.c.check == check)
            .order_by(rows.c.number)
        )
        with transaction(self._engine, writes=False) as connection:
            last = connection.scalar(sa.select(sa.func.max(rows.c.number))) or 0
            found = connection.scalars(question).all() if last > after else ()
        return last, [transition_from(body) for body in found]

    # Notes.

    def note(self, episode: str, by: str, zh: str, en: str) -> None:
        row = {"episode": episode, "noted_ns": self._clock(), "noted_by": by, "zh": zh, "en": en}
        with self._one_writer, transaction(self._engine, writes=True) as connection:
            connection.execute(sa.insert(NOTES), row)

    def notes(self, episode: str) -> list[Note]:
        """In the order of noting."""
        question = sa.select(NOTES).where(NOTES.c.episode == episode).order_by(NOTES.c.number)
        with transaction(self._engine, writes=False) as connection:
            return [
                Note(row.episode, row.noted_by, row.zh, row.en, row.noted_ns) for row in connection.execute(question)
            ]

    def without_note(self, by: str) -> list[tuple[str, str]]:
        """Episodes, with their stations, all of whose requests have ended and on which `by` has noted nothing."""
        noted = sa.select(NOTES.c.episode).where(NOTES.c.noted_by == by)
        open_ones = sa.func.sum(sa.case((TABLE.c.state.in_(FINAL), 0), else_=1))
        question = (
            sa.select(TABLE.c.episode, TABLE.c.station)
            .where(TABLE.c.episode != "", TABLE.c.episode.not_in(noted))
            .group_by(TABLE.c.episode, TABLE.c.station)
            .having(open_ones == 0)
        )
        with transaction(self._engine, writes=False) as connection:
            return [(row.episode, row.station) for row in connection.execute(question)]

    def close(self) -> None:
        self._engine.dispose()

    def _ask(self, question: sa.Select[Any]) -> list[Requested]:
        with transaction(self._engine, writes=False) as connection:
            return [
                Requested(**{**row, "fields": json.loads(row["fields"])})
                for row in connection.execute(question).mappings()
            ]


def _row(ask: Ask, now_ns: int) -> dict[str, Any]:
    return {
        "station": ask.station,
        "mn": ask.mn,
        "cn": ask.cn,
        "fields": json.dumps(dict(ask.fields), sort_keys=True),
        "asked_ns": now_ns if ask.asked_ns is None else ask.asked_ns,
        "asked_by": ask.by,
        "episode": ask.episode,
        "state": "due",
        "moved_ns": now_ns,
        "said": "",
        "frames": 0,
        "readings": 0,
    }
