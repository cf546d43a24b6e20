"""A fleet at work: every message of a scenario in order of sending, and the truth about it.

The whole scenario is laid out once, when first asked for: a message may leave long after its time (a line that was
down), so order of sending is known only for the whole. Equal scenario and seed give equal bytes in every process.
"""

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from rules.readings import SECOND_NS, Float64s, Int64s
from simulators import signals, wire
from simulators.faults import Covered, FaultWindow, SampleFault, TransportFault
from simulators.samples import Outgoing, Sample
from simulators.scenario import Feed, Group, Scenario, Signal, kind_of
from simulators.truth import ExpectedEpisode, Explained, Truth


class Fleet:
    """The stations of `scenario` with the dice of `seed`; `start_ns` moves the whole to another time, which must be
    the same time of day."""

    def __init__(self, scenario: Scenario, seed: int, start_ns: int | None = None) -> None:
        self.scenario = scenario
        self.seed = seed
        self.start_ns = scenario.start_ns if start_ns is None else start_ns
        self.end_ns = self.start_ns + scenario.length * SECOND_NS

    def messages(self, from_ns: int, until_ns: int) -> list[Outgoing]:
        """What is sent from `from_ns` up to, not including, `until_ns`, in order of sending."""
        sent = self._sent
        return self._all[bisect_left(sent, from_ns) : bisect_left(sent, until_ns)]

    def truth(self) -> Truth:
        """What must be found, and what may."""
        expected: list[ExpectedEpisode] = []
        explained: list[Explained] = []
        for fault in self.scenario.faults:
            self._declare(fault, expected, explained)
        return Truth(sorted(expected, key=lambda e: (e.by_ns, e.station)), explained)
