import json
import struct
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from rules.readings import SECOND_NS, Kind
from simulators import wire
from simulators.samples import Sample

VALUES = st.dictionaries(
    st.text("abcw0123456789", min_size=1, max_size=6),
    st.none() | st.floats(-1e6, 1e6, allow_nan=False),
    min_size=1,
    max_size=8,
)


@given(VALUES, st.integers(0, 4_000_000_000), st.sampled_from([0, 28_800, -18_000]), st.integers(0, 4))
def test_a_message_says_what_the_sample_was(
    values: dict[str, float | None], second: int, offset_s: int, places: int
) -> None:
    sample = Sample("A-1", Kind.HOUR, 17, second * SECOND_NS, 0, 0, values, {"w": "M"})
    message = json.loads(wire.encode(sample, dict.fromkeys(values, places), offset_s))
    assert message["values"] == {p: None if v is None else round(v, places) for p, v in values.items()}
    assert datetime.fromisoformat(message["time"]).timestamp() == second
    assert (message["station"], message["kind"], message["seq"]) == ("A-1", "hour", 17)
    assert message["flags"] == {"w": "M"}


def test_a_message_without_flags_has_no_such_key() -> None:
    payload = wire.encode(Sample("A", Kind.DAY, 0, 0, 0, 0, {"x": 7.2}, {}), {"x": 1}, 8 * 3600)
    assert payload == b'{"station":"A","kind":"day","time":"1970-01-01T08:00:00+08:00","seq":0,"values":{"x":7.2}}'


@given(st.integers(0, 268_435_455))
def test_a_remaining_length_reads_back(length: int) -> None:
    """The decoding loop of the MQTT standard, section 2.2.3."""
    value, multiplier = 0, 1
    for byte in wire.length_bytes(length):
        value += (byte & 127) * multiplier
        multiplier *= 128
    assert value == length
    assert len(wire.length_bytes(length)) <= 4


def test_a_publish_packet_has_the_bytes_of_the_standard() -> None:
    packet = wire.publish_packet("a/b", b"hi", 10, again=True)
    assert packet == b"\x3a\x09" + struct.pack("!H", 3) + b"a/b" + struct.pack("!H", 10) + b"hi"


def test_a_connect_packet_carries_the_credentials() -> None:
    assert wire.connect_packet("c", "u", "p") == b"\x10\x13\x00\x04MQTT\x04\xc2\x00\x00\x00\x01c\x00\x01u\x00\x01p"
    assert wire.connect_packet("c", None, None) == b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c"


@given(st.integers(0, 20))
def test_garbled_bytes_are_no_message(turn: int) -> None:
    payload = wire.encode(Sample("A-1", Kind.HOUR, 1, 0, 0, 0, {"x": 7.25}, {}), {"x": 2}, 0)
    try:
        message = json.loads(wire.garbled(payload, turn))
    except ValueError:
        return
    assert not isinstance(message, dict)
