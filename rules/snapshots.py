"""What an engine has learnt, as bytes: columns by name, so that a changed catalogue or record loses nothing else.

Layout: magic, 16 bytes of BLAKE2b over the rest, isal-compressed msgpack. Rows are known by (rule, subject); which
records of a check belong to which row of the next engine is decided when it is restored.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from rules.episodes import EPISODE
from rules.findings import OpenEpisode, episode_id, point
from rules.readings import Family, Int64s, Kind, Level, SeriesKey
from rules.roster import Roster
from rules.state import Records
from rules.tables import NOBODY, Table
from rules.watches import Subject

MAGIC = b"JWS2"
DIGEST_SIZE = 16
LEVEL = 1
PLACED = ("ring_at", "ring_size")  # where a window lies is decided when a row is made


class SnapshotUnreadable(Exception):  # named by what is so, as its like elsewhere in the house
    """The bytes are not a snapshot, or not a whole one. Start from an older one, or from the journal's beginning."""


class Column(msgspec.Struct, array_like=True):
    dtype: str
    shape: list[int]
    data: bytes


Columns = dict[str, Column]


class TableContent(msgspec.Struct, array_like=True):
    sort: str  # what its subjects are: series, feed, station
    rule: Column  # by row: numbers of names
    unit: Column
    family: Column
    subject: Column
    state: Columns
    ring: Column
    ended: Column
    episodes: Columns


class Content(msgspec.Struct, array_like=True):
    keys: list[SeriesKey]
    feeds: list[tuple[str, Kind]]
    stations: list[str]
    names: list[str]
    newest: Columns
    given: Columns
    tables: dict[str, TableContent]
    orphans: list[OpenEpisode]


def pack(roster: Roster, orphans: Sequence[OpenEpisode]) -> bytes:
    """The engine's memory; equal memories give equal bytes."""
    series = len(roster.keys)
    content = Content(
        keys=roster.keys,
        feeds=roster.feeds,
        stations=roster.stations,
        names=roster.names,
        newest=_columns(roster.newest[:series], without=("watched",)),
        given=_columns(roster.given[:series], without=("batch", "row")),
        tables={name: _table_content(roster, table) for name, table in roster.tables.items()},
        orphans=list(orphans),
    )
    body = isal_zlib.compress(msgspec.msgpack.encode(content), LEVEL)
    return MAGIC + hashlib.blake2b(body, digest_size=DIGEST_SIZE).digest() + body


def unpack(snapshot: bytes, roster: Roster) -> list[OpenEpisode]:
    """Puts a snapshot into a fresh roster; returns the open episodes that no watch of it takes up."""
    content = _read(snapshot)
    for key in content.keys:
        roster.place(key)
    series = len(content.keys)
    _fill(roster.newest, np.arange(series), content.newest, np.arange(series))
    _fill(roster.given, np.arange(series), content.given, np.arange(series))
    orphans = list(content.orphans)
    for name, saved in content.tables.items():
        table = roster.tables.get(name)
        orphans += _restore_table(roster, table, content, saved, name)
    roster.count_abnormal()
    return orphans


def _read(snapshot: bytes) -> Content:
    body = snapshot[len(MAGIC) + DIGEST_SIZE :]
    head = MAGIC + hashlib.blake2b(body, digest_size=DIGEST_SIZE).digest()
    if snapshot[: len(head)] != head:
        raise SnapshotUnreadable("the bytes are not a snapshot of this engine, or were changed")
    try:
        return msgspec.msgpack.decode(isal_zlib.decompress(body), type=Content)
    except msgspec.DecodeError as error:
        raise SnapshotUnreadable(f"the snapshot is of another make: {error}") from error


def _column(array: NDArray[Any]) -> Column:
    return Column(array.dtype.str, list(array.shape), np.ascontiguousarray(array).tobytes())


def _array(column: Column) -> NDArray[Any]:
    return np.frombuffer(column.data, dtype=column.dtype).reshape(column.shape)


def _columns(records: Records, without: Sequence[str] = ()) -> Columns:
    return {name: _column(records[name]) for name in records.dtype.names or () if name not in without}


def _fill(records: Records, to: Int64s, columns: Columns, rows: Int64s) -> None:
    """Copies the fields that both sides know in the same shape; others keep their fresh value."""
    for name in records.dtype.names or ():
        if name not in columns:
            continue
        array = _array(columns[name])
        if array.dtype == records[name].dtype and array.shape[1:] == records[name].shape[1:]:
            records[name][to] = array[rows]


def _table_content(roster: Roster, table: Table) -> TableContent:
    manners = roster.manners.records[table.manner[: table.size]]
    running = table.pool[table.pool["row"] != NOBODY]
    return TableContent(
        sort=table.spec.subject,
        rule=_column(manners["rule"]),
        unit=_column(manners["unit"]),
        family=_column(manners["family"]),
        subject=_column(table.subject[: table.size]),
        state=_columns(table.state[: table.size], without=("told", "active")),
        ring=_column(table.ring[: table.ring_size]),
        ended=_column(table.ended[: table.size]),
        episodes=_columns(running[np.argsort(running["row"])]),
    )


