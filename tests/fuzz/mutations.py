"""Bytes made worse: by flipped bits, by cuts and splices, and by what a JSON reader finds hard to read. Seeded."""

import random
import re
from collections.abc import Callable, Sequence

Change = Callable[[bytes, random.Random], bytes]

MOST_PIECE = 12
SCALAR = re.compile(rb'"[^"\\]*"|-?\d[\d.eE+-]*|null|true|false')
PAIR = re.compile(rb'"[^"\\]*":(?:"[^"\\]*"|-?\d[\d.eE+-]*|null|true|false)')
TOKENS = (
    [b'"', b":", b",", b"{", b"}", b"[", b"]", b"\\", b" ", b"\n", b"\x00", b"\xff", b"\\ud800", b"\\u0022"]
    + [b"0", b"9", b"-", b".", b"e", b"E+", b"e-", b"1e400", b"0" * 17, b"null", b"true", b"NaN", b"-Infinity"]
    + [b'"w01001"', b'"w01001":1,', b'"station" :"S-02",', b'"seq":-0,', b'"flags":{},', b'"samples":', b"+08:00", b"Z"]
)
# In the place of any value: every type, and the ends of every range.
VALUES = (
    [b"null", b"true", b"false", b"0", b"-0", b"1", b"-1", b"7.5", b'"7.5"', b'""', b"{}", b"[]", b"[1]", b'{"a":1}']
    + [b"1e308", b"1e309", b"-1e400", b"5e-324", b"1e-400", b"9007199254740993", b"9223372036854775808", b"1e999999999"]
    + [b"0e999999999999999999999", b"0.1000000000000000055511151231257827", b"9" * 400, b"0." + b"3" * 400, b"NaN"]
    + [b'"0000-00-00T00:00:00Z"', b'"9999-12-31T23:59:59+08:00"', b'"2026-02-30T00:00:00Z"', b'"N"', b'"hour"']
)
NOT_UTF8 = [b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf0\x9f\x98"]


def mutated(payload: bytes, dice: random.Random, changes: Sequence[Change]) -> bytes:
    """The payload after one to three of the changes."""
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        payload = dice.choice(changes)(payload, dice)
    return payload


def _span(payload: bytes, dice: random.Random) -> tuple[int, int]:
    at = dice.randrange(len(payload) + 1)
    return at, min(len(payload), at + dice.randrange(MOST_PIECE))


def flip_a_bit(payload: bytes, dice: random.Random) -> bytes:
    if not payload:
        return payload
    at = dice.randrange(len(payload))
    return payload[:at] + bytes([payload[at] ^ 1 << dice.randrange(8)]) + payload[at + 1 :]


def change_a_byte(payload: bytes, dice: random.Random) -> bytes:
    at, _ = _span(payload, dice)
    return payload[:at] + bytes([dice.randrange(256)]) + payload[at + 1 :]


def cut_short(payload: bytes, dice: random.Random) -> bytes:
    at, _ = _span(payload, dice)
    return payload[:at] if dice.random() < 0.8 else payload[at:]


def take_out(payload: bytes, dice: random.Random) -> bytes:
    at, until = _span(payload, dice)
    return payload[:at] + payload[until:]


def double(payload: bytes, dice: random.Random) -> bytes:
    at, until = _span(payload, dice)
    return payload[:until] + payload[at:]


def splice(payload: bytes, dice: random.Random) -> bytes:
    """The beginning of it and an end of it, cut at different places."""
    return payload[: _span(payload, dice)[0]] + payload[_span(payload, dice)[0] :]


def put_in_a_token(payload: bytes, dice: random.Random) -> bytes:
    at, until = _span(payload, dice)
    return payload[:at] + dice.choice(TOKENS) + payload[at if dice.random() < 0.5 else until :]


def break_utf8(payload: bytes, dice: random.Random) -> bytes:
    at, until = _span(payload, dice)
    return payload[:at] + dice.choice(NOT_UTF8) + payload[until:]


def swap_a_value(payload: bytes, dice: random.Random) -> bytes:
    """Another value, of another type mostly, in the place of a value or a key."""
    return _instead(payload, SCALAR, dice, dice.choice(VALUES))


def nest(payload: bytes, dice: random.Random) -> bytes:
    """Something deep in the place of a value; closed or not."""
    depth = dice.choice((1, 2, 3, 4, 5, 6, 7, 8, 60, 1_100))
    opening, closing = dice.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return _instead(payload, SCALAR, dice, opening * depth + b"1" + closing * (depth - dice.choice((0, 0, 0, 1))))


def repeat_a_key(payload: bytes, dice: random.Random) -> bytes:
    """A pair stands twice, the second time perhaps with another value."""
    pairs = list(PAIR.finditer(payload))
    if not pairs:
        return payload
    pair, where = dice.choice(pairs), dice.choice(pairs)
    again = pair[0] if dice.random() < 0.5 else pair[0].split(b":")[0] + b":" + dice.choice(VALUES)
    return payload[: where.start()] + again + b"," + payload[where.start() :]


def _instead(payload: bytes, what: "re.Pattern[bytes]", dice: random.Random, new: bytes) -> bytes:
    found = list(what.finditer(payload))
    if not found:
        return payload + new
    old = dice.choice(found)
    return payload[: old.start()] + new + payload[old.end() :]


OF_BYTES: Sequence[Change] = (flip_a_bit, change_a_byte, cut_short, take_out, double, splice, put_in_a_token)
OF_JSON: Sequence[Change] = (*OF_BYTES, break_utf8, swap_a_value, swap_a_value, nest, repeat_a_key)


def enormous(size: int) -> dict[str, bytes]:
    """Messages of about `size` bytes that ask for much, by what they ask for: to be read or refused, and soon."""
    plain = b'{"station":"S1","kind":"minute","time":"2026-05-01T12:00:00Z","values":{"p0":%b}}'
    sample = b'{"time":"2026-05-01T12:00:00Z","values":{"p0":"x"}}'
    return {
        "lists": b"[" * size,
        "objects": b'{"a":' * (size // 5),
        "both by turns": b'[{"":' * (size // 5),
        "lists in a value": plain % (b"[" * size),
        "digits": plain % (b"9" * size),
        "decimals": plain % (b"0." + b"0" * size + b"1"),
        "an exponent": plain % (b"1e" + b"9" * size),
        "escapes": plain % (b'"' + b"\\u0041" * (size // 6) + b'"'),
        "a text that never ends": plain % (b'"' + b'\\"' * (size // 2)),
        "values": plain % (b"1" + b"".join(b',"p%d":%d' % (n, n) for n in range(size // 12))),
        "one key": plain % (b"1" + b',"p0":1' * (size // 8)),
        "a name": plain.replace(b"S1", b"S" * size) % b"1",
        "bad samples": b'{"station":"S1","kind":"minute","samples":[' + b",".join([sample] * (size // 50)) + b"]}",
    }
