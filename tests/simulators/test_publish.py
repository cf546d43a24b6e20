import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.broker import EmbeddedBroker
from rules.readings import Kind
from simulators.load import Load, numbers_of, read_report
from simulators.publish import BrokerRefusedError, BrokerUnreachableError, Publisher, Ranges, check_welcome
from simulators.samples import Outgoing
from simulators.targets import LinesFile, open_target, read_lines
from tests.brokers_by_packets import connack


@given(st.lists(st.integers(0, 60), max_size=80))
def test_ranges_hold_a_set_of_numbers_in_any_order(numbers: list[int]) -> None:
    ranges = Ranges()
    for number in numbers:
        ranges.add(number)
    assert list(ranges) == sorted(set(numbers))
    assert len(ranges) == len(set(numbers))
    assert all(one[1] + 1 < two[0] for one, two in zip(ranges.spans, ranges.spans[1:], strict=False))


def test_every_message_is_acknowledged_by_a_real_broker(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path / "broker") as broker, Publisher("127.0.0.1", broker.port, window=100) as publisher:
        for i in range(1000):
            assert publisher.publish("jianwei/v1/A/realtime", b"%d" % i) == i
        publisher.flush()
        assert publisher.acknowledged.spans == [[0, 999]]
        assert publisher.reconnects == 0


def test_a_killed_broker_costs_time_and_no_message(tmp_path: Path) -> None:
    """The broker dies in the middle of a stream and comes back on its port; everything is acknowledged in the end."""
    with EmbeddedBroker(tmp_path / "broker") as broker, Publisher("127.0.0.1", broker.port, window=200) as publisher:
        stopped = threading.Event()

        def stream() -> None:
            while not stopped.is_set():
                publisher.publish("jianwei/v1/A/realtime", b"x" * 100)
            publisher.flush()

        thread = threading.Thread(target=stream)
        thread.start()
        time.sleep(0.3)
        broker.kill()
        broker.start()
        time.sleep(0.3)
        stopped.set()
        thread.join(timeout=40)
        assert not thread.is_alive()
        assert publisher.reconnects >= 1
        assert publisher.published > 200
        assert publisher.acknowledged.spans == [[0, publisher.published - 1]]


def test_a_broker_that_stays_away_is_told_after_the_patience() -> None:
    publisher = Publisher("127.0.0.1", 1, patience_s=0.2)
    with pytest.raises(BrokerUnreachableError):
        publisher.send([outgoing(b"{}")])
    publisher.close()


@pytest.mark.parametrize(
    ("code", "told"), [(4, "give mqtt://user:password@host"), (5, "user or password"), (2, "code 2")]
)
def test_a_broker_that_refuses_is_told_with_what_to_do(code: int, told: str) -> None:
    broker, publisher = socket.socketpair()
    with broker, publisher:
        broker.sendall(connack(code))
        with pytest.raises(BrokerRefusedError, match=told):
            check_welcome(publisher)


def outgoing(payload: bytes) -> Outgoing:
    return Outgoing("jianwei/v1/A/realtime", payload, 5, "A", Kind.REALTIME, 0, ())


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_a_file_of_lines_gives_back_any_bytes(tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("lines") / "messages.jsonl"
    target = LinesFile(path)
    target.send(outgoing(p) for p in payloads)
    target.close()
    assert list(read_lines(path)) == [(5, "jianwei/v1/A/realtime", p) for p in payloads]


def test_a_target_is_chosen_by_its_address(tmp_path: Path) -> None:
    written = open_target(str(tmp_path / "out.jsonl"))
    written.send([outgoing(b"{}")])
    written.close()
    assert len(list(read_lines(tmp_path / "out.jsonl"))) == 1
    with pytest.raises(ValueError, match="neither"):
        open_target("https://example.org")


def test_the_load_process_reports_what_was_acknowledged(tmp_path: Path) -> None:
    """Stopped by SIGTERM in the middle, it still finishes in order and tells the truth."""
    report_path = tmp_path / "report.json"
    with EmbeddedBroker(tmp_path / "broker") as broker:
        command = [sys.executable, "-m", "simulators.load", "--port", str(broker.port), "--rate", "3000"]
        command += ["--stations", "50", "--seconds", "60", "--report", str(report_path)]
        process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        time.sleep(2.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) == 0
    report = read_report(report_path)
    assert report.published > 100
    assert report.acknowledged == [[0, report.published - 1]]
    assert report.checksum == Load(report.plan).checksum(numbers_of(report.acknowledged))
