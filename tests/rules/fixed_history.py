"""One long history, the same for ever, and a digest of all that the engine says of it. Run as a module it prints that."""

from hashlib import sha256
from inspect import isfunction
from random import Random

import numpy as np

from rules.ordering import route
from tests.rules.histories import DEEDS, PERSISTENCES, Move, history, play, watches, watching

VALUES = (2.0, 2.0, 2.1, 5.0, 9.0, 20.0, -3.5, 1e300, np.nan, np.inf)


def moves(length: int, seed: int = 20260501) -> list[Move]:
    """Moves of all sorts, the likely ones more often."""
    dice = Random(seed)
    return [
        (
            dice.choice([0, 0, 0, 1, 2, 2, 3, 4]),
            dice.choice(DEEDS),
            dice.choice(VALUES),
            dice.choice([0] * 12 + [1, 2, 4]),
            dice.choice([0, 1, 60, 60, 60, 400]),
        )
        for _ in range(length)
    ]


def digest(length: int = 600) -> str:
    """Of rows, words, transitions, counts and snapshot."""
    engine = watching(watches([(one, other) for one in PERSISTENCES for other in PERSISTENCES]))
    told = play(engine, history(moves(length)), range(0, length, 37), explain=True)
    assert {t.what for t in told.transitions} == {"opened", "worsened", "cleared"}
    return sha256(repr(told.plain()).encode() + engine.snapshot()).hexdigest()


if __name__ == "__main__":
    print("plain" if isfunction(route) else "compiled", digest())  # noqa: T201  # this is what it is for
