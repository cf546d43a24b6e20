"""Programs are built once, whole or not at all; and the commands round them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from jianwei.settings import read_settings
from tests.services import obtain
from tests.services.program import accepts

pytestmark = pytest.mark.services
ROOT = Path(__file__).parents[2]


def command(*words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "tests.services", *words]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "jianwei"


def tools(folder: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    """PATH holds these programs and nothing else."""
    folder.mkdir()
    for name, does in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_a_build_that_fails_leaves_nothing_and_is_told(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools(tmp_path / "bin", monkeypatch, java="", mvn="echo half >libs; echo no such artifact; exit 1")
    with pytest.raises(obtain.NotObtained, match="no such artifact"):
        obtain.kafka()
    assert [path.name for path in empty_cache.iterdir()] == ["kafka.lock"]


def test_what_was_built_is_not_built_again(empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"
    tools(tmp_path / "bin", monkeypatch, java="", mvn=f"echo built >>{told}")
    assert obtain.kafka() == obtain.kafka()
    assert told.read_text() == "built\n"


def test_what_is_missing_is_named_with_how_to_get_it(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools(tmp_path / "bin", monkeypatch)
    with pytest.raises(obtain.NotObtained) as told:
        obtain.obtain(("kafka", "influxdb"))
    for needed in ("default-jre-headless", "Go of 1.25", "apt-get install cargo", "apt-get install gcc"):
        assert needed in str(told.value)
    assert not list(empty_cache.glob("*-*"))


@pytest.mark.timeout(500)  # Kafka's own tool makes four topics
def test_services_are_started_and_ended_by_command(tmp_path: Path) -> None:
    started = command("up", str(tmp_path))
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        settings = read_settings(tmp_path / "jianwei.toml")
        ports = [settings.sources[0].port, int(settings.sources[1].servers[0].partition(":")[2])]  # type: ignore[union-attr]
        assert all(accepts(port) for port in ports)
        assert [type(channel).__name__ for channel in settings.channels.values()] == [
            "FileChannelSettings",
            "KafkaChannelSettings",
            "MqttChannelSettings",
        ]
        assert settings.dead_letters.enabled
        assert len(yaml.safe_load((tmp_path / "city.yaml").read_text())["stations"]) == 29
        again = command("up", str(tmp_path))
        assert (again.returncode, lines_to_paste(again)) == (0, lines_to_paste(started))
        words = "simulate city --speed max --for 2h --to kafka://127.0.0.1:{}/jianwei.readings.v1"
        assert words.format(ports[1]) in again.stdout
        processes = [number for number, _ in json.loads((tmp_path / "running.json").read_text()).values()]
    finally:
        ended = command("down", str(tmp_path))
    assert ended.stdout.count("ended") == 3
    assert not any(accepts(port) for port in ports)
    assert not any(Path(f"/proc/{number}").exists() and "Z" not in state_of(number) for number in processes)
    assert command("down", str(tmp_path)).stdout == ""


def test_services_of_which_some_run_are_not_started_twice(tmp_path: Path) -> None:
    began = int(Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19])
    (tmp_path / "running.json").write_text(json.dumps({"kafka": [os.getpid(), began]}))
    said = command("up", str(tmp_path))
    assert said.returncode == 1
    assert "only kafka runs: make services-down" in said.stdout


def test_a_process_number_that_is_anothers_by_now_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "running.json").write_text(json.dumps({"kafka": [os.getpid(), 1]}))
    assert command("down", str(tmp_path)).stdout == "kafka: does not run\n"


def lines_to_paste(said: subprocess.CompletedProcess[str]) -> str:
    return said.stdout.partition("To paste:")[2]


def state_of(number: int) -> str:
    return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
