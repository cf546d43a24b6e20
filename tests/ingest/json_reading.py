"""Messages of json_v1 and what is read of them, by both of the decoder's ways at once."""

import json
from collections.abc import Sequence
from fractions import Fraction
from math import isnan
from typing import Any, NamedTuple

from ingest.formats.json_v1 import Bounds, JsonV1
from rules.readings import EquipmentFlag, Kind, SeriesKey

NOON = "2026-05-01T12:00:00+08:00"
NOON_NS = 1_777_608_000_000_000_000
ELSEWHERE = "site/7/raw"  # a topic that names no station
PLAIN: dict[str, Any] = {"station": "S-01", "kind": "hour", "time": NOON, "values": {"w01001": 7.5}}
MANY: dict[str, Any] = {
    "station": "S-01",
    "kind": "hour",
    "samples": [{"time": f"2026-05-01T{hour:02}:00:00Z", "values": {"w01001": 7.5 + hour}} for hour in range(3)],
}

Problems = list[tuple[str, str]]


class Read(NamedTuple):
    """A reading as a test wants to see it: None for what is missing."""

    parameter: str
    value: float | None
    measured_ns: int = NOON_NS
    flag: EquipmentFlag = EquipmentFlag.NORMAL
    station: str = "S-01"
    kind: Kind = Kind.HOUR


class ReadColumns:
    """`Columns` that remember what was put into them."""

    def __init__(self) -> None:
        self.keys: dict[SeriesKey, int] = {}
        self.names: list[SeriesKey] = []
        self.read: list[Read] = []

    def place(self, key: SeriesKey) -> int:
        if key not in self.keys:
            self.keys[key] = len(self.names)
            self.names.append(key)
        return self.keys[key]

    def extend(
        self, series: Sequence[int], measured_ns: int, values: Sequence[float], flags: Sequence[int] | None
    ) -> None:
        for place, value, flag in zip(series, values, flags or [0] * len(series), strict=True):
            station, parameter, kind = self.names[place]
            number = None if isnan(value) else value
            self.read.append(Read(parameter, number, measured_ns, EquipmentFlag(flag), station, kind))

    def taken(self) -> list[Read]:
        """What came since the last call."""
        read, self.read = self.read, []
        return read


class BothWays:
    """A decoder that is asked for each message twice: as it decides itself, and the careful way only."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.decoder, self.columns = JsonV1(bounds), ReadColumns()
        self.careful, self.careful_columns = JsonV1(bounds), ReadColumns()

    def read(self, payload: bytes, topic: str = ELSEWHERE) -> tuple[list[Read], Problems]:
        """Readings and problems; both ways must say the same."""
        problems = list(self.decoder.decode(topic, payload, self.columns))
        read = self.columns.taken()
        if len(payload) <= self.careful._bounds.most_bytes:
            assert self.careful._carefully(topic, payload, self.careful_columns) == problems
            assert self.careful_columns.taken() == read
        return read, problems


def read(payload: bytes, topic: str = ELSEWHERE, bounds: Bounds | None = None) -> tuple[list[Read], Problems]:
    return BothWays(bounds).read(payload, topic)


def written(message: Any) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def with_value(text: str) -> bytes:
    """The plain message with other letters where its value stands."""
    return written(PLAIN).replace(b"7.5", text.encode())


class Digits(str):
    """A JSON number as it was written; a text in JSON is none."""

    __slots__ = ()


def check(payload: bytes, readings: list[Read], problems: Problems) -> None:
    """Against the standard library's reading of the same bytes: each reading stands there, and without a problem all
    that stands there was read.
    """
    if any(where == "$" and not reason.startswith("bad values") for where, reason in problems):
        assert not readings
        return
    message = json.loads(payload.decode(), parse_float=Digits, parse_int=Digits)
    samples = message.get("samples", [message]) if isinstance(message, dict) else []
    samples = samples if isinstance(samples, list) else []
    said: set[tuple[str, Digits | None]] = set()
    for sample in samples:
        if isinstance(sample, dict) and isinstance(sample.get("values"), dict):
            flags = sample.get("flags") or {}
            for code in [*sample["values"], *(flags if isinstance(flags, dict) else {})]:
                number = sample["values"].get(code)
                said.add((code, number if isinstance(number, Digits) else None))
    for reading in readings:
        assert (reading.station, reading.kind.name.lower()) == (message["station"], message["kind"])
        written_so = [number for code, number in said if code == reading.parameter]
        if reading.value is None:
            assert None in written_so
        else:
            assert any(number is not None and is_written_as(reading.value, number) for number in written_so)
        assert isinstance(reading.flag, EquipmentFlag)
    if not problems:
        codes = [{*s["values"], *(s.get("flags") or {})} for s in samples]
        assert len(readings) == sum(map(len, codes))


def is_written_as(value: float, text: str) -> bool:
    """To the last digit, by exact fractions; a power of ten that no float64 reaches is not worked out."""
    digits, _, power = text.lower().partition("e")
    if not digits.strip("-0."):
        return value == 0
    return abs(int(power or 0)) < 5_000 and Fraction(repr(value)) == Fraction(text)
