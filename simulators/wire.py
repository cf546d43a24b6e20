"""How a simulated station speaks: JSON of the format json_v1, and MQTT 3.1.1 packets.

Written from the published documents alone, so that the reader on the other side has a witness.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

from simulators.samples import Sample

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DISCONNECT = b"\xe0\x00"


def text_of_time(time_ns: int, offset_s: int) -> str:
    """RFC 3339 with the zone that is `offset_s` ahead of UTC; to the second, or the microsecond where there is one."""
    moment = EPOCH + timedelta(microseconds=time_ns // 1000)
    return moment.astimezone(timezone(timedelta(seconds=offset_s))).isoformat()


def topic_of(station: str, kind: str) -> str:
    return f"jianwei/v1/{station}/{kind}"


def dumped(message: Mapping[str, object]) -> bytes:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def encode(sample: Sample, decimals: Mapping[str, int], offset_s: int) -> bytes:
    """One sample as json_v1, values rounded to the `decimals` of their parameter."""
    message: dict[str, object] = {
        "station": sample.station,
        "kind": sample.kind.name.lower(),
        "time": text_of_time(sample.measured_ns, offset_s),
        "seq": sample.seq,
        "values": {p: None if v is None else round(v, decimals[p]) for p, v in sample.values.items()},
    }
    if sample.flags:
        message["flags"] = dict(sample.flags)
    return dumped(message)


def scaled(payload: bytes, by: float) -> bytes:
    """The same message with every value times `by`."""
    message = json.loads(payload)
    message["values"] = {p: None if v is None else round(v * by, 4) for p, v in message["values"].items()}
    return dumped(message)


def with_text_value(payload: bytes, parameter: str) -> bytes:
    """The same message, one number in quotation marks."""
    message = json.loads(payload)
    message["values"][parameter] = str(message["values"][parameter])
    return dumped(message)


def with_naive_time(payload: bytes) -> bytes:
    """The same message, the zone cut off its time."""
    message = json.loads(payload)
    message["time"] = message["time"][:19]
    return dumped(message)


def garbled(payload: bytes, turn: int) -> bytes:
    """Not a message any more: cut short, noise, or JSON of another shape, by turns."""
    if turn % 3 == 0:
        return payload[: len(payload) * 2 // 3]
    if turn % 3 == 1:
        return hashlib.sha256(payload).digest()
    return b'["' + payload[12:20].replace(b'"', b"") + b'",null]'


def length_bytes(length: int) -> bytes:
    """MQTT's "remaining length": seven bits a byte, the low ones first."""
    out = bytearray()
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out)


def mqtt_text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("!H", len(data)) + data


def publish_head(topic: str, payload_bytes: int, *, again: bool = False) -> bytes:
    """A QoS 1 PUBLISH up to its packet id: the id (two bytes, high one first) and the payload follow."""
    name = mqtt_text(topic)
    first = 0x3A if again else 0x32
    return bytes([first]) + length_bytes(len(name) + 2 + payload_bytes) + name


def publish_packet(topic: str, payload: bytes, packet_id: int, *, again: bool = False) -> bytes:
    """A whole QoS 1 PUBLISH; `again` sets the flag that says it may be a duplicate."""
    return publish_head(topic, len(payload), again=again) + struct.pack("!H", packet_id) + payload


def connect_packet(client_id: str, username: str | None, password: str | None) -> bytes:
    """CONNECT of MQTT 3.1.1 with a clean session and no keep-alive."""
    flags = 0x02 | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    body = mqtt_text("MQTT") + bytes([4, flags, 0, 0]) + mqtt_text(client_id)
    for text in (username, password):
        if text is not None:
            body += mqtt_text(text)
    return b"\x10" + length_bytes(len(body)) + body
