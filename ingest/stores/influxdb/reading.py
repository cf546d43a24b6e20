"""Readings out of InfluxDB, by InfluxQL: it gives numbers back to the last bit, and in the order of time."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlencode

import msgspec

from ingest.message import StoredReading
from ingest.stores.influxdb.connection import (
    ASK_SOMEBODY_S,
    MOST_ANSWER_BYTES,
    Answer,
    BucketMissing,
    Connection,
    Unavailable,
    refusal,
    shortened,
)
from ingest.stores.influxdb.line_protocol import Feed
from ingest.stores.influxdb.names import EARLIEST_NS, KIND, KINDS, LATEST_NS, RAISED, STATION, WORD, reading_of
from rules.readings import Kind, SeriesKey

POINTS_A_PIECE = 2_000  # of a long answer, which is read piece by piece
MOST_POINTS_BYTES = 1 << 28


class _Series(msgspec.Struct):
    columns: list[str]
    values: list[list[Any]] = []


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str = ""


class _Piece(msgspec.Struct):
    results: list[_Result] = []
    error: str = ""


_pieces = msgspec.json.Decoder(_Piece)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which readings: in [from_ns, until_ns), and of these only where said."""

    from_ns: int
    until_ns: int
    station: str | None = None
    parameter: str | None = None
    kind: Kind | None = None

    @property
    def condition(self) -> str:
        terms = [f"time >= {max(self.from_ns, EARLIEST_NS)}", f"time <= {min(self.until_ns - 1, LATEST_NS)}"]
        if self.station is not None:
            terms.append(f'"{STATION}"::tag = {_text(self.station)}')
        if self.kind is not None:
            terms.append(f'"{KIND}"::tag = {_text(self.kind.name.lower())}')
        return " AND ".join(terms)

    @property
    def columns(self) -> str:
        return "*" if self.parameter is None else f'"{STATION}"::tag, "{KIND}"::tag, {_fields(self.parameter)}'


@dataclass(frozen=True, slots=True)
class Asked:
    """Points of a feed, of these parameters, measured at `first_ns` to `last_ns`, both included."""

    feed: Feed
    parameters: Sequence[str]
    first_ns: int
    last_ns: int

    @property
    def question(self) -> str:
        feed = self.feed
        span = Wanted(self.first_ns, self.last_ns + 1, feed.station, kind=KINDS[feed.kind])
        return _select(", ".join(map(_fields, self.parameters)), feed.measurement, span)


