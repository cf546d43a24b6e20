"""Any bytes into json_v1: never an exception, both ways agree, and what is read is what was written."""

import json
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.formats.json_v1 import KINDS, MOST_SEQ
from rules.readings import FLAG_LETTERS
from simulators.wire import topic_of
from tests.ingest.json_reading import ELSEWHERE, MANY, PLAIN, BothWays, Read, check, read, written

SECONDS = (-8_500_000_000, 7_258_118_400 - 86_400)  # 1700-08 to the end of 2199


class Written(NamedTuple):
    """JSON text, and what it means."""

    text: str
    meaning: Any


def shown(text: str) -> str:
    return json.dumps(text)


def held(text: str) -> float | None:
    """The float64 nearest to a decimal, by exact fractions; None if it is not the same number to its last digit."""
    try:
        nearest = float(Fraction(text))
    except OverflowError:
        return None
    return nearest if Fraction(repr(nearest)) == Fraction(text) else None


decimals = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-"]),
    st.integers(0, 10**20).map(str),
    st.just("") | st.text("0123456789", min_size=1, max_size=20).map(".{}".format),
    st.just("")
    | st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 340)),
)
short_decimals = st.builds("{}.{}".format, st.integers(-99_999, 99_999), st.integers(0, 9_999))
floats = st.floats(allow_nan=False, allow_infinity=False).map(repr)
numbers = st.one_of(decimals, short_decimals, floats).map(lambda text: Written(text, held(text)))
values = st.just(Written("null", None)) | numbers
codes = st.text("aw0189_.-xX", min_size=1, max_size=8)
letters = st.sampled_from(sorted(FLAG_LETTERS))
spaces = st.sampled_from(["", "", "", " ", "\n\t "])


@st.composite
def times(draw: st.DrawFn) -> Written:
    """An instant to the nanosecond, told in any zone, with as many decimals as it takes or more."""
    second, part_ns = draw(st.integers(*SECONDS)), draw(st.integers(0, 10**9 - 1))
    minutes = draw(st.integers(-23 * 60 - 59, 23 * 60 + 59))
    places = draw(st.integers(0, 9))
    part_ns -= part_ns % 10 ** (9 - places)
    zone = timezone(timedelta(minutes=minutes))
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    text = local.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S")
    decimals = f".{part_ns:09}"[: 1 + places] if places else ""
    offset = "Z" if minutes == 0 else f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    return Written(shown(text + decimals + offset), second * 10**9 + part_ns)


class Message(NamedTuple):
    """A well-formed message with what must come of it: readings, and places of the numbers that no float64 holds."""

    payload: bytes
    topic: str
    readings: list[Read]
    refused: list[str]


@st.composite
def messages(draw: st.DrawFn) -> Message:
    station = draw(st.text("ABZaz09_.-", min_size=1, max_size=12))
    name, kind = draw(st.sampled_from(list(KINDS.items())))
    readings: list[Read] = []
    refused: list[str] = []
    gap = draw(spaces)

    def an_object(entries: dict[str, str]) -> str:
        pairs = [f"{shown(key)}{gap}:{gap}{text}" for key, text in draw(st.permutations(list(entries.items())))]
        return "{" + f"{gap},".join(pairs) + gap + "}"

    def a_sample(where: str, most: int) -> dict[str, str]:
        time, said = draw(times()), draw(st.dictionaries(codes, values, max_size=most))
        flags = draw(st.dictionaries(codes | st.sampled_from([*said, "w"]), letters, max_size=2))
        flags = flags if draw(st.booleans()) else {}
        for code in said.keys() | flags.keys():
            flag = FLAG_LETTERS[flags.get(code, "N")]
            value = said.get(code, Written("null", None))
            if value.text != "null" and value.meaning is None:
                refused.append(f"{where}.values.{code}")
            else:
                readings.append(Read(code, value.meaning, time.meaning, flag, station, kind))
        sample = {"time": time.text, "values": an_object({code: text for code, (text, _) in said.items()})}
        if flags:
            sample["flags"] = an_object({code: shown(letter) for code, letter in flags.items()})
        if draw(st.booleans()):
            sample["seq"] = str(draw(st.integers(0, MOST_SEQ)))
        return sample

    heading = {"station": shown(station), "kind": shown(name)} | ({"v": "1"} if draw(st.booleans()) else {})
    if draw(st.booleans()):
        text = an_object(heading | a_sample("$", 6))
    else:
        samples = [an_object(a_sample(f"$.samples[{index}]", 3)) for index in range(draw(st.integers(1, 4)))]
        text = an_object({**heading, "samples": f"[{','.join(samples)}]"})
    topic = draw(st.sampled_from([ELSEWHERE, topic_of(station, name)]))
    return Message(text.encode(), topic, readings, refused)


@settings(deadline=None, max_examples=400)
@given(messages())
def test_what_was_not_refused_is_read_exactly(message: Message) -> None:
    """Values to the last digit, times to the nanosecond, flags; and no value is lost on the way."""
    readings, problems = read(message.payload, message.topic)
    assert sorted(readings, key=str) == sorted(message.readings, key=str)
    assert sorted(where for where, _ in problems) == sorted(message.refused)
    assert all(reason.startswith("lost precision") for _, reason in problems)


@settings(deadline=None, max_examples=100)
@given(st.lists(messages(), max_size=6))
def test_one_decoder_reads_many_messages_as_many_decoders_do(several: list[Message]) -> None:
    both = BothWays()
    for message in several * 2:
        assert both.read(message.payload, message.topic) == read(message.payload, message.topic)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.text(max_size=30))
def test_any_bytes_are_read_or_told(payload: bytes, topic: str) -> None:
    readings, problems = read(payload, topic)
    assert readings or problems


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_any_json_in_the_place_of_anything_is_read_or_told(data: st.DataObject) -> None:
    message = json.loads(written(data.draw(st.sampled_from([PLAIN, MANY]))))
    places = [message, *message.get("samples", [])] + [part["values"] for part in [message] if "values" in part]
    target = data.draw(st.sampled_from(places))
    target[data.draw(st.sampled_from([*target, "flags", "seq", "v", "samples"]) | st.text(max_size=5))] = data.draw(
        anything
    )
    readings, problems = read(json.dumps(message).encode())
    check(json.dumps(message).encode(), readings, problems)
