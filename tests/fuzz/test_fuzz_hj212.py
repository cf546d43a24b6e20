"""Broken frames by the ten thousand, with the inputs that coverage-guided fuzzing found to reach new code.

`make fuzz` goes on from there, guided by coverage (`guided.py`); here the same trial meets what was found, and seeded
changes of it.
"""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz.endurance import INPUTS, Patience, without_growth
from tests.fuzz.hj212_seeds import WORDS, seeds
from tests.fuzz.hj212_trial import Trial
from tests.fuzz.mutations import OF_BYTES, mutated

FOUND = Path(__file__).with_name("hj212_found.jsonl")  # an input a line, a letter a byte as in Latin-1
PARTS = 2
TURN = 2_000
SHARE = 5  # of the inputs of a fuzz test: each is read some ten times


def found() -> list[bytes]:
    lines = FOUND.read_text(encoding="utf-8").strip().split("\n")
    return [json.loads(line).encode("latin-1") for line in lines]


def put_in_a_word(payload: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(3, len(payload) + 1) if len(payload) > 3 else len(payload)
    return payload[:at] + dice.choice(WORDS) + payload[at + dice.choice((0, 0, 1, 6)) :]


CHANGES = (*OF_BYTES, *[put_in_a_word] * 3)


def test_what_was_found_to_reach_new_code_is_read_well() -> None:
    trial = Trial()
    for said in [*seeds(), *found()]:
        with Patience():
            trial.take(said)
    assert min(trial.seen[what] for what in ("frames", "unread", "readings")) > 200


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("part", range(PARTS))
def test_changed_frames_are_read_alike_by_all_that_read_them(part: int) -> None:
    dice, patience, known, seen = random.Random(f"hj212 {part}"), Patience(), [*seeds(), *found()], Counter[str]()

    def a_turn(_number: int) -> None:
        trial = Trial()
        for _ in range(TURN):
            said = mutated(dice.choice(known), dice, CHANGES)
            with patience:
                trial.take(said)
        seen.update(trial.seen)

    without_growth(max(2, INPUTS // SHARE // PARTS // TURN), a_turn)
    assert min(seen[what] for what in ("frames", "unread", "readings")) > TURN // 4
