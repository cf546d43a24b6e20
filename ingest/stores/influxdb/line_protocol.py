"""Judged rows as lines: one for what a station and kind measured together, with the text between its values remembered.

A station sends the same codes in the same order, and nearly always they are good. So the line but for its values and
its time is made once, and filled in afterwards (measured: see tests/bench/influxdb.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from sys import getsizeof
from typing import NamedTuple

import msgspec
import numpy as np

from ingest.stores.influxdb.names import (
    EARLIEST_NS,
    KIND,
    LATEST_NS,
    NO_MEDIUM,
    RAISED,
    STATION,
    WORD,
    has_raised,
    has_value,
    problem_of,
    words_of,
)
from rules.readings import Bools, Int64s, Judged, SeriesKey

MS_NS = 1_000_000
ROWS_AT_ONCE = 1_000  # small columns are made where the last ones were (measured: a fifth less)
MOST_LAYOUTS_BYTES = 64 << 20  # remembered: a few hundred for a usual message, some thousand for 50 codes
LAYOUT = np.dtype([("place", "<i4"), ("word", "<i4"), ("raised", "<u8")])
UNKNOWN, UNFIT = -1, -2
_texts = msgspec.json.Encoder()
_NAME = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})


class Feed(NamedTuple):
    """What one line is about but for its time."""

    bucket: str
    measurement: str
    station: str
    kind: str

    @property
    def head(self) -> str:
        """Tags in the order of their names, as the server likes them."""
        return f"{self.measurement},{KIND}={self.kind},{STATION}={self.station.translate(_NAME)} "


@dataclass(frozen=True, slots=True)
class Body:
    """Lines for one request. Times are whole milliseconds wherever all of them are."""

    text: bytes
    rows: int
    lines: int
    precision: str


class Names:
    """Which feed and which field each place of the engine has, looked up once."""

    def __init__(self, feed_of: Callable[[SeriesKey], Feed]) -> None:
        self._feed_of = feed_of
        self._numbers: dict[Feed, int] = {}
        self.feeds: list[Feed] = []
        self.keys: Sequence[SeriesKey] = ()
        self.at = np.zeros(0, np.int64)  # the number of each place's feed; UNFIT where no line can name it

    def learn(self, places: Int64s, keys: Sequence[SeriesKey]) -> bool:
        """True when what was known of places is over, because the keys are others."""
        is_other = keys is not self.keys
        if is_other:
            self.keys, self.at = keys, np.zeros(0, np.int64)
        if (more := len(keys) - self.at.size) > 0:
            self.at = np.append(self.at, np.full(more, UNKNOWN))
        for place in np.unique(places[self.at[places] == UNKNOWN]).tolist():
            self.at[place] = UNFIT if problem_of(keys[place]) else self._number(self._feed_of(keys[place]))
        return is_other

    def _number(self, feed: Feed) -> int:
        if feed not in self._numbers:
            self._numbers[feed] = len(self.feeds)
            self.feeds.append(feed)
        return self._numbers[feed]


class Layouts:
    """Lines but for their values and times, remembered by the records that they were made of."""

    def __init__(self) -> None:
        self.lines: dict[bytes, str] = {}
        self._bytes = 0

    def add(self, layout: bytes, line: str) -> None:
        if self._bytes >= MOST_LAYOUTS_BYTES:
            self.clear()
        self.lines[layout] = line
        self._bytes += getsizeof(layout) + getsizeof(line)

    def clear(self) -> None:
        self.lines.clear()
        self._bytes = 0


class Lines:
    """Makes lines of rows. `medium_of` says in which measurement a parameter lies."""

    def __init__(self, bucket_of: Callable[[SeriesKey], str], medium_of: Callable[[str], str | None]) -> None:
        self.names = Names(
            lambda key: Feed(bucket_of(key), medium_of(key.parameter) or NO_MEDIUM, key.station, key.kind.name.lower())
        )
        self._layouts = Layouts()

    def laid_out(self, rows: Judged, keys: Sequence[SeriesKey]) -> "LaidOut":
        """The rows, ready to be written as lines."""
        if self.names.learn(rows.series, keys):
            self._layouts.clear()
        return LaidOut(rows, self.names, self._layouts)


class LaidOut:
    """Rows of which any selection can be had as lines."""

    def __init__(self, rows: Judged, names: Names, layouts: Layouts) -> None:
        self.rows = rows
        self.names = names
        self.feed = names.at[rows.series]
        self._layouts = layouts
        self._records = np.empty(len(rows), LAYOUT)
        self._records["place"] = rows.series
        self._records["word"] = words_of(rows)
        self._records["raised"] = rows.raised

    def unfit(self) -> dict[int, str]:
        """Rows that no line can carry, with the reason each."""
        rows, found = self.rows, {}
        odd: Bools = (self.feed == UNFIT) | np.isinf(rows.value)
        odd |= (rows.measured_ns < EARLIEST_NS) | (rows.measured_ns > LATEST_NS)
        for row in np.flatnonzero(odd).tolist():
            found[row] = (
                problem_of(self.names.keys[int(rows.series[row])])
                or ("the value is infinite" if np.isinf(rows.value[row]) else "")
                or "the time is beyond what InfluxDB can say"
            )
        return found

    def by_bucket(self, at: Int64s) -> list[tuple[str, Int64s]]:
        """The rows `at`, in their order, for each bucket that has any."""
        buckets = {feed.bucket for feed in self.names.feeds}
        if len(buckets) == 1 and at.size:
            return [(buckets.pop(), at)]
        numbers = self.feed[at]
        used: dict[str, list[int]] = {}
        for number in np.unique(numbers).tolist():
            used.setdefault(self.names.feeds[number].bucket, []).append(number)
        return [(bucket, at[np.isin(numbers, of)]) for bucket, of in used.items()]

    def body(self, at: Int64s) -> Body:
        """The rows `at`, in this order. What stands side by side and was measured together is one line, nearly always.

        No series may stand twice in a line.
        """
        is_fine = bool((self.rows.measured_ns[at] % MS_NS).any())
        lines = [
            line
            for start in range(0, at.size, ROWS_AT_ONCE)
            for line in self._lines(at[start : start + ROWS_AT_ONCE], 1 if is_fine else MS_NS)
        ]
        return Body("\n".join(lines).encode(), at.size, len(lines), "ns" if is_fine else "ms")

    def _lines(self, at: Int64s, unit_ns: int) -> list[str]:
        times, feed, records = self.rows.measured_ns[at], self.feed[at], self._records[at]
        begins = np.ones(at.size, np.bool_)
        begins[1:] = (feed[1:] != feed[:-1]) | (times[1:] != times[:-1])
        first = np.flatnonzero(begins)
        edges = [*first.tolist(), at.size]
        values = self.rows.value[at]
        numbers = _texts.encode(values.tolist())[1:-1].decode().split(",")
        some_missing = bool(np.isnan(values).any())
        raw, size, layouts = records.tobytes(), LAYOUT.itemsize, self._layouts.lines
        lines = []
        for (start, stop), time in zip(pairwise(edges), (times[first] // unit_ns).tolist(), strict=True):
            layout = raw[start * size : stop * size]
            line = layouts.get(layout)
            if line is None:
                line = self._line(records[start:stop])
                self._layouts.add(layout, line)
            filling = numbers[start:stop]
            if some_missing:
                filling = [number for number in filling if number != "null"]
            lines.append(line % (*filling, time))
        return lines

    def _line(self, records: "np.ndarray[tuple[int], np.dtype[np.void]]") -> str:
        """With %s for each value and for the time."""
        fields = []
        for place, word, raised in records.tolist():
            name = self.names.keys[place].parameter.translate(_NAME).replace("%", "%%")
            if has_value(word):
                fields.append(f"{name}=%s")
            fields.append(f"{name}{WORD}={word}i")
            if has_raised(word):
                fields.append(f"{name}{RAISED}={raised}u")
        feed = self.names.feeds[int(self.names.at[records["place"][0]])]
        return feed.head.replace("%", "%%") + ",".join(fields) + " %s"
