"""`jianwei check` as somebody new to it meets it: what is wrong, how much of it, and what to say instead."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.jianwei.command_line import Ask


@pytest.fixture
def config(ask: Ask, tmp_path: Path) -> Path:
    assert ask("init", tmp_path / "site").code == 0
    return tmp_path / "site" / "jianwei.toml"


def more(config: Path, text: str) -> None:
    config.write_text(config.read_text() + text)


def test_after_a_remark_all_is_not_called_well_and_the_remark_says_what_to_add(ask: Ask, config: Path) -> None:
    more(config, '[[sources]]\ntype = "kafka"\ntopics = ["jianwei.readings.v1"]\n')
    said = ask("check", "-c", config)
    assert said.code == 0
    assert said.out.rstrip().endswith("1 remark")
    assert "all well" not in said.out
    assert 'add [[formats]] topic = "jianwei.readings.v1" format = "json_v1"' in " ".join(said.err.split())


def test_an_empty_register_is_remarked(ask: Ask, config: Path) -> None:
    config.write_text(config.read_text().replace('stations = ["stations.yaml"]', "stations = []"))
    said = ask("check", "-c", config)
    assert said.code == 0
    assert "the register is empty: nothing is judged against limits" in " ".join(said.err.split())
    assert "0 stations in the register" in said.out


def test_a_service_with_an_empty_register_warns_of_it_when_it_starts(config: Path) -> None:
    text = config.read_text().replace('stations = ["stations.yaml"]', "stations = []")
    config.write_text(text.replace("port = 1883", "port = 0").replace("port = 8642", "port = 0"))
    service = subprocess.Popen(
        [sys.executable, "-m", "jianwei", "run", "-c", str(config)], stderr=subprocess.PIPE, text=True
    )
    try:
        assert service.stderr is not None
        line = json.loads(service.stderr.readline())
        assert line["level"] == "warning"
        assert line["event"].startswith("the register is empty: nothing is judged against limits")
    finally:
        service.terminate()
        service.communicate(timeout=60)


@pytest.mark.parametrize("slip", ["colour = 1\n", "not toml"])
def test_of_a_register_that_could_not_be_looked_for_nothing_is_said(ask: Ask, config: Path, slip: str) -> None:
    config.write_text(slip)
    said = ask("check", "-c", config)
    assert said.code == 1
    assert "the register" not in said.out + said.err
    assert said.out.rstrip().endswith("1 problem")


def test_a_register_whose_file_is_missing_is_a_problem_and_not_empty_too(ask: Ask, config: Path) -> None:
    (config.parent / "stations.yaml").unlink()
    said = ask("check", "-c", config)
    assert said.code == 1
    assert "there is no such file" in " ".join(said.err.split())
    assert "the register" not in said.out + said.err


TLS = """
[[sources]]
name = "north"
tls = { ca = "gone.pem", cert = "gone-cert.pem", key = "gone.key" }
[[sources]]
type = "kafka"
topics = ["t"]
tls = { ca = "empty.pem" }
[[formats]]
topic = "t"
[channels.events]
type = "mqtt"
host = "h"
tls = true
ca_file = "gone.pem"
[channels.changes]
type = "kafka"
tls = { ca = "gone.pem" }
[dead_letters]
enabled = true
tls = { ca = "gone.pem" }
"""


def test_files_of_tls_that_cannot_be_used_are_told_by_setting_and_path(ask: Ask, config: Path) -> None:
    (config.parent / "empty.pem").write_text("")
    store = 'type = "influxdb"\norg = "city"\nurl = "https://h"\ntoken_file = "token"\nca = "gone.pem"\n'
    (config.parent / "token").write_text("any\n")
    config.write_text(config.read_text().replace('type = "sqlite"\nsync = true\n', store) + TLS)
    problems = json.loads(ask("check", "-c", config, "--json").out)["problems"]
    folder = config.parent
    unread = [
        ("sources.north.tls.ca", "gone.pem"),
        ("sources.north.tls.cert", "gone-cert.pem"),
        ("sources.north.tls.key", "gone.key"),
        ("channels.events.ca_file", "gone.pem"),
        ("channels.changes.tls.ca", "gone.pem"),
        ("store.ca", "gone.pem"),
        ("dead_letters.tls.ca", "gone.pem"),
    ]
    told = {f"{place}: {folder / name} cannot be read: No such file or directory" for place, name in unread}
    assert told <= set(problems)
    (other,) = set(problems) - told
    assert other.startswith(f"sources.kafka.tls.ca: {folder / 'empty.pem'} cannot be used: ")
