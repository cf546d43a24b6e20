"""How judged values and found episodes are told: a CSV of values, a table of episodes, one document for programs."""

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from functools import lru_cache
from math import isnan
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from alerts.notices import instant, legal_multiple, measured
from jianwei.board import STYLES, bounds
from jianwei.judging import Account, FoundEpisode
from rules.last_words import CHECK_NAMES, Values
from rules.readings import FLAG_LETTERS, Point, SeriesKey, Verdict

COLUMNS = ("time", "station", "parameter", "kind", "value", "equipment", "flag", *CHECK_NAMES)
HEADINGS = ("Level", "Station", "Parameter", "Rule", "Since", "Until", "Worst")
LIMIT_HEADINGS = ("Limit", "Standard", "Clause", "Mark")
LETTERS = "".join(FLAG_LETTERS)


class ValueFile:
    """A CSV file of values: a line a value, its flag, and the word of every check that has one on it (QARTOD codes)."""

    def __init__(self, path: Path, zone: tzinfo) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._write = csv.writer(self._file, lineterminator="\n").writerow
        self._write(COLUMNS)
        self._time = lru_cache(maxsize=16)(lambda at_ns: time_text(at_ns, zone))

    def add(self, values: Values, keys: Sequence[SeriesKey]) -> None:
        for series, at_ns, value, _, flag, verdict, words in values.tolist():
            station, parameter, kind = keys[series]
            shown = "" if isnan(value) else repr(value)
            said = [word or "" for word in words]
            self._write(
                (self._time(at_ns), station, parameter, kind.name.lower(), shown, LETTERS[flag], verdict, *said)
            )

    def close(self) -> None:
        self._file.close()


@contextmanager
def value_file(path: Path | None, zone: tzinfo) -> Iterator[ValueFile | None]:
    """Closed in the end; None where no file is asked for."""
    if path is None:
        yield None
        return
    file = ValueFile(path, zone)
    try:
        yield file
    finally:
        file.close()


def time_text(at_ns: int, zone: tzinfo) -> str:
    """ISO 8601 with the offset of that zone."""
    return instant(at_ns).astimezone(zone).isoformat()


def episodes_table(episodes: Collection[FoundEpisode], zone: tzinfo) -> Table:
    """A row an episode, in the order they began; what is said of limits only where there are any."""
    table = Table(title="Episodes", title_justify="left", header_style="bold", pad_edge=False)
    with_limits = any(episode.last.limit for episode in episodes)
    for heading in HEADINGS + (LIMIT_HEADINGS if with_limits else ()):
        is_short = heading in {"Level", "Since", "Until", "Mark"}
        table.add_column(heading, no_wrap=is_short, overflow="fold", min_width=None if is_short else 8)
    for episode in sorted(episodes, key=lambda found: found.last.since_ns):
        last, limit = episode.last, episode.last.limit
        cells = [
            Text(last.level.name.lower(), style=STYLES[last.level]),
            Text(last.station),
            Text(last.parameter),
            Text(last.rule),
            Text(_minute(last.since_ns, zone)),
            Text("—" if episode.until_ns is None else _minute(episode.until_ns, zone)),
            Text(_shown(last.worst, last.unit)),
        ]
        if limit:
            cells += [Text(said) for said in (bounds(limit), limit.standard, limit.clause, f"[{limit.mark}]")]
        table.add_row(*cells)
    return table


def summary_lines(account: Account) -> Iterator[str]:
    """What came of the file, in a few lines."""
    flags = ", ".join(f"{flag} {Verdict(flag).name.lower()}: {number:,}" for flag, number in account.flags.items())
    yield f"{account.rows:,} rows, {sum(account.flags.values()):,} values. {flags}"
    counts = {
        "came twice": account.counts.duplicates,
        "came twice with another value": account.counts.conflicts,
        "older than the one before": account.counts.late,
        "watched by no rule": account.counts.unwatched,
    }
    told = [f"{number:,} {what}" for what, number in counts.items() if number]
    if told:
        yield "Of the values " + ", ".join(told)
    yield f"Episodes: {len(account.episodes):,}. Cells or lines that could not be read: {account.bad:,}"


def report(account: Account, zone: tzinfo) -> dict[str, Any]:
    """The same for a program."""
    return {
        "rows": account.rows,
        "flags": account.flags,
        "counts": {
            "duplicates": account.counts.duplicates,
            "conflicts": account.counts.conflicts,
            "late": account.counts.late,
            "unwatched": account.counts.unwatched,
        },
        "bad_cells": account.bad,
        "problems": [{"line": p.line, "column": p.column, "reason": p.reason} for p in account.problems],
        "episodes": [_told(episode, zone) for episode in account.episodes.values()],
    }


def _told(episode: FoundEpisode, zone: tzinfo) -> Mapping[str, Any]:
    last, limit = episode.last, episode.last.limit
    return {
        "id": last.episode,
        "level": last.level.name.lower(),
        "family": last.family.name.lower(),
        "check": last.check,
        "rule": last.rule,
        "station": last.station,
        "parameter": last.parameter,
        "kind": last.kind.name.lower() if last.kind is not None else None,
        "since": time_text(last.since_ns, zone),
        "until": None if episode.until_ns is None else time_text(episode.until_ns, zone),
        "worst": None if last.worst is None else last.worst.value,
        "worst_line": None if last.worst is None else last.worst.position,
        "unit": last.unit,
        "multiple": legal_multiple(last.multiple, last.limit),
        "limit": None
        if limit is None
        else {
            "id": limit.limit_id,
            "low": limit.low,
            "high": limit.high,
            "unit": limit.unit,
            "standard": limit.standard,
            "edition": limit.edition,
            "clause": limit.clause,
            "mark": limit.mark,
        },
    }


def _minute(at_ns: int, zone: tzinfo) -> str:
    return f"{instant(at_ns).astimezone(zone):%Y-%m-%d %H:%M}"


def _shown(point: Point | None, unit: str) -> str:
    return "" if point is None or isnan(point.value) else measured(f"{point.value:.6g}", unit)
