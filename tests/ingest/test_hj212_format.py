"""The format: whole frames as a message, by the short way and the careful way, which must say the same."""

import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.formats.hj212 import MOST_BYTES, Hj212
from ingest.hj212.framing import Bounds
from ingest.hj212.layouts import Layouts
from ingest.hj212.profiles import Profile, Stations
from ingest.hj212.stations import stations_of
from ingest.site import Site
from jianwei.catalogue_files import read_catalogue
from rules.readings import SECOND_NS, EquipmentFlag, Kind
from rules.register import load_stations
from simulators.hj212 import Logger, Upload, framed, modbus, packets, wire
from tests.ingest.hj212_speaking import AT_NS, LOGGER, MN, realtime
from tests.ingest.json_reading import Read, ReadColumns

TOPIC = "site/7/raw"
OLD = Logger("33100400000017", edition="2005")
Problems = list[tuple[str, str]]


def read(*payloads: bytes, topic: str = TOPIC, stations: Stations | None = None) -> tuple[list[Read], Problems]:
    """Readings and problems of messages that one format reads."""
    decoder, columns = Hj212(stations), ReadColumns()
    problems: Problems = []
    for payload in payloads:
        problems += decoder.decode(topic, payload, columns)
    return columns.read, problems


def reading(value: float | None, parameter: str = "w01018", seconds: int = 0, **more: Any) -> Read:
    return replaced(Read(parameter, value, AT_NS + seconds * SECOND_NS, station=MN, kind=Kind.REALTIME), **more)


def replaced(one: Read, **more: Any) -> Read:
    return one._replace(**more)


def hourly(*items: tuple[str, dict[str, str]], logger: Logger = LOGGER) -> bytes:
    return framed(logger, Upload("2061", AT_NS, AT_NS, items))


def registered(entry: str) -> Stations:
    catalogue = read_catalogue()
    text = f"stations:\n  - {{id: WE-07, name: {{zh: 排口, en: Outlet}}, {entry}}}\n"
    return stations_of(Site(catalogue, load_stations({"stations.yaml": text}, catalogue)))


def test_a_message_may_hold_many_frames() -> None:
    assert read(realtime("1") + realtime("2", 60)) == ([reading(1.0), reading(2.0, seconds=60)], [])


def test_a_broken_frame_costs_only_itself() -> None:
    broken = bytearray(realtime("2", 60))
    broken[60] ^= 1
    found, problems = read(realtime("1") + bytes(broken) + realtime("3", 120))
    assert found == [reading(1.0), reading(3.0, seconds=120)]
    assert [(where, reason.partition(":")[0]) for where, reason in problems] == [
        (f"byte {len(realtime('1'))}", "crc_mismatch")
    ]


def test_a_bad_value_costs_only_itself_and_its_place_is_told() -> None:
    payload = realtime("1") + realtime("NaN", 60)
    found, problems = read(payload)
    assert found == [reading(1.0)]
    assert problems == [(f"byte {len(realtime('1'))}: w01018-Rtd", "invalid_value: this is no decimal number")]


def test_a_frame_whose_only_value_is_empty_is_told() -> None:
    """Also when its layout is known: the short way reads values as a list, and nothing is a list of nothing."""
    found, problems = read(realtime("1"), realtime("", 60))
    assert found == [reading(1.0)]
    assert problems == [("byte 0: w01018-Rtd", "missing_value: nothing stands after the sign of equality")]


def test_mutated_messages_raise_nothing() -> None:
    """Frames whose check is right and whose content is not: what reads values meets it, too."""
    dice = random.Random(5)
    whole = [realtime("1.5"), hourly(("a21026", {"Avg": "80", "ZsAvg": "95", "Flag": "D"})), packet(1, 2, "060-Avg=2")]
    words = (
        b"&&",
        b"CP=&&",
        b"//",
        b"=//",
        b";",
        b",",
        b"-Flag=",
        b"DataTime=20260512080000;",
        b"PNUM=2;PNO=1;",
        b"\xff",
    )
    decoder, columns = Hj212(Stations({MN: PROFILE})), ReadColumns()
    for number in range(20_000):
        data = bytearray(whole[number % len(whole)][6:-6])
        for _ in range(dice.randrange(4)):
            at = dice.randrange(len(data))
            data[at : at + dice.randrange(4)] = dice.choice((*words, bytes([dice.randrange(256)]), b""))
        decoder.decode(TOPIC, wire(bytes(data)), columns)
    assert len(columns.read) > 1_000


