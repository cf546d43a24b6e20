"""The quick check against the plain loop over bits, which stands in the simulator."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.hj212.crc import CHECKS, MOST_BYTES, crc, modbus, swapped, written
from simulators import hj212 as witness


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", 0xFFFF),
        (b"123456789", 0x2F80),
        (
            b"QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&",
            0x1C80,
        ),
    ],
)
def test_check_values_that_were_published(data: bytes, said: int) -> None:
    assert crc(data) == said


def test_modbus_is_another_check() -> None:
    assert modbus(b"123456789") == 0x4B37


@pytest.mark.parametrize("length", [*range(1, 40), 63, 64, 65, 255, 256, 257, 1023, 1024, 1025, 8192, 9999, MOST_BYTES])
def test_every_length_folds(length: int) -> None:
    data = bytes((position * 31 + length) % 256 for position in range(length))
    assert crc(data) == witness.check(data)


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_it_is_the_check_of_the_standard(data: bytes) -> None:
    assert crc(data) == witness.check(data)
    assert modbus(data) == witness.modbus(data)
    assert not data or written(data) == f"{witness.check(data):04X}".encode()


def test_swapped_checks_are_the_same_bytes_the_other_way_round() -> None:
    assert swapped(0x12AB) == 0xAB12
    assert CHECKS["modbus_swapped"](b"123456789") == 0x374B
    assert CHECKS["hj212_swapped"](b"123456789") == 0x802F
