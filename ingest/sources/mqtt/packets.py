"""MQTT 3.1.1 and 5 as bytes: cuts PUBLISH packets out of a stream in bulk, and writes PUBACK packets in bulk.

Pure; nothing here reads a socket. Every packet that is not a PUBLISH is handed back as it came, for paho.
Sections in comments are those of the OASIS standards.
"""

import re
from dataclasses import dataclass, field
from sys import getsizeof

import numpy as np

PUBLISH = 0x30
QOS_BITS = 0x06
DUP_BIT = 0x08
LONGEST_LENGTH_FIELD = 4
MOST_KNOWN_BYTES = 32 << 20  # of topics, each of which may have 65,535
# Not allowed in a topic name (4.7): wildcards and U+0000.
UNFIT_FOR_A_TOPIC = re.compile("[+#\0]")


@dataclass(slots=True)
class Cut:
    """What one piece of the stream completed. `mids` are the packet identifiers of the QoS 1 messages, in order."""

    topics: list[str] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    mids: list[int] = field(default_factory=list)
    dups: list[tuple[int, int]] = field(default_factory=list)  # (index of the message, mid) of those sent again
    payload_bytes: int = 0
    skipped_bytes: int = 0  # of messages that are too large for us; they went by and are kept nowhere
    others: list[bytes] = field(default_factory=list)
    error: str = ""  # the peer broke the protocol after all of the above: close the connection


class MalformedError(ValueError):
    """The peer broke the protocol; never leaves this module."""


