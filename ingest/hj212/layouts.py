"""The short way from a data segment into columns.

A station sends the same fields in the same order, minute after minute: which of them are values, and where in the
columns they go, is worked out once. Whatever is not plainly right (a text, a blank, a word that is no number, an
unknown flag, a unit to convert) is left to the careful way, which says the same of what both can read.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

import msgspec

from ingest.hj212.commands import COMMANDS
from ingest.hj212.profiles import Profile, Stations
from ingest.hj212.segment import CLOSING, OPENING, Head, Refused, profile_in, read_head
from ingest.hj212.series import INFO, LONGEST_NUMBER, TEXTS, TIMES, parameter_of
from ingest.hj212.times import time_ns
from ingest.hj212.tokens import FLAG, ITEM
from ingest.message import Columns
from rules.readings import EquipmentFlag, SeriesKey

QN, QN_UNTIL = b"QN=", 20
AS_ONE = bytes.maketrans(b",=", b";;")
FIGURES = b"0123456789.-"
AS_FIGURES = bytes.maketrans(FIGURES, b"0" * len(FIGURES))
LONG_RUN = b"0" * (LONGEST_NUMBER + 1)  # no name has as many figures in a row
MOST_CACHED = 20_000
FLAG_ENDING = f"-{FLAG}".encode()

_decode = msgspec.json.Decoder(list[float]).decode

Pick = Callable[[Sequence[bytes]], tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class _Layout:
    """A body but for its figures.

    `frame` is all that is left without them: separators, letters, flags. `names` are what stands before each =, with
    figures. Among what stands behind them, `time_at` is DataTime, `flags` picks the flags, which were `said`, and
    `numbers` the values, which go to `places` with the flags `meant`.
    """

    frame: bytes
    names: list[bytes]
    time_at: int
    flags: Pick
    said: tuple[bytes, ...]
    numbers: Pick
    places: "array[int]"
    meant: list[int] | None


@dataclass(slots=True)
class _Known:
    """What stands before CP, but for QN, and what it means. `last`: the layout that came last."""

    head: Head
    profile: Profile
    words: Mapping[str, EquipmentFlag]
    layouts: dict[tuple[bytes, ...], _Layout | None] = field(default_factory=dict)
    last: _Layout | None = None


class Layouts:
    """Remembers heads and layouts, within bounds; use one object for one `columns` only."""

    def __init__(self, stations: Stations) -> None:
        self._stations = stations
        self._known: dict[bytes, _Known | None] = {}
        self._instants: dict[bytes, int | None] = {}
        self._layouts = 0

    def plain(self, data: bytes, columns: Columns, speaker: str = "") -> bool:
        """The readings of a data segment into `columns`; False, and nothing done, where anything is in doubt.

        `speaker`: the only station, by MN or id, that may be meant; "" for any.
        """
        opened = data.find(OPENING)
        if not data.endswith(CLOSING) or opened + len(OPENING) + len(CLOSING) > len(data) or opened < 0:
            return False
        named = data[QN_UNTIL:opened] if data.startswith(QN) and data[len(QN) : QN_UNTIL].isdigit() else data[:opened]
        known = self._known[named] if named in self._known else self._new_head(named, data)
        if known is None or (speaker and not self.may_speak(speaker, known.head.mn, known.profile)):
            return False
        body = data[opened + len(OPENING) : -len(CLOSING)]
        words = body.translate(AS_ONE).split(b";")
        frame, names, values = body.translate(None, FIGURES), words[::2], words[1::2]
        layout = known.last
        if layout is None or layout.names != names or layout.frame != frame or layout.flags(values) != layout.said:
            layout = known.last = self._layout_of(known, frame, names, values, columns)
            if layout is None:
                return False
        said = values[layout.time_at]
        measured_ns = self._instants[said] if said in self._instants else self._new_instant(said)
        if measured_ns is None or LONG_RUN in body.translate(AS_FIGURES):
            return False
        try:
            # As JSON, because that is read in a third of the time; what only float would take goes the careful way.
            numbers = _decode(b"[%b]" % b",".join(layout.numbers(values)))
        except msgspec.MsgspecError:
            return False
        if len(numbers) != len(layout.places):  # one value, and nothing in it: the list is empty, too
            return False
        columns.extend(layout.places, measured_ns, numbers, layout.meant)
        return True

    def may_speak(self, speaker: str, mn: str, profile: Profile) -> bool:
        """Whether `speaker`, an MN or a station's id, is the station of the MN."""
        return speaker.upper() == mn.upper() or speaker == self._stations.id_of(mn, profile)

    def _new_head(self, named: bytes, data: bytes) -> _Known | None:
        profile = profile_in(data, self._stations)
        known: _Known | None = None
        try:
            head = read_head(named.decode("latin-1"), profile)
        except Refused:
            pass
        else:
            # Packets of 2005 may lean on each other.
            alone = head.packet is None or head.edition != "2005"
            if COMMANDS[head.cn].kind is not None and head.mn and alone:
                known = _Known(head, profile, profile.flags_of(head.edition, head.st))
        if len(self._known) >= MOST_CACHED:
            self._forget()
        self._known[named] = known
        return known

    def _new_instant(self, said: bytes) -> int | None:
        if len(self._instants) >= MOST_CACHED:
            self._instants.clear()
        measured_ns = self._instants[said] = time_ns(said.decode("latin-1"))
        return measured_ns

    def _layout_of(
        self, known: _Known, frame: bytes, names: list[bytes], values: list[bytes], columns: Columns
    ) -> _Layout | None:
        """The layout of a body, worked out when it is met first."""
        flags = [value for name, value in zip(names, values, strict=False) if name.endswith(FLAG_ENDING)]
        key = (frame, *names, *flags)
        if key not in known.layouts:
            if self._layouts >= MOST_CACHED:
                self._forget()
            self._layouts += 1
            known.layouts[key] = self._new_layout(known, frame, names, values, columns)
        return known.layouts[key]

    def _new_layout(
        self, known: _Known, frame: bytes, names: list[bytes], values: list[bytes], columns: Columns
    ) -> _Layout | None:
        fields = [name.decode("latin-1") for name in names]
        if len(values) != len(names) or "DataTime" not in fields or len(set(names)) < len(names) or _has_text(frame):
            return None
        items = {at: (item[1], item[2]) for at, name in enumerate(fields) if (item := ITEM.fullmatch(name))}
        command, profile = COMMANDS[known.head.cn], known.profile
        if command.kind is None or len(items) != len(fields) - 1 or not all(map(_is_plain, items.values())):
            return None
        flags = {code: at for at, (code, suffix) in items.items() if suffix == FLAG}
        numbers: dict[str, int] = {}  # by parameter: where its value stands
        meant: list[int] = []
        for at, (sent, suffix) in items.items():
            if suffix == FLAG:
                continue
            code = self._stations.code(sent, profile)
            flag = known.words.get(values[flags[sent]].decode("latin-1")) if sent in flags else EquipmentFlag.NORMAL
            parameter = parameter_of(code, suffix, command, profile)
            if flag is None or code in profile.factors or parameter in numbers:
                return None
            numbers[parameter] = at
            meant.append(int(flag))
        valued = {code for code, suffix in items.values() if suffix != FLAG}
        if not numbers or flags.keys() - valued:
            return None
        station = self._stations.id_of(known.head.mn, profile)
        return _Layout(
            frame,
            names,
            fields.index("DataTime"),
            pick := _picker(list(flags.values())),
            pick(values),
            _picker(list(numbers.values())),
            array("q", [columns.place(SeriesKey(station, parameter, command.kind)) for parameter in numbers]),
            meant if any(meant) else None,
        )

    def _forget(self) -> None:
        self._known.clear()
        self._layouts = 0


def _is_plain(item: tuple[str, str]) -> bool:
    """A number, or its flag."""
    return item[1] == FLAG or item[1] not in {*TEXTS, *TIMES, INFO}


def _has_text(frame: bytes) -> bool:
    """Whether there is anything but fields: a name, =, and what stands behind it, between separators."""
    fields = frame.replace(b",", b";").split(b";")
    return b"/" in frame or b"&" in frame or not all(one.count(b"=") == 1 for one in fields)


def _picker(places: list[int]) -> Pick:
    """Takes what stands at these places, as a tuple whatever their number."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple(values[at] for at in places)
