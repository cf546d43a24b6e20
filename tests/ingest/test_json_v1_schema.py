"""The published schema of json_v1 and the decoder say the same of every message, but for what no schema can say."""

import json
from math import inf, nan
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from ingest.formats.json_v1 import MOST_SEQ, Bounds
from ingest.json_v1_schema import FLAG_MEANINGS, NOT_SAID, schema
from rules.readings import FLAG_LETTERS
from tests.ingest.json_reading import MANY, PLAIN, read, written

BOUNDS = Bounds(most_samples=4, most_values=5)
SCHEMA = schema(BOUNDS)
VALIDATOR = Draft202012Validator(SCHEMA)
# What the decoder alone asks for, by the beginning of its word; see NOT_SAID.
ONLY_THE_DECODER = ("lost precision", "too large: at most 5 values")
ONLY_THE_CALENDAR = ("is out of range for month", "is out of range")

# No line ends: `$` of Python's own patterns stands before a last one too, `$` of a schema's patterns does not.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=6)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, MOST_SEQ + 5),
    st.floats(-1e9, 1e9).filter(lambda number: not number.is_integer()),
    texts,
    st.sampled_from(["N", "M", "T", "hour", "S-01", "2026-05-01T04:00:00Z"]),
)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2))
codes = st.sampled_from(["w01001", "a-b.c_D", "0", "w" * 40, *["w01018"] * 4, "w" * 41, "pH 值", ""])
letters = st.sampled_from([*FLAG_LETTERS, "X", "n", "NM", ""])
values = st.dictionaries(codes, st.none() | st.integers(-9, 9) | st.floats(-9, 9) | scalars, max_size=4)
flags = st.none() | st.dictionaries(codes, letters | letters | scalars, max_size=2)
times = st.builds(
    "{}-{}-{}{}{}:{}:{}{}{}".format,
    st.sampled_from(["2026", "2024", "1699", "1700", "2200", "2201", "0000", "26"]),
    st.sampled_from(["01", "02", "12", "00", "13", "1"]),
    st.sampled_from(["01", "28", "29", "30", "31", "00", "32"]),
    st.sampled_from(["T", "t", " ", ""]),
    st.sampled_from(["00", "23", "24", "٠١"]),
    st.sampled_from(["00", "59", "60"]),
    st.sampled_from(["00", "59", "60"]),
    st.sampled_from(["", ".0", ".123456789", ".1234567890", ".", ",5"]),
    st.sampled_from(["Z", "z", "+08:00", "-23:59", "+24:00", "+08:60", "+0800", "+08", ""]),
)
good_times = st.sampled_from(["2026-05-01T12:00:00+08:00", "2024-02-29t23:59:59.123456789z"])
sample_parts = {
    "time": good_times | times,
    "values": values,
    "flags": flags,
    "seq": st.none() | st.integers(-1, 9) | st.sampled_from([MOST_SEQ, MOST_SEQ + 1]),
}
heading = {
    "v": st.sampled_from([1, 2]),
    "station": st.sampled_from(["S-01", "s" * 64, "s" * 65, ".", "灵江", ""]),
    "kind": st.sampled_from(["realtime", "minute", "hour", "day", "week"]),
}
a_sample = st.fixed_dictionaries(
    {key: sample_parts[key] for key in ("time", "values")},
    optional={key: sample_parts[key] for key in ("flags", "seq")},
)
samples = st.lists(a_sample, max_size=5)


@st.composite
def messages(draw: st.DrawFn) -> Any:
    """Mostly right, with some parts left out, put beside, or replaced by anything."""
    base: dict[str, Any] = json.loads(written(draw(st.sampled_from([PLAIN, MANY]))))
    for key, strategy in draw(st.lists(st.sampled_from([*(heading | sample_parts).items()]), max_size=2)):
        base[key] = draw(strategy)
    if draw(st.integers(0, 3)) == 0:
        base["samples"] = draw(samples)
    part = draw(st.sampled_from([base, *(base["samples"] if isinstance(base.get("samples"), list) else [])]))
    match draw(st.integers(0, 5)):
        case 0:
            part.pop(draw(st.sampled_from([*part, "time"])), None)
        case 1:
            part[draw(st.sampled_from([*part, "values"]) | texts)] = draw(anything)
    return base if draw(st.integers(0, 50)) else draw(anything)


@settings(deadline=None, max_examples=800)
@given(messages())
@example(PLAIN | {"flags": None, "seq": None})
@example(PLAIN | {"v": True})
@example({"station": "S-01", "kind": "hour", "samples": []})
def test_a_message_is_valid_exactly_when_it_is_read_without_problems(message: Any) -> None:
    _, problems = read(json.dumps(message).encode(), bounds=BOUNDS)
    by_the_decoder_alone = [
        (where, reason)
        for where, reason in problems
        if reason.startswith(ONLY_THE_DECODER) or (reason.startswith("bad time") and reason.endswith(ONLY_THE_CALENDAR))
    ]
    if len(by_the_decoder_alone) < len(problems):
        assert not VALIDATOR.is_valid(message), (message, problems)
    elif not problems:
        VALIDATOR.validate(message)


