"""docs/json_v1.md says what the decoder does: every example, every refusal, every letter and every limit in it."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ingest.formats.json_v1 import KINDS, MESSAGE_KEYS, MOST_SEQ, Bounds
from ingest.json_v1_schema import FLAG_MEANINGS, schema
from rules.readings import FLAG_LETTERS
from simulators.wire import topic_of
from tests.ingest.json_reading import read

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "json_v1.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
REFUSALS = re.findall(r"^\| `(\".*)` \| `(\$.*)` \| (.*) \|$", PAGE, re.MULTILINE)
TOPIC = topic_of("SW-01", "hour")


@pytest.mark.parametrize("example", [*EXAMPLES, *re.findall(r"^```json\n(.*?)^```", README, re.DOTALL | re.MULTILINE)])
def test_every_example_is_read_without_problems(example: str) -> None:
    message = json.loads(example)
    readings, problems = read(example.encode(), topic_of(message["station"], message["kind"]))
    assert problems == []
    assert len(readings) >= 2
    Draft202012Validator(schema()).validate(message)


@pytest.mark.parametrize(("part", "where", "reason"), REFUSALS)
def test_every_refusal_looks_as_the_page_says(part: str, where: str, reason: str) -> None:
    key = part.split(":", maxsplit=1)[0]
    written_otherwise, count = re.subn(rf"{re.escape(key)}: [^,}}]+", part, EXAMPLES[0].strip(), count=1)
    message = written_otherwise if count else f"{{{part}, {EXAMPLES[0].strip()[1:]}"
    assert message != EXAMPLES[0].strip()
    assert read(message.encode(), TOPIC)[1] == [(where, reason)]


def test_the_page_has_examples_and_refusals() -> None:
    assert len(EXAMPLES) == 3
    assert len(REFUSALS) >= 15


@pytest.mark.parametrize(("letter", "flag"), FLAG_LETTERS.items())
def test_every_letter_stands_there_with_its_meaning(letter: str, flag: int) -> None:
    chinese, english = FLAG_MEANINGS[FLAG_LETTERS[letter]].split(" ", 1)
    assert f"| `{letter}` | {chinese} | {english} |" in PAGE


@pytest.mark.parametrize("key", sorted(MESSAGE_KEYS))
def test_every_key_stands_there(key: str) -> None:
    assert re.search(rf"^\| `{key}` \|", PAGE, re.MULTILINE)


def test_kinds_and_limits_stand_there() -> None:
    bounds = Bounds()
    assert all(f"`{kind}`" in PAGE for kind in KINDS)
    assert f"0 to {MOST_SEQ}" in PAGE
    for limit in (
        f"| bytes of a message | {bounds.most_bytes:,} |",
        f"| samples in a message | {bounds.most_samples:,} |",
        f"| values and flags of a sample, together | {bounds.most_values:,} |",
        f"| levels of objects and lists | {bounds.most_depth} |",
        f"| problems told one by one | {bounds.most_problems};",
    ):
        assert limit in PAGE
