"""Frames by hand, whole and broken: what is read of each, what is told, and what is answered, byte for byte.

A line of `hj212_vectors.jsonl` holds the bytes (a letter a byte, as in Latin-1), what the profile of the station says
where it says anything, and of each frame the parts that the line is about; `unread` are bytes that became no frame.
"""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ingest.hj212.answers import answer
from ingest.hj212.framing import Connection, Unread
from ingest.hj212.profiles import Profile, Stations
from ingest.hj212.reasons import FLAWS, REFUSALS, WARNINGS
from ingest.hj212.segment import Frame
from ingest.hj212.series import put
from ingest.hj212.stations import stations_of
from ingest.site import Site
from jianwei.catalogue_files import read_catalogue
from rules.readings import SECOND_NS
from tests.ingest.json_reading import ReadColumns

LINES = (Path(__file__).parent / "hj212_vectors.jsonl").read_text(encoding="utf-8").strip().split("\n")
VECTORS = [json.loads(line) for line in LINES]
NOW_NS = 1_778_545_800 * SECOND_NS  # half past eight in Beijing on 2026-05-12
MN = "C0FFEE0000000000000000A7"


@cache
def of_the_catalogue() -> Stations:
    return stations_of(Site(read_catalogue()))


def stations_for(vector: dict[str, Any]) -> Stations:
    """Those of the catalogue; where the vector says something of the station, with a profile."""
    profile = Profile(checks=tuple(vector.get("checks", ())), password=vector.get("password"))
    if "key" in vector:
        profile = replace(profile, key=bytes.fromhex(vector["key"]))
    return of_the_catalogue() if profile == Profile() else Stations({MN: profile})


def told(frame: Frame, stations: Stations, asked: dict[str, Any]) -> dict[str, Any]:
    """Of a frame what a vector asks for, in its form."""
    columns, head = ReadColumns(), frame.head
    flaws = put(frame, stations, columns)
    said = answer(head)
    everything = {
        **{name: getattr(head, name) for name in ("edition", "qn", "st", "cn", "mn", "flag", "sent_again")},
        **{name: getattr(frame, name) for name in ("params", "items", "measured_ns", "encrypted")},
        "packet": [head.packet.number, head.packet.of] if head.packet else None,
        "warnings": list(frame.warnings),
        "flaws": [list(flaw) for flaw in flaws],
        "answer": said.decode("ascii") if said else None,
        "readings": [[r.parameter, r.kind.name.lower(), r.value, int(r.flag)] for r in columns.read],
        "station": columns.read[0].station if columns.read else None,
    }
    return {name: everything[name] for name in asked}


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_every_frame_gives_what_it_is_there_for(vector: dict[str, Any]) -> None:
    stations = stations_for(vector)
    connection = Connection(stations)
    pieces = connection.receive(vector["frame"].encode("latin-1"), NOW_NS)
    pieces += connection.close(NOW_NS)
    frames = [piece for piece in pieces if isinstance(piece, Frame)]
    assert [[p.offset, list(p.reasons)] for p in pieces if isinstance(p, Unread)] == vector["unread"]
    assert len(frames) == len(vector["frames"])
    for frame, asked in zip(frames, vector["frames"], strict=True):
        assert told(frame, stations, {"warnings": 0, **asked}) == {"warnings": [], **asked}


def test_vectors_hold_every_reason_that_a_codec_can_give() -> None:
    """Whoever adds a reason adds a frame that gives it."""
    given = {name for vector in VECTORS for _, names in vector["unread"] for name in names}
    for vector in VECTORS:
        for frame in vector["frames"]:
            given |= {*frame.get("warnings", ()), *(name for _, name in frame.get("flaws", ()))}
    elsewhere = {"foreign_mn", "lost_packet"}  # the format's own, see test_hj212_format.py
    assert given == {*FLAWS, *REFUSALS, *WARNINGS} - elsewhere
