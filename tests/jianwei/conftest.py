"""Commands are asked about a site that has lived; who changes it gets a copy of its own."""

import shutil
from pathlib import Path

import pytest

from tests.jianwei.command_line import Ask, asking
from tests.jianwei.lived import history, record, serving, settle


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a site whose service has stopped. Only for looking at."""
    folder = tmp_path_factory.mktemp("lived")
    config = settle(folder)
    record(folder, history())
    with serving(config):
        pass
    return folder


@pytest.fixture
def site(lived: Path, tmp_path: Path) -> Path:
    """The settings file of a copy."""
    return shutil.copytree(lived, tmp_path / "site") / "jianwei.toml"


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setenv("TERM", "dumb")
    return asking(monkeypatch, capsys)
