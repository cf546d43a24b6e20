"""What goes wrong in a station, one class a kind: pure changes of its samples, or of its messages on their way.

A fault sees the samples (or messages) of its station that fall due in its window, in order, and answers with what
takes their place. `FAULTS` is the table of all kinds by the name they have in a scenario.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from rules.readings import SECOND_NS, Kind
from rules.schema import KindName, Strict
from simulators import wire
from simulators.durations import Seconds
from simulators.samples import Harm, Outgoing, Said, Sample


class Covered(Strict):
    """Episodes that a fault explains: of these rules, or of any rule of these checks.

    `parameters`: None those of the fault, [] the feed or the station as a whole.
    """

    rules: list[str] = Field(default_factory=list)
    checks: list[str] = Field(default_factory=list)
    parameters: list[str] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.rules and not self.checks:
            raise ValueError("name at least one rule or check")
        return self


class Expected(Covered):
    """An episode that must be found, at the latest `within` after the fault began."""

    within: Seconds


class FaultWindow(Strict):
    """Where and when. `at`: after the start of the scenario; empty `parameters` or `feeds` mean all of the station."""

    station: str
    at: Seconds
    lasts: Seconds = Field(alias="for")
    parameters: list[str] = Field(default_factory=list)
    feeds: list[KindName] = Field(default_factory=list)
    expect: list[Expected] = Field(default_factory=list)
    also: list[Covered] = Field(default_factory=list)
    note: str = ""

    @property
    def name(self) -> str:
        """Its kind and place, for reports."""
        return f"{type(self).__name__} of {self.station} at {self.at} s"

    @property
    def skew_s(self) -> int:
        """By how much its samples carry another time than they should."""
        return 0

    def concerns(self, parameter: str) -> bool:
        return not self.parameters or parameter in self.parameters

    def listens_to(self, kind: Kind) -> bool:
        return not self.feeds or kind.name.lower() in self.feeds


class SampleFault(FaultWindow):
    """Something wrong in the instrument, the water or the air. The default changes value by value."""

    def value(self, value: float, share: float) -> float | None:
        """What becomes of one value; `share` runs from 0 to 1 over the window."""
        raise NotImplementedError

    def change(self, samples: Sequence[Sample], start_ns: int) -> list[Sample]:
        span_ns = max(1, self.lasts * SECOND_NS)
        return [self._changed(s, (s.due_ns - start_ns) / span_ns) for s in samples]

    def _changed(self, sample: Sample, share: float) -> Sample:
        values = {
            p: self.value(v, share) if v is not None and self.concerns(p) else v for p, v in sample.values.items()
        }
        return replace(sample, values=values)


class Ramped(SampleFault):
    """Comes up over `ramp` and goes down over `ramp` at the end; 0: at once."""

    ramp: Seconds = 0

    def weight(self, share: float) -> float:
        if self.ramp == 0:
            return 1.0
        rise = share * self.lasts / self.ramp
        fall = (1.0 - share) * self.lasts / self.ramp
        return max(0.0, min(1.0, rise, fall))


class Scale(Ramped):
    """Pollution, or dilution: the value times `by`."""

    kind: Literal["scale"]
    by: float

    def value(self, value: float, share: float) -> float:
        return value * (1.0 + (self.by - 1.0) * self.weight(share))


class Shift(Ramped):
    """A shift of level: the value plus `by`."""

    kind: Literal["shift"]
    by: float

    def value(self, value: float, share: float) -> float:
        return value + self.by * self.weight(share)


class Broken(SampleFault):
    """A broken sensor: every value is `reads`, possible or not."""

    kind: Literal["broken"]
    reads: float

    def value(self, value: float, share: float) -> float:  # noqa: ARG002 - a broken sensor looks at nothing
        return self.reads


class Missing(SampleFault):
    """The station says that it has no value."""

    kind: Literal["missing"]

    def value(self, value: float, share: float) -> None:  # noqa: ARG002 - nothing is all there is
        return None


class Spike(SampleFault):
    """A single value, the first of the window in each feed, is off by `by`."""

    kind: Literal["spike"]
    by: float

    def change(self, samples: Sequence[Sample], start_ns: int) -> list[Sample]:  # noqa: ARG002 - only the first counts
        seen: set[int] = set()
        out = []
        for sample in samples:
            if sample.kind in seen:
                out.append(sample)
                continue
            seen.add(sample.kind)
            raised = {p: v + self.by for p, v in sample.values.items() if v is not None and self.concerns(p)}
            out.append(replace(sample, values={**sample.values, **raised}))
        return out


class Stuck(SampleFault):
    """The value stays what it was when the window began."""

    kind: Literal["stuck"]

    def change(self, samples: Sequence[Sample], start_ns: int) -> list[Sample]:  # noqa: ARG002 - the first decides
        frozen: dict[int, Mapping[str, float | None]] = {}
        out = []
        for sample in samples:
            held = frozen.setdefault(sample.kind, {p: v for p, v in sample.values.items() if self.concerns(p)})
            out.append(replace(sample, values={**sample.values, **held}))
        return out


class Flagged(SampleFault):
    """The equipment says that it is not measuring: `letter` on the parameters.

    Their values meanwhile read `by` times what they were.
    """

    kind: Literal["flagged"]
    letter: Literal["F", "M", "S", "D", "C", "T", "B"]
    by: float = 1.0

    def value(self, value: float, share: float) -> float:  # noqa: ARG002 - the same all the time
        return value * self.by

    def _changed(self, sample: Sample, share: float) -> Sample:
        flags = {p: self.letter for p in sample.values if self.concerns(p)}
        return replace(super()._changed(sample, share), flags={**sample.flags, **flags})


class WrongClock(SampleFault):
    """The station's clock is `by` seconds ahead (behind when negative)."""

    kind: Literal["wrong_clock"]
    by: int

    @property
    def skew_s(self) -> int:
        return self.by

    def change(self, samples: Sequence[Sample], start_ns: int) -> list[Sample]:  # noqa: ARG002 - a constant error
        return [replace(s, measured_ns=s.measured_ns + self.by * SECOND_NS) for s in samples]


