"""What the store already says about rows that come late, asked before they are written."""

from collections.abc import Mapping, Sequence
from itertools import islice
from math import nan

import numpy as np

from ingest.stores.influxdb.line_protocol import LaidOut
from ingest.stores.influxdb.names import FLAG_DIGIT, ODD_DIGIT, WORD, has_value
from ingest.stores.influxdb.reading import Asked, Queries
from ingest.stores.influxdb.settling import Key, Said
from rules.readings import Int64s

QUESTIONS_A_REQUEST = 100
LONGEST_GAP_NS = 60_000_000_000  # rows of a feed no further apart are asked for together


def already_there(laid: LaidOut, at: Int64s, queries: Queries) -> Mapping[Key, Said]:
    """Value and flag of whatever is stored under the keys of the late rows among `at`. Raises Unavailable.

    Costs nothing where no row is late; else a question for every feed and stretch of time that has late rows.
    """
    late = at[laid.rows.late[at]]
    if not late.size:
        return {}
    found: dict[Key, Said] = {}
    by_bucket: dict[str, list[Int64s]] = {}
    for stretch in _stretches(laid, late):
        by_bucket.setdefault(laid.names.feeds[int(laid.feed[stretch[0]])].bucket, []).append(stretch)
    for bucket, stretches in by_bucket.items():
        todo = iter(stretches)
        while part := list(islice(todo, QUESTIONS_A_REQUEST)):
            _ask(laid, bucket, part, queries, found)
    return found


def _ask(laid: LaidOut, bucket: str, stretches: Sequence[Int64s], queries: Queries, found: dict[Key, Said]) -> None:
    names, rows = laid.names, laid.rows
    places = [sorted(set(rows.series[stretch].tolist())) for stretch in stretches]
    asked = [
        Asked(
            feed=names.feeds[int(laid.feed[stretch[0]])],
            parameters=[names.keys[place].parameter for place in of],
            first_ns=int(rows.measured_ns[stretch[0]]),
            last_ns=int(rows.measured_ns[stretch[-1]]),
        )
        for stretch, of in zip(stretches, places, strict=True)
    ]
    for of, points in zip(places, queries.points(bucket, asked), strict=True):
        for point in points:
            for place in of:
                parameter = names.keys[place].parameter
                word = point.get(parameter + WORD)
                if word is not None:
                    value = point.get(parameter) if has_value(word) else None
                    said = (nan if value is None else float(value), word % ODD_DIGIT // FLAG_DIGIT)
                    found[place, point["time"]] = said


def _stretches(laid: LaidOut, late: Int64s) -> list[Int64s]:
    """The late rows by feed and time, cut where the feed changes or a gap is long."""
    order = late[np.lexsort((laid.rows.measured_ns[late], laid.feed[late]))]
    feed, times = laid.feed[order], np.ascontiguousarray(laid.rows.measured_ns[order])
    gaps = np.diff(times).view(np.uint64)  # where times may be three centuries apart
    cuts = np.flatnonzero((feed[1:] != feed[:-1]) | (gaps > LONGEST_GAP_NS)) + 1
    return np.split(order, cuts)
