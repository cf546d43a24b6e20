"""Packets of one group: in any order, repeated, lost, and never more of them than there is room for."""

from itertools import permutations

import pytest

from ingest.hj212.segment import Frame
from ingest.hj212.splits import SplitBounds, Splits
from rules.readings import SECOND_NS
from simulators.hj212 import Edition, Logger, Upload, packets, wire
from tests.ingest.hj212_speaking import AT_NS, LOGGER, MN, NOW_NS, pieces

ITEMS = [(f"w{20_000 + number}", {"Avg": f"{number}.25", "Max": "9", "Flag": "N"}) for number in range(60)]


def frames(data: bytes) -> list[Frame]:
    return [piece for piece in pieces(data) if isinstance(piece, Frame)]


def group(edition: Edition = "2017", mn: str = MN) -> list[Frame]:
    return frames(b"".join(packets(Logger(mn, edition=edition), Upload("2061", NOW_NS, AT_NS, ITEMS))))


def single(number: int, of: int, qn: str = "20260512080000000", when: str = "", mn: str = MN) -> Frame:
    body = f"DataTime={when};" if when else ""
    head = f"QN={qn};ST=32;CN=2061;PW=1;MN={mn};Flag=3;PNUM={of};PNO={number};"
    return frames(wire(f"{head}CP=&&{body}{200 + number}-Avg={number}&&".encode()))[0]


@pytest.mark.parametrize("edition", ["2005", "2017", "2025"])
def test_a_group_is_whole_when_every_packet_came_in_whatever_order(edition: Edition) -> None:
    sent = group(edition)
    assert len(sent) == 3
    for order in permutations(sent):
        splits = Splits()
        came = [splits.add(frame, NOW_NS)[0] for frame in (order[0], *order)]
        assert came[:-1] == [None] * 3
        whole = came[-1]
        assert whole is not None
        assert whole.items == {code: fields for code, fields in ITEMS}  # noqa: C416  # tuples to a dict, order aside
        assert len(splits) == 0


def test_a_frame_that_is_no_packet_is_whole() -> None:
    frame = frames(packets(LOGGER, Upload("2061", NOW_NS, AT_NS, ITEMS[:1]))[0])[0]
    assert Splits().add(frame, NOW_NS) == (frame, [])


def test_packets_without_a_time_go_by_their_qn() -> None:
    when = "20260512080000"
    for order in permutations([single(1, 3, when=when), single(2, 3), single(3, 3)]):
        splits = Splits()
        wholes = [splits.add(frame, NOW_NS)[0] for frame in order]
        assert wholes[:2] == [None, None]
        assert wholes[2] is not None
        assert wholes[2].measured_ns == AT_NS
        assert wholes[2].items == {"201": {"Avg": "1"}, "202": {"Avg": "2"}, "203": {"Avg": "3"}}


def test_one_qn_for_two_times_makes_two_groups() -> None:
    splits = Splits()
    splits.add(single(1, 2, when="20260512080000"), NOW_NS)
    assert splits.add(single(2, 2, when="20260512090000"), NOW_NS) == (None, [])
    assert len(splits) == 2


def test_stations_do_not_complete_each_other() -> None:
    splits = Splits()
    splits.add(single(1, 2, mn="A"), NOW_NS)
    assert splits.add(single(2, 2, mn="B"), NOW_NS)[0] is None


def test_a_group_that_waits_for_too_long_is_given_up() -> None:
    splits, first = Splits(SplitBounds(most_wait_s=60)), single(1, 2)
    splits.add(first, NOW_NS)
    assert splits.expire(NOW_NS + 59 * SECOND_NS) == []
    assert splits.expire(NOW_NS + 60 * SECOND_NS) == [first]
    assert splits.add(single(2, 2), NOW_NS + 61 * SECOND_NS)[0] is None


@pytest.mark.parametrize("bounds", [SplitBounds(most_groups=10), SplitBounds(most_bytes=1_500)])
def test_what_waits_is_bounded_and_the_oldest_goes_first(bounds: SplitBounds) -> None:
    splits, given_up = Splits(bounds), []
    sent = [single(1, 2, qn=f"202605120800{number:05}") for number in range(200)]
    for frame in sent:
        given_up += splits.add(frame, NOW_NS)[1]
        assert len(splits) <= 12
        assert len(splits._named) <= 24
    assert given_up == sent[: len(given_up)]
    assert given_up + splits.close() == sent
    assert (len(splits), splits._size, splits._named) == (0, 0, {})


def test_packets_that_contradict_each_other_are_told() -> None:
    splits = Splits()
    splits.add(single(1, 2), NOW_NS)
    head = f"QN=20260512080000000;ST=32;CN=2061;PW=1;MN={MN};Flag=3;PNUM=2;PNO=2;"
    whole, _ = splits.add(frames(wire(f"{head}CP=&&201-Avg=7&&".encode()))[0], NOW_NS)
    assert whole is not None
    assert whole.flaws == (("201-Avg", "duplicate_conflict"),)
