"""Data loggers on many lines, in a process of its own, that know exactly what was answered to whom.

A station says a sample until it is answered, and then the next. Lines break between frame and answer, and within a frame;
what is then said again is the same frame, or the same sample under a new QN. Run as a process by `Talking`:
python -m tests.kill.hj212_talkers ORDER, a file of JSON.
"""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from jianwei.clock import wall_ns
from simulators.hj212 import beijing
from simulators.load import Plan
from simulators.loggers.heard import Heard, Reader
from tests.kill.hj212_voices import Voices

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
PIECE = 1 << 16
ANSWER_S = 10.0  # then the same is said again, as the standard has it
LONGEST_CUT_S = 0.03  # after a frame was written
LONGEST_PAUSE_S = 0.5  # before a line is tried again
END_S = 120.0
MILLISECOND_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Order:
    """Who speaks, and how. `every_s`: from one sample of a station to its next. `cuts`, `halves`: shares of what is said
    after which, or in whose middle, the line breaks. `turns`: how many samples each station says; empty: until SIGTERM.
    `most`: only so many of the stations speak; 0: all.
    """

    plan: Plan
    port: int
    every_s: float
    cuts: float = 0.0
    halves: float = 0.0
    seed: int = 1
    turns: list[int] = field(default_factory=list)
    most: int = 0


@dataclass(slots=True)
class Report:
    """What became of it. All samples that were begun were answered: `turns` of each station.

    `foreign`: answers that nobody had waited for on that line. `answers`: (when, after how many ms) of those that came to
    a frame said once; `when` by the monotonic clock.
    """

    turns: list[int]
    said: int = 0
    heard: int = 0
    cuts: int = 0
    halves: int = 0
    lines: int = 0
    lost: int = 0  # lines that broke otherwise
    late: int = 0  # nothing was heard for ANSWER_S
    requests: int = 0
    foreign: list[str] = field(default_factory=list)
    answers: list[tuple[float, float]] = field(default_factory=list)

    def percentile_ms(self, share: float, begin_s: float = 0.0, end_s: float = float("inf")) -> float:
        """Of the answers that came in that time."""
        took = sorted(ms for at_s, ms in self.answers if begin_s <= at_s < end_s)
        return took[min(len(took) - 1, int(share * len(took)))]


