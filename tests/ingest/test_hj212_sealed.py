"""Frames of 2025 whose CP is encrypted: the format opens them with the key that is kept for their station."""

from collections.abc import Sequence
from functools import cache

import pytest

from ingest.formats.hj212 import Hj212
from ingest.hj212.crc import written
from ingest.hj212.stations import stations_of
from ingest.site import Secrets, Site
from jianwei.catalogue_files import read_catalogue
from rules.readings import Kind
from rules.register import load_stations
from simulators.hj212 import Logger, Upload, framed
from tests.ingest.hj212_speaking import AT_NS, MN
from tests.ingest.json_reading import Read, ReadColumns

KEY, OTHER = bytes.fromhex("00112233445566778899aabbccddeeff"), b"another key, 16 "
LOGGER = Logger(MN, edition="2025", key=KEY)
UPLOAD = Upload("2011", AT_NS, AT_NS, [("w01018", {"Rtd": "41.7", "Flag": "N"}), ("w21003", {"Rtd": "0.5"})])
STATION = f"stations:\n  - {{id: WE-07, name: {{zh: 排口, en: Outlet}}, station_type: wastewater_outlet, logger: {{mn: {MN}}}}}\n"
READ = [
    Read(parameter, value, AT_NS, station="WE-07", kind=Kind.REALTIME)
    for parameter, value in (("w01018", 41.7), ("w21003", 0.5))
]


@cache
def site(key: bytes | None) -> Site:
    catalogue = site(None).catalogue if key else read_catalogue()
    assert catalogue is not None
    secrets = {} if key is None else {"WE-07": Secrets(sm4_key=key)}
    return Site(catalogue, load_stations({"stations.yaml": STATION}, catalogue), secrets)


def read(payload: bytes, key: bytes | None) -> tuple[list[Read], Sequence[tuple[str, str]]]:
    columns = ReadColumns()
    problems = Hj212.of(site(key)).decode(f"jianwei/hj212/{MN}", payload, columns)
    return columns.read, problems


def as_text(frame: bytes, *, clear_length: bool) -> bytes:
    """The blocks as words, as some loggers send them; with the length of the clear text, or of what is sent."""
    data, end = frame[6:-6], frame[-6:]
    start = data.index(b"CP=&&") + len(b"CP=&&")
    blocks = data[start:-2][: (len(data) - 2 - start) // 16 * 16]
    words = b"{" + b",".join(b"0x%02X" % byte for byte in blocks) + b"}"
    sent = data[:start] + words + data[start + len(blocks) :]
    return b"##%04d%b%b" % (len(data if clear_length else sent), sent, end)


def test_bytes_are_opened_with_the_key_of_the_station() -> None:
    frame = framed(LOGGER, UPLOAD)
    assert b"w01018" not in frame
    assert read(frame, KEY) == (READ, [])


@pytest.mark.parametrize("clear_length", [True, False])
def test_blocks_as_text_are_opened_too(clear_length: bool) -> None:
    frame = as_text(framed(LOGGER, UPLOAD), clear_length=clear_length)
    assert b"{0x" in frame
    assert read(frame, KEY) == (READ, [])


def test_a_station_with_a_key_may_speak_in_the_clear() -> None:
    """Not every command is encrypted, and a logger may be set up later than the register."""
    assert read(framed(Logger(MN, edition="2025"), UPLOAD), KEY) == (READ, [])


@pytest.mark.parametrize(("key", "told"), [(None, "encrypted_no_key"), (OTHER, "encrypted_other_key")])
def test_a_key_that_is_missing_or_another_is_told_and_shown_to_nobody(key: bytes | None, told: str) -> None:
    whole = framed(LOGGER, UPLOAD)
    for frame in (whole, as_text(whole, clear_length=False)):
        found, ((place, reason),) = read(frame, key)
        assert found == []
        assert place == "byte 0"
        assert reason.startswith(f"{told}: encrypted with SM4")
    assert "another key" not in repr(stations_of(site(key)).profile(MN))


def test_a_damaged_block_is_told_and_costs_its_frame_only() -> None:
    frame, after = bytearray(framed(LOGGER, UPLOAD)), framed(LOGGER, UPLOAD)
    frame[150] ^= 0xFF
    found, problems = read(bytes(frame) + after, KEY)
    assert found == READ
    assert [reason.partition(":")[0] for _, reason in problems] == ["encrypted_other_key"]


def test_the_check_is_that_of_the_clear_text() -> None:
    frame = framed(LOGGER, UPLOAD)
    assert frame[-6:-2] == written(framed(Logger(MN, edition="2025"), UPLOAD)[6:-6])
