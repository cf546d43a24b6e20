"""The short way from a data segment into columns.

A station sends the same fields in the same order, minute after minute. What stands around its values becomes a pattern
that takes them out in one go; where in the columns they go is worked out once. Whatever is not plainly right (a text, a
blank, a word that is no number, an unknown flag, a unit to convert) is left to the careful way, which says the same of
what both can read.
"""

import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from ingest.hj212.commands import COMMANDS
from ingest.hj212.profiles import Profile, Stations
from ingest.hj212.segment import CLOSING, OPENING, Head, Refused, profile_in, read_head
from ingest.hj212.series import INFO, LONGEST_NUMBER, TEXTS, TIMES, parameter_of
from ingest.hj212.times import time_ns
from ingest.hj212.tokens import FLAG
from ingest.message import Columns
from rules.readings import EquipmentFlag, SeriesKey

# Each frame has another QN, which is not read here.
HEAD = re.compile(rb"(?:QN=[0-9]{1,32};)?([^&]{0,256})" + OPENING)
QN_ELSEWHERE = re.compile(rb"QN(?![A-Za-z0-9_-])")
# Without what this takes out, which is every value but those of flags, a body is its layout.
VALUE = re.compile(rb"(?<!-Flag)=[^;,]*")
NAME = rb"([A-Za-z0-9_.]{1,20})-([A-Za-z][A-Za-z0-9]{0,15})="
WORD = rb"((?:(?![;,=&/])[!-~]){0,4})"
LAYOUT = re.compile(rb"DataTime=(?:[;,]%b%b)+" % (NAME, WORD))
ITEM = re.compile(NAME + WORD)
TIME, NUMBER = rb"=([0-9]{14,17})", rb"=([0-9.-]{1,%d}+)" % LONGEST_NUMBER
LEFT = frozenset({*TEXTS, *TIMES, INFO})
MOST_CACHED = 50_000
MOST_BYTES = 4 << 20  # of heads and layouts as text; a pattern takes some ten times its layout

_decode = msgspec.json.Decoder(list[float]).decode


@dataclass(frozen=True, slots=True)
class _Layout:
    """Takes DataTime and then the numbers, which go to `places` with the flags `meant`."""

    pattern: "re.Pattern[bytes]"
    places: "array[int]"
    meant: list[int] | None


@dataclass(slots=True)
class _Known:
    """What stands before CP, but for QN, and what it means.

    `last`: the layout that came last; `speaker`: who was last found to be the station.
    """

    head: Head
    profile: Profile
    words: Mapping[str, EquipmentFlag]
    layouts: dict[bytes, _Layout | None] = field(default_factory=dict)
    last: _Layout | None = None
    speaker: str = ""


