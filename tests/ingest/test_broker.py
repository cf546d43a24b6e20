"""The embedded broker: a real NATS server, started, killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ingest.broker import BrokerUnavailableError, EmbeddedBroker
from tests.brokers_by_packets import HOST, Line, connect
from tests.ingest.mqtt_probe import until


def greets(port: int) -> bool:
    line = Line(socket.create_connection((HOST, port)))
    line.send(connect("somebody"))
    answer = line.receive().body
    line.close()
    return answer == b"\0\0"


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_it_accepts_when_started_and_keeps_its_port_when_started_again(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "broker")
    assert broker.port == 0
    with broker:
        port = broker.port
        assert greets(port)
        pid = broker.pid
        broker.start()  # it runs already
        assert broker.pid == pid
        broker.kill()
        assert not broker.running
        assert broker.pid is None
        broker.start()
        assert broker.port == port
        assert greets(port)
        broker.stop()
        broker.stop()
        broker.start()
        assert greets(port)
    assert not broker.running
    assert "Server Exiting" in broker.log.read_text()


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BrokerUnavailableError, match=str(port)):
            EmbeddedBroker(tmp_path, port).start()


def test_a_configuration_that_nats_refuses_is_told(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path, settings={"mqtt": {"max_ack_pending": -1}})
    with pytest.raises(BrokerUnavailableError, match="does not start"):
        broker.start()
    assert broker.port == 0
    assert not broker.running


def test_a_missing_wheel_is_told_with_what_to_install(tmp_path: Path) -> None:
    """In a Python that sees our code and not the site packages."""
    code = f"""
import pathlib
from ingest.broker import BrokerUnavailableError, EmbeddedBroker
try:
    EmbeddedBroker(pathlib.Path({str(tmp_path)!r})).start()
except BrokerUnavailableError as error:
    print(error)
"""
    root = Path(__file__).parents[2]
    told = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=60
    )
    assert "pip install 'jianwei[embedded]'" in told.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_its_owner_however_that_ends(tmp_path: Path, how: signal.Signals) -> None:
    code = f"""
import pathlib, time
from ingest.broker import EmbeddedBroker
broker = EmbeddedBroker(pathlib.Path({str(tmp_path)!r}))
broker.start()
print(broker.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert is_running(pid)
        owner.send_signal(how)
        owner.wait(10)
        until(lambda: not is_running(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_broker_that_dies_by_itself_is_noticed_and_leaves_no_guard(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        assert broker.pid is not None
        guard = broker._guard
        assert guard is not None
        os.kill(broker.pid, signal.SIGKILL)
        until(lambda: not broker.running)
        assert not is_running(guard.pid)
        broker.start()
        assert greets(broker.port)


def test_it_starts_quickly(tmp_path: Path) -> None:
    began_s = time.monotonic()
    with EmbeddedBroker(tmp_path):
        assert time.monotonic() - began_s < 5


def test_a_relative_folder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with EmbeddedBroker(Path("here")) as broker:
        assert broker.running
        assert (tmp_path / "here" / "broker.log").exists()
