"""`deploy/` is whole: files that are named are there, names agree, and nobody gets a password that is not made."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.channels.kafka import KafkaChannelSettings
from ingest.sources.kafka import KafkaSourceSettings
from ingest.sources.mqtt import MqttSourceSettings
from ingest.stores.influxdb import InfluxdbStoreSettings
from jianwei.settings import DeadLetterSettings, read_settings

DEPLOY = Path(__file__).parents[1] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
MADE = ("./data/", "./secrets", "./site/")  # by whoever sets it up
UNITS = sorted(
    str(path.relative_to(DEPLOY / "systemd")) for path in (DEPLOY / "systemd").rglob("*.*") if path.is_file()
)
SECURITY = re.compile(r"exposure level for \S+: ([0-9.]+)")


def words_of(name: str) -> list[list[str]]:
    """The lines of a file of ours that are no comments, as words."""
    return [line.split() for line in (DEPLOY / name).read_text().splitlines() if line and not line.startswith("#")]


def sources_of(service: dict[str, Any]) -> list[str]:
    volumes = service.get("volumes", [])
    return [said["source"] if isinstance(said, dict) else said.split(":")[0] for said in volumes]


def test_it_holds_no_python() -> None:
    assert list(DEPLOY.rglob("*.py")) == []


@pytest.mark.parametrize("name", COMPOSE)
def test_files_that_a_container_gets_are_there(name: str) -> None:
    missing = [s for s in sources_of(COMPOSE[name]) if not s.startswith(MADE) and not (DEPLOY / s).exists()]
    assert missing == []
    build = COMPOSE[name].get("build")
    assert build is None or (DEPLOY / build["context"] / build["dockerfile"]).is_file()


@pytest.mark.parametrize("name", COMPOSE)
def test_a_container_is_looked_after(name: str) -> None:
    """What stays says whether it is well; what is waited for is there and can be waited for so; nobody is root."""
    service = COMPOSE[name]
    assert service["user"].startswith("${JIANWEI_USER:?")
    assert service["cap_drop"] == ["ALL"]
    assert ("healthcheck" in service) == (service["restart"] == "unless-stopped")
    for other, condition in service.get("depends_on", {}).items():
        ends = "healthcheck" not in COMPOSE[other]
        assert condition["condition"] == ("service_completed_successfully" if ends else "service_healthy")
    assert "image" not in service or "build" in service or ":" in service["image"], "say which version"


def test_no_password_stands_anywhere() -> None:
    """A name with `password`, `token` or `secret` is given a file, or nothing."""
    said = re.compile(r"(?i)^\s*-?\s*\w*(?:password|token|secret)\w*\s*[:=]\s*(\S.*)$", re.MULTILINE)
    for file in [path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".sh"]:
        for value in said.findall(file.read_text()):
            assert value.strip('"').startswith("/"), f"{file.name}: {value}"


def test_the_settings_are_those_of_the_services() -> None:
    settings = read_settings(DEPLOY / "jianwei.toml")
    topics = {name for name, *_ in words_of("kafka/topics")}
    kafka = next(source for source in settings.sources if isinstance(source, KafkaSourceSettings))
    mqtt = next(source for source in settings.sources if isinstance(source, MqttSourceSettings))
    events = settings.channels["events"]
    assert isinstance(events, KafkaChannelSettings)
    assert {*kafka.topics, events.topic, events.state_topic, DeadLetterSettings().topic} == topics
    assert isinstance(settings.store, InfluxdbStoreSettings)
    assert {settings.store.raw, settings.store.hour, settings.store.day} == {
        name for name, _ in words_of("influxdb/buckets")
    }
    hosts = {mqtt.host, kafka.servers[0].partition(":")[0], settings.store.url.split("/")[2].partition(":")[0]}
    assert hosts <= COMPOSE.keys()
    assert f"user {mqtt.username}" in (DEPLOY / "mosquitto" / "jianwei.acl").read_text().splitlines()
    places = [volume.split(":")[1] for volume in COMPOSE["jianwei"]["volumes"]]
    for needed in (mqtt.password_file, settings.store.token_file, settings.data_dir, *settings.stations):
        assert any(str(needed).startswith(place) for place in places), needed


def test_kafka_is_formatted_once(tmp_path: Path) -> None:
    """`start.sh` formats a new folder, and starts with what else was said."""
    tools = tmp_path / "kafka" / "bin"
    tools.mkdir(parents=True)
    data, told = tmp_path / "data", tmp_path / "told"
    storage = (
        f'[ "$1" = random-uuid ] && echo ID && exit\nmkdir {data}; touch {data}/meta.properties; echo "$@" >>{told}\n'
    )
    for name, does in (("kafka-storage.sh", storage), ("kafka-server-start.sh", f'echo start "$@" >>{told}\n')):
        (tools / name).write_text("#!/bin/sh\n" + does)
        (tools / name).chmod(0o755)
    (tmp_path / "server.properties").write_text(f"node.id=1\nlog.dirs={data}\n")
    command = [str(DEPLOY / "kafka" / "start.sh"), str(tmp_path / "server.properties"), "--override", "a=b"]
    for _ in range(2):
        subprocess.run(command, env=os.environ | {"KAFKA_HOME": str(tmp_path / "kafka")}, check=True)
    started = f"start {command[1]} --override a=b"
    assert told.read_text().splitlines() == [f"format -t ID -c {command[1]}", started, started]


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_starts_again_what_ended(name: str) -> None:
    unit = configparser.RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # systemd minds upper and lower case
    unit.read_string((DEPLOY / "systemd" / name).read_text())
    assert unit["Service"]["Restart"] == "always"
    if name.endswith(".service"):
        assert {"User", "StateDirectory", "ExecStart"} <= unit["Service"].keys()
        assert unit["Install"]["WantedBy"] == "multi-user.target"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd to ask")
@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".service")])
def test_systemd_takes_a_unit(name: str, tmp_path: Path) -> None:
    """With programs that are there: here nothing is installed."""
    text = re.sub(r"(?m)^(ExecStart\w*)=\S+", r"\1=/bin/true", (DEPLOY / "systemd" / name).read_text())
    text = re.sub(r"(?m)^(User|Group|Documentation)=.*\n", "", text)
    (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert [line for line in done.stderr.splitlines() if name in line] == []


def test_every_script_says_what_it_wants() -> None:
    for script in DEPLOY.rglob("*.sh"):
        assert os.access(script, os.X_OK), script
        head = script.read_text().splitlines()
        assert head[0] == "#!/bin/sh"
        assert head[1].startswith(f"# {script.name} ")
        assert "set -eu" in head
        assert shlex.split(head[1].removeprefix("# ").partition(":")[0])[0] == script.name


def test_installed_as_the_page_says_every_file_lies_where_its_unit_looks_and_no_container_is_named(
    tmp_path: Path,
) -> None:
    """The lines of docs/operations.md are run, with another folder for /etc and no change of group."""
    page = (DEPLOY.parent / "docs" / "operations.md").read_text(encoding="utf-8")
    (lines,) = (block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "deploy/kafka/start.sh" in block)
    (tmp_path / "etc" / "mosquitto").mkdir(parents=True)  # the distribution's
    (tmp_path / "stations.yaml").write_text("stations: []\n")
    lines = lines.replace(" -g jianwei", "").replace("644 stations.yaml", f"644 {tmp_path}/stations.yaml")
    lines = re.sub(r"(?<=[ >])/etc/", f"{tmp_path}/etc/", lines)
    subprocess.run(["sh", "-euc", lines], cwd=DEPLOY.parent, check=True, timeout=60)
    wanted = {"/etc/jianwei/stations.yaml", "/etc/mosquitto/jianwei.acl", "/etc/kafka/topics", "/etc/influxdb/buckets"}
    for unit in UNITS:
        text = (tmp_path / "etc" / "systemd" / "system" / unit).read_text()
        wanted |= set(re.findall(r"(?m)^(?:Exec\w+|Environment)=.*?(/etc/[\w./-]+)", text))
    assert [name for name in wanted if not (tmp_path / name[1:]).is_file()] == []
    assert os.access(tmp_path / "etc" / "kafka" / "start.sh", os.X_OK)
    settings = (tmp_path / "etc" / "jianwei" / "jianwei.toml").read_text()
    assert re.findall(r'"(?:http://)?(?:mosquitto|kafka:|influxdb:)[^"]*"', settings) == []
    assert "/run/" not in settings
