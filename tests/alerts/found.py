"""Transitions as the engine makes them, for the tests of this room."""

import hashlib
from dataclasses import replace
from math import inf
from typing import Any

from hypothesis import strategies as st

from alerts.events import AlertEvent
from rules.readings import SECOND_NS, Family, Kind, Level, LimitInForce, Point, Transition

NOON_NS = 1_772_366_400_000_000_000  # 2026-03-01T12:00Z
HOUR_NS = 3600 * SECOND_NS

LAW = LimitInForce(
    limit_id="L1",
    standard="GB 3838-2002",
    edition="2002",
    clause="表1",
    mark="C",
    authority="general",
    low=-inf,
    high=1.0,
    unit="mg/L",
    valid_from_ns=0,
    valid_until_ns=2**62,
    has_multiple=True,
)
OPENED = Transition(
    id="0" * 32,
    episode="e" * 32,
    what="opened",
    rule="ammonia_high",
    edition=1,
    check="exceedance",
    family=Family.EXCEEDANCE,
    station="S-01",
    parameter="nh3n",
    kind=Kind.HOUR,
    level=Level.YELLOW,
    at_ns=NOON_NS,
    since_ns=NOON_NS - HOUR_NS,
    found_ns=NOON_NS + 5 * SECOND_NS,
    first=Point(NOON_NS - HOUR_NS, 1.5, 1 << 20),
    worst=Point(NOON_NS, 2.31, 2 << 20),
    last=Point(NOON_NS, 2.31, 2 << 20),
    limit=LAW,
    multiple=1.31,
    unit="mg/L",
)


def change(**fields: Any) -> Transition:
    """`OPENED` with other fields, and an id that follows from them as the engine's does."""
    it = replace(OPENED, **fields)
    seed = f"{it.episode}|{it.what}|{it.level}|{it.at_ns}".encode()
    return replace(it, id=hashlib.sha256(seed).hexdigest()[:32])


def story(episode: int, station: str) -> list[Transition]:
    """An episode from beginning to end."""
    name = f"{episode:032}"
    at_ns = NOON_NS + episode * 60 * SECOND_NS
    return [
        change(episode=name, station=station, at_ns=at_ns),
        change(episode=name, station=station, what="worsened", level=Level.ORANGE, at_ns=at_ns + HOUR_NS),
        change(episode=name, station=station, what="cleared", level=Level.NONE, at_ns=at_ns + 2 * HOUR_NS),
    ]


points = st.builds(Point, st.integers(0, 2**62), st.floats(allow_infinity=False), st.integers(0, 2**62))
limits = st.builds(
    LimitInForce,
    limit_id=st.text(max_size=5),
    standard=st.text(max_size=5),
    edition=st.text(max_size=5),
    clause=st.text(max_size=5),
    mark=st.sampled_from("CRP"),
    authority=st.sampled_from(["permit", "local", "sector", "general"]),
    low=st.sampled_from([-inf, 0.0, 6.0]),
    high=st.sampled_from([inf, 9.0]),
    unit=st.text(max_size=5),
    valid_from_ns=st.integers(0, 2**62),
    valid_until_ns=st.integers(0, 2**62),
    has_multiple=st.booleans(),
    condition=st.text(max_size=5),
)
changes = st.builds(
    change,
    what=st.sampled_from(["opened", "worsened", "cleared"]),
    family=st.sampled_from(Family),
    station=st.text(min_size=1, max_size=5),
    parameter=st.sampled_from(["", "nh3n"]),
    kind=st.one_of(st.none(), st.sampled_from(Kind)),
    level=st.sampled_from(Level),
    at_ns=st.integers(NOON_NS - 2**60, NOON_NS + 2**60),
    first=st.one_of(st.none(), points),
    worst=st.one_of(st.none(), points),
    last=st.one_of(st.none(), points),
    limit=st.one_of(st.none(), limits),
    multiple=st.one_of(st.none(), st.floats(0, 100)),
    unit=st.sampled_from(["mg/L", ""]),
    reason=st.text(max_size=5),
)


class Inbox:
    """A receiver that keeps what it gets."""

    def __init__(self) -> None:
        self.events: list[AlertEvent] = []

    def send(self, event: AlertEvent) -> None:
        self.events.append(event)

    def close(self) -> None:
        """Nothing to close."""

    @property
    def ids(self) -> list[str]:
        return [event.id for event in self.events]
