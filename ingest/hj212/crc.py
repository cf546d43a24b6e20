"""The check of HJ 212, and the other checks that loggers send in its place.

A register of 16 bits: for each byte, the register shifted right by eight, exclusive or with the byte; then eight times
shifted right by one, exclusive or with A001 where a one fell out. The low byte is thrown away at each step, so what
goes from byte to byte is eight bits, through a linear map whose eighth power changes nothing. Bytes that are eight
apart therefore meet the same map: the data fold onto their last eight bytes, and four look-ups end it. Compared with
the plain loop over bits by a test.
"""

from collections.abc import Callable, Mapping
from typing import Literal

START = 0xFFFF
POLYNOMIAL = 0xA001

CrcName = Literal["hj212", "hj212_swapped", "modbus", "modbus_swapped"]


def _shifted(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (POLYNOMIAL if byte & 1 else 0)
    return byte


TABLE = tuple(map(_shifted, range(256)))
WRITTEN = tuple(b"%04X" % word for word in TABLE)
ROUND = tuple(word >> 8 for word in TABLE)  # what of a byte goes on to the next


def _powers() -> tuple[tuple[int, ...], ...]:
    """The map applied 0 to 7 times."""
    powers = [tuple(range(256))]
    while len(powers) < 8:
        powers.append(tuple(ROUND[byte] for byte in powers[-1]))
    return tuple(powers)


POWERS = _powers()
# Two bytes at a time; `PAIRS[i]` takes the bytes that stand 2 i and 2 i + 1 before the last.
PAIRS = tuple(
    bytes(low[x & 255] ^ high[x >> 8] for x in range(65_536))
    for low, high in zip(POWERS[::2], POWERS[1::2], strict=True)
)
FIRST, SECOND, THIRD, FOURTH = PAIRS
# What the starting register has become at the end, by length modulo 8.
STARTED = tuple(POWERS[(length - 1) % 8][START >> 8] for length in range(8))
# How to fold, by the bit length of the last bit's number: by how far to shift, and what stays, until 64 bits are left.
FOLDS = tuple(tuple((1 << at, (1 << (1 << at)) - 1) for at in range(bits - 1, 5, -1)) for bits in range(18))
MOST_BYTES = 1 << 14  # the length field of a frame says at most 9999


def crc(data: bytes) -> int:
    """The check of HJ 212 over `data`, which is the data segment; of at most `MOST_BYTES`."""
    return TABLE[_last_state(data)] if data else START


def written(data: bytes) -> bytes:
    """The check as it stands in a frame; of data that are not empty."""
    return WRITTEN[_last_state(data)]


def _last_state(data: bytes) -> int:
    """What the last byte is shifted with."""
    length = len(data)
    number = int.from_bytes(data, "big")
    for shift, mask in FOLDS[(length * 8 - 1).bit_length()]:
        number = number >> shift ^ number & mask
    state = FIRST[number & 65_535] ^ SECOND[number >> 16 & 65_535] ^ THIRD[number >> 32 & 65_535] ^ FOURTH[number >> 48]
    return state ^ STARTED[length & 7]


def modbus(data: bytes) -> int:
    """CRC-16/MODBUS, which some loggers send by mistake: it keeps the low byte."""
    register = START
    for byte in data:
        register = register >> 8 ^ TABLE[(register ^ byte) & 255]
    return register


def swapped(word: int) -> int:
    """The two bytes of `word` the other way round."""
    return word >> 8 | (word & 255) << 8


CHECKS: Mapping[CrcName, Callable[[bytes], int]] = {
    "hj212": crc,
    "hj212_swapped": lambda data: swapped(crc(data)),
    "modbus": modbus,
    "modbus_swapped": lambda data: swapped(modbus(data)),
}
