"""The Kafka source and a Kafka that is away, killed, closed to it, or holds damaged batches."""

import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiokafka.record.util import calc_crc32c

from ingest.records import Connected, ConnectionLost, PartFailed, PossibleLoss
from tests.services.kafka import Kafka
from tests.services.kafka_probe import Probe, until
from tests.services.kafka_topics import Written, committed, make_topic, write

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]
NUMBERS = count()


def test_a_source_that_starts_while_kafka_is_away_reads_when_it_comes(a_kafka: Callable[..., Kafka]) -> None:
    broker = a_kafka()
    make_topic(broker.address, "t")
    write(broker.address, "t", [b"one"])
    broker.stop()
    with Probe(broker.address, "t") as probe:
        until(lambda: len(probe.told(ConnectionLost)) > 2)
        assert probe.health.why.startswith(f"cannot connect to {broker.address}: ")
        broker.start()
        probe.take_and_acknowledge(1)
        probe.well()
    assert not probe.told(PartFailed)


def test_a_broker_that_is_killed_and_comes_back_costs_nothing(a_kafka: Callable[..., Kafka]) -> None:
    broker = a_kafka()
    make_topic(broker.address, "t", 3)
    write(broker.address, "t", [b"%d" % n for n in range(3_000)])
    with Probe(broker.address, "t", window_messages=500) as probe:
        probe.take_and_acknowledge(1_000)
        broker.kill()
        until(lambda: not probe.health.ok)
        assert probe.health.why.startswith(f"no answer from {broker.address} for ")
        until(lambda: probe.told(ConnectionLost))
        taken = probe.take_now()  # what is durable meanwhile is committed when the broker is back
        if taken is not None:
            probe.source.acknowledge(taken.token)
        time.sleep(8)  # longer than a session
        broker.start()
        write(broker.address, "t", [b"%d" % n for n in range(3_000, 4_000)])
        done: set[bytes] = set()

        def everything() -> bool:
            probe.take_and_acknowledge(0)
            done.update(probe.payloads)
            return len(done) == 4_000

        until(everything, within_s=90, why=lambda: (len(done), probe.health, probe.records[-5:]))
        probe.well()
        until(lambda: sum(committed(broker.address, probe.settings.group).values()) == 4_000)
        until(lambda: len(probe.told(Connected)) == 1 + len(probe.told(ConnectionLost)))
    assert not probe.told(PartFailed)


def test_a_broker_that_stands_still_is_noticed_and_the_source_goes_on_with_it(a_kafka: Callable[..., Kafka]) -> None:
    broker = a_kafka()
    make_topic(broker.address, "t")
    with Probe(broker.address, "t") as probe:
        probe.well()
        broker.pause()
        try:
            until(lambda: not probe.health.ok)
            assert "no answer" in probe.health.why
        finally:
            broker.resume()
        write(broker.address, "t", [b"after"])
        probe.take_and_acknowledge(1)
        probe.well()


def test_a_topic_that_is_not_there_is_told_and_read_once_it_is_made(kafka: Kafka) -> None:
    topic = f"not.there.{next(NUMBERS)}"
    with Probe(kafka.address, topic, request_timeout_s=1) as probe:
        until(lambda: f"one of the topics {topic} is not there" in probe.health.why)
        make_topic(kafka.address, topic)
        write(kafka.address, topic, [b"one"])
        probe.take_and_acknowledge(1)
        probe.well()