def _restore_table(
    roster: Roster, table: Table | None, content: Content, saved: TableContent, check: str
) -> list[OpenEpisode]:
    """Gives each row what the row of the same rule and subject had learnt; returns open episodes nobody takes up."""
    size = saved.subject.shape[0]
    if table and saved.sort != table.spec.subject:  # what it watches has become another thing
        table = None
    heirs = _heirs(roster, table, content, saved) if table else np.full(size, NOBODY)
    before = np.flatnonzero(heirs != NOBODY)
    if table:
        learnt = {name: column for name, column in saved.state.items() if name not in PLACED}
        _fill(table.state, heirs[before], learnt, before)
        table.ended[heirs[before]] = _array(saved.ended)[before]
        if table.ring_size and saved.ring.shape[0]:
            _refill_rings(table, heirs, before, saved)
    episodes: Records = np.zeros(saved.episodes["row"].shape[0], EPISODE)
    _fill(episodes, np.arange(episodes.size), saved.episodes, np.arange(episodes.size))
    orphans = []
    for episode in episodes:
        row = int(episode["row"])
        if table and heirs[row] != NOBODY:
            table.run(int(heirs[row]), episode)
        elif episode["open"]:
            orphans.append(_orphan(episode, content, saved, check))
    return orphans


def _heirs(roster: Roster, table: Table, content: Content, saved: TableContent) -> Int64s:
    """For each saved row the row of the new table with the same rule and subject, else NOBODY."""
    names = {name: number for number, name in enumerate(content.names)}
    rules = [names.get(name, NOBODY) for name in roster.names]
    old, new = _numbered(content, saved.sort), _numbered(roster, saved.sort)
    subjects = {new[subject]: number for subject, number in old.items() if subject in new}
    manner_rules = roster.manners.records["rule"][table.manner[: table.size]].tolist()
    known = zip(manner_rules, table.subject[: table.size].tolist(), strict=True)
    rows = {(rules[rule], subjects.get(subject, NOBODY)): row for row, (rule, subject) in enumerate(known)}
    saved_rows = zip(_array(saved.rule).tolist(), _array(saved.subject).tolist(), strict=True)
    return np.array([rows.get(pair, NOBODY) for pair in saved_rows], dtype=np.int64)


def _subject(lists: Content | Roster, sort: str, number: int) -> Subject:
    if sort == "series":
        return Subject(*lists.keys[number])
    if sort == "feed":
        station, kind = lists.feeds[number]
        return Subject(station, "", kind)
    return Subject(lists.stations[number])


def _numbered(lists: Content | Roster, sort: str) -> dict[Subject, int]:
    count = {"series": len(lists.keys), "feed": len(lists.feeds), "station": len(lists.stations)}[sort]
    return {_subject(lists, sort, number): number for number in range(count)}


def _refill_rings(table: Table, heirs: Int64s, before: Int64s, saved: TableContent) -> None:
    """A window of the same size as it is; of another, the newest readings that both hold, oldest first.

    A window of merged readings that has another size begins anew.
    """
    ring = _array(saved.ring)
    starts, sizes, seens = (_array(saved.state[name]).tolist() for name in ("ring_at", "ring_size", "seen"))
    for row, old in zip(heirs[before].tolist(), before.tolist(), strict=True):
        held, size = max(seens[old] - 1, 0), sizes[old]  # the newest lies in its record
        mine = table.state[row]
        at, room = int(mine["ring_at"]), int(mine["ring_size"])
        if room == size:
            table.ring[at : at + room] = ring[starts[old] : starts[old] + size]
            continue
        if mine["block"] > 1:
            mine["seen"] = 0
            continue
        kept = min(held, size, room)
        table.ring[at : at + kept] = ring[starts[old] + np.arange(held - kept, held) % size]
        mine["seen"] = min(int(mine["seen"]), kept + 1)


def _orphan(episode: np.void, content: Content, saved: TableContent, check: str) -> OpenEpisode:
    """An open episode whose watch is gone, told from the snapshot alone; its limit is no longer known."""
    row = int(episode["row"])
    subject = _subject(content, saved.sort, int(_array(saved.subject)[row]))
    rule = content.names[int(_array(saved.rule)[row])]
    edition, since_ns = int(episode["edition"]), int(episode["since_ns"])

    shown = saved.sort != "feed"
    return OpenEpisode(
        episode=episode_id(rule, edition, subject, since_ns),
        rule=rule,
        edition=edition,
        check=check,
        family=Family(int(_array(saved.family)[row])),
        station=subject.station,
        parameter=subject.parameter,
        kind=subject.kind,
        level=Level(int(episode["level"])),
        since_ns=since_ns,
        first=point(episode, "first") if shown else None,
        worst=point(episode, "worst") if shown else None,
        last=point(episode, "last") if shown else None,
        limit=None,
        multiple=None,
        unit=content.names[int(_array(saved.unit)[row])],
    )
