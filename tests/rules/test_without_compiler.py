"""The kernels say the same as plain Python, to the last bit."""

import os
import subprocess
import sys
from pathlib import Path

from tests.rules.fixed_history import digest

ROOT = Path(__file__).parents[2]


def test_the_compiler_changes_no_word_no_id_and_no_byte_of_a_snapshot() -> None:
    plain = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.rules.fixed_history"],
        cwd=ROOT,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )

    assert plain.stdout.split() == ["plain", digest()]
