"""What InfluxDB holds, asked with the client of its makers and read without anything of ours."""

import csv
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.dialect import Dialect

from tests.services.influxdb import Influxdb

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MISSING = 9  # the last digit of a word
QUERY_TIMEOUT_MS = 120_000
BUCKET = "raw"
QUIET_S = 30.0
AS_CSV = Dialect(header=True, annotations=[])  # type: ignore[no-untyped-call]

Values = dict[str, float | None]

ROWS = """
import "influxdata/influxdb/schema"
from(bucket: "{bucket}")
    |> range(start: 0)
    |> filter(fn: (r) => r.station == "{station}")
    |> schema.fieldsAsCols()
    |> drop(columns: ["_start", "_stop"])
"""
COUNT = """
from(bucket: "{bucket}")
    |> range(start: 0)
    |> filter(fn: (r) => r._field =~ /_word$/)
    |> count()
    |> group()
    |> sum()
"""


class Held:
    """Asks one InfluxDB, with the token of its administrator."""

    def __init__(self, influxdb: Influxdb, *, bucket: str = BUCKET) -> None:
        self._bucket = bucket
        self._client = InfluxDBClient(
            influxdb.url, influxdb.token, org=influxdb.org, timeout=QUERY_TIMEOUT_MS, enable_gzip=True
        )

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]

    def count(self) -> int:
        """Readings, missing ones included."""
        return sum(int(row["_value"]) for row in self._rows(COUNT.format(bucket=self._bucket)))

    def await_quiet(self, readings: int, *, quiet_s: float = QUIET_S) -> None:
        """Until so many are there, or nothing more comes."""
        before, since_s = self.count(), time.monotonic()
        while before < readings and time.monotonic() - since_s < quiet_s:
            time.sleep(0.5)
            now = self.count()
            if now != before:
                before, since_s = now, time.monotonic()

    def of_station(self, station: str) -> dict[int, Values]:
        """Its readings, by measured time in ns; None: the station said that the value is missing. Each stands once."""
        found: dict[int, Values] = {}
        for row in self._rows(ROWS.format(bucket=self._bucket, station=station)):
            measured_ns = (datetime.fromisoformat(row["_time"]) - EPOCH) // timedelta(microseconds=1) * 1_000
            values = found.setdefault(measured_ns, {})
            for column, word in row.items():
                if column.endswith("_word") and word:
                    parameter = column.removesuffix("_word")
                    assert parameter not in values, f"{station} {parameter} stands twice at {row['_time']}"
                    values[parameter] = None if int(word) % 10 == MISSING else float(row[parameter])
        return found

    def _rows(self, question: str) -> Iterator[dict[str, str]]:
        answer = self._client.query_api().query_raw(question, dialect=AS_CSV)
        names: list[str] = []
        for cells in csv.reader(line.decode() for line in answer):
            if "_time" in cells or (not names and cells):
                names = cells  # a table of another form than the one before
            elif cells:
                yield dict(zip(names, cells, strict=True))
