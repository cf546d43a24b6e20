"""What passes through a simulated station: a sample before it is written down, and a message on its way."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

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


Harm = Literal["", "garbled", "text_value", "naive_time"]


@dataclass(frozen=True, slots=True)
class Said:
    """What a message says, for loggers, who write it themselves.

    `harm`: what is done to it on the way; `spoilt`: the parameter that a text stands for. `held`: it waited in the
    station while the line was down.
    """

    sample: Sample
    decimals: Mapping[str, int]
    harm: Harm = ""
    spoilt: str = ""
    held: bool = False

    def scaled(self, by: float) -> Self:
        """The same with every value, as it was written, times `by`."""
        values = {
            p: None if v is None else round(round(v, self.decimals[p]) * by, 4) for p, v in self.sample.values.items()
        }
        return replace(self, sample=replace(self.sample, values=values), decimals=dict.fromkeys(values, 4))


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
    said: Said | None = None

    def on_a_line(self) -> Self:
        """The same on a logger's own line, where a frame that was garbled is not answered, and comes again whole."""
        if self.said is None or self.said.harm != "garbled":
            return self
        return replace(self, stored=tuple(self.said.sample.values))
