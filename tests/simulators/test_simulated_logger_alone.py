"""A data logger without a line: whatever is lost, its samples are answered or in its memory."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.readings import SECOND_NS, Kind
from simulators.hj212 import Logger, wire
from simulators.loggers import logger as logging
from simulators.loggers.heard import NoFrameError, Reader
from simulators.loggers.logger import DataLogger
from simulators.loggers.manner import Manner
from simulators.samples import Said, Sample
from tests.simulators.platforms import answer_to, request, whole, words

NOW_NS = 1_793_620_800 * SECOND_NS  # 2026-11-02T12:00:00 UTC, 20:00 in Beijing


def said(n: int, kind: Kind = Kind.REALTIME, *, held: bool = False) -> Said:
    at_ns = NOW_NS + n * 60 * SECOND_NS
    return Said(Sample("A", kind, n, at_ns, at_ns, at_ns, {"w01018": 1.5 + n}, {}), {"w01018": 1}, held=held)


class Bench:
    """One logger, a clock, and what it wrote."""

    def __init__(self, **manner: object) -> None:
        self.now_ns = NOW_NS
        self.now_s = 0.0
        self.answered: list[int] = []
        self.settled: list[int] = []
        told = Manner.model_validate({"station": "A", **manner})
        self.logger = DataLogger(
            told.voice("32", []),
            told,
            lambda: self.now_ns,
            start_ns=NOW_NS,
            answered=self.answered.append,
            settled=self.settled.append,
        )

    def step(self) -> list[bytes]:
        """The data segments that leave now."""
        return whole(bytearray(b"".join(self.logger.step(self.now_s))))

    def hear(self, *frames: bytes) -> list[bytes]:
        """What it says to these."""
        self.logger.heard(b"".join(frames), self.now_s)
        out = self.step()
        while self.logger.next_s <= self.now_s + 0.1:
            self.now_s = self.logger.next_s
            out += self.step()
        return out


class Unkind:
    """A bench whose line breaks, and whose answers come all, one by one, late, or never."""

    def __init__(self, edition: str, writes: str) -> None:
        self.bench = Bench(edition=edition, writes=writes, retries=2, lost_answers=0.2, garbage=0.2, cuts=0.1)
        self.put = 0
        self.sent = Counter[bytes]()
        self.on_the_way: list[bytes] = []

    def turn(self, act: str | float) -> None:
        """Something happens."""
        bench, logger = self.bench, self.bench.logger
        if isinstance(act, float):
            bench.now_s += act
        elif act == "put":
            logger.put(self.put, said(self.put))
            self.put += 1
        elif act == "connect" and not logger.is_connected:
            logger.connected()
        elif act == "break" and logger.is_connected:
            logger.disconnected()
        elif act == "lose":
            self.on_the_way.clear()
        elif act.startswith("answer") and logger.is_connected:
            count = 1 if act == "answer one" else len(self.on_the_way)
            for answer in self.on_the_way[:count]:
                logger.heard(answer, bench.now_s)
            del self.on_the_way[:count]
        self._write()

    def _write(self) -> None:
        frames = self.bench.step()
        self.sent.update(frames)
        self.on_the_way += [answer for answer in map(answer_to, frames) if answer]
        if self.bench.logger.wants_cut:
            self.bench.logger.disconnected()


ACTS = st.lists(
    st.one_of(st.sampled_from(["put", "put", "connect", "break", "answer", "answer one", "lose"]), st.floats(0, 30)),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(ACTS, st.sampled_from(["2005", "2017", "2025"]), st.sampled_from(["whole", "joined", "bytes"]))
def test_whatever_is_lost_every_sample_is_answered_or_in_the_memory(
    acts: list[str | float], edition: str, writes: str
) -> None:
    unkind = Unkind(edition, writes)
    bench = unkind.bench
    for act in acts:
        unkind.turn(act)
        assert len(bench.answered) + bench.logger.unanswered == unkind.put
        assert max(unkind.sent.values(), default=0) <= 3
    for _ in range(4 * unkind.put + 4):
        for act in ("connect", "answer", 11.0, "answer", 61.0):
            unkind.turn(act)
    assert sorted(bench.answered) == sorted(bench.settled) == list(range(unkind.put))


def test_every_record_has_a_number_of_its_own_however_fast_they_come() -> None:
    bench = Bench(most_data=200)
    bench.logger.connected()
    seen: list[str] = []
    for n in range(50):
        bench.logger.put(n, said(n))
        frames = bench.step()
        seen += [words(frame)["QN"] for frame in frames]
        bench.hear(*filter(None, map(answer_to, frames)))
    assert len(set(seen)) == len(seen) == 50
    assert bench.answered == list(range(50))


def test_a_packet_is_done_when_each_of_its_frames_is_answered() -> None:
    for edition in ("2005", "2017"):
        bench = Bench(edition=edition, most_data=200)
        values = {f"w0{n}": 1.0 for n in range(1000, 1012)}
        sample = Sample("A", Kind.HOUR, 1, NOW_NS, NOW_NS, NOW_NS, values, {})
        bench.logger.connected()
        bench.logger.put(0, Said(sample, dict.fromkeys(values, 1)))
        frames = bench.step()
        answers = [answer for answer in map(answer_to, frames) if answer]
        assert len(answers) > 2
        bench.hear(*answers[1:])
        assert bench.answered == []
        bench.now_s += 10.0
        assert bench.step() == frames[:1]  # and only that one comes again
        bench.hear(answers[0])
        assert bench.answered == [0]


def test_a_broken_line_makes_new_data_old() -> None:
    """With a QN of now, the old DataTime, and in 2025 the mark."""
    bench = Bench(edition="2025")
    bench.logger.connected()
    bench.logger.put(0, said(0))
    (first,) = bench.step()
    bench.logger.disconnected()
    bench.now_ns += 3600 * SECOND_NS
    bench.logger.connected()
    (again,) = bench.step()
    old, new = words(first), words(again)
    assert (old["DataTime"], "RF" in old) == (new["DataTime"], False)
    assert (new["QN"], new["RF"]) == ("20261102210000000", "1")


def test_a_clock_that_is_wrong_shows_in_qn_and_instants_until_it_is_set() -> None:
    bench = Bench(offset=150)
    bench.logger.connected()
    bench.logger.put(0, said(0))
    bench.logger.put(1, said(1, Kind.HOUR))
    (instant,) = bench.step()
    assert (words(instant)["QN"], words(instant)["DataTime"]) == ("20261102200230000", "20261102200230")
    (hour,) = bench.hear(answer_to(instant) or b"")
    assert words(hour)["DataTime"] == "20261102200100"  # of a whole interval, by whatever clock
    bench.hear(answer_to(hour) or b"", request("1012", says="SystemTime=20261102200000"))
    bench.logger.put(2, said(2))
    (right,) = bench.step()
    assert words(right)["QN"].startswith("20261102200000")
    assert words(right)["DataTime"] == "20261102200200"


def test_a_clock_drifts() -> None:
    bench = Bench(drift_ppm=1000)
    bench.now_ns += 10_000 * SECOND_NS
    assert bench.logger.shown_ns() - bench.now_ns == 10 * SECOND_NS


def test_a_heartbeat_comes_when_nothing_else_was_said() -> None:
    bench = Bench(edition="2025", heartbeat=60)
    bench.logger.connected()
    assert bench.step() == []
    bench.now_ns += 60 * SECOND_NS
    (beat,) = bench.step()
    assert (words(beat)["CN"], words(beat)["Flag"]) == ("9015", "9")
    assert beat.endswith(b"CP=&&&&")
    assert bench.step() == []


@pytest.mark.parametrize("edition", ["2005", "2017"])
def test_an_edition_without_heartbeats_has_none(edition: str) -> None:
    with pytest.raises(ValueError, match="has no heartbeat"):
        Manner(station="A", edition=edition, heartbeat=60)  # type: ignore[arg-type]


def test_a_text_in_gbk_goes_out_in_gbk_on_every_connection() -> None:
    bench = Bench(encoding="gbk", remark="采样管路反吹完成")
    for _ in range(2):
        bench.logger.connected()
        (log,) = bench.step()
        assert "//采样管路反吹完成//".encode("gbk") in log
        bench.logger.disconnected()


def test_what_is_no_frame_ends_the_line() -> None:
    good = wire(b"ST=91;CN=9014;CP=&&&&")
    for bad in (b"hello", b"##12", good[:-6] + b"0000\r\n", wire(b"ST=91;CN=9014"), b"##9999" + b"x" * 20):
        reader = Reader()
        with pytest.raises(NoFrameError):
            reader.read(good + bad + b"\r\n\r\n\r\n\r\n")


@given(st.integers(1, 7), st.integers(1, 40))
def test_answers_are_read_however_they_are_cut(count: int, size: int) -> None:
    frames = b"".join(wire(b"QN=%d;ST=91;CN=9014;CP=&&&&" % n) for n in range(count))
    reader = Reader()
    heard = [one for i in range(0, len(frames), size) for one in reader.read(frames[i : i + size])]
    assert [one.qn for one in heard] == [str(n) for n in range(count)]


def test_a_platform_that_never_answers_is_left_alone_for_a_while() -> None:
    bench = Bench(retries=0)
    bench.logger.connected()
    for n in range(5):
        bench.logger.put(n, said(n))
    bench.step()
    bench.now_s = 10.0
    assert bench.step() == []
    assert sorted(bench.settled) == [0, 1, 2, 3, 4]
    assert bench.logger.unanswered == 5
    bench.now_s = 10.0 + logging.AGAIN_S
    (probe,) = bench.step()
    bench.hear(answer_to(probe) or b"")
    assert bench.answered == [1]


def test_the_voice_of_2005_has_the_old_names() -> None:
    voice = Manner(station="A", edition="2005", check="modbus").voice("32", [])
    assert isinstance(voice, Logger)
    assert (voice.codes or {})["w01018"] == "011"
