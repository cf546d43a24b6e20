"""A data logger without its line: what it says next, what it still waits for, and what it has in its memory.

It does no I/O and reads no clock: whoever has a line for it hands over what came and asks `step` what to write.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf

import numpy as np

from rules.readings import Kind
from simulators import signals
from simulators.hj212 import Logger, Upload, framed, packets
from simulators.loggers.heard import Heard, Reader
from simulators.loggers.manner import Manner
from simulators.loggers.requests import Ears, Memory, Setup
from simulators.loggers.speech import garbled, noise, shown, upload_of
from simulators.samples import Said

AGAIN_S = 60.0  # so long what nobody answered lies in the memory before it is sent again, if nothing else is answered
PORTION = 20  # frames of an answer that leave together
PAUSE_S = 0.05
MILLISECOND_NS = 1_000_000
ANSWERS = frozenset({"9013", "9014"})
KIND_BITS = 3
LOG, LOGGER_ITSELF = "3020", "i11001"


@dataclass(slots=True)
class Record:
    """A sample in the memory, with its number in the account. `again`: it was kept. `is_settled`: nobody waits for it."""

    number: int
    said: Said
    again: bool = False
    is_tried: bool = False
    is_settled: bool = False


@dataclass(slots=True)
class Attempt:
    """A record on the line. `waiting`: its frames that nobody has answered, by QN and number of packet."""

    record: Record
    waiting: dict[tuple[str, str], bytes]
    deaf: bool  # the first answer is not heard
    sends: int = 0
    due_s: float = 0.0


@dataclass(slots=True)
class Account:
    """What became of what a logger was given. `frames`: of data, sent for the first time; `repeated`: sent again."""

    frames: int = 0
    repeated: int = 0
    unheard: int = 0  # answers
    cuts: int = 0
    beats: int = 0
    requests: int = 0
    connections: int = 0
    withheld: int = 0  # real-time samples that the platform did not want
    given_up: int = 0


class DataLogger:
    """One logger. Its memory keeps what was not answered until it is.

    `clock`: the true time. `answered` is told the number of each sample that the platform has taken, `settled` the number
    of each for which it is no use to wait: answered, not wanted, or given up for now. A platform that answers nothing,
    or breaks every line, is left alone for a while. With `hurries` the logger does not wait out what it lost itself.
    """

    def __init__(
        self,
        voice: Logger,
        manner: Manner,
        clock: Callable[[], int],
        *,
        seed: int = 0,
        start_ns: int = 0,
        hurries: bool = False,
        answered: Callable[[int], None] = lambda _number: None,
        settled: Callable[[int], None] = lambda _number: None,
    ) -> None:
        self.voice, self.manner = voice, manner
        self.account = Account()
        self.setup = Setup(float(manner.timeout), manner.retries)
        self.memory = Memory()
        self.is_connected = False
        self.wants_cut = False  # the line shall break when all is written
        self.next_s = inf  # when `step` has something to do, if nothing is heard before
        self._clock, self._start_ns, self._hurries = clock, start_ns, hurries
        self._answered, self._settled = answered, settled
        self._dice = {name: signals.stream(seed, manner.station, name) for name in ("deaf", "cut", "noise")}
        self._ears = Ears(voice, self.setup, self.memory, self.shown_ns)
        self._reader = Reader()
        self._queue: deque[Record] = deque()
        self._is_quiet = False  # the platform is left alone, until `_quiet_until_s` or another connection
        self._quiet_until_s = 0.0
        self._was_answered = False  # since something was given up
        self._broken = 0  # lines, one after the other, that brought no answer
        self._trying: list[Attempt] = []
        self._replies: deque[Iterator[bytes]] = deque()
        self._last_qn_ns = 0
        self._said_ns = clock()

    def shown_ns(self) -> int:
        """What its clock shows."""
        now_ns = self._clock()
        return now_ns + self.manner.ahead_ns(now_ns - self._start_ns) + self.setup.set_ns

    @property
    def unanswered(self) -> int:
        """How many samples are in its memory that the platform has not taken."""
        return len(self._queue) + len(self._trying)

    def put(self, number: int, said: Said) -> None:
        """A sample to send. Numbers of one logger grow."""
        said = shown(said, self.manner.ahead_ns(said.sample.due_ns - self._start_ns) + self.setup.set_ns)
        self.memory.keep(said)
        record = Record(number, said, again=said.held)
        if said.sample.kind == Kind.REALTIME and not self.setup.realtime:
            self.account.withheld += 1
            self._settle(record)
        else:
            self._queue.append(record)
            if self._is_hopeless:
                self._settle(record)

    def connected(self) -> None:
        """There is a line."""
        self.is_connected = True
        self._is_quiet = False
        self.account.connections += 1
        self._reader = Reader()
        self._said_ns = self._clock()
        if self.manner.remark:
            log = [(LOGGER_ITSELF, {"Info": f"//{self.manner.remark}//"})]
            told = framed(self.voice, Upload(LOG, self._new_qn_ns(), self.shown_ns(), log))
            self._replies.append(iter([told]))

    def disconnected(self) -> None:
        """The line broke: what was not answered is kept, and goes first when there is one again."""
        self._broken += not self.wants_cut
        self.is_connected = self.wants_cut = False
        self.next_s = inf
        self._replies.clear()
        for attempt in reversed(self._trying):
            attempt.record.again = True
            self._queue.appendleft(attempt.record)
        self._trying.clear()
        self._settle_if_hopeless()

    def heard(self, data: bytes, now_s: float) -> None:
        """Bytes of the platform. Raises NoFrameError."""
        for frame in self._reader.read(data):
            if frame.cn in ANSWERS:
                self._hear_answer(frame, now_s)
            else:
                self.account.requests += 1
                self._replies.append(self._ears.replies(frame))

    def step(self, now_s: float) -> list[bytes]:
        """What to write now, each in one go; what was written is thought to be on the way."""
        if not self.is_connected or self.wants_cut:
            return []
        out = self._next_replies()
        for attempt in list(self._trying):
            if now_s >= attempt.due_s:
                out += self._once_more(attempt, now_s)
        out += self._next_records(now_s)
        out += self._heartbeat()
        if out:
            self._said_ns = self._clock()
        self.next_s = self._when_next(now_s)
        return self._in_writes(out)

    def _next_replies(self) -> list[bytes]:
        out: list[bytes] = []
        while self._replies and len(out) < PORTION:
            frame = next(self._replies[0], None)
            if frame is None:
                self._replies.popleft()
            else:
                out.append(frame)
        return out

    def _once_more(self, attempt: Attempt, now_s: float) -> list[bytes]:
        """The same frames, or, after as many times as the standard says, back into the memory."""
        if attempt.sends > self.setup.retries:
            self._trying.remove(attempt)
            self._give_up(attempt.record, now_s)
            return []
        self.account.repeated += len(attempt.waiting)
        attempt.sends += 1
        attempt.due_s = now_s + self.setup.timeout_s
        return list(attempt.waiting.values())

    def _give_up(self, record: Record, now_s: float) -> None:
        """It goes to the end of the memory, so that it cannot stand in the way of others."""
        self.account.given_up += 1
        record.again = True
        self._queue.append(record)
        self._settle(record)
        if not self._was_answered:
            self._is_quiet, self._quiet_until_s = True, now_s + AGAIN_S
            self._settle_if_hopeless()
        self._was_answered = False

    def _settle(self, record: Record) -> None:
        if not record.is_settled:
            record.is_settled = True
            self._settled(record.number)

    @property
    def _is_hopeless(self) -> bool:
        return self._is_quiet or self._broken > self.setup.retries

    def _settle_if_hopeless(self) -> None:
        if self._is_hopeless:
            for record in self._queue:
                self._settle(record)

    def _next_records(self, now_s: float) -> list[bytes]:
        out: list[bytes] = []
        if self._is_quiet and now_s < self._quiet_until_s:
            return out
        self._is_quiet = False
        while self._queue and len(self._trying) < (2 if self.manner.writes == "joined" else 1) and not self.wants_cut:
            out += self._begun(self._queue.popleft(), now_s)
        return out

    def _begun(self, record: Record, now_s: float) -> list[bytes]:
        """The record's frames under a QN of their own, with what goes wrong when they are sent for the first time."""
        is_new = not record.is_tried
        record.is_tried = True
        upload = upload_of(self.voice, record.said, self._new_qn_ns(), again=record.again)
        frames = packets(self.voice, upload)
        waiting = {_key_of(frame, self.voice): frame for frame in frames}
        self._last_qn_ns += len(frames) * MILLISECOND_NS
        harmed = is_new and record.said.harm == "garbled"
        deaf = is_new and self._falls("deaf", record.said, self.manner.lost_answers)
        attempt = Attempt(record, waiting, deaf, sends=1, due_s=now_s + self.setup.timeout_s)
        self._trying.append(attempt)
        self.account.frames += len(frames)
        if is_new and self._falls("cut", record.said, self.manner.cuts):
            self.wants_cut = True
            self.account.cuts += 1
        if harmed:
            attempt.due_s = now_s if self._hurries else attempt.due_s
            return [garbled(frames[0], record.said.sample.seq)]
        if is_new and self._falls("noise", record.said, self.manner.garbage):
            return [noise(frames[0]), *frames]
        return frames

    def _new_qn_ns(self) -> int:
        """Now, and never the same twice."""
        now_ns = self.shown_ns() // MILLISECOND_NS * MILLISECOND_NS
        is_close = 0 <= self._last_qn_ns - now_ns < 60_000 * MILLISECOND_NS  # further back: the clock was set
        self._last_qn_ns = self._last_qn_ns + MILLISECOND_NS if is_close else now_ns
        return self._last_qn_ns

    def _heartbeat(self) -> list[bytes]:
        beat_ns = int(self.manner.heartbeat * 1e9)
        if not beat_ns or self._trying or self._clock() - self._said_ns < beat_ns:
            return []
        self.account.beats += 1
        return [framed(self.voice, Upload("9015", self._new_qn_ns()))]

    def _hear_answer(self, answer: Heard, now_s: float) -> None:
        for attempt in self._trying:
            of_qn = [key for key in attempt.waiting if key[0] == answer.qn]
            keys = [key for key in of_qn if not key[1] or answer.packet in {"", key[1]}]
            if not keys:
                continue
            if attempt.deaf and attempt.sends == 1:
                self.account.unheard += 1
                attempt.due_s = now_s if self._hurries else attempt.due_s
                return
            del attempt.waiting[keys[0]]
            if not attempt.waiting:
                self._trying.remove(attempt)
                self._was_answered, self._broken = True, 0
                self._answered(attempt.record.number)
                self._settle(attempt.record)
            return

    def _falls(self, name: str, said: Said, share: float) -> bool:
        """Equal dice for equal samples, in every process."""
        which = np.array([said.sample.seq << KIND_BITS | said.sample.kind], dtype=np.uint64)
        return share > 0 and bool(signals.uniform(self._dice[name], which)[0] < share)

    def _when_next(self, now_s: float) -> float:
        due = [attempt.due_s for attempt in self._trying]
        if self._replies:
            due.append(now_s + PAUSE_S)
        if self._is_quiet and self._queue:
            due.append(self._quiet_until_s)
        if self.manner.heartbeat:
            due.append(now_s + 1.0)  # its clock need not run as ours does
        return min(due, default=inf)

    def _in_writes(self, frames: list[bytes]) -> list[bytes]:
        if self.manner.writes == "bytes":
            return [bytes([byte]) for frame in frames for byte in frame]
        return [b"".join(frames)] if self.manner.writes == "joined" and frames else frames


def _key_of(frame: bytes, voice: Logger) -> tuple[str, str]:
    """QN and number of packet, as the answer will name them."""
    head = dict(word.partition("=")[::2] for word in frame[6 : frame.index(b"CP=&&")].decode("ascii").split(";"))
    return head["QN"], head.get("PNO", "") if voice.edition == "2005" else ""
