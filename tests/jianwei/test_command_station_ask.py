"""`jianwei station ask`: what it says where nothing can be asked, and that giving up leaves it asked."""

import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from alerts.requests import SqlRequests
from jianwei.clock import wall_ns
from jianwei.lock import DataLock
from tests.ingest.mqtt_probe import until
from tests.jianwei.command_line import Ask
from tests.jianwei.test_stations_asked import CONFIG, STATIONS


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A site that never ran, with a port for loggers."""
    (tmp_path / "stations.yaml").write_text(STATIONS)
    (tmp_path / "jianwei.toml").write_text(CONFIG)
    return tmp_path / "jianwei.toml"


def test_without_a_service_it_is_kept_and_told_as_json(ask: Ask, config: Path) -> None:
    said = ask("station", "ask", "WE-07", "clock", "--no-wait", "--json", "-c", config)
    told = json.loads(said.out)
    assert (said.code, told["station"], told["cn"], told["state"]) == (0, "WE-07", "1011", "due")
    assert json.loads(ask("station", "requests", "--json", "-c", config).out) == [told]
    assert "read the clock" in ask("station", "requests", "--station", "WE-07", "-c", config).out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("WE-70", "clock"), 1, "there is no station WE-70; did you mean WE-07?"),
        (("WE-07", "dance"), 2, "is nothing that a station"),
        (("WE-07", "history", "minute"), 2, "--from"),
        (("WE-07", "history", "minute", "--from", "noon"), 2, "noon"),
    ],
)
def test_what_cannot_be_asked_is_not_kept(ask: Ask, config: Path, words: tuple[str, ...], code: int, told: str) -> None:
    said = ask("station", "ask", *words, "-c", config)
    assert said.code == code
    assert told in said.err
    assert ask("station", "requests", "-c", config).out == "nothing was asked\n"


def test_settings_without_a_line_to_stations_are_told_so(ask: Ask, config: Path) -> None:
    config.write_text(CONFIG[: CONFIG.index("[[sources]]")])
    said = ask("station", "ask", "WE-07", "clock", "-c", config)
    assert said.code == 1
    assert 'add [[sources]] with type = "hj212_tcp"' in said.err


def test_who_has_waited_enough_leaves_it_asked(config: Path) -> None:
    words = ("-m", "jianwei", "station", "ask", "WE-07", "clock", "-c", str(config))
    with (
        DataLock(config.parent / "data"),
        closing(SqlRequests(f"sqlite:///{config.parent / 'data' / 'ledger.sqlite'}", wall_ns)) as requests,
        subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True) as command,
    ):
        assert command.stderr is not None
        assert "was never connected" in command.stderr.readline()
        until(lambda: len(requests.open()) == 1)
        command.send_signal(signal.SIGINT)
        assert "request 1 stays asked" in command.stderr.read()
        assert command.wait(10) == 1
        assert [each.state for each in requests.open()] == ["due"]
