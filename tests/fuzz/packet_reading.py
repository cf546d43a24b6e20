"""What a stream of MQTT packets holds, read slowly and plainly from the standard: a witness of how it is cut."""

from dataclasses import dataclass, field

LONGEST_LENGTH_FIELD = 4


class Broken(Exception):
    """The stream breaks the protocol here."""


class Unfinished(Exception):
    """More bytes must come before this packet can be read."""


@dataclass
class Held:
    """Messages as (topic, payload, identifier), other packets whole, and whether the protocol was broken after them."""

    messages: list[tuple[str, bytes, int]] = field(default_factory=list)
    others: list[bytes] = field(default_factory=list)
    broken: bool = False


def number(data: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer, and where it ends."""
    value = 0
    for place in range(LONGEST_LENGTH_FIELD):
        if at + place >= len(data):
            raise Unfinished
        value += (data[at + place] & 0x7F) * 128**place
        if data[at + place] < 0x80:
            return value, at + place + 1
    raise Broken


def held(stream: bytes, *, five: bool, most: int) -> Held:
    """All that a reader may take of the stream, up to the first packet that breaks the protocol or is unfinished."""
    found, at = Held(), 0
    try:
        while at + 1 < len(stream):
            length, body = number(stream, at + 1)
            end = body + length
            is_publish = stream[at] >> 4 == 3
            if end - at > most and not is_publish:
                raise Broken
            # Of a message that is too long its beginning is kept; a header that is wrong is known when it is over.
            if end > len(stream):
                raise Unfinished
            if is_publish:
                found.messages.append(message(stream[at], stream[body : min(end, at + most)], five=five))
            else:
                found.others.append(stream[at:end])
            at = end
    except Broken:
        found.broken = True
    except Unfinished:
        pass
    return found


def message(first: int, body: bytes, *, five: bool) -> tuple[str, bytes, int]:
    """PUBLISH of QoS 0 or 1."""
    rest, mid = body, 0
    raw, rest = taken(rest, int.from_bytes(taken(rest, 2)[0], "big") + 2)
    try:
        topic = raw[2:].decode()
    except UnicodeDecodeError as error:
        raise Broken from error
    if not topic or set(topic) & set("+#\0"):
        raise Broken
    match first >> 1 & 3:
        case 0:
            pass
        case 1:
            name, rest = taken(rest, 2)
            mid = int.from_bytes(name, "big")
            if not mid:
                raise Broken
        case _:
            raise Broken
    if five:
        try:
            size, start = number(rest, 0)
        except Unfinished as error:
            raise Broken from error
        _, rest = taken(rest, start + size)
    return topic, rest, mid


def taken(data: bytes, count: int) -> tuple[bytes, bytes]:
    """So many bytes, and the rest."""
    if len(data) < count:
        raise Broken
    return data[:count], data[count:]