class Layouts:
    """Remembers heads, layouts and times, within bounds; use one object for one `columns` only."""

    def __init__(self, stations: Stations) -> None:
        self._stations = stations
        self._known: dict[bytes, _Known | None] = {}
        self._patterns: dict[bytes, re.Pattern[bytes] | None] = {}  # by layout, of all stations; None: met once
        self._instants: dict[bytes, int | None] = {}
        self._cached = self._bytes = 0

    def plain(self, data: bytes, columns: Columns, speaker: str = "") -> bool:
        """The readings of a data segment into `columns`; False, and nothing done, where anything is in doubt.

        `speaker`: the only station, by MN or id, that may be meant; "" for any.
        """
        head = HEAD.match(data)
        if head is None or not data.endswith(CLOSING):
            return False
        named = head[1]
        known = self._known[named] if named in self._known else self._new_head(named, data)
        if known is None or (speaker != known.speaker and not self._may_speak(speaker, known)):
            return False
        layout, start, end = known.last, head.end(), len(data) - len(CLOSING)
        found = layout.pattern.fullmatch(data, start, end) if layout else None
        if found is None:
            layout = self._layout_of(known, data[start:end], columns)
            found = layout.pattern.fullmatch(data, start, end) if layout else None
        if layout is None or found is None:
            return False
        known.last = layout
        said, *values = found.groups()
        measured_ns = self._instants[said] if said in self._instants else self._new_instant(said)
        if measured_ns is None:
            return False
        try:
            # As JSON, because that is read in a third of the time; what only float would take goes the careful way.
            numbers = _decode(b"[%b]" % b",".join(values))
        except msgspec.MsgspecError:
            return False
        columns.extend(layout.places, measured_ns, numbers, layout.meant)
        return True

    def may_speak(self, speaker: str, mn: str, profile: Profile) -> bool:
        """Whether `speaker`, an MN or a station's id, is the station of the MN."""
        return speaker.upper() == mn.upper() or speaker == self._stations.id_of(mn, profile)

    def _may_speak(self, speaker: str, known: _Known) -> bool:
        if speaker and not self.may_speak(speaker, known.head.mn, known.profile):
            return False
        known.speaker = speaker
        return True

    def _new_head(self, named: bytes, data: bytes) -> _Known | None:
        if QN_ELSEWHERE.search(named):
            return None
        profile = profile_in(data, self._stations)
        try:
            head = read_head(named.decode("latin-1"), profile)
        except Refused:
            return None
        known: _Known | None = None
        alone = head.packet is None or head.packet.of == 1  # packets may lean on each other
        if COMMANDS[head.cn].kind is not None and head.mn and alone:
            known = _Known(head, profile, profile.flags_of(head.edition, head.st))
        self._make_room(named)
        self._known[named] = known
        return known

    def _new_instant(self, said: bytes) -> int | None:
        if len(self._instants) >= MOST_CACHED:
            self._instants.clear()
        measured_ns = self._instants[said] = time_ns(said.decode("latin-1"))
        return measured_ns

    def _layout_of(self, known: _Known, body: bytes, columns: Columns) -> _Layout | None:
        """The layout of a body. Worked out when it is met again: a pattern takes a while to make."""
        named = VALUE.sub(b"=", body)
        if named in known.layouts:
            return known.layouts[named]
        if not LAYOUT.fullmatch(named):
            return None
        if named not in self._patterns:
            self._make_room(named)
            self._patterns[named] = None
            return None
        self._make_room(named)
        layout = known.layouts[named] = self._new_layout(known, named, columns)
        return layout

    def _new_layout(self, known: _Known, named: bytes, columns: Columns) -> _Layout | None:
        said = [(code.decode(), suffix.decode(), word.decode()) for code, suffix, word in ITEM.findall(named)]
        command, profile = COMMANDS[known.head.cn], known.profile
        flags = {code: word for code, suffix, word in said if suffix == FLAG}
        numbers = [(code, suffix) for code, suffix, _ in said if suffix != FLAG]
        distinct = len(flags) + len(set(numbers)) == len(said)
        if command.kind is None or not distinct or flags.keys() - {code for code, _ in numbers}:
            return None
        meant: dict[str, int] = {}  # by parameter
        for sent, suffix in numbers:
            code = self._stations.code(sent, profile)
            flag = known.words.get(flags[sent]) if sent in flags else EquipmentFlag.NORMAL
            parameter = parameter_of(code, suffix, command, profile)
            if flag is None or code in profile.factors or suffix in LEFT or parameter in meant:
                return None
            meant[parameter] = int(flag)
        station = self._stations.id_of(known.head.mn, profile)
        places = array("q", [columns.place(SeriesKey(station, parameter, command.kind)) for parameter in meant])
        return _Layout(self._pattern_of(named), places, list(meant.values()) if any(meant.values()) else None)

    def _pattern_of(self, named: bytes) -> "re.Pattern[bytes]":
        """Takes the values out of bodies of this layout."""
        pattern = self._patterns.get(named)
        if pattern is None:
            time, *rest = map(re.escape, VALUE.split(named))
            pattern = self._patterns[named] = re.compile(time + TIME + NUMBER.join(rest))
        return pattern

    def _make_room(self, text: bytes) -> None:
        """For one thing more that is remembered by its text."""
        if self._cached >= MOST_CACHED or self._bytes + len(text) > MOST_BYTES:
            self._known.clear()
            self._patterns.clear()
            self._cached = self._bytes = 0
        self._cached += 1
        self._bytes += len(text)