def test_an_empty_message_and_one_that_is_too_large_are_told() -> None:
    assert read(b"")[1] == [("byte 0", "empty: a frame of HJ 212 is asked for")]
    assert read(b"#" * (MOST_BYTES + 1))[1][0][1].startswith("too large")


def test_problems_are_bounded_and_counted() -> None:
    _, problems = read(realtime("x") * 200)
    assert len(problems) == 50
    assert problems[-1] == ("byte 0", "too many problems: 151 more")


@pytest.mark.parametrize(
    ("topic", "taken"),
    [
        (f"jianwei/hj212/{MN}", True),
        (f"jianwei/hj212/{MN.lower()}", True),
        ("jianwei/hj212/A", False),
        (f"jianwei/hj212/{MN}/x", False),
        ("jianwei/hj212/", False),
        ("hj212/anything", True),
    ],
)
def test_who_may_publish_under_one_station_cannot_speak_for_another(topic: str, taken: bool) -> None:
    for payload in (realtime(), realtime() + b"\r\n"):
        found, problems = read(payload, topic=topic)
        assert (len(found) == 1) is taken
        assert bool(problems) is not taken


def test_packets_are_taken_as_they_come() -> None:
    items = [(f"w{20_000 + number}", {"Avg": f"{number}.5", "Flag": "N"}) for number in range(60)]
    sent = packets(LOGGER, Upload("2061", AT_NS, AT_NS, items))
    assert len(sent) > 1
    assert max(map(len, sent)) <= 1024 + 12
    found, problems = read(*reversed(sent))
    assert problems == []
    assert {(r.parameter, r.value) for r in found} == {(code, float(fields["Avg"])) for code, fields in items}


def packet(number: int, of: int, body: str) -> bytes:
    head = f"QN=20260512080000000;ST=32;CN=2061;PW=1;MN={OLD.mn};Flag=3;PNUM={of};PNO={number};"
    return wire(f"{head}CP=&&{body}&&".encode())


def test_a_packet_without_its_time_leans_on_the_one_that_has_it() -> None:
    first, second = packet(1, 3, "DataTime=20260512080000;011-Avg=1"), packet(2, 3, "060-Avg=2")
    found, problems = read(first, second, packet(3, 3, "065-Avg=3"))
    assert [(r.parameter, r.value, r.measured_ns) for r in found] == [
        ("011", 1.0, AT_NS),
        ("060", 2.0, AT_NS),
        ("065", 3.0, AT_NS),
    ]
    assert problems == []


def test_a_packet_whose_time_nobody_knows_is_told() -> None:
    assert [reason.partition(":")[0] for _, reason in read(packet(2, 2, "060-Avg=2"))[1]] == ["lost_packet"]


def test_an_unknown_flag_is_told_once_and_its_values_are_not_normal() -> None:
    found, problems = read(realtime("1", flag="k"), realtime("2", 60, flag="k"))
    unknown = EquipmentFlag.UNKNOWN
    assert found == [reading(1.0, flag=unknown), reading(2.0, seconds=60, flag=unknown)]
    assert len(problems) == 1


def test_flags_that_are_figures_are_told_apart_in_one_layout() -> None:
    """All else of the two frames is the same but for figures, which is how a layout is known."""
    air = replace(LOGGER, st="22")
    found, _ = read(*(realtime("1", seconds, air, flag) for seconds, flag in enumerate("3203")))
    unknown, calibration = EquipmentFlag.UNKNOWN, EquipmentFlag.CALIBRATION
    assert [r.flag for r in found] == [EquipmentFlag.NORMAL, unknown, calibration, EquipmentFlag.NORMAL]


def test_the_register_names_the_station_its_flags_codes_units_and_check() -> None:
    stations = registered(
        f"station_type: wastewater_outlet, logger: {{mn: {MN.lower()}, checks: [modbus], flags: {{ok: N, h: T}}, "
        'codes: {C0D: "w01018"}, units: {"w00000": "L/s"}}'
    )
    upload = Upload(
        "2011", AT_NS, AT_NS, [("C0D", {"Rtd": "41.7", "Flag": "h"}), ("B01", {"Rtd": "0.1", "Flag": "ok"})]
    )
    data = framed(LOGGER, upload)[6:-6]
    found, problems = read(wire(data, proof=modbus(data)), stations=stations)
    assert problems == []
    assert found == [
        reading(41.7, station="WE-07", flag=EquipmentFlag.ABOVE_RANGE),
        reading(0.36, "w00000", station="WE-07"),
    ]


