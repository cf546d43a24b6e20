"""The same seed tells the same story."""

import os
import subprocess
import sys

import pytest

from tests.sim.history import play

pytestmark = pytest.mark.sim
PRINT_DIGEST = "from tests.sim.history import play; print(play(3).digest)"


def test_a_seed_tells_the_same_story_whatever_the_hashes_are() -> None:
    stories = [
        subprocess.run(
            [sys.executable, "-c", PRINT_DIGEST],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]

    assert stories[0] == stories[1] == f"{play(3).digest}\n"
