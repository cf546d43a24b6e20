"""From nothing to a service: init, check, run."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.jianwei.command_line import Ask


@pytest.fixture
def begun(ask: Ask, tmp_path: Path) -> Path:
    """The settings of a new site on ports of its own."""
    folder = tmp_path / "site"
    assert ask("init", folder).code == 0
    config = folder / "jianwei.toml"
    config.write_text(config.read_text().replace("port = 1883", "port = 0").replace("port = 8642", "port = 0"))
    return config


@contextmanager
def running(config: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """`jianwei run`, and what it says when it is up."""
    service = subprocess.Popen(
        [sys.executable, "-m", "jianwei", "run", "-c", str(config)], stderr=subprocess.PIPE, text=True
    )
    try:
        assert service.stderr is not None
        while (line := service.stderr.readline()) and '"event": "running"' not in line:
            pass
        assert line, "it ended before it ran"
        yield service, json.loads(line)
    finally:
        if service.poll() is None:
            service.kill()
        service.communicate()


def test_a_sample_is_well_and_is_not_overwritten(ask: Ask, begun: Path) -> None:
    said = ask("check", "-c", begun)
    assert (said.code, said.err) == (0, "")
    assert "2 stations in the register" in said.out
    assert said.out.rstrip().endswith("all well")
    before = begun.read_text()
    assert ask("init", begun.parent).code == 1
    assert begun.read_text() == before
    assert ask("init", begun.parent, "--force").code == 0
    assert begun.read_text() != before


def test_every_problem_is_told_at_once(ask: Ask, begun: Path) -> None:
    """Of the settings, of the register, and of a secret, each by its place."""
    begun.write_text(
        begun.read_text()
        + '[channels.duty]\ntype = "webhook"\nurl = "http://127.0.0.1:9/"\nsecret_file = "duty.secret"\n'
        + '[channels.late]\ntype = "webhook"\nurl = "http://127.0.0.1:9/"\nsecret_file = "none.secret"\n'
    )
    (begun.parent / "duty.secret").write_text("short\n")
    register = begun.parent / "stations.yaml"
    register.write_text(register.read_text().replace("surface_water_section", "surface_water_sektion"))
    said = ask("check", "-c", begun, "--json")
    assert said.code == 1
    problems = "\n".join(json.loads(said.out)["problems"])
    assert "stations.yaml: $.stations[0].station_type: there is no station type surface_water_sektion" in problems
    assert "channels.duty.secret_file:" in problems
    assert "fewer than 8 characters" in problems
    assert "channels.late.secret_file:" in problems


def test_a_token_of_the_store_that_is_not_there_is_told(ask: Ask, begun: Path) -> None:
    store = 'type = "influxdb"\norg = "city"\ntoken_file = "influxdb.token"\n'
    begun.write_text(begun.read_text().replace('type = "sqlite"\nsync = true\n', store))
    said = ask("check", "-c", begun)
    assert said.code == 1
    assert "store.token_file:" in said.out + said.err
    (begun.parent / "influxdb.token").write_text("any\n")
    assert ask("check", "-c", begun).code == 0


def test_a_channel_that_no_route_names_is_remarked(ask: Ask, begun: Path) -> None:
    begun.write_text(
        begun.read_text() + '[channels.screen]\ntype = "terminal"\n[[routes]]\nchannel = "screen"\nmin_level = "red"\n'
    )
    said = ask("check", "-c", begun)
    assert said.code == 0
    assert "channels.archive is told nothing: there are [[routes]], and none names it" in said.err


def test_a_topic_of_kafka_that_no_format_reads_is_remarked(ask: Ask, begun: Path) -> None:
    source = '[[sources]]\ntype = "kafka"\ntopics = ["jianwei.readings.v1"]\n'
    begun.write_text(begun.read_text() + source)
    said = ask("check", "-c", begun)
    assert said.code == 0
    assert "sources.kafka: no [[formats]] matches its topic jianwei.readings.v1" in said.err
    begun.write_text(begun.read_text() + '[[formats]]\ntopic = "jianwei.readings.v1"\n')
    assert "matches its topic" not in ask("check", "-c", begun).err


def test_a_service_runs_answers_keeps_its_folder_and_ends_cleanly(ask: Ask, begun: Path) -> None:
    with running(begun) as (service, told):
        with urlopen(f"http://127.0.0.1:{told['http_port']}/health/ready", timeout=10) as answer:
            assert json.load(answer)["ready"] is True
        second = ask("run", "-c", begun)
        assert second.code == 1
        assert f"is used by process {service.pid}" in second.err
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0
    with running(begun) as (service, _):
        service.send_signal(signal.SIGINT)
        assert service.wait(30) == 0


def test_a_service_that_is_killed_takes_its_broker_along(begun: Path) -> None:
    with running(begun) as (service, told):
        port = told["broker_port"]
        service.kill()
        service.wait()
    end_s = time.monotonic() + 30
    while time.monotonic() < end_s and _listens(int(str(port))):
        time.sleep(0.1)
    assert not _listens(int(str(port)))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
