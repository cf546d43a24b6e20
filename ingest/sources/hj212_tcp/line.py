"""One connection of a logger, or of a forwarder with many: what comes is handed on, what is durable is answered."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ingest.hj212.envelopes import Envelope, Stream
from ingest.hj212.framing import HEAD_BYTES, Unread
from ingest.hj212.profiles import PLAIN
from ingest.hj212.requests import ANSWERS, Dialogue
from ingest.hj212.segment import OPENING, Head, read_head
from ingest.message import Request
from ingest.sources.hj212_tcp.inbox import Arrival
from ingest.sources.hj212_tcp.speakers import Speaker

if TYPE_CHECKING:
    from ingest.sources.hj212_tcp.port import Port

OURS = "jianwei/hj212/"
NOBODY = "-"
HEARTBEAT, ASKS_FOR_TIME = "9015", "1013"
# Nothing in them could be lost: they are not kept, and what is answered to them waits for nothing.
UNKEPT = ANSWERS | {HEARTBEAT}
WRONG_PASSWORD = "wrong_password"  # noqa: S105  # the name of a reason
LONGEST_WAIT_S = 1.0
LINGER_S = 10.0  # who has said everything may wait so long for answers: it may as well have gone
STRANGERS_GARBAGE = 16 * 1024  # bytes: two of the longest frames
MOST_SPEAKERS = 1_000  # MNs on one line


class Line(asyncio.BufferedProtocol):
    """Lives on the port's loop, as all of it does."""

    def __init__(self, port: "Port", address: str) -> None:
        self._port = port
        self.address = address
        self._opened_s = self._resumed_s = time.monotonic()
        self._heard_s = 0.0  # when a frame came whose check fits; 0: none did
        self.is_begun = self.is_met = False  # the connection is being set up; it is
        self.is_proved = False  # a registered logger has spoken
        self.why = "peer"  # it was closed
        self._transport: asyncio.Transport | None = None
        self._stream = Stream(port.speakers.heads, port.bounds)
        self._register = port.speakers.number
        self._speakers: dict[str, Speaker] = {}  # by MN as it is sent
        self._mn = NOBODY  # that spoke last
        self._dialogue: Dialogue | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reading = True
        self._ended_s = 0.0  # since when nothing more will come
        self._closing_s = 0.0  # since when it is being closed
        self._held_messages = 0
        self._held_bytes = 0
        self._garbage_bytes = 0  # in a row
        self._refused = 0  # in a row

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream is asked for")
        self._transport, self.is_met = transport, True
        transport.set_write_buffer_limits(high=self._port.settings.most_unread_bytes)
        self._port.opened(self)
        self.mind()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # one buffer for all: what comes is read at once
        """Strangers have short turns: the worst that they can send costs a hundred times what a frame does."""
        return self._port.buffer if self.is_proved else self._port.strangers_buffer

    def buffer_updated(self, nbytes: int) -> None:
        now_ns = self._port.clock()
        data = bytes(self._port.buffer[:nbytes])
        self._guarded(lambda: self._receive(data, now_ns))

    def eof_received(self) -> bool:
        """Who has no more to say may still wait for answers."""
        self._ended_s = time.monotonic()
        self._guarded(self._finish)
        if not self._held_messages:
            self.close("peer")
        return not self._port.is_tls

    def pause_writing(self) -> None:
        """More waits to be read by the other side than is allowed."""
        self.abort("unread_answers")

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._guarded(self._finish)
        self._transport = None
        self._guarded(self._leave)
        self._port.closed(self)

    def _leave(self) -> None:
        now_ns = self._port.clock()
        if self._timer is not None:
            self._timer.cancel()
        for speaker in set(self._speakers.values()):
            self._port.speakers.left(speaker, self, now_ns)
        self._speakers.clear()
        if self._dialogue is not None:
            self._dialogue.close(now_ns)
            self._port.moved(self._dialogue.moved())

    def _guarded(self, work: Callable[[], None]) -> None:
        """What nobody foresaw costs this line, and no other."""
        try:
            work()
        except Exception as error:  # noqa: BLE001  # the outer frame of all that a line does
            self._port.failed(error)
            self.abort("error")

    # What the port calls.

    def settle(self, arrivals: Sequence[Arrival["Line"]]) -> None:
        """These are durable: they are answered, in their order, with one write."""
        answers: list[bytes] = []
        want_time: list[str] = []
        for arrival in arrivals:
            self._held_messages -= arrival.messages
            self._held_bytes -= arrival.payload_bytes
            answers += arrival.answers
            want_time += arrival.want_time
        if self._transport is not None:
            self._guarded(lambda: self._settled(answers, want_time))

    def _settled(self, answers: Sequence[bytes], want_time: Sequence[str]) -> None:
        self._say(answers)
        for mn in want_time:
            if mn in self._speakers:
                self._port.set_clock(self._speakers[mn], self, mn)
        if self._ended_s and not self._held_messages:
            self.close("peer")
        self.mind()

    def ask(self, request: Request) -> None:
        """A request to a station that spoke on this line."""
        if self._dialogue is not None:
            self._dialogue.ask(request, self._port.clock())
            self._talk()

    def mind(self) -> None:
        """Reads, or stops reading, as there is room."""
        settings = self._port.settings
        full = self._held_messages >= settings.share_messages or self._held_bytes >= settings.share_bytes
        wanted = not (full or self._port.full or self._ended_s)
        if self._transport is None or wanted == self._reading:
            return
        self._reading = wanted
        if wanted:
            self._resumed_s = time.monotonic()
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def tend(self, now_s: float) -> None:
        """Once a second or so: gives up what takes too long."""
        if self._closing_s:
            if now_s - self._closing_s > self._port.settings.stop_s:
                self.abort(self.why)
        elif self._ended_s:
            if now_s - self._ended_s > LINGER_S:
                self.close("peer")
        elif self._reading:
            self._guarded(lambda: self._give_up(now_s))

    def _give_up(self, now_s: float) -> None:
        settings, since_s = self._port.settings, now_s - self._resumed_s
        # What waited in the kernel while nobody read is read before anything is given up.
        if self._stream.waiting and since_s >= min(settings.frame_time_s, self._port.bounds.settled_s):
            now_ns = self._port.clock()
            self._take(self._stream.expire(now_ns), now_ns)
        if not self._heard_s and now_s - self._opened_s >= settings.first_frame_s:
            self.close("no_frame")
        elif min(since_s, now_s - self._heard_s) >= settings.idle_s:
            self.close("idle")

    def close(self, why: str) -> None:
        """After what was written has left."""
        if self._transport is not None and not self._closing_s:
            self.why, self._closing_s = why, time.monotonic()
            self._transport.close()

    def abort(self, why: str) -> None:
        """At once."""
        self.why = why
        if self._transport is not None:
            self._closing_s = self._closing_s or time.monotonic()
            self._transport.abort()

    # What comes.

    def _finish(self) -> None:
        """What can be made of the rest."""
        if self._stream.waiting:
            now_ns = self._port.clock()
            self._take(self._stream.close(now_ns), now_ns)

    def _receive(self, data: bytes, now_ns: int) -> None:
        if self._register != self._port.speakers.number:
            self._register_anew(now_ns)
        self._take(self._stream.receive(data, now_ns), now_ns)

    def _take(self, pieces: Sequence[Envelope | Unread], now_ns: int) -> None:
        now_s = time.monotonic()
        topics: list[str] = []
        payloads: list[bytes] = []
        arrival: Arrival[Line] = Arrival(self)
        at_once: list[bytes] = []
        for piece in pieces:
            if isinstance(piece, Unread):
                if self._is_kept(piece, now_ns):
                    topics.append(OURS + self._mn)
                    payloads.append(piece.raw)
                continue
            head, self._heard_s = piece.known.head, now_s
            speaker = self._speakers.get(head.mn) or self._admitted(piece, now_ns)
            if speaker is None:
                self._refused += 1
                self._port.traffic.refused += 1
                continue
            self._hear(speaker, piece, now_ns)
            answer = piece.answer
            if head.cn in UNKEPT:
                at_once += [answer] if answer else []
                continue
            topics.append(OURS + self._mn)
            payloads.append(piece.raw)
            if answer:
                arrival.answers.append(answer)
            if head.cn == ASKS_FOR_TIME:
                arrival.want_time.append(head.mn)
        if at_once:
            self._say(at_once)
        if payloads:
            self._hand_on(arrival, topics, payloads, now_ns)
        self._bound()

    def _hand_on(self, arrival: Arrival["Line"], topics: list[str], payloads: list[bytes], now_ns: int) -> None:
        arrival.messages, arrival.payload_bytes = len(payloads), sum(map(len, payloads))
        self._held_messages += arrival.messages
        self._held_bytes += arrival.payload_bytes
        self._port.put(arrival, topics, payloads, now_ns)
        settings = self._port.settings
        if self._held_messages >= settings.share_messages or self._held_bytes >= settings.share_bytes:
            self.mind()

    def _bound(self) -> None:
        settings = self._port.settings
        if not (self._garbage_bytes or self._refused):
            return
        most = settings.most_garbage_bytes if self.is_proved else min(settings.most_garbage_bytes, STRANGERS_GARBAGE)
        if self._garbage_bytes > most:
            self.close("garbage")
        elif self._refused >= settings.most_refused:
            self.close("refused")

    def _hear(self, speaker: Speaker, envelope: Envelope, now_ns: int) -> None:
        """A frame of a logger that may speak."""
        port, head, dialogue = self._port, envelope.known.head, self._dialogue
        port.traffic.frames += 1
        self._garbage_bytes = self._refused = 0
        if head.mn:
            self._mn = head.mn
        port.speakers.heard(speaker, self, envelope, now_ns)
        if dialogue is not None and (head.cn in ANSWERS or dialogue.next_ns is not None):
            dialogue.heard(envelope.opened(port.speakers.heads.stations), now_ns)
            self._talk()
        if speaker.corrects and port.speakers.wants_time(speaker, now_ns):
            port.set_clock(speaker, self, head.mn)

    def _admitted(self, envelope: Envelope, now_ns: int) -> Speaker | None:
        """The station of an MN that is new on this line; None where it may not speak."""
        port, head = self._port, envelope.known.head
        if not head.mn:  # answers of 2005 name nobody: there is but one who can have said them
            return self._speakers.get(self._mn) if len(self._speakers) == 1 else None
        speaker = port.speakers.of(envelope.known.profile)
        if speaker is None:
            port.refusals.stranger(head, self.address, now_ns)
            return None
        if not speaker.may_come_from(self.address):
            self._refuse(head, f"it may not connect from {self.address}: see `addresses` in its register entry", now_ns)
            return None
        if len(self._speakers) >= MOST_SPEAKERS:
            return None
        is_new = self not in speaker.lines
        self._speakers[head.mn] = speaker
        if self._dialogue is None:
            self._dialogue = Dialogue(port.speakers.heads.stations, port.pace)
        self._dialogue.met(head)
        self.is_proved = True
        port.prove(self)
        if is_new:
            port.speakers.came(speaker, self, envelope, now_ns)
        return speaker

    def _refuse(self, head: Head, why: str, now_ns: int) -> None:
        self._port.refusals.tell(head.mn, self.address, head.edition, why, now_ns, is_unknown=False)

    def _register_anew(self, now_ns: int) -> None:
        """The register was replaced: everybody is looked at again."""
        speakers = self._port.speakers
        self._register = speakers.number
        self._stream.register(speakers.heads)
        if self._dialogue is not None:
            self._dialogue.stations = speakers.heads.stations
        before, self._speakers = self._speakers, {}
        for mn, speaker in before.items():
            if speakers.named(mn) is speaker and speaker.may_come_from(self.address):
                self._speakers[mn] = speaker
        for speaker in set(before.values()) - set(self._speakers.values()):
            speakers.left(speaker, self, now_ns)

    def _is_kept(self, unread: Unread, now_ns: int) -> bool:
        """Whether bytes that are no frame go on to quarantine; those of strangers only as far as there is room."""
        port = self._port
        if unread.reasons == (WRONG_PASSWORD,):
            self._wrong_password(unread.raw, now_ns)
            return False
        self._garbage_bytes += len(unread.raw)
        port.traffic.garbage_bytes += len(unread.raw)
        return self.is_proved or port.has_room_for_garbage(len(unread.raw), now_ns)

    def _wrong_password(self, raw: bytes, now_ns: int) -> None:
        self._refused += 1
        self._port.traffic.refused += 1
        outside = raw[HEAD_BYTES : raw.find(OPENING)].decode("latin-1")
        self._refuse(read_head(outside, PLAIN), "the password is not this station's", now_ns)

    # What is said.

    def _say(self, frames: Sequence[bytes]) -> None:
        if frames and self._transport is not None and not self._transport.is_closing():
            self._port.traffic.answers += len(frames)
            self._transport.write(b"".join(frames))

    def _talk(self) -> None:
        """Requests: what is due is sent, what became of them is told, and the next time is noted."""
        dialogue = self._dialogue
        if dialogue is None or self._transport is None:
            return
        now_ns = self._port.clock()
        frames = dialogue.step(now_ns)
        if frames:
            self._transport.write(b"".join(frames))
        self._port.moved(dialogue.moved())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if dialogue.next_ns is not None:
            wait_s = min(LONGEST_WAIT_S, max(0.01, (dialogue.next_ns - now_ns) / 1e9))
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._talk)
