"""`hj212`: a message is one or more whole frames of HJ 212, as they stand on a line. Documented in `docs/hj212.md`.

Each frame goes the short way if it can, else all that is left of the message goes through a `Connection`, as if it had
come by TCP. A frame is known by its own check, so what is wrong with one costs only that one.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from ingest.hj212.envelopes import plainly_framed
from ingest.hj212.framing import CHECK_BYTES, END_BYTES, HEAD_BYTES, Bounds, Connection, Unread
from ingest.hj212.layouts import Layouts
from ingest.hj212.profiles import Stations
from ingest.hj212.reasons import sentence
from ingest.hj212.segment import Frame
from ingest.hj212.series import put
from ingest.hj212.splits import Splits
from ingest.hj212.stations import stations_of
from ingest.message import Columns
from ingest.site import Site

TOPIC = re.compile(r"jianwei/hj212/([^/]+)")
OURS = "jianwei/hj212/"
NOBODY = "/"  # no MN and no id of a station
MOST_BYTES = 1 << 20
MOST_PROBLEMS = 50  # told one by one: quarantine keeps the whole message with each
MOST_REMEMBERED = 10_000
MOST_DATA = Bounds().most_data

Found = list[tuple[str, str]]


class Hj212:
    """A `Format`. Remembers layouts, and packets that others lean on; use one object for one `columns` only."""

    def __init__(self, stations: Stations | None = None) -> None:
        self._stations = stations or Stations()
        self._layouts = Layouts(self._stations)
        self._splits = Splits()
        self._speakers: dict[str, str] = {}
        self._told: set[tuple[str, str, str]] = set()

    @classmethod
    def of(cls, site: Site) -> "Hj212":
        """The format for the stations of a site."""
        return cls(stations_of(site))

    def decode(self, topic: str, payload: bytes, columns: Columns) -> Sequence[tuple[str, str]]:
        """What can be read goes into `columns`; what cannot comes back as (place, reason). Never raises."""
        if len(payload) > MOST_BYTES:
            return [("byte 0", f"too large: {len(payload)} bytes, at most {MOST_BYTES} are taken")]
        speaker = self._speakers[topic] if topic in self._speakers else self._new_topic(topic)
        at = 0
        while at < len(payload):
            data = plainly_framed(payload, at, MOST_DATA)
            if data is None or not self._layouts.plain(data, columns, speaker):
                return self._carefully(payload[at:], at, columns, speaker)
            at += HEAD_BYTES + len(data) + CHECK_BYTES + END_BYTES
        return () if payload else [("byte 0", "empty: a frame of HJ 212 is asked for")]

    def _new_topic(self, topic: str) -> str:
        """Who alone may speak there: who may publish under jianwei/hj212/A must not speak for B. "": anybody."""
        if len(self._speakers) >= MOST_REMEMBERED:
            self._speakers.clear()
        named = TOPIC.fullmatch(topic)
        speaker = self._speakers[topic] = named[1] if named else NOBODY if topic.startswith(OURS) else ""
        return speaker

    def _carefully(self, payload: bytes, start: int, columns: Columns, speaker: str) -> Found:
        """Frame by frame; `start` is where in the message the bytes begin."""
        connection = Connection(self._stations)
        found: Found = []
        for piece in [*connection.receive(payload), *connection.close()]:
            place = f"byte {start + piece.offset}"
            if isinstance(piece, Unread):
                found += [(place, sentence(name)) for name in piece.reasons]
            else:
                found += self._frame(piece, place, columns, speaker)
        if len(found) > MOST_PROBLEMS:
            found[MOST_PROBLEMS - 1 :] = [("byte 0", f"too many problems: {len(found) - MOST_PROBLEMS + 1} more")]
        return found

    def _frame(self, frame: Frame, place: str, columns: Columns, speaker: str) -> Found:
        mn = frame.head.mn
        if speaker and mn and not self._layouts.may_speak(speaker, mn, self._stations.profile(mn)):
            return [(place, sentence("foreign_mn"))]
        if frame.head.packet and frame.items:
            whole, _ = self._splits.add(frame, now_ns=0)
            if frame.measured_ns is None:
                at_ns = whole.measured_ns if whole else self._splits.measured_ns(frame)
                if at_ns is None:
                    return [(place, sentence("lost_packet"))]
                frame = replace(frame, measured_ns=at_ns)
        flaws = put(frame, self._stations, columns)
        return [(f"{place}: {where}", sentence(name)) for where, name in flaws if self._is_new(mn, where, name)]

    def _is_new(self, mn: str, where: str, name: str) -> bool:
        """A flag that nobody knows is told once a station and parameter: its readings are kept all the same."""
        if name != "unknown_flag":
            return True
        if len(self._told) >= MOST_REMEMBERED:
            self._told.clear()
        key = (mn, where, name)
        new = key not in self._told
        self._told.add(key)
        return new
