"""The lines of docs/operations.md about copies, run as they stand; and what is compared before and after."""

import os
import re
import subprocess
from pathlib import Path

from tests.jianwei.serving import Service

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
ALWAYS = (0, 2**62)


def lines_of_the_page(about: str) -> str:
    """The shell block whose first line is a comment with these words."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = (text for text in blocks if about in text.splitlines()[0])
    return str(found)


def run(script: str, **said: object) -> None:
    """`said` are its variables."""
    variables = os.environ | {name: str(value) for name, value in said.items()}
    command = ["bash", "-c", script]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=90, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def readings(service: Service) -> dict[tuple[str, int], float]:
    stored = service.runtime.store.read("A-1", None, None, *ALWAYS)
    return {(reading.parameter, reading.measured_ns): reading.value for reading in stored}


def told_ids(service: Service) -> list[str]:
    return [str(notice["id"]) for notice in service.notices()]


def changes(service: Service) -> list[str]:
    """Ids of all transitions."""
    ledger = service.runtime.ledger
    return sorted(change.id for e in ledger.episodes(limit=10_000) for change in ledger.transitions(e.id))
