"""The program as a person meets it: what it prints, and its exit code."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from jianwei.__main__ import main


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Ask = Callable[..., Said]


def asking(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs `jianwei ARGUMENTS` in this process, through its entry point."""

    def ask(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["jianwei", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else int(bool(code)), said.out, said.err)

    return ask