ONE_MISTAKE: list[dict[str, Any]] = [
    PLAIN | {"v": 2},
    PLAIN | {"v": "1"},
    PLAIN | {"station": "S/1"},
    PLAIN | {"station": "s" * 65},
    PLAIN | {"kind": "week"},
    PLAIN | {"time": "2026-05-01T12:00:00"},
    PLAIN | {"time": None},
    PLAIN | {"values": {"w": "1"}},
    PLAIN | {"values": {"w": True}},
    PLAIN | {"values": {"w w": 1}},
    PLAIN | {"values": dict.fromkeys("abcdef", 1)},
    PLAIN | {"values": None},
    PLAIN | {"flags": {"w": "X"}},
    PLAIN | {"flags": {"w": None}},
    PLAIN | {"flags": {"w w": "N"}},
    PLAIN | {"flags": dict.fromkeys("abcdef", "N")},
    PLAIN | {"flags": ["N"]},
    PLAIN | {"seq": -1},
    PLAIN | {"seq": MOST_SEQ + 1},
    PLAIN | {"seq": 1.5},
    PLAIN | {"samples": MANY["samples"]},
    PLAIN | {"colour": "red"},
    MANY | {"samples": []},
    MANY | {"samples": MANY["samples"] * 2},
    MANY | {"samples": [7]},
    MANY | {"samples": [{"time": PLAIN["time"]}]},
    MANY | {"samples": [{"values": {}}]},
    MANY | {"samples": [{**MANY["samples"][0], "kind": "hour"}]},
    MANY | {"seq": 1},
    MANY | {"flags": None},
]


@pytest.mark.parametrize("message", ONE_MISTAKE)
def test_one_mistake_is_seen_by_both(message: dict[str, Any]) -> None:
    assert read(written(message), bounds=BOUNDS)[1]
    assert not VALIDATOR.is_valid(message)


@pytest.mark.parametrize("key", ["station", "kind", "time", "values"])
def test_what_must_be_said_is_missed_by_both(key: str) -> None:
    message = {name: content for name, content in PLAIN.items() if name != key}
    assert read(written(message), bounds=BOUNDS)[1]
    assert not VALIDATOR.is_valid(message)


@pytest.mark.parametrize(
    ("content", "payload", "said"),
    [
        (PLAIN | {"values": {"w": nan}}, written(PLAIN | {"values": {"w": nan}}), "NaN or Infinity"),
        (PLAIN | {"values": {"w": inf}}, written(PLAIN | {"values": {"w": inf}}), "NaN or Infinity"),
        (PLAIN, written(PLAIN).replace(b'"kind"', b'"kind":"day","kind"'), "no key stands twice"),
        (PLAIN, written(PLAIN).replace(b"7.5", b"9007199254740993"), "to its last digit"),
        (PLAIN | {"seq": 1.0}, written(PLAIN | {"seq": 1.0}), "without point"),
        (PLAIN | {"v": 1.0}, written(PLAIN | {"v": 1.0}), "without point"),
        (PLAIN | {"time": "2026-02-29T00:00:00Z"}, b"", "the calendar"),
        (PLAIN | {"time": "1699-12-31T00:00:00Z"}, b"", "from 1700"),
        (PLAIN | {"values": dict.fromkeys("abc", 1), "flags": dict.fromkeys("abc", "N")}, b"", "counted together"),
    ],
)
def test_what_a_schema_cannot_say_is_told_in_it(content: Any, payload: bytes, said: str) -> None:
    VALIDATOR.validate(content)
    assert read(payload or written(content), bounds=BOUNDS)[1]
    assert any(said in sentence for sentence in NOT_SAID)
    assert all(sentence in SCHEMA["description"] for sentence in NOT_SAID)


def test_the_topic_is_said_outside_of_the_schema() -> None:
    assert VALIDATOR.is_valid(PLAIN)
    assert read(written(PLAIN), "jianwei/v1/S-02/hour")[1]
    assert any("topic" in sentence for sentence in NOT_SAID)


@pytest.mark.parametrize("validator", [Draft202012Validator, Draft7Validator])
def test_it_is_a_schema_of_its_own_draft_and_of_the_one_that_asyncapi_knows(validator: Any) -> None:
    plain = {key: content for key, content in SCHEMA.items() if key != "$schema"}
    validator.check_schema(plain)
    assert validator(plain).is_valid(MANY)
    assert not validator(plain).is_valid(MANY | {"seq": 1})


def test_every_letter_has_its_meaning() -> None:
    assert set(FLAG_MEANINGS) == set(FLAG_LETTERS.values())
    told = SCHEMA["properties"]["flags"]["description"]
    assert all(f"{letter} {FLAG_MEANINGS[flag]}" in told for letter, flag in FLAG_LETTERS.items())
