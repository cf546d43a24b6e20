"""Rows go out as lines of one bucket; those that the server refuses are found by halving."""

import numpy as np

from ingest.stores.influxdb.connection import Connection, Rejected
from ingest.stores.influxdb.line_protocol import LaidOut
from rules.readings import Int64s


def write(connection: Connection, bucket: str, laid: LaidOut, at: Int64s) -> dict[int, str]:
    """Writes the rows `at`; which were refused, with the server's words. Raises Unavailable.

    A refused body is halved until it is stored, or wholly refused, or a single row: with one bad row in 10,000 that is
    some 30 requests, at the worst (every second row bad, in no order) two a row. Whatever was stored on the way may be
    written again.
    """
    refused: dict[int, str] = {}
    waiting = [at]
    while waiting:
        part = waiting.pop()
        answer = connection.write(bucket, laid.body(part))
        if answer is None:
            continue
        if part.size == 1 or answer.whole:
            refused |= dict.fromkeys(part.tolist(), answer.words)
            continue
        waiting += reversed(np.array_split(_with_like(answer, laid, part), 2))
    return refused


def _with_like(answer: Rejected, laid: LaidOut, part: Int64s) -> Int64s:
    """The same rows with those side by side that will share a fate: what is too old, or what is in a field."""
    times = laid.rows.measured_ns[part]
    if answer.is_too_old:
        return part[np.argsort(times, kind="stable")]
    if answer.is_about_a_type:
        return part[np.lexsort((times, laid.rows.series[part]))]
    return part
