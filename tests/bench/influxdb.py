"""What InfluxDB's lines cost us: a message of ten readings as a line, beside the official client's, packed, and sent.

Who answers here says 204 and looks at nothing; what InfluxDB itself spends is told in decision 11.
"""

import time
from collections.abc import Callable
from itertools import groupby
from typing import Any

import numpy as np
from influxdb_client.client.write.point import Point
from isal import igzip

from ingest.message import Stored
from ingest.stores.influxdb import InfluxdbStore, InfluxdbStoreSettings
from ingest.stores.influxdb.line_protocol import Lines
from tests.bench.store import STATION_SIZE, judged, keys
from tests.bench.table import Effort, Row
from tests.ingest.scripted_http import Reply, ScriptedHttp

SERIES = 20_000
MEDIUM = "surface_water"


def us_a_line(work: Callable[[], object], lines: int) -> float:
    """CPU microseconds."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / lines * 1e6


def rows(effort: Effort) -> list[Row]:
    names, batches = keys(SERIES), judged(SERIES, effort.of(20, 3))
    some = batches[: effort.of(4, 1)]
    made = Lines(lambda _: "raw", lambda _: MEDIUM)

    def lines_of(parts: list[Any]) -> list[bytes]:
        return [made.laid_out(part, names).body(np.arange(len(part))).text for part in parts]

    def points(parts: list[Any]) -> list[bytes]:
        found = []
        for part in parts:
            columns = zip(part.series.tolist(), part.measured_ns.tolist(), part.value.tolist(), strict=True)
            for (_, at), readings in groupby(columns, key=lambda row: (row[0] // STATION_SIZE, row[1])):
                point: Any = None
                for place, _, value in readings:
                    key = names[place]
                    if point is None:
                        point = Point(MEDIUM).tag("station", key.station).tag("kind", "minute").time(at)  # type: ignore[no-untyped-call]
                    point.field(key.parameter, value).field(key.parameter + "_word", 1)
                found.append(point.to_line_protocol().encode())
        return found

    bodies = lines_of(batches)  # every layout is known from here on
    number = sum(map(len, batches)) // STATION_SIZE
    mine, other = effort.medians(
        lambda: us_a_line(lambda: lines_of(batches), number),
        lambda: us_a_line(lambda: points(some), sum(map(len, some)) // STATION_SIZE),
    )
    (packed,) = effort.medians(lambda: us_a_line(lambda: [igzip.compress(body, 1) for body in bodies], number))
    with ScriptedHttp([Reply()]) as server:
        given = InfluxdbStoreSettings(url=server.url, org="bench", token="any")  # type: ignore[arg-type]
        store = InfluxdbStore(given, lambda _: MEDIUM)

        def write() -> None:
            for batch in batches:
                assert isinstance(store.write(batch, names), Stored)

        write()
        (whole,) = effort.medians(lambda: us_a_line(write, number))
        store.close()
    return [
        Row("InfluxDB, a line of ten readings", mine, "us a message", "influxdb-client, Point", other),
        Row("InfluxDB, gzip of lines", packed, "us a message"),
        Row("InfluxDB, write of 10,000 with who answers", whole, "us a message"),
    ]
