"""What the simulator says in HJ 212 is what the standards print."""

import pytest

from rules.readings import Kind
from simulators.hj212 import Logger, Upload, beijing, check, framed, modbus, packets, spoken, wire
from simulators.samples import Sample


def test_the_check_is_the_published_one() -> None:
    data = b"QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&"
    assert wire(data) == b"##0101" + data + b"1C80\r\n"
    assert (check(b"123456789"), modbus(b"123456789"), check(b"")) == (0x2F80, 0x4B37, 0xFFFF)


def test_times_are_those_of_beijing() -> None:
    assert beijing(0) == "19700101080000"
    assert beijing(1_500_000_000, milliseconds=True) == "19700101080001500"


@pytest.mark.parametrize(
    ("logger", "head"),
    [
        (Logger("A", edition="2005"), "ST=32;CN=2011;PW=123456;MN=A;Flag=1;CP"),
        (Logger("A"), "ST=32;CN=2011;PW=123456;MN=A;Flag=5;CP"),
        (Logger("A", answers=False), "ST=32;CN=2011;PW=123456;MN=A;Flag=4;CP"),
        (Logger("A", edition="2025"), "ST=32;CN=2011;PW=123456;MN=A;Flag=9;RF=1;CP"),
        (Logger("A", st="21", edition="surface_water"), "ST=21;CN=2011;PW=123456;MN=A;Flag=9;CP"),
    ],
)
def test_each_edition_has_its_head(logger: Logger, head: str) -> None:
    upload = Upload("2011", 0, 0, [("w01018", {"Rtd": "1"})], again=logger.edition == "2025")
    assert head.encode() in framed(logger, upload)


def test_old_loggers_have_names_of_their_own_and_may_write_gbk() -> None:
    logger = Logger("A", edition="2005", codes={"w01018": "011"}, encoding="gbk")
    assert b"011-Rtd=1" in framed(logger, Upload("2011", 0, 0, [("w01018", {"Rtd": "1"})]))
    text = framed(logger, Upload("3020", 0, 0, [("i11001", {"Info": "//清洗//"})]))
    assert "清洗".encode("gbk") in text
    assert int(text[2:6]) == len(text) - 12


@pytest.mark.parametrize("edition", ["2005", "2017"])
def test_a_long_upload_is_split_between_items(edition: str) -> None:
    items = [(f"w{20_000 + number}", {"Avg": "1.5", "Flag": "N"}) for number in range(80)]
    sent = packets(Logger("A", edition=edition), Upload("2061", 0, 0, items))  # type: ignore[arg-type]
    assert len(sent) == 3
    assert all(len(frame) <= 1024 + 12 and b"DataTime=19700101080000" in frame for frame in sent)
    assert sum(frame.count(b"-Avg") for frame in sent) == 80
    assert len({frame[9:26] for frame in sent}) == (1 if edition == "2005" else 3)


def test_a_sample_is_spoken_with_its_flags_and_what_is_missing_says_why() -> None:
    sample = Sample("A", Kind.HOUR, 1, 0, 0, 0, {"w01018": 1.25, "w21003": None, "w01001": 7.0}, {"w01001": "M"})
    (frame,) = spoken(Logger("A"), sample, {"w01018": 1, "w21003": 2, "w01001": 2})
    assert b"CN=2061" in frame
    assert frame[6:-6].endswith(b";w01018-Avg=1.2,w01018-Flag=N;w21003-Flag=B;w01001-Avg=7.00,w01001-Flag=M&&")