class Outage(SampleFault):
    """Nothing is sent, and nothing is kept for later."""

    kind: Literal["outage"]

    def change(self, samples: Sequence[Sample], start_ns: int) -> list[Sample]:  # noqa: ARG002 - all of them are lost
        return []


class TransportFault(FaultWindow):
    """Something wrong on the way. By itself it must raise nothing."""

    def carry(self, messages: Sequence[Outgoing], end_ns: int) -> list[Outgoing]:
        """What arrives instead; `end_ns` is the end of the window."""
        raise NotImplementedError


class Duplicate(TransportFault):
    """Every message is sent a second time, byte for byte, `after` the first."""

    kind: Literal["duplicate"]
    after: Seconds = 1

    def carry(self, messages: Sequence[Outgoing], end_ns: int) -> list[Outgoing]:  # noqa: ARG002 - each by itself
        again = [replace(m, sent_ns=m.sent_ns + self.after * SECOND_NS) for m in messages]
        return [*messages, *again]


class OutOfOrder(TransportFault):
    """Every message of a feed changes place with the next one."""

    kind: Literal["out_of_order"]

    def carry(self, messages: Sequence[Outgoing], end_ns: int) -> list[Outgoing]:  # noqa: ARG002 - pairs only
        out = []
        for kind in sorted({m.kind for m in messages}):
            row = [m for m in messages if m.kind == kind]
            for one, two in zip(row[::2], row[1::2], strict=False):
                out += [replace(one, sent_ns=two.sent_ns), replace(two, sent_ns=one.sent_ns)]
            out += row[len(row) // 2 * 2 :]
        return out


class HeldBack(TransportFault):
    """The line is down: messages wait in the station and come in a burst, in order, when the window ends."""

    kind: Literal["held_back"]

    def carry(self, messages: Sequence[Outgoing], end_ns: int) -> list[Outgoing]:
        apart_ns = SECOND_NS // 5
        return [
            replace(m, sent_ns=max(m.sent_ns, end_ns + i * apart_ns), said=m.said and replace(m.said, held=True))
            for i, m in enumerate(messages)
        ]


class Corrected(TransportFault):
    """Every message is sent again `after` the first with its values `by` times what they were: the later one holds."""

    kind: Literal["corrected"]
    after: Seconds
    by: float

    def carry(self, messages: Sequence[Outgoing], end_ns: int) -> list[Outgoing]:  # noqa: ARG002 - each by itself
        again = [
            replace(
                m,
                payload=wire.scaled(m.payload, self.by),
                sent_ns=m.sent_ns + self.after * SECOND_NS,
                said=m.said and m.said.scaled(self.by),
            )
            for m in messages
        ]
        return [*messages, *again]


class Garbled(TransportFault):
    """Bytes that no reader understands: cut short, noise, another shape, in turn."""

    kind: Literal["garbled"]

    def carry(self, messages: Sequence[Outgoing], end_ns: int) -> list[Outgoing]:  # noqa: ARG002 - each by itself
        return [
            replace(m, payload=wire.garbled(m.payload, i), stored=(), problems=1, said=_harmed(m, "garbled"))
            for i, m in enumerate(messages)
        ]


class TextValue(TransportFault):
    """The first concerned value of each message is a text that looks like a number; the others are good."""

    kind: Literal["text_value"]

    def carry(self, messages: Sequence[Outgoing], end_ns: int) -> list[Outgoing]:  # noqa: ARG002 - each by itself
        return [self._spoilt(m) for m in messages]

    def _spoilt(self, message: Outgoing) -> Outgoing:
        parameter = next(p for p in message.stored if self.concerns(p))
        rest = tuple(p for p in message.stored if p != parameter)
        payload, said = wire.with_text_value(message.payload, parameter), _harmed(message, "text_value", parameter)
        return replace(message, payload=payload, stored=rest, problems=1, said=said)


class NaiveTime(TransportFault):
    """The time says nothing about its zone."""

    kind: Literal["naive_time"]

    def carry(self, messages: Sequence[Outgoing], end_ns: int) -> list[Outgoing]:  # noqa: ARG002 - each by itself
        return [
            replace(m, payload=wire.with_naive_time(m.payload), stored=(), problems=1, said=_harmed(m, "naive_time"))
            for m in messages
        ]


def _harmed(message: Outgoing, harm: Harm, parameter: str = "") -> Said | None:
    return message.said and replace(message.said, harm=harm, spoilt=parameter)


Fault = Annotated[
    Scale
    | Shift
    | Broken
    | Missing
    | Spike
    | Stuck
    | Flagged
    | WrongClock
    | Outage
    | Duplicate
    | OutOfOrder
    | HeldBack
    | Corrected
    | Garbled
    | TextValue
    | NaiveTime,
    Field(discriminator="kind"),
]
FAULTS: Mapping[str, type[FaultWindow]] = {
    get_args(fault.model_fields["kind"].annotation)[0]: fault for fault in get_args(get_args(Fault)[0])
}