def test_who_is_at_the_port_and_is_no_kafka_is_survived() -> None:
    """It takes connections, and says what no Kafka says."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def babble() -> None:
            server.settimeout(0.1)
            while not over.is_set():
                try:
                    client, _ = server.accept()
                except TimeoutError:
                    continue
                with client:
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        try:
            with Probe(f"127.0.0.1:{server.getsockname()[1]}", "t", request_timeout_s=1) as probe:
                until(lambda: len(probe.told(ConnectionLost)) > 1)
                assert not probe.health.ok
        finally:
            over.set()
            thread.join()


def rewritten(broker: Kafka, old: bytes, new: bytes, *, check_sum: bool) -> None:
    """Another byte sequence of the same length in the only segment of t-0; with a right check sum, or the old one."""
    (segment,) = (broker.folder / "data" / "t-0").glob("*.log")
    content = bytearray(segment.read_bytes())
    assert content.count(old) == 1
    at, begin = content.index(old), 0
    while begin + 12 + int.from_bytes(content[begin + 8 : begin + 12]) < at:
        begin += 12 + int.from_bytes(content[begin + 8 : begin + 12])
    end = begin + 12 + int.from_bytes(content[begin + 8 : begin + 12])
    content[at : at + len(old)] = new
    if check_sum:  # of a batch: stands 17 bytes after its begin, and is of what follows it
        content[begin + 17 : begin + 21] = calc_crc32c(bytes(content[begin + 21 : end])).to_bytes(4)
    segment.write_bytes(content)


@pytest.mark.parametrize(
    ("old", "new", "check_sum", "unreadable"),
    [(b"sick 12", b"s1ck 12", False, set(range(10, 20))), (b"name 12", b"n\xffme 12", True, set(range(12, 20)))],
    ids=["a damaged batch", "a header that is no text"],
)
def test_what_cannot_be_taken_apart_is_passed_over_and_told_and_everything_else_is_read(
    a_kafka: Callable[..., Kafka], old: bytes, new: bytes, check_sum: bool, unreadable: set[int]
) -> None:
    broker = a_kafka()
    make_topic(broker.address, "t", 2)
    for begin in (0, 10, 20):  # a batch each
        batch = [Written(b"sick %d" % n, None, [(f"name {n}", b"")], 0) for n in range(begin, begin + 10)]
        write(broker.address, "t", batch, linger_ms=500)
    write(broker.address, "t", [Written(b"well %d" % n, partition=1) for n in range(500)])
    broker.stop()
    rewritten(broker, old, new, check_sum=check_sum)
    broker.start()
    with Probe(broker.address, "t") as probe:

        def everything() -> bool:
            probe.take_and_acknowledge(0)
            return len(set(probe.places)) >= 530 - len(unreadable)

        until(everything, why=lambda: (len(probe.payloads), probe.health, probe.records[-5:]))
        assert {offset for partition, offset in probe.places if partition == 0} == set(range(30)) - unreadable
        assert new not in b"".join(probe.payloads)
        (loss,) = probe.told(PossibleLoss)
        assert f"t, partition 0: what lies at offset {min(unreadable)} cannot be read" in loss.why
        probe.well()
        write(broker.address, "t", [Written(b"later", partition=0)])
        probe.take_and_acknowledge(len(probe.payloads) + 1)
        assert probe.payloads[-1] == b"later"
        until(lambda: committed(broker.address, probe.settings.group) == {("t", 0): 31, ("t", 1): 500})


class GuardedKafka(Kafka):
    """Over TLS, with a password for who comes."""

    def command(self) -> list[str]:
        command = super().command()
        jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        file = self.folder / "server.properties"
        text = file.read_text().replace("PLAINTEXT://", "SASL_SSL://", 2)
        more = {
            "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "SASL_SSL",
            "sasl.enabled.mechanisms": "PLAIN",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": (
                f'{jaas} username="broker" password="b" user_broker="b" user_jianwei="open sesame";'
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.folder / "both.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.folder / "cert.pem"),
        }
        file.write_text(text + "".join(f"{name}={value}\n" for name, value in more.items()))
        return command


@pytest.fixture
def guarded(tmp_path: Path) -> Any:
    folder = tmp_path / "guarded"
    folder.mkdir()
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=kafka -addext subjectAltName=IP:127.0.0.1"
    pair = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*shlex.split(command), *pair], check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    with GuardedKafka(folder) as broker:
        yield broker


def test_over_tls_with_a_password_and_without_the_right_one(guarded: GuardedKafka, tmp_path: Path) -> None:
    ca = str(guarded.folder / "cert.pem")
    said = {"tls": {"ca": ca}, "sasl_mechanism": "PLAIN", "username": "jianwei"}
    secret = tmp_path / "secret"
    secret.write_text("wrong, and never told\n")
    with Probe(guarded.address, "t", **said, password_file=secret, request_timeout_s=2) as probe:
        until(lambda: "refused user 'jianwei'" in probe.health.why, why=lambda: probe.health)
        assert "never told" not in str(probe.health) + str(probe.records)
        secret.write_text("open sesame\n")
        until(lambda: "t is not there" in probe.health.why, why=lambda: probe.health)  # let in
    with Probe(guarded.address, "t", **{**said, "tls": {}}, password_file=secret) as probe:
        until(lambda: "certificate" in probe.health.why.lower(), why=lambda: probe.health)
    with Probe(guarded.address, "t", **{**said, "tls": {"ca": str(tmp_path / "none")}}, password_file=secret) as probe:
        until(lambda: "a file of the settings" in probe.health.why, why=lambda: probe.health)
