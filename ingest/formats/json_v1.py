"""`json_v1`, our own message: one station, one kind, one sample or many. Documented in `docs/json_v1.md`.

Two ways lead through a message and say the same. The short one takes what is plainly right: typed decoding, series
looked up by layout. Whatever it doubts (a value that is no number, digits that a float64 may not hold, a key twice)
goes the careful way, value by value, where a bad value costs only itself.
"""

import json
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite, nan
from sys import getsizeof
from typing import Any, Never

import msgspec

from ingest.instants import InstantError, instant_ns
from ingest.message import Columns
from rules.readings import FLAG_LETTERS, Kind, SeriesKey

KINDS: Mapping[str, Kind] = {kind.name.lower(): kind for kind in Kind}
STATION = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
CODE = re.compile(r"[A-Za-z0-9_.-]{1,40}", re.ASCII)
OURS = "jianwei/v1/"
TOPIC = re.compile(r"jianwei/v1/([^/]+)/([^/]+)")
MESSAGE_KEYS = frozenset({"v", "station", "kind", "time", "values", "flags", "seq", "samples"})
SAMPLE_KEYS = frozenset({"time", "values", "flags", "seq"})
MOST_SEQ = 2**63 - 1
MOST_CACHED = 50_000
MOST_CACHED_BYTES = 64 << 20  # of layouts, and of topics: one of them may be long
TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)  # one that never ends goes to the end
BRACKET = re.compile(rb"[\[\]{}]")
# Digits and points become "0", and e, E, - stay to be seen: sixteen digits in a row, or an exponent below zero, may be
# more than a float64 can hold.
AS_RUNS = bytes.maketrans(b"0123456789.E", b"00000000000e")
LONG_RUN, SMALL = b"0" * 16, b"0e-"
NULL = b"null"

Found = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one message may hold. Beyond it the whole message is refused; a sample with too many values alone."""

    most_bytes: int = 1 << 20
    most_samples: int = 5_000
    most_values: int = 1_000  # a sample
    most_depth: int = 6
    most_problems: int = 50  # told one by one: quarantine keeps the whole message with each


class _Sample(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    time: str
    values: dict[str, float | None]
    flags: dict[str, str] | None = None
    seq: int | None = None


class _Message(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    station: str
    kind: str
    time: str | None = None
    values: dict[str, float | None] | None = None
    flags: dict[str, str] | None = None
    seq: int | None = None
    samples: list[_Sample] | None = None
    v: int | msgspec.UnsetType = msgspec.UNSET


class _Refused(ValueError):  # said of the message, not of the program
    """The whole message is unreadable: where, and why."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(reason)
        self.where = where


