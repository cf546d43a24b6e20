"""Requests of ours are understood by the simulated loggers, which were written without us, and their answers by us."""

import pytest

from ingest.hj212.framing import Connection
from ingest.hj212.requests import Dialogue, Moved, Pace
from ingest.hj212.segment import Frame
from ingest.message import Request
from rules.readings import SECOND_NS, Kind
from simulators.loggers.logger import DataLogger
from simulators.loggers.manner import Manner
from simulators.samples import Said, Sample

NOON_NS = 1_778_558_400 * SECOND_NS  # in Beijing on 2026-05-12
HOUR_NS = 3_600 * SECOND_NS
OTHERS = ("w21003", "w21011", "w21001", "w01001", "w01009", "w01010", "w01014", "w00000")
DAY = {"BeginTime": "20260512000000", "EndTime": "20260512110000"}


class Between:
    """A dialogue and a logger with twelve hours in its memory, and the line between them."""

    def __init__(self, edition: str) -> None:
        manner = Manner.model_validate({"station": "WE-07", "edition": edition, "most_data": 200})
        system = "21" if edition == "surface_water" else "32"
        self.logger = DataLogger(manner.voice(system, []), manner, lambda: NOON_NS, start_ns=NOON_NS)
        self.dialogue = Dialogue(pace=Pace(1_000.0))
        self.line = Connection()
        self.now_ns, self.asked = NOON_NS, 0
        self.logger.connected()
        for number in range(12):
            measured_ns = NOON_NS - (12 - number) * HOUR_NS
            values = {"w01018": 20.0 + number, **dict.fromkeys(OTHERS, 1.5)}
            sample = Sample("WE-07", Kind.HOUR, number, measured_ns, measured_ns, measured_ns, values, {})
            self.logger.put(number, Said(sample, dict.fromkeys(values, 1)))
        self.carry()

    def carry(self) -> None:
        """All that can be said is heard."""
        for _ in range(40):
            self.now_ns += SECOND_NS
            said = b"".join(self.logger.step((self.now_ns - NOON_NS) / SECOND_NS))
            for frame in self.line.receive(said, self.now_ns):
                assert isinstance(frame, Frame)
                assert self.dialogue.heard(frame, self.now_ns) == ""
            for frame_to_send in self.dialogue.step(self.now_ns):
                self.logger.heard(frame_to_send, (self.now_ns - NOON_NS) / SECOND_NS)

    def ask(self, cn: str, **fields: str) -> Moved:
        """What becomes of a request in the end."""
        self.asked += 1
        self.dialogue.ask(Request(self.asked, "we-07", cn, fields), self.now_ns)
        self.carry()
        return self.dialogue.moved()[-1]


@pytest.mark.parametrize("edition", ["2005", "2017", "2025", "surface_water"])
def test_each_edition_is_asked_and_answers(edition: str) -> None:
    it = Between(edition)
    assert it.ask("1062", RtdInterval="30").state == "done"
    assert it.ask("1061").said == "RtdInterval 30"
    assert it.ask("1064", MinInterval="5").state == "done"
    assert it.ask("1063").said == "MinInterval 5"
    assert it.ask("1011").said.startswith("SystemTime 2026051212")
    assert it.ask("1012").state == "done"
    assert it.ask("1000", OverTime="7", ReCount="2").state == "done"
    assert (it.logger.setup.timeout_s, it.logger.setup.retries) == (7, 2)
    assert it.ask("2012").state == "done"
    assert not it.logger.setup.realtime
    assert it.ask("2011").state == "done"
    assert it.logger.setup.realtime


@pytest.mark.parametrize("edition", ["2005", "2017", "2025", "surface_water"])
def test_history_comes_in_packets_and_is_counted(edition: str) -> None:
    it = Between(edition)
    told = it.ask("2061", **DAY)
    assert (told.state, told.said) == ("done", "")
    assert told.frames > 12, "each hour is more than one packet"
    assert told.readings == 12 * (1 + len(OTHERS))
    nothing = it.ask("2051", **DAY)
    assert (nothing.state, nothing.frames, nothing.said) == ("done", 0, "it has no such data (ExeRtn 100)")


def test_what_the_logger_does_not_know_is_refused_in_words() -> None:
    told = Between("2017").ask("3012", PolId="w01018")
    assert (told.state, told.said) == ("refused", "it does not know the command (QnRtn 8)")
