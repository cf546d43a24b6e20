"""What passes through a simulated station: a sample before it is written down, and a message on its way."""

from collections.abc import Mapping
from dataclasses import dataclass

from rules.readings import Kind


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a station.

    `measured_ns`: the time it carries (an hour or a day carries its start); `due_ns`: when it is complete; `sent_ns`:
    when it leaves. `values` are unrounded, None where the station says "missing"; `flags` holds HJ 212 letters of the
    parameters that are not normal.
    """

    station: str
    kind: Kind
    seq: int
    measured_ns: int
    due_ns: int
    sent_ns: int
    values: Mapping[str, float | None]
    flags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message.

    `stored`: the parameters whose reading in it must reach the store, all measured at `measured_ns`; `problems`: how
    many entries it must leave in quarantine.
    """

    topic: str
    payload: bytes
    sent_ns: int
    station: str
    kind: Kind
    measured_ns: int
    stored: tuple[str, ...]
    problems: int = 0
