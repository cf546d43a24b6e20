"""YAML is read as it is written: what another reader might take differently is refused, with its place."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules.strict_yaml import YamlError, parse


@pytest.mark.parametrize(
    ("text", "what"),
    [
        pytest.param("a: 1\nb: 2\na: 3", "line 3, column 1: key 'a' appears twice", id="a key written twice"),
        pytest.param("x:\n  y: {a: 1, a: 1}", "line 2, column 13: key 'a' appears twice", id="deep down, same value"),
        pytest.param("- {1: a, 1: b}", "line 1, column 10: key 1 appears twice", id="a key that is a number"),
        pytest.param("a: 010", "line 1, column 4: 010 is no decimal number", id="a code that would be eight"),
        pytest.param("a: 12:30", "line 1, column 4: 12:30 is no decimal number", id="a time that would be 750"),
        pytest.param("a: 190:20:30", "190:20:30 is no decimal number", id="a duration to the base of sixty"),
        pytest.param("a: 1:20.5", "1:20.5 is no decimal number", id="the same with a fraction"),
        pytest.param("a: 1_000", "1_000 is no decimal number", id="digits in groups"),
        pytest.param("a: 1_000.5", "1_000.5 is no decimal number", id="digits in groups and a fraction"),
        pytest.param("a: 0x1F", "0x1F is no decimal number", id="sixteen fingers"),
        pytest.param("a: 0b11", "0b11 is no decimal number", id="two fingers"),
        pytest.param("a: 2026-02-30", "line 1, column 4: day is out of range", id="a day that never comes"),
        pytest.param("a: 2026-13-01", "line 1, column 4: month must be in 1..12", id="a thirteenth month"),
        pytest.param("a: 1" + "0" * 5000, "line 1, column 4: ", id="a number as long as a page"),
        pytest.param("a: !!bool foo", "a tag, tag:yaml.org,2002:bool", id="a tag that lies about a truth value"),
        pytest.param("a: !!timestamp foo", "a tag, tag:yaml.org,2002:timestamp", id="a tag that lies about a time"),
        pytest.param('a: !!str "x"', "a tag, tag:yaml.org,2002:str", id="a tag that is true"),
        pytest.param("a: !!python/name:os.system", "a tag, ", id="a tag that wants to be a program"),
        pytest.param("a: =", "line 1, column 4: could not determine", id="the value sign"),
        pytest.param("? [a]\n: 1", "line 1, column 3: found unhashable key", id="a list as a key"),
        pytest.param("--- a\n--- b", "line 2, column 1: but found another document", id="two documents"),
        pytest.param("a: [1", "line 2, column 1: did not find", id="a list without an end"),
        pytest.param("a: \x00", "control characters are not allowed", id="a zero byte"),
        pytest.param("a: 1\nb: \ud800", "line 2: this is not UTF-8", id="half a character"),
        pytest.param("[" * 5000 + "]" * 5000, "exceeded maximum nesting depth", id="lists without measure"),
        pytest.param("a: &x\n  *x", "", id="a value that is itself"),
    ],
)
def test_what_may_be_misread_is_refused_with_its_place(text: str, what: str) -> None:
    with pytest.raises(YamlError) as refused:
        parse(text)
    assert what in str(refused.value)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: 0.05", 0.05),
        ("a: -7", -7),
        ("a: +7", 7),
        ("a: 0", 0),
        ("a: .5", 0.5),
        ("a: 1.0e-05", 1e-5),
        ("a: 1e-3", "1e-3"),  # YAML 1.1 calls it a text; where a number is asked for, the shape refuses it
        ('a: "010"', "010"),
        ("a: w01018", "w01018"),
        ('a: ""', ""),
        ("a:", None),
        ("a: NO", False),  # refused by every shape that asks for a text
        ("a: [6, 9]", [6, 9]),
    ],
)
def test_plain_data_is_read_as_it_is_written(text: str, data: Any) -> None:
    read = parse(text)["a"]
    assert (read, type(read)) == (data, type(data))


def test_a_value_may_be_written_once_and_named_elsewhere() -> None:
    assert parse("a: &feeds {hour: 3600}\nb: *feeds") == {"a": {"hour": 3600}, "b": {"hour": 3600}}


@given(st.text(alphabet=" \n-:{}[],&*!?|>'\"#%@=<~0123456789.eE+_xnaNTfyiI\u00e9\u7801\x85\ufeff\x07", max_size=60))
@example("a: !<tag:yaml.org,2002:int> x")
@example("<<: 3")
@example("<<: [{a: 1}, 2]")
@example("&a [*a]")
@example("? &a {b: *a}\n: 1")
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(YamlError):
        parse(text)