class Queries:
    """Questions to one server, asked over `connection`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def readings(self, bucket: str, wanted: Wanted, measurement: str | None = None) -> Iterator[StoredReading]:
        """Of one measurement in the order of time; without it, of one after another. Raises Unavailable."""
        if wanted.from_ns >= wanted.until_ns:
            return
        for series in self._stream(bucket, _select(wanted.columns, measurement, wanted)):
            yield from _readings(series, wanted.parameter)

    def words(self, bucket: str, question: str) -> list[str]:
        """The last column of what a SHOW tells."""
        return [str(row[-1]) for series in self._stream(bucket, question) for row in series.values]

    def measurements(self, bucket: str) -> list[str]:
        return self.words(bucket, "SHOW MEASUREMENTS")

    def stations(self, bucket: str) -> list[str]:
        return self.words(bucket, f"SHOW TAG VALUES WITH KEY = {_name(STATION)}")

    def count(self, bucket: str) -> int:
        """How many readings there are."""
        return sum(
            int(number)
            for series in self._stream(bucket, "SELECT COUNT(*) FROM /.+/")
            for row in series.values
            for column, number in zip(series.columns, row, strict=True)
            if column.endswith(WORD) and number is not None
        )

    def points(self, bucket: str, asked: Sequence[Asked]) -> list[list[Mapping[str, Any]]]:
        """The points that are there, for each that is asked. Raises Unavailable."""
        answer = self._connection.ask(*_request(bucket, ";".join(one.question for one in asked)), MOST_POINTS_BYTES)
        if answer.status != HTTPStatus.OK:
            raise refusal(answer, f"bucket {bucket}")
        found = _results(answer.body, bucket)
        if len(found) != len(asked):
            raise Unavailable(f"InfluxDB answers {len(found)} of {len(asked)} questions about bucket {bucket}")
        return [
            [dict(zip(series.columns, row, strict=True)) for series in result.series for row in series.values]
            for result in found
        ]

    def _stream(self, bucket: str, question: str) -> Iterator[_Series]:
        """An answer piece by piece, as fast as it is read."""
        response = self._connection.send(*_request(bucket, question, chunked="true", chunk_size=POINTS_A_PIECE))
        with self._connection.heard():
            if response.status != HTTPStatus.OK:
                body = response.read(MOST_ANSWER_BYTES)
                raise refusal(Answer(response.status, {}, body), f"bucket {bucket}")
        while line := self._line(response):
            for result in _results(line, bucket):
                yield from result.series

    def _line(self, response: HTTPResponse) -> bytes:
        """Empty at the end of the answer. Raises Unavailable where it breaks off before."""
        self._connection.wait_anew()
        with self._connection.heard():
            return response.readline() or response.read()  # the second takes the end, and frees the connection


def _select(columns: str, measurement: str | None, wanted: Wanted) -> str:
    """Of every measurement where none is named. Names and texts are quoted, so that none can end its place."""
    source = "/.+/" if measurement is None else _name(measurement)
    return f"SELECT {columns} FROM {source} WHERE {wanted.condition}"  # noqa: S608


def _request(bucket: str, questions: str, **more: str | int) -> tuple[str, bytes, Mapping[str, str]]:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    where = urlencode({"db": bucket, "epoch": "ns", **more})
    return f"/query?{where}", urlencode({"q": questions}).encode(), headers


def _results(text: bytes, bucket: str) -> list[_Result]:
    """Raises Unavailable for an error, which comes with status 200."""
    try:
        if b"-0," in text or b"-0]" in text:  # minus zero looks like a whole number, which has no minus zero
            piece = msgspec.convert(json.loads(text, parse_int=_whole), _Piece)
        else:
            piece = _pieces.decode(text)
    except ValueError as error:
        why = f"InfluxDB answers about bucket {bucket} what cannot be read: {error}"
        raise Unavailable(why, ASK_SOMEBODY_S) from error
    for words in (piece.error, *(result.error for result in piece.results)):
        if "database not found" in words:
            raise BucketMissing(f"InfluxDB has no bucket {bucket}, or the token may not read it", ASK_SOMEBODY_S)
        if words:
            raise Unavailable(f"InfluxDB says of bucket {bucket}: {shortened(words)}")
    return piece.results


def _whole(digits: str) -> float:
    return -0.0 if digits == "-0" else int(digits)


def _readings(series: _Series, parameter: str | None) -> Iterator[StoredReading]:
    """Those in a piece of an answer; points that are not ours hold none."""
    at = {name: place for place, name in enumerate(series.columns)}
    if not {STATION, KIND} <= at.keys():
        return
    found = [(name, at.get(name), at[name + WORD], at.get(name + RAISED)) for name in _parameters(at)]
    found = [columns for columns in found if parameter in {None, columns[0]}]
    for row in series.values:
        kind = KINDS.get(row[at[KIND]])
        station = row[at[STATION]]
        if kind is None or not station:
            continue
        for name, value, word, raised in found:
            if row[word] is not None:
                yield reading_of(
                    SeriesKey(station, name, kind),
                    row[at["time"]],
                    row[word],
                    None if value is None else row[value],
                    None if raised is None else row[raised],
                )


def _parameters(columns: Iterable[str]) -> list[str]:
    return sorted(name.removesuffix(WORD) for name in columns if name.endswith(WORD))


def _fields(parameter: str) -> str:
    return ", ".join(f"{_name(parameter + more)}::field" for more in ("", WORD, RAISED))


def _name(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
