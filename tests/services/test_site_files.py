"""What the tests start is what a site has: `deploy/`, but for ports, paths and the user."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.services.influxdb import Influxdb
from tests.services.kafka import Kafka
from tests.services.mosquitto import DEPLOY, Mosquitto
from tests.services.program import DidNotStart, accepts, free_port, laid_over

pytestmark = pytest.mark.services

SITE = DEPLOY.parent
PORTS_AND_PATHS = {
    "mosquitto": {"listener", "password_file", "acl_file", "persistence_location"},
    "kafka": {"controller.quorum.voters", "listeners", "advertised.listeners", "log.dirs"},
    "influxdb": {"bolt-path", "engine-path", "sqlite-path", "http-bind-address"},
}


@pytest.mark.parametrize(
    ("name", "file", "between"),
    [("mosquitto", "mosquitto.conf", " "), ("kafka", "server.properties", "="), ("influxdb", "config.toml", " = ")],
)
def test_only_ports_paths_and_the_user_are_replaced(
    request: pytest.FixtureRequest, name: str, file: str, between: str
) -> None:
    program: Mosquitto | Kafka | Influxdb = request.getfixturevalue(name)
    site = (SITE / name / file).read_text().splitlines()
    used = (program.folder / file).read_text().splitlines()
    other = {ours.partition(between)[0] for ours, theirs in zip(site, used, strict=True) if ours != theirs}
    assert other | {"user"} == PORTS_AND_PATHS[name] | {"user"}  # only root runs it as another


def test_the_accounts_may_do_what_the_site_says(mosquitto: Mosquitto) -> None:
    assert (mosquitto.folder / "accounts" / "jianwei.acl").read_text() == (DEPLOY / "jianwei.acl").read_text()


def test_a_setting_that_the_site_does_not_have_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="max_queued"):
        laid_over("listener 1883\n", {"max_queued": "1"}, between=" ")


def test_an_account_keeps_its_password_and_a_wrong_name_gets_none(tmp_path: Path) -> None:
    script = str(DEPLOY / "accounts.sh")
    subprocess.run([script, tmp_path, "SW-01"], check=True)
    password, hashes = (tmp_path / "SW-01.password").read_text(), (tmp_path / "jianwei.passwd").read_text()
    subprocess.run([script, tmp_path, "SW-01", "SW-02"], check=True)
    assert (tmp_path / "SW-01.password").read_text() == password != (tmp_path / "SW-02.password").read_text()
    assert (tmp_path / "jianwei.passwd").read_text().startswith(hashes)
    assert password not in hashes
    assert len(password) == 48
    assert (tmp_path / "SW-01.password").stat().st_mode & 0o077 == 0
    assert subprocess.run([script, tmp_path, "../SW-03"], stderr=subprocess.DEVNULL, check=False).returncode == 2
    (tmp_path / "SW-01.password").unlink()
    subprocess.run([script, tmp_path, "SW-01"], check=True)
    assert (tmp_path / "SW-01.password").read_text() != password
    assert len((tmp_path / "jianwei.passwd").read_text().splitlines()) == 2


def test_a_service_ends_with_tests_that_are_killed(tmp_path: Path) -> None:
    """As a run does that somebody ends with SIGKILL."""
    code = (
        "import sys, time; from pathlib import Path; from tests.services.mosquitto import Mosquitto; "
        "broker = Mosquitto(Path(sys.argv[1])); broker.start(); print(broker.port, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, tmp_path / "m"], cwd=SITE.parent, stdout=subprocess.PIPE)
    assert owner.stdout is not None
    port = int(owner.stdout.readline())
    assert accepts(port)
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    end_s = time.monotonic() + 10
    while accepts(port) and time.monotonic() < end_s:
        time.sleep(0.05)
    assert not accepts(port)


def test_a_program_that_does_not_start_says_why(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, settings={"max_keepalive": "often"})
    with pytest.raises(DidNotStart, match="max_keepalive"):
        broker.start()
    assert not broker.running
    assert free_port() < 32_768
