"""The InfluxDB store: readings with their flags in the buckets of an InfluxDB 2."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import groupby
from threading import Lock

import numpy as np

from ingest.message import Busy, Health, Refused, Stored, StoredReading
from ingest.stores.influxdb.connection import RETRY_AFTER_S, BucketMissing, Connection, Unavailable
from ingest.stores.influxdb.late_rows import already_there
from ingest.stores.influxdb.line_protocol import Lines
from ingest.stores.influxdb.names import EARLIEST_NS, LATEST_NS
from ingest.stores.influxdb.reading import Queries, Wanted
from ingest.stores.influxdb.settings import InfluxdbStoreSettings
from ingest.stores.influxdb.settling import settled
from ingest.stores.influxdb.writing import write
from rules.readings import Judged, Kind, SeriesKey

MINUTE_NS = 60_000_000_000
Y2000_NS, Y2100_NS = 946_684_800_000_000_000, 4_102_444_800_000_000_000


class InfluxdbStore:
    """Keeps readings in InfluxDB. Opens no connection before it is needed.

    `write` may be called from one thread at a time and `read` from any. Every request waits for `timeout_s` at most,
    and every piece of a long answer.
    `medium_of` says in which measurement a parameter lies; it must not change its mind.
    """

    def __init__(self, settings: InfluxdbStoreSettings, medium_of: Callable[[str], str | None]) -> None:
        self._settings = settings
        self._lines = Lines(lambda key: settings.buckets[key.kind], medium_of)
        self._connection = Connection(settings)
        self._queries = Queries(self._connection)
        self._lock = Lock()
        self._why = ""

    def write(self, rows: Judged, keys: Sequence[SeriesKey]) -> Stored | Refused | Busy:
        """Stored means that InfluxDB said so of every row.

        Refuses rows whose names or values line protocol cannot carry, and those that InfluxDB refuses, in its words.
        """
        with self._lock:
            try:
                refused = self._write(rows, keys)
            except BucketMissing as error:
                return self._busy(self._tried_to_make_buckets(error))
            except Unavailable as error:
                return self._busy(error)
            self._why = ""
        return Refused(sorted(refused), [refused[row] for row in sorted(refused)]) if refused else Stored()

    def read(
        self, station: str, parameter: str | None, kind: Kind | None, from_ns: int, until_ns: int
    ) -> list[StoredReading]:
        """Readings in [from_ns, until_ns), by parameter, kind and time. Raises StoreUnreadable."""
        wanted = Wanted(from_ns, until_ns, station, parameter, kind)
        with closing(Connection(self._settings)) as connection:
            queries = Queries(connection)
            found = [r for bucket in self._buckets(kind) for r in queries.readings(bucket, wanted)]
        return sorted(found, key=lambda reading: (reading.parameter, reading.kind, reading.measured_ns))

    def minutes(
        self, from_ns: int, until_ns: int, station: str | None, parameter: str | None, kind: Kind | None
    ) -> Iterator[list[StoredReading]]:
        """Readings in [from_ns, until_ns) in the order of time, a minute of them at once, of all or only where said.

        Times before 2000 and after 2099 come last. Holds little more than a minute in memory. Raises StoreUnreadable.
        """
        edges = (Y2000_NS, Y2100_NS), (EARLIEST_NS, Y2000_NS), (Y2100_NS, LATEST_NS + 1)
        for first_ns, end_ns in edges:
            span = Wanted(max(from_ns, first_ns), min(until_ns, end_ns), station, parameter, kind)
            for _, found in groupby(self._in_order(span), key=lambda reading: reading.measured_ns // MINUTE_NS):
                yield sorted(found, key=lambda r: (r.measured_ns, r.station, r.parameter, r.kind))

    def stations(self) -> list[str]:
        """Every station that has a reading here, sorted. Raises StoreUnreadable."""
        with closing(Connection(self._settings)) as connection:
            return sorted({name for bucket in self._buckets() for name in Queries(connection).stations(bucket)})

    def count(self) -> int:
        """Number of readings; InfluxDB looks through all of them. Raises StoreUnreadable."""
        with closing(Connection(self._settings)) as connection:
            return sum(Queries(connection).count(bucket) for bucket in self._buckets())

    def health(self, now_ns: int) -> Health:  # noqa: ARG002  # the protocol tells every part the time
        return Health(not self._why, self._why)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _write(self, rows: Judged, keys: Sequence[SeriesKey]) -> dict[int, str]:
        laid = self._lines.laid_out(rows, keys)
        refused = laid.unfit()
        fit = np.ones(len(rows), np.bool_)
        fit[list(refused)] = False
        at = np.flatnonzero(fit)
        at = settled(rows, at, already_there(laid, at, self._queries))
        for bucket, part in laid.by_bucket(at):
            refused |= write(self._connection, bucket, laid, part)
        return refused

    def _buckets(self, kind: Kind | None = None) -> list[str]:
        return sorted({name for of, name in self._settings.buckets.items() if kind in {None, of}})

    def _in_order(self, span: Wanted) -> Iterator[StoredReading]:
        """One stream of each measurement, each over a connection of its own, laid together."""
        with ExitStack() as exits:
            streams = []
            for bucket in self._buckets(span.kind):
                asking = Queries(exits.enter_context(closing(Connection(self._settings))))
                for measurement in asking.measurements(bucket):
                    queries = Queries(exits.enter_context(closing(Connection(self._settings))))
                    streams.append(queries.readings(bucket, span, measurement))
            yield from heapq.merge(*streams, key=lambda reading: reading.measured_ns)

    def _busy(self, error: Unavailable) -> Busy:
        self._why = error.why
        return Busy(error.retry_after_s, error.why)

    def _tried_to_make_buckets(self, missing: BucketMissing) -> Unavailable:
        if not self._settings.make_buckets:
            return missing
        # Its client takes a third of a second to import, which no command shall pay that makes no bucket.
        from ingest.stores.influxdb.buckets import make_missing  # noqa: PLC0415

        try:
            made = make_missing(self._settings, self._buckets())
        except Unavailable as error:
            return Unavailable(f"{missing.why} ({error.why})", missing.retry_after_s)
        if not made:
            return missing
        return Unavailable(
            f"InfluxDB had no bucket {', '.join(made)}: made now, to keep readings for ever", RETRY_AFTER_S
        )