class JsonV1:
    """A `Format`. Remembers layouts and times it has met, within bounds; use one object for one `columns` only."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._decode = msgspec.json.Decoder(_Message).decode
        self._layouts: dict[tuple[str, ...], array[int]] = {}  # by topic, station, kind and codes
        self._layouts_bytes = 0
        self._instants: dict[str, int] = {}
        self._topics: dict[str, tuple[str, str] | None] = {}
        self._topics_bytes = 0

    def decode(self, topic: str, payload: bytes, columns: Columns) -> Sequence[tuple[str, str]]:
        """What can be read goes into `columns`; what cannot comes back as (JSON path, reason). Never raises."""
        if len(payload) > self._bounds.most_bytes:
            return [("$", f"too large: {len(payload)} bytes, at most {self._bounds.most_bytes} are taken")]
        try:
            message = self._decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._carefully(topic, payload, columns)
        if message.samples is None and self._plain(topic, payload, message, columns):
            return ()
        return self._carefully(topic, payload, columns)

    def _plain(self, topic: str, payload: bytes, message: _Message, columns: Columns) -> bool:
        """The short way for one sample; False, and nothing done, where anything is in doubt."""
        values, text = message.values, message.time
        if values is None or text is None or message.flags is not None:
            return False
        # A decoder keeps the last of two equal keys, so there must be as many texts as were written: each key, and what
        # stands at station, kind and time.
        texts = 7 + len(values) + (message.seq is not None) + (message.v == 1)
        if payload.count(b'"') != 2 * texts:
            return False
        runs = payload.translate(AS_RUNS)
        if LONG_RUN in runs or SMALL in runs:
            return False
        if message.seq is not None and not 0 <= message.seq <= MOST_SEQ:
            return False
        measured_ns = self._instants.get(text)
        if measured_ns is None and (measured_ns := self._new_instant(text)) is None:
            return False
        layout = (topic, message.station, message.kind, *values)
        places = self._layouts.get(layout)
        if places is None and (places := self._new_layout(layout, columns)) is None:
            return False
        numbers = _known(values.values()) if NULL in payload else list(values.values())
        columns.extend(places, measured_ns, numbers, None)  # type: ignore[arg-type]  # no None is left
        return True

    def _spoken_for(self, topic: str) -> tuple[str, str] | None:
        """Station and kind that the topic names; None where it is not one of ours.

        A topic that begins as ours and does not go on so names nobody that a message could be of: who may publish under
        jianwei/v1/A/# must not speak for B.
        """
        if topic not in self._topics:
            if len(self._topics) >= MOST_CACHED or self._topics_bytes >= MOST_CACHED_BYTES:
                self._topics.clear()
                self._topics_bytes = 0
            named = TOPIC.fullmatch(topic)
            nobody = ("", "") if topic.startswith(OURS) else None
            self._topics[topic] = (named[1], named[2]) if named else nobody
            self._topics_bytes += getsizeof(topic)
        return self._topics[topic]

    def _new_instant(self, text: str) -> int | None:
        try:
            measured_ns = instant_ns(text)
        except InstantError:
            return None
        if len(self._instants) >= MOST_CACHED:
            self._instants.clear()
        self._instants[text] = measured_ns
        return measured_ns

    def _new_layout(self, layout: tuple[str, ...], columns: Columns) -> "array[int] | None":
        topic, station, kind, *codes = layout
        if self._spoken_for(topic) not in {None, (station, kind)} or len(codes) > self._bounds.most_values:
            return None
        if kind not in KINDS or not STATION.fullmatch(station) or not all(map(CODE.fullmatch, codes)):
            return None
        if len(self._layouts) >= MOST_CACHED or self._layouts_bytes >= MOST_CACHED_BYTES:
            self._layouts.clear()
            self._layouts_bytes = 0
        # An array, because columns take it in one go.
        places = array("q", [columns.place(SeriesKey(station, code, KINDS[kind])) for code in codes])
        self._layouts[layout] = places
        # Texts that several layouts share are counted with each.
        self._layouts_bytes += getsizeof(layout) + sum(map(getsizeof, layout)) + getsizeof(places)
        return places

    # The careful way.

    def _carefully(self, topic: str, payload: bytes, columns: Columns) -> Found:
        found: Found = []
        try:
            content = _parsed(payload, self._bounds.most_depth)
            station, kind = self._heading(topic, content)
            for where, sample in self._samples(content):
                self._sample(station, kind, where, sample, columns, found)
        except _Refused as refused:
            return [(refused.where, str(refused))]
        told = self._bounds.most_problems
        return (
            found if len(found) <= told else [*found[:told], ("$", f"bad values: {len(found) - told} more like these")]
        )

    def _heading(self, topic: str, content: "_Object") -> tuple[str, Kind]:
        _only(content, MESSAGE_KEYS, "$")
        if "v" in content.items and _integer(content.items["v"]) != 1:
            raise _Refused("$.v", "this format is version 1")
        station, kind = content.items.get("station"), content.items.get("kind")
        if not isinstance(station, str) or not STATION.fullmatch(station):
            raise _Refused("$.station", "bad station: 1 to 64 letters, digits and _ . - are asked for")
        if not isinstance(kind, str) or kind not in KINDS:
            raise _Refused("$.kind", f"bad kind: say one of {', '.join(KINDS)}")
        if self._spoken_for(topic) not in {None, (station, kind)}:
            raise _Refused("$.station", "bad station: the topic names another station or kind than the message")
        return station, KINDS[kind]

    def _samples(self, content: "_Object") -> list[tuple[str, Any]]:
        if "samples" not in content.items:
            own = {key: value for key, value in content.items.items() if key in SAMPLE_KEYS}
            return [("$", _Object(own, content.twice & SAMPLE_KEYS))]
        mixed = SAMPLE_KEYS & content.items.keys()
        if mixed:
            raise _Refused("$", f"either samples, or {' and '.join(sorted(mixed))} beside the station: not both")
        samples = content.items["samples"]
        if not isinstance(samples, list) or not samples:
            raise _Refused("$.samples", "bad samples: a list with at least one sample is asked for")
        if len(samples) > self._bounds.most_samples:
            raise _Refused("$.samples", f"too large: at most {self._bounds.most_samples} samples are taken")
        return [(f"$.samples[{index}]", sample) for index, sample in enumerate(samples)]

    def _sample(self, station: str, kind: Kind, where: str, sample: Any, columns: Columns, found: Found) -> None:
        """One sample into the columns; what is wrong with it, or with values of it, into `found`."""
        try:
            _only(sample, SAMPLE_KEYS, where)
            values, flags = self._parts(sample, where)
            measured_ns = _time(sample.items.get("time"), where)
        except _Refused as refused:
            found.append((refused.where, str(refused)))
            return
        readings: dict[str, tuple[float, int]] = {}
        for code in [*values.items, *(code for code in flags.items if code not in values.items)]:
            try:
                flag = _flag(flags, code, where)
                number = _number(values, code, where) if code in values.items else nan
                if not CODE.fullmatch(code):
                    raise _Refused(f"{where}.values.{code}"[:200], "bad value: this is no parameter code")
                readings[code] = (number, flag)
            except _Refused as refused:
                found.append((refused.where, str(refused)))
        if readings:
            places = [columns.place(SeriesKey(station, code, kind)) for code in readings]
            flagged = [flag for _, flag in readings.values()]
            numbers = [number for number, _ in readings.values()]
            columns.extend(places, measured_ns, numbers, flagged if any(flagged) else None)

    def _parts(self, sample: "_Object", where: str) -> tuple["_Object", "_Object"]:
        values = sample.items.get("values")
        flags = sample.items.get("flags", _NOTHING)
        flags = _NOTHING if flags is None else flags
        if not isinstance(values, _Object):
            raise _Refused(f"{where}.values", "bad value: an object of numbers by parameter code is asked for")
        if not isinstance(flags, _Object):
            raise _Refused(f"{where}.flags", "bad flag: an object of letters by parameter code is asked for")
        if len(values.items) + len(flags.items) > self._bounds.most_values:
            raise _Refused(f"{where}.values", f"too large: at most {self._bounds.most_values} values are taken")
        seq = sample.items.get("seq")
        if seq is not None and not 0 <= _integer(seq) <= MOST_SEQ:
            raise _Refused(f"{where}.seq", "bad sequence: a whole number from 0 on is asked for")
        return values, flags


@dataclass(frozen=True, slots=True)
class _Object:
    """A JSON object; `twice`: keys that stood in it more than once."""

    items: dict[str, Any]
    twice: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Number:
    """A JSON number as it was written."""

    text: str


_NOTHING = _Object({})


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    items = dict(pairs)
    if len(items) == len(pairs):
        return _Object(items)
    seen: set[str] = set()
    twice = frozenset(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # add gives None
    return _Object(items, twice)


def _no_number(name: str) -> Never:
    raise _Refused("$", f"not JSON: {name} is no number")


def _parsed(payload: bytes, most_depth: int) -> _Object:
    depth = 0
    for bracket in BRACKET.findall(TEXT.sub(b"", payload)):
        depth += 1 if bracket in b"[{" else -1
        if depth > most_depth:
            raise _Refused("$", f"too large: nested too deeply, at most {most_depth} levels are taken")
    try:
        content = json.loads(
            payload.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_no_number,
        )
    except _Refused:
        raise
    except UnicodeDecodeError as error:
        raise _Refused("$", f"not JSON: not UTF-8 at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        raise _Refused("$", f"not JSON: {error}"[:200]) from error
    if not isinstance(content, _Object):
        raise _Refused("$", "not JSON of this format: an object is asked for")
    return content


def _only(content: Any, known: frozenset[str], where: str) -> None:
    if not isinstance(content, _Object):
        raise _Refused(where, "bad sample: an object is asked for")
    for key in content.items:
        if key not in known:
            raise _Refused(f"{where}.{key}"[:200], "unknown key; see docs/json_v1.md")
    if content.twice:
        raise _Refused(f"{where}.{min(content.twice)}", "this key stands twice")


def _time(content: Any, where: str) -> int:
    try:
        if not isinstance(content, str):
            raise InstantError("a text such as 2026-05-01T08:00:00+08:00 is asked for")
        return instant_ns(content)
    except InstantError as error:
        raise _Refused(f"{where}.time", f"bad time: {error}") from error


def _flag(flags: _Object, code: str, where: str) -> int:
    if code not in flags.items:
        return 0
    letter = flags.items[code]
    if code in flags.twice or not isinstance(letter, str) or letter not in FLAG_LETTERS:
        raise _Refused(f"{where}.flags.{code}"[:200], f"bad flag: say one of {' '.join(FLAG_LETTERS)}, once")
    return int(FLAG_LETTERS[letter])


def _number(values: _Object, code: str, where: str) -> float:
    content, place = values.items[code], f"{where}.values.{code}"[:200]
    if code in values.twice:
        raise _Refused(place, "bad value: this code stands twice")
    if content is None:
        return nan
    if not isinstance(content, _Number):
        raise _Refused(place, f"bad value: {_called(content)} is no number")
    try:
        number = float(content.text)
        exact = isfinite(number) and Decimal(content.text) == Decimal(repr(number))
    except (ArithmeticError, ValueError):
        exact = False
    if not exact:
        raise _Refused(place, f"lost precision: a float64 does not hold {content.text[:40]}")
    return number


def _called(content: Any) -> str:
    names = {bool: "true or false", str: "a text", list: "a list", _Object: "an object"}
    return names[type(content)]


def _integer(content: Any) -> int:
    """-1 for what is not a whole number."""
    if isinstance(content, _Number) and re.fullmatch(r"-?\d{1,19}", content.text):
        return int(content.text)
    return -1


def _known(numbers: Iterable[float | None]) -> list[float]:
    return [nan if number is None else number for number in numbers]
