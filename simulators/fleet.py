"""A fleet at work: every message of a scenario in order of sending, and the truth about it.

The whole scenario is laid out once, when first asked for: a message may leave long after its time (a line that was
down), so the order of sending is known only for the whole. Equal scenario and seed give equal bytes in every process.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np
import yaml

from rules.readings import SECOND_NS, Float64s, Int64s
from rules.schema import KINDS, Station
from simulators import signals, wire
from simulators.faults import FaultWindow, SampleFault, TransportFault
from simulators.loggers.manner import Equipped, Manner
from simulators.loggers.speech import payload_of
from simulators.samples import Outgoing, Said, Sample
from simulators.scenario import Feed, Group, Scenario, Signal
from simulators.truth import ExpectedEpisode, Explained, Truth


class Fleet:
    """The stations of `scenario` with the dice of `seed`.

    `start_ns` moves the whole to another time; days still end at midnight of the scenario's zone.
    """

    def __init__(self, scenario: Scenario, seed: int, start_ns: int | None = None) -> None:
        self.scenario = scenario
        self.seed = seed
        self.start_ns = scenario.start_ns if start_ns is None else start_ns
        self.end_ns = self.start_ns + scenario.length * SECOND_NS

    def stations(self) -> list[Station]:
        """The entries that the register needs for the rules to watch this fleet."""
        return [
            group.entry(station, name, self._manners.get(station)) for station, name, group in self.scenario.stations()
        ]

    def equipped(self) -> list[Equipped]:
        """Every station with its logger: that of the scenario, or a plain one."""
        return list(self._equipped.values())

    def speaks_hj212(self, station: str) -> bool:
        """Whether the scenario tells of a logger there; the others speak json_v1."""
        return station in self._manners

    def messages(self, from_ns: int, until_ns: int) -> list[Outgoing]:
        """What is sent from `from_ns` up to, not including, `until_ns`, in order of sending.

        A few last messages leave shortly after `end_ns`.
        """
        first = bisect_left(self._plan, from_ns, key=lambda m: m.sent_ns)
        last = bisect_left(self._plan, until_ns, key=lambda m: m.sent_ns)
        return self._plan[first:last]

    def truth(self) -> Truth:
        """What must be found, and what may."""
        groups = {station: group for station, _, group in self.scenario.stations()}
        expected: list[ExpectedEpisode] = []
        explained: list[Explained] = []
        for fault in self.scenario.faults:
            expected += self._expected(fault, groups[fault.station])
            explained += self._explained(fault, groups[fault.station])
        return Truth(sorted(expected, key=lambda e: (e.by_ns, e.station, sorted(e.parameters))), explained)

    @cached_property
    def _manners(self) -> dict[str, Manner]:
        return {manner.station: manner for manner in self.scenario.loggers}

    @cached_property
    def _equipped(self) -> dict[str, Equipped]:
        found = {}
        for station, _, group in self.scenario.stations():
            manner = self._manners.get(station) or Manner(station=station)
            found[station] = Equipped(station, manner.voice(group.st, group.converted), manner)
        return found

    @cached_property
    def _plan(self) -> list[Outgoing]:
        messages = [m for station, _, group in self.scenario.stations() for m in self._of_station(station, group)]
        return sorted(messages, key=lambda m: (m.sent_ns, m.topic, m.measured_ns))

    def _of_station(self, station: str, group: Group) -> list[Outgoing]:
        faults = [f for f in self.scenario.faults if f.station == station]
        samples = sorted((s for feed in group.feeds for s in self._of_feed(station, group, feed)), key=_in_turn)
        for fault in faults:
            if isinstance(fault, SampleFault):
                samples = self._changed(samples, fault)
        decimals = {parameter: signal.decimals for parameter, signal in group.signals.items()}
        messages = [self._written(sample, decimals) for sample in samples]
        for fault in faults:
            if isinstance(fault, TransportFault):
                messages = self._carried(messages, fault)
        return [self._in_hj212(message) for message in messages] if station in self._manners else messages

    def _of_feed(self, station: str, group: Group, feed: Feed) -> Iterator[Sample]:
        due_ns, measured_ns = self._times(feed)
        of = signals.stream(self.seed, station, feed.kind, "jitter")
        late_ns = feed.delay * SECOND_NS + signals.uniform(of, due_ns.astype(np.uint64)) * feed.jitter * SECOND_NS
        columns = {
            parameter: self._column(station, parameter, group.signals[parameter], feed, measured_ns).tolist()
            for parameter in feed.parameters or group.signals
        }
        kind = KINDS[feed.kind]
        for i, (due, measured, late) in enumerate(
            zip(due_ns.tolist(), measured_ns.tolist(), late_ns.astype(np.int64).tolist(), strict=True)
        ):
            values = {parameter: column[i] for parameter, column in columns.items()}
            yield Sample(station, kind, i, measured, due, due + late, values, {})

    def _times(self, feed: Feed) -> tuple[Int64s, Int64s]:
        """When the samples of a feed are complete, and the times they carry. Spans begin at whole local intervals."""
        interval_ns, span_ns = feed.interval_s * SECOND_NS, feed.span_s * SECOND_NS
        offset_ns = self.scenario.offset_s * SECOND_NS
        first_ns = self.start_ns - (self.start_ns + offset_ns) % interval_ns
        measured_ns = np.arange(first_ns, self.end_ns, interval_ns, dtype=np.int64)
        due_ns = measured_ns + span_ns
        inside = (due_ns >= self.start_ns + (span_ns > 0)) & (due_ns < self.end_ns)
        return due_ns[inside], measured_ns[inside]

    def _column(self, station: str, parameter: str, signal: Signal, feed: Feed, measured_ns: Int64s) -> Float64s:
        of = signals.stream(self.seed, station, parameter)
        shape = self._shape(signal, of)
        step_ns = self.scenario.step * SECOND_NS
        if feed.span_s:
            return signals.means(shape, of, measured_ns, feed.span_s * SECOND_NS, step_ns)
        return signals.values(shape, of, measured_ns, step_ns)

    def _shape(self, signal: Signal, of: int) -> signals.Shape:
        own = float(signals.uniform(of ^ 3, np.zeros(1, dtype=np.uint64))[0]) * 2.0 - 1.0
        return signals.Shape(
            base=signal.base * (1.0 + signal.spread * own),
            daily=signal.daily,
            peak_ns=(signal.peak - self.scenario.offset_s) * SECOND_NS,
            tide=signal.tide,
            wander=signal.wander,
            wander_ns=signal.wander_span * SECOND_NS,
            noise=signal.noise,
            low=signal.low,
            high=signal.high,
        )

    def _window(self, fault: FaultWindow) -> tuple[int, int]:
        start_ns = self.start_ns + fault.at * SECOND_NS
        return start_ns, start_ns + fault.lasts * SECOND_NS

    def _changed(self, samples: list[Sample], fault: SampleFault) -> list[Sample]:
        start_ns, end_ns = self._window(fault)
        hit = [s for s in samples if start_ns <= s.due_ns < end_ns and fault.listens_to(s.kind)]
        others = [s for s in samples if not (start_ns <= s.due_ns < end_ns and fault.listens_to(s.kind))]
        return sorted([*others, *fault.change(hit, start_ns)], key=_in_turn)

    def _carried(self, messages: list[Outgoing], fault: TransportFault) -> list[Outgoing]:
        start_ns, end_ns = self._window(fault)
        hit = [m for m in messages if start_ns <= m.sent_ns < end_ns and fault.listens_to(m.kind)]
        others = [m for m in messages if not (start_ns <= m.sent_ns < end_ns and fault.listens_to(m.kind))]
        return sorted([*others, *fault.carry(hit, end_ns)], key=lambda m: m.sent_ns)

    def _written(self, sample: Sample, decimals: dict[str, int]) -> Outgoing:
        return Outgoing(
            topic=wire.topic_of(sample.station, sample.kind.name.lower()),
            payload=wire.encode(sample, decimals, self.scenario.offset_s),
            sent_ns=sample.sent_ns,
            station=sample.station,
            kind=sample.kind,
            measured_ns=sample.measured_ns,
            stored=tuple(sample.values),
            said=Said(sample, decimals),
        )

    def _in_hj212(self, message: Outgoing) -> Outgoing:
        """The message as a broker gets it from a gateway that hands on frames."""
        logger, said = self._equipped[message.station], message.said
        if said is None:
            return message
        ahead_ns = logger.manner.ahead_ns(said.sample.due_ns - self.start_ns)
        payload = payload_of(logger.voice, said, message.sent_ns, ahead_ns)
        return replace(message, topic=f"jianwei/hj212/{logger.voice.mn}", payload=payload)

    def _reach(self, fault: FaultWindow, group: Group) -> tuple[int, int]:
        """From and until when the episodes of a fault may begin.

        A mean carries the start of its span, silence begins with the last message before it, and a wrong clock moves
        everything.
        """
        feeds = [feed for feed in group.feeds if not fault.feeds or feed.kind in fault.feeds]
        span_ns = max(feed.span_s + feed.interval_s for feed in feeds) * SECOND_NS
        start_ns, end_ns = self._window(fault)
        return start_ns - span_ns + min(0, fault.skew_s) * SECOND_NS, end_ns + span_ns + max(
            0, fault.skew_s
        ) * SECOND_NS

    def _expected(self, fault: FaultWindow, group: Group) -> Iterator[ExpectedEpisode]:
        from_ns, until_ns = self._reach(fault, group)
        for expect in fault.expect:
            own = fault.parameters or list(group.signals)
            for parameter in own if expect.parameters is None else expect.parameters or [""]:
                yield ExpectedEpisode(
                    fault=fault.name,
                    station=fault.station,
                    rules=frozenset(expect.rules),
                    checks=frozenset(expect.checks),
                    parameters=frozenset([parameter]),
                    from_ns=from_ns,
                    until_ns=until_ns,
                    by_ns=self.start_ns + (fault.at + expect.within) * SECOND_NS,
                )

    def _explained(self, fault: FaultWindow, group: Group) -> Iterator[Explained]:
        from_ns, until_ns = self._reach(fault, group)
        for also in fault.also:
            own = [*fault.parameters, ""] if fault.parameters else []
            yield Explained(
                fault=fault.name,
                station=fault.station,
                rules=frozenset(also.rules),
                checks=frozenset(also.checks),
                parameters=frozenset(own if also.parameters is None else also.parameters or [""]),
                from_ns=from_ns,
                until_ns=until_ns,
            )


def _in_turn(sample: Sample) -> tuple[int, int]:
    return sample.due_ns, sample.kind


def register_yaml(stations: Iterable[Station]) -> str:
    """The entries as a file of the register, for a service that shall watch them."""
    entries = [station.model_dump(by_alias=True, exclude_defaults=True) for station in stations]
    return yaml.safe_dump({"stations": entries}, allow_unicode=True, sort_keys=False)