class PacketCutter:
    """One direction of one connection. Holds at most one unfinished packet, and at most `most_packet_bytes` of it.

    A PUBLISH that is longer becomes a message all the same, when its last byte has gone by: with its topic, its packet
    identifier and the beginning of its payload, so that the packet up to there has `most_packet_bytes`. Were it an
    error, the broker would send it again on every connection, and nothing behind it would ever come. Any other packet
    that is longer, or a PUBLISH whose header alone is, breaks the protocol.
    """

    def __init__(self, *, version5: bool, most_packet_bytes: int) -> None:
        self._version5 = version5
        self._most_packet_bytes = most_packet_bytes
        self._rest = bytearray()
        self._wanted = 0  # bytes that the unfinished packet needs at least
        self._head = b""  # what is kept of a PUBLISH that is too large, while the rest of it goes by
        self._head_body = 0  # where its variable header begins
        self._to_skip = 0  # bytes of it that are still to come
        self._error = ""
        self._known: dict[bytes, str] = {}  # checked topics; the same text object for all messages of a topic
        self._known_bytes = 0

    def feed(self, data: bytes) -> Cut:
        """The packets that `data` completes. Never raises; after an error every further call gives that error."""
        cut = Cut(error=self._error)
        if self._error:
            return cut
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return cut
            data = bytes(self._rest)
        try:
            used = self._cut(data, cut)
        except MalformedError as error:
            cut.error = self._error = str(error)
            used = len(data)
        self._rest = bytearray(data[used:])
        cut.payload_bytes = sum(map(len, cut.payloads))
        return cut

    def _cut(self, data: bytes, cut: Cut) -> int:
        """Fills `cut`; returns how many bytes are used up."""
        end = len(data)
        start = self._skip(0, end, cut) if self._to_skip else 0
        most = self._most_packet_bytes
        while end - start >= 2:
            # Fixed header (2.1.4): the length is one byte, or two: then 14 bits, the usual case. Else see below.
            length = data[start + 1]
            body = start + 2
            if length > 0x7F:
                if end - start >= 3 and data[start + 2] < 0x80:
                    length += (data[start + 2] - 1) << 7
                    body = start + 3
                else:
                    length, body = _variable_length(data, start + 1)
                    if not body:
                        self._wanted = 0
                        return start
            stop = body + length
            if stop - start > most:
                if data[start] & 0xF0 != PUBLISH:
                    raise MalformedError(f"a packet of {stop - start} bytes; most_packet_bytes is {most}")
                if end - start < most:
                    self._wanted = most
                    return start
                self._head, self._head_body = data[start : start + most], body - start
                self._to_skip = stop - start - most
                start = self._skip(start + most, end, cut)
                continue
            if stop > end:
                self._wanted = stop - start
                return start
            first = data[start]
            if first & 0xF0 == PUBLISH:
                self._publish(data, first, body, stop, cut)
            else:
                cut.others.append(data[start:stop])
            start = stop
        self._wanted = 0
        return start

    def _skip(self, at: int, end: int, cut: Cut) -> int:
        """Lets a PUBLISH that is too large go by; with its last byte, its head becomes a message. Returns where it is."""
        skipped = min(self._to_skip, end - at)
        self._to_skip -= skipped
        cut.skipped_bytes += skipped
        if not self._to_skip:
            head, self._head = self._head, b""
            self._publish(head, head[0], self._head_body, len(head), cut)
        return at + skipped

    def _publish(self, data: bytes, first: int, at: int, stop: int, cut: Cut) -> None:
        """PUBLISH (3.3) whose variable header begins at `at`."""
        if stop - at < 2:
            raise MalformedError("a PUBLISH packet without a topic")
        topic_at = at + 2
        at = topic_at + (data[at] << 8 | data[at + 1])
        raw_topic = data[topic_at:at]
        topic = self._known.get(raw_topic) or self._checked_topic(raw_topic)
        mid = 0
        if qos_bits := first & QOS_BITS:
            if qos_bits != 2:
                raise MalformedError("a PUBLISH packet of QoS 2, which was not asked for" if qos_bits == 4 else "QoS 3")
            at += 2
            if at <= stop:
                mid = data[at - 2] << 8 | data[at - 1]
            if not mid:
                raise MalformedError("a PUBLISH packet of QoS 1 without a packet identifier")
        if self._version5:
            length, properties_at = _variable_length(data[at : min(stop, at + LONGEST_LENGTH_FIELD)], 0)
            if not properties_at:
                raise MalformedError("the properties of a PUBLISH packet have no length")
            at += properties_at + length
        if at > stop:
            raise MalformedError("a PUBLISH packet is shorter than its own header")
        cut.topics.append(topic)
        cut.payloads.append(data[at:stop])
        if mid:
            cut.mids.append(mid)
            if first & DUP_BIT:
                cut.dups.append((len(cut.payloads) - 1, mid))

    def _checked_topic(self, raw: bytes) -> str:
        if not raw:
            raise MalformedError("a PUBLISH packet without a topic (topic aliases were not offered)")
        try:
            topic = raw.decode()
        except UnicodeDecodeError:
            raise MalformedError(f"a topic that is not UTF-8: {raw[:100]!r}") from None
        if UNFIT_FOR_A_TOPIC.search(topic):
            raise MalformedError(f"a topic with a wildcard or U+0000: {topic[:100]!r}")
        if self._known_bytes >= MOST_KNOWN_BYTES:
            self._known.clear()
            self._known_bytes = 0
        self._known[raw] = topic
        self._known_bytes += getsizeof(raw) + getsizeof(topic)
        return topic


def _variable_length(data: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer (5: 1.5.5) and where it ends; (0, 0) when it is unfinished."""
    length = 0
    for n, byte in enumerate(data[at : at + LONGEST_LENGTH_FIELD]):
        length |= (byte & 0x7F) << 7 * n
        if byte < 0x80:
            return length, at + n + 1
    if len(data) - at >= LONGEST_LENGTH_FIELD:
        raise MalformedError("a length of more than four bytes")
    return 0, 0


def pubacks(mids: list[int]) -> bytes:
    """PUBACK packets (3.4) for these packet identifiers, in this order; the same bytes in 3.1.1 and 5."""
    words = np.full(2 * len(mids), 0x40_02, dtype=">u2")
    words[1::2] = mids
    return words.tobytes()
