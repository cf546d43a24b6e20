"""However the stream is cut, and whatever it holds, the same packets come out, or one error."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.sources.mqtt.packets import Cut, PacketCutter, pubacks
from tests.brokers_by_packets import PINGRESP, PUBACK, SUBACK, packet, publish, suback, varying

TOPIC = st.text(st.characters(blacklist_characters="+#\0", blacklist_categories=["Cs"]), min_size=1, max_size=20)
MESSAGE = st.tuples(TOPIC, st.binary(max_size=300), st.integers(0, 65_535), st.binary(max_size=200))
OTHER = st.one_of(
    st.just(packet(PINGRESP)), st.builds(suback, st.integers(1, 65_535), st.lists(st.just(1), min_size=1, max_size=200))
)


def in_pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
    return [stream[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def fed(pieces: list[bytes], *, five: bool = False, most: int = 10_000) -> Cut:
    """All that came out, as one."""
    cutter = PacketCutter(version5=five, most_packet_bytes=most)
    whole = Cut()
    for piece in pieces:
        cut = cutter.feed(piece)
        whole.topics += cut.topics
        whole.payloads += cut.payloads
        whole.mids += cut.mids
        whole.others += cut.others
        whole.payload_bytes += cut.payload_bytes
        whole.skipped_bytes += cut.skipped_bytes
        whole.error = cut.error
    return whole


@settings(deadline=None)
@given(st.booleans(), st.lists(st.one_of(MESSAGE, OTHER), max_size=8), st.lists(st.integers(0, 2_000), max_size=12))
def test_any_cut_of_a_stream_gives_the_same_packets(
    five: bool, said: list[tuple[str, bytes, int, bytes] | bytes], cuts: list[int]
) -> None:
    stream = b"".join(
        one if isinstance(one, bytes) else publish(*one[:3], five=five, properties=one[3]) for one in said
    )
    messages = [one for one in said if not isinstance(one, bytes)]

    cut = fed(in_pieces(stream, cuts), five=five)

    assert cut.topics == [topic for topic, *_ in messages]
    assert cut.payloads == [payload for _, payload, *_ in messages]
    assert cut.mids == [mid for *_, mid, _ in messages if mid]
    assert cut.others == [one for one in said if isinstance(one, bytes)]
    assert cut.payload_bytes == sum(map(len, cut.payloads))
    assert cut.error == ""


@settings(deadline=None, max_examples=300)
@given(st.booleans(), st.lists(st.binary(max_size=60), max_size=8))
def test_random_bytes_never_raise(five: bool, pieces: list[bytes]) -> None:
    fed(pieces, five=five, most=100)
    fed([b"\x32" + piece for piece in pieces], five=five, most=100)


@settings(deadline=None)
@given(st.booleans(), st.lists(MESSAGE, min_size=1, max_size=3), st.integers(0, 10_000), st.integers(0, 255))
def test_one_wrong_byte_never_raises(
    five: bool, messages: list[tuple[str, bytes, int, bytes]], at: int, byte: int
) -> None:
    stream = bytearray(b"".join(publish(*m[:3], five=five, properties=m[3]) for m in messages))
    stream[at % len(stream)] = byte
    whole, halves = fed([bytes(stream)], five=five), fed([bytes(stream[:at]), bytes(stream[at:])], five=five)
    assert whole == halves


# Messages that are too large for us


LARGE_OR_NOT = st.tuples(TOPIC, st.integers(0, 1_200).map(bytes), st.integers(0, 65_535), st.binary(max_size=60))


@settings(deadline=None, max_examples=300)
@given(
    st.booleans(), st.lists(st.one_of(LARGE_OR_NOT, OTHER), max_size=6), st.lists(st.integers(0, 8_000), max_size=12)
)
def test_of_a_message_that_is_too_large_the_beginning_comes_out_and_all_others_whole(
    five: bool, said: list[tuple[str, bytes, int, bytes] | bytes], cuts: list[int]
) -> None:
    most = 240
    packets = [one if isinstance(one, bytes) else publish(*one[:3], five=five, properties=one[3]) for one in said]
    kept, mids, skipped = [], [], 0
    for one, written in zip(said, packets, strict=True):
        if not isinstance(one, bytes):
            kept.append((one[0], one[1][: max(0, len(one[1]) - max(0, len(written) - most))]))
            mids.append(one[2])
            skipped += max(0, len(written) - most)

    cut = fed(in_pieces(b"".join(packets), cuts), five=five, most=most)

    assert list(zip(cut.topics, cut.payloads, strict=True)) == kept
    assert cut.mids == [mid for mid in mids if mid]
    assert cut.others == [one for one in said if isinstance(one, bytes)]
    assert (cut.payload_bytes, cut.skipped_bytes) == (sum(map(len, cut.payloads)), skipped)
    assert cut.error == ""


@pytest.mark.parametrize("size", [1, 7, 100, 101, 10_000])
def test_a_large_message_is_none_before_its_last_byte(size: int) -> None:
    stream = publish("a/b", b"z" * 500, 9, dup=True)
    cutter = PacketCutter(version5=False, most_packet_bytes=100)
    for piece in in_pieces(stream[:-1], list(range(0, len(stream), size))):
        assert not cutter.feed(piece).topics
    cut = cutter.feed(stream[-1:] + GOOD)
    assert cut.topics == ["a/b", "a/b"]
    assert cut.payloads == [b"z" * 90, b"before"]
    assert (cut.mids, cut.dups) == ([9, 7], [(0, 9)])


def test_a_packet_of_another_kind_may_be_as_long_as_the_limit_and_no_longer() -> None:
    answer = suback(1, [1] * 100)
    assert fed([answer], most=len(answer)).others == [answer]
    assert fed([answer], most=len(answer) - 1).error != ""


def test_properties_that_alone_are_too_long_are_an_error() -> None:
    large = publish("t", b"x", 1, five=True, properties=bytes(300))
    assert "header" in fed([large], five=True, most=200).error


def test_the_largest_message_of_all_needs_no_more_memory_than_one_that_fits() -> None:
    most, piece = 100_000, bytes(64 * 1024)
    length = 0x0FFF_FFFF
    start = b"\x32\xff\xff\xff\x7f" + b"\0\x01a" + b"\0\x05"
    left = length - len(start) + 5
    cutter = PacketCutter(version5=False, most_packet_bytes=most)
    tracemalloc.start()
    try:
        assert cutter.feed(start) == Cut()
        while left > len(piece):
            left -= len(piece)
            assert not cutter.feed(piece).topics
        assert tracemalloc.get_traced_memory()[1] < 5 * most
    finally:
        tracemalloc.stop()
    cut = cutter.feed(piece[:left] + GOOD)
    assert cut.topics == ["a", "a/b"]
    assert (cut.mids, len(cut.payloads[0])) == ([5, 7], most - len(start))


GOOD = publish("a/b", b"before", 7)
BROKEN = {
    "no topic": packet(0x30, b""),
    "half a topic length": packet(0x30, b"\0"),
    "empty topic, as with an alias": publish("", b"x", 1),
    "topic that is not UTF-8": publish(b"a/\xff", b"x", 1),
    "topic with a surrogate": publish(b"a/\xed\xa0\x80", b"x", 1),
    "topic with U+0000": publish("a\0b", b"x", 1),
    "topic with a wildcard": publish("a/+/b", b"x", 1),
    "topic longer than the packet": packet(0x30, b"\0\x09abc"),
    "QoS 2": packet(0x34, b"\0\x01a\0\x01x"),
    "QoS 3": packet(0x36, b"\0\x01a\0\x01x"),
    "QoS 1 without an identifier": packet(0x32, b"\0\x01a"),
    "QoS 1 with half an identifier": packet(0x32, b"\0\x01a\0"),
    "QoS 1 with identifier 0": packet(0x32, b"\0\x01a\0\0x"),
    "length of five bytes": b"\x30\xff\xff\xff\xff\x01",
    "long packet of another kind": b"\x90" + varying(5_000),
    "large message of QoS 2": packet(0x34, b"\0\x01a\0\x01" + bytes(2_000)),
    "large message to a topic with a wildcard": publish("a/+/b", bytes(2_000), 1),
    "topic that alone is too long": publish("a" * 2_000, b"x", 1),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_what_breaks_the_protocol_is_an_error_after_the_good_packets(broken: bytes, size: int) -> None:
    stream = GOOD + broken + GOOD
    cut = fed([stream[at : at + size] for at in range(0, len(stream), size)], most=1_000)
    assert (cut.topics, cut.payloads, cut.mids) == (["a/b"], [b"before"], [7])
    assert cut.error != ""


@pytest.mark.parametrize("properties", [b"", b"\x80", b"\x05ab", b"\xff\xff\xff\xff\x01"], ids=repr)
def test_broken_properties_are_an_error(properties: bytes) -> None:
    assert fed([packet(0x32, b"\0\x01a\0\x01" + properties)], five=True).error != ""


def test_an_unfinished_packet_waits() -> None:
    cut = fed([GOOD, GOOD[:-1]])
    assert cut.payloads == [b"before"]
    assert cut.error == ""


def test_messages_that_come_again_are_marked() -> None:
    stream = [
        publish("t", b"0"),
        publish("t", b"1", 5, dup=True),
        publish("t", b"2", 6),
        publish("t", b"3", 7, dup=True),
    ]
    assert PacketCutter(version5=False, most_packet_bytes=100).feed(b"".join(stream)).dups == [(1, 5), (3, 7)]


def test_messages_of_a_topic_share_its_text() -> None:
    topics = fed([GOOD, GOOD]).topics
    assert topics[0] is topics[1]


@pytest.mark.parametrize(("length", "number"), [(60_000, 100), (10, 20_000)])
def test_topics_are_remembered_within_a_bound_on_their_size(
    length: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.sources.mqtt.packets.MOST_KNOWN_BYTES", 1_000_000)
    cutter = PacketCutter(version5=False, most_packet_bytes=100_000)
    names = [f"{n:x<{length}}" for n in range(number)]
    assert [cutter.feed(publish(name, b"1")).topics for name in names] == [[name] for name in names]
    assert 0 < sum(map(len, cutter._known)) < 600_000
    assert cutter.feed(publish(names[-1], b"1")).topics[0] is cutter._known[names[-1].encode()]


@given(st.lists(st.integers(1, 65_535), max_size=50))
def test_acknowledgements_are_packets_in_the_given_order(mids: list[int]) -> None:
    others = fed([pubacks(mids)]).others
    assert all(other[:2] == bytes([PUBACK, 2]) for other in others)
    assert [int.from_bytes(other[2:], "big") for other in others] == mids
    assert SUBACK not in {other[0] for other in others}