class Line:
    """One connection: what was said on it and not yet answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mn: str, report: Report) -> None:
        self._reader, self._writer = reader, writer
        self._frames = Reader()
        self._mn = mn
        self._report = report
        self._waiting: Counter[str] = Counter()  # QNs, as often as they were said

    def say(self, frame: bytes, qn: str) -> None:
        self._waiting[qn] += 1
        self._report.said += 1
        self._writer.write(frame)

    async def hear(self, qn: str) -> None:
        """Until the answer to it came. Raises OSError when the line is lost; a read that is cut short loses nothing."""
        waits = True
        while waits:
            data = await self._reader.read(PIECE)
            if not data:
                raise ConnectionError("the other side has gone")
            for heard in self._frames.read(data):
                waits = not (self._judge(heard) and heard.qn == qn) and waits

    def _judge(self, heard: Heard) -> bool:
        """Whether it is an answer to something that was said here."""
        report = self._report
        if heard.cn != "9014":
            report.requests += 1
            return False
        if self._waiting[heard.qn] <= 0 or heard.head.get("MN", self._mn) != self._mn:
            report.foreign.append(f"{self._mn} heard an answer to {heard.qn} of {heard.head.get('MN', 'nobody')}")
            return False
        self._waiting[heard.qn] -= 1
        self._waiting = +self._waiting
        report.heard += 1
        return True

    def cut(self) -> None:
        self._writer.transport.abort()

    def close(self) -> None:
        """What was written still leaves."""
        self._writer.close()


class Talker:
    """One station."""

    def __init__(self, place: int, order: Order, voices: Voices, report: Report) -> None:
        self._place, self._order, self._voices, self._report = place, order, voices, report
        self._mn = voices.loggers[place].mn
        self._dice = random.Random(order.seed * 1_000_003 + place)
        self._line: Line | None = None
        self._qn_ns = 0

    async def talk(self, over: asyncio.Event) -> None:
        """Until it is over; the sample that was begun is seen through."""
        began_s, turn = time.monotonic(), 0
        behind_s = self._order.every_s * self._dice.random()
        while not self._order.turns or turn < self._order.turns[self._place]:
            due_s = began_s + behind_s + turn * self._order.every_s
            if await _is_set(over, due_s - time.monotonic()):
                break
            await self._see_through(turn)
            turn += 1
            self._report.turns[self._place] = turn
        if self._line is not None:
            self._line.close()

    async def _see_through(self, turn: int) -> None:
        frame, qn, tries = b"", "", 0
        while True:
            line = self._line or await self._dialled()
            if not frame or self._dice.random() < 0.5:
                frame, qn = self._framed(turn, again=tries > 0)
            tries += 1
            try:
                if await self._is_answered(line, frame, qn, first=tries == 1):
                    return
            except OSError:
                self._report.lost += 1
                self._drop(line)
                await asyncio.sleep(self._dice.uniform(0.0, LONGEST_PAUSE_S))

    async def _is_answered(self, line: Line, frame: bytes, qn: str, *, first: bool) -> bool:
        order, report, dice = self._order, self._report, self._dice.random()
        if dice < order.halves:
            line.say(frame[: len(frame) // 2], qn)
            line.close()
            report.halves += 1
            self._line = None
            return False
        cuts = dice < order.halves + order.cuts
        said_s = time.monotonic()
        line.say(frame, qn)
        try:
            async with asyncio.timeout(self._dice.uniform(0.0, LONGEST_CUT_S) if cuts else ANSWER_S):
                await line.hear(qn)
        except TimeoutError:
            report.cuts += cuts
            report.late += not cuts
            if cuts:
                self._drop(line)
            return False
        if first:
            now_s = time.monotonic()
            report.answers.append((now_s, (now_s - said_s) * 1e3))
        return True

    def _framed(self, turn: int, *, again: bool) -> tuple[bytes, str]:
        self._qn_ns = max(wall_ns() // MILLISECOND_NS * MILLISECOND_NS, self._qn_ns + MILLISECOND_NS)
        frame = self._voices.frame(self._place, turn, self._qn_ns, again=again)
        return frame, beijing(self._qn_ns, milliseconds=True)

    async def _dialled(self) -> Line:
        while True:
            try:
                async with asyncio.timeout(ANSWER_S):
                    reader, writer = await asyncio.open_connection(HOST, self._order.port)
            except OSError:  # TimeoutError is one
                await asyncio.sleep(self._dice.uniform(0.05, LONGEST_PAUSE_S))
                continue
            self._report.lines += 1
            self._line = Line(reader, writer, self._mn, self._report)
            return self._line

    def _drop(self, line: Line) -> None:
        line.cut()
        self._line = None


async def _is_set(over: asyncio.Event, within_s: float) -> bool:
    if within_s > 0 and not over.is_set():
        try:
            async with asyncio.timeout(within_s):
                await over.wait()
        except TimeoutError:
            pass
    return over.is_set()


class Talking:
    """The process, seen from the test."""

    def __init__(self, folder: Path, order: Order) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._report = folder / "report.json"
        (folder / "order.json").write_text(json.dumps([asdict(order), str(self._report)]))
        self._log = folder / "log"
        command = [sys.executable, "-m", "tests.kill.hj212_talkers", str(folder / "order.json")]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        """Asks them to say no more; what was said is seen through."""
        self._process.terminate()

    def report(self, within_s: float = END_S) -> Report:
        assert self._process.wait(within_s) == 0, self.last_words()
        return Report(**json.loads(self._report.read_text()))

    def last_words(self) -> str:
        return self._log.read_text()[-2_000:]

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


async def _talk(order: Order) -> Report:
    speaking = order.most or order.plan.stations
    voices, report, over = Voices(order.plan), Report([0] * speaking), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with asyncio.TaskGroup() as tasks:
        for place in range(speaking):
            tasks.create_task(Talker(place, order, voices, report).talk(over))
    return report


def main() -> None:
    content, path = json.loads(Path(sys.argv[1]).read_text())
    report = asyncio.run(_talk(Order(**{**content, "plan": Plan(**content["plan"])})))
    part = Path(path).with_suffix(".part")
    part.write_text(json.dumps(asdict(report)))
    part.rename(path)


if __name__ == "__main__":
    main()