def test_without_a_word_in_the_register_another_check_is_refused() -> None:
    stations = registered("station_type: wastewater_outlet")
    data = realtime()[6:-6]
    assert read(wire(data, proof=modbus(data)), stations=stations)[0] == []


def test_a_station_that_claims_converted_values_keeps_them_apart_from_measured_ones() -> None:
    """Limits that hold for converted values must never judge a measured one, also while no converted one comes."""
    stations = registered(f"station_type: stack_gas, logger: {{mn: {MN}}}")
    both = hourly(("a21026", {"Avg": "80", "ZsAvg": "95", "Flag": "N"}), ("a19001", {"Avg": "8.5"}))
    one = hourly(("a21026", {"Avg": "81", "Flag": "N"}))
    found, _ = read(both, one, stations=stations)
    assert [(r.parameter, r.value) for r in found] == [
        ("a21026.Avg", 80.0),
        ("a21026", 95.0),
        ("a19001", 8.5),
        ("a21026.Avg", 81.0),
    ]


def test_a_station_that_does_not_claim_them_has_its_mean_in_the_series() -> None:
    found, _ = read(hourly(("a21026", {"Avg": "80", "ZsAvg": "95"})))
    assert [(r.parameter, r.value) for r in found] == [("a21026", 80.0), ("a21026.ZsAvg", 95.0)]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.hj212.layouts.MOST_CACHED", 8)
    monkeypatch.setattr("ingest.formats.hj212.MOST_REMEMBERED", 5)
    decoder, columns = Hj212(), ReadColumns()
    for number in range(50):
        logger = replace(LOGGER, mn=f"M{number}")
        for _ in range(3):
            assert not decoder.decode(f"jianwei/hj212/M{number}", realtime("1", number, logger), columns)
    assert len(columns.read) == 150
    layouts = decoder._layouts
    assert max(len(layouts._known) + len(layouts._patterns), len(layouts._instants), len(decoder._speakers)) <= 8


def test_memory_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message has a layout that none had before, and comes twice."""
    monkeypatch.setattr("ingest.hj212.layouts.MOST_BYTES", 10_000)
    decoder, columns, most = Hj212(), ReadColumns(), 0
    for number in range(600):
        payload = framed(LOGGER, Upload("2011", AT_NS, AT_NS, [(f"w{number:05}", {"Rtd": "1"})]))
        for _ in range(2):
            assert not decoder.decode(TOPIC, payload, columns)
        layouts = decoder._layouts
        kept = [
            *layouts._known,
            *layouts._patterns,
            *(name for known in layouts._known.values() if known for name in known.layouts),
        ]
        most = max(most, sum(map(len, kept)))
    assert len(columns.read) == 1_200
    assert 5_000 < most <= 10_000


def test_what_a_frame_says_of_itself_twice_is_read_carefully() -> None:
    """The short way passes over QN, so it must not pass over another one."""
    twice = wire(realtime()[6:-6].replace(b"PW=", b"QN =20200101000000000;PW="))
    assert [reason.partition(":")[0] for _, reason in read(twice, twice, twice)[1]] == ["duplicate_conflict"] * 3


@pytest.mark.parametrize("edition", ["2005", "2017"])
def test_a_packet_leans_on_one_whose_layout_is_known(edition: Any) -> None:
    logger = replace(OLD, edition=edition)
    decoder, columns = Hj212(), ReadColumns()
    flag = {"2005": 3, "2017": 7}[edition]
    for second in range(4):
        first, last = (
            wire(
                f"QN=2026051208000{second}000;ST=32;CN=2061;PW=1;MN={logger.mn};Flag={flag};PNUM=2;PNO={number};CP=&&{body}&&".encode()
            )
            for number, body in ((1, "DataTime=20260512080000;011-Avg=1"), (2, "060-Avg=2"))
        )
        assert not decoder.decode(TOPIC, first, columns)
        assert not decoder.decode(TOPIC, last, columns)
    assert len(columns.read) == 8


codes = st.sampled_from(["w01018", "S01", "011"]) | st.from_regex(
    r"[aw][0-9]{5}|[0-9]{2,3}|S0[0-9]|Leq|e[0-9]{5}", fullmatch=True
)
decimals = st.decimals(-(10**9), 10**9, allow_nan=False, places=3).map(str)
numbers = st.one_of(
    *[decimals] * 7,  # one that is none sends the whole frame the careful way
    st.sampled_from(
        ["007", "5.", ".5", "+1", "1e3", "-0", "1e309", "nan", "", "1_0", "9" * 24, "9" * 25, "０", "1 ", "--1"]
    ),
)
suffixes = st.sampled_from(
    ["Rtd", "Min", "Max", "Avg", "Cou", "ZsAvg", "ZsRtd", "Data", "Flag", "EFlag", "Info", "Ala"]
)
flags = st.sampled_from(["N", "D", "3", "2", "n", "", "T", "NN"])


@st.composite
def uploads(draw: st.DrawFn) -> bytes:
    def fields() -> dict[str, str]:
        said = draw(st.lists(suffixes, min_size=1, max_size=4, unique=True))
        return {suffix: draw(flags if suffix == "Flag" else numbers) for suffix in said}

    items = [(code, fields()) for code in draw(st.lists(codes, max_size=5))]
    logger = Logger(
        draw(st.sampled_from([MN, "m1"])),
        st=draw(st.sampled_from(["22", "31", "32"])),
        edition=draw(st.sampled_from(["2005", "2017", "2025"])),
    )
    cn = draw(st.sampled_from(["2011", "2051", "2061", "2031", "2062", "3020", "9015"]))
    return framed(logger, Upload(cn, AT_NS, AT_NS, items))


PROFILE = Profile(
    "WE-07",
    codes={"S01": "w01018"},
    flags={"N": EquipmentFlag.NORMAL, "3": EquipmentFlag.FAULT},
    factors={"w01018": Fraction(1, 1000)},
)


@settings(max_examples=150, deadline=None)
@given(st.lists(uploads(), min_size=1, max_size=4))
def test_both_ways_say_the_same(payloads: Sequence[bytes]) -> None:
    """A blank line before a frame sends it the careful way, which goes parameter by parameter.

    Each comes three times: a layout is marked, then made a pattern, then known.
    """
    for stations in (Stations(), Stations({MN: PROFILE}, {"011": "w01018", "02": "a21026"})):
        once = [payload for payload in payloads for _ in range(3)]
        short, careful = read(*once, stations=stations), read(*(b"\n" + one for one in once), stations=stations)
        assert sorted(short[0], key=repr) == sorted(careful[0], key=repr)
        assert short[1] == [(where.replace("byte 1", "byte 0"), reason) for where, reason in careful[1]]


plain = st.lists(
    st.tuples(codes, st.integers(-(10**6), 10**6)), min_size=1, max_size=12, unique_by=lambda item: item[0]
)


@settings(deadline=None)
@given(plain, st.sampled_from(list(Kind)), st.integers(0, 10**6), st.sampled_from(["2005", "2017", "2025"]))
def test_what_the_simulator_says_is_what_is_read(
    items: list[tuple[str, int]], kind: Kind, minute: int, edition: Any
) -> None:
    cn = {Kind.REALTIME: "2011", Kind.MINUTE: "2051", Kind.HOUR: "2061", Kind.DAY: "2031"}[kind]
    suffix = "Rtd" if kind == Kind.REALTIME else "Avg"
    at_ns = AT_NS + minute * 60 * SECOND_NS
    said = [(code, {suffix: f"{value / 1000:.3f}", "Flag": "N"}) for code, value in items]
    found, problems = read(framed(replace(LOGGER, edition=edition), Upload(cn, at_ns, at_ns, said)))
    assert problems == []
    assert found == [reading(float(f"{value / 1000:.3f}"), code, kind=kind, measured_ns=at_ns) for code, value in items]


def test_a_layout_that_came_before_goes_the_short_way() -> None:
    layouts, columns = Layouts(Stations()), ReadColumns()
    both = [realtime("1")[6:-6], realtime("2", 60, flag="D")[6:-6]]
    assert [layouts.plain(data, columns) for data in both * 3] == [False, False, True, True, True, True]
    assert columns.read == [reading(1.0), reading(2.0, seconds=60, flag=EquipmentFlag.FAULT)] * 2
    other = realtime("3", logger=replace(LOGGER, mn="M2"))[6:-6]  # another station says the same fields
    assert layouts.plain(other, columns)
    assert columns.read[-1] == reading(3.0, station="M2")


def test_the_short_way_takes_no_longer_frames_than_the_careful_one() -> None:
    upload = Upload("2011", AT_NS, AT_NS, [(f"e{10_000 + n}", {"Rtd": "1"}) for n in range(700)])
    assert len(framed(LOGGER, upload)) > Bounds().most_data
    assert read(framed(LOGGER, upload))[0] == []
