"""The MQTT source with the real embedded broker: nothing that it acknowledged to a publisher is lost."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.broker import RESEND_AFTER_S, EmbeddedBroker
from ingest.records import Connected, ConnectionLost, PartFailed, PossibleLoss
from ingest.sources.mqtt import client
from ingest.tls import Tls
from tests.brokers_by_packets import Relay, ScriptedBroker, publish, publish_all
from tests.ingest.mqtt_probe import Probe, until


def numbered(count: int, start: int = 0) -> list[tuple[str, bytes]]:
    """Messages that all differ, of 50 stations."""
    return [(f"jianwei/v1/S{n % 50:03}/minute", b'{"n":%d}' % n) for n in range(start, start + count)]


def payloads(count: int, start: int = 0) -> list[bytes]:
    return [payload for _, payload in numbered(count, start)]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path / "broker") as running:
        yield running


def nothing_is_left(port: int) -> bool:
    """Everything was acknowledged: the same session, connected again, brings nothing."""
    with Probe(port) as again:
        again.well()
        return again.told(Connected)[0].session_present and again.nothing_comes(0.5)


def test_20_000_messages_come_in_order_and_are_acknowledged_once(broker: EmbeddedBroker) -> None:
    with Probe(broker.port, nap_ms=4) as probe:
        probe.well()
        publish_all(broker.port, numbered(20_000))
        probe.take_and_acknowledge(20_000)
        assert probe.payloads == payloads(20_000)
        assert probe.topics == [topic for topic, _ in numbered(20_000)]
    assert nothing_is_left(broker.port)


def test_what_is_published_while_away_is_kept(broker: EmbeddedBroker) -> None:
    with Probe(broker.port) as probe:
        probe.well()
    publish_all(broker.port, numbered(3_000))
    with Probe(broker.port) as probe:
        probe.take_and_acknowledge(3_000)
        assert probe.payloads == payloads(3_000)
        assert [record.session_present for record in probe.told(Connected)] == [True]
    assert nothing_is_left(broker.port)


def test_what_is_not_acknowledged_comes_again_to_the_next_process_before_what_is_newer(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """Of 300 messages the first 100 are made durable; the others come again, in order."""
    known = {"session_file": str(tmp_path / "session"), "resend_after_s": RESEND_AFTER_S}
    with Probe(broker.port, **known) as probe:
        probe.well()
        publish_all(broker.port, numbered(100))
        probe.take_and_acknowledge(100)
        publish_all(broker.port, numbered(200, 100))
        probe.take_messages(300)
    publish_all(broker.port, numbered(100, 300))
    with Probe(broker.port, **known) as probe:
        probe.take_and_acknowledge(300)
        assert probe.payloads == payloads(300, 100)
    assert nothing_is_left(broker.port)


def test_a_cut_line_brings_unacknowledged_messages_again_and_no_old_acknowledgement(broker: EmbeddedBroker) -> None:
    with Relay(broker.port) as relay, Probe(relay.own_port, resend_after_s=RESEND_AFTER_S) as probe:
        probe.well()
        publish_all(broker.port, numbered(500))
        old = probe.take_messages(500)
        relay.cut()
        until(lambda: probe.told(ConnectionLost))
        until(lambda: len(probe.told(Connected)) == 2)
        new = probe.take_messages(1_000)
        for token in old:
            probe.source.acknowledge(token)
        assert bytes(relay.heard[1]).count(b"\x40\x02") == 0
        for token in new:
            probe.source.acknowledge(token)
        until(lambda: bytes(relay.heard[1]).count(b"\x40\x02") >= 500)
        assert probe.payloads == payloads(500) * 2
        assert bytes(relay.heard[0]).count(b"\x40\x02") == 0
        assert not probe.told(PossibleLoss)
    assert nothing_is_left(broker.port)


@pytest.mark.parametrize(("rest_s", "in_order"), [(0.0, False), (RESEND_AFTER_S, True)])
def test_a_line_cut_many_times_loses_nothing(broker: EmbeddedBroker, rest_s: float, in_order: bool) -> None:
    """And who rests before coming back sees every message for the first time in its order."""
    with Relay(broker.port) as relay, Probe(relay.own_port, window_messages=700, resend_after_s=rest_s) as probe:
        probe.well()
        for start in range(0, 4_000, 1_000):
            publish_all(broker.port, numbered(1_000, start))
            relay.cut()
            until(lambda: not probe.nothing_comes(0.01) and len(set(probe.payloads)) >= start + 500)  # noqa: B023  # called in this turn only
        until(lambda: probe.nothing_comes(1.5) and len(set(probe.payloads)) == 4_000)
        first_seen = list(dict.fromkeys(probe.payloads))
        assert sorted(first_seen) == sorted(payloads(4_000))
        if in_order:
            assert first_seen == payloads(4_000)
    assert nothing_is_left(broker.port)


def test_a_broker_killed_and_started_again_loses_nothing(broker: EmbeddedBroker) -> None:
    with Probe(broker.port) as probe:
        probe.well()
        publish_all(broker.port, numbered(2_000))
        probe.take_and_acknowledge(1_000)
        broker.kill()
        until(lambda: not probe.health.ok)
        broker.start()
        probe.well()
        publish_all(broker.port, numbered(500, 2_000))
        while len(set(probe.payloads)) < 2_500:
            probe.source.acknowledge(probe.take().token)
        assert list(dict.fromkeys(probe.payloads)) == payloads(2_500)
        assert not probe.told(PossibleLoss)
        assert not probe.told(PartFailed)


def test_a_slow_journal_finds_no_copies_in_its_window(broker: EmbeddedBroker) -> None:
    """NATS sends unacknowledged messages again and again on the living connection."""
    with Probe(broker.port) as probe:
        probe.well()
        publish_all(broker.port, numbered(500))
        tokens = probe.take_messages(500)
        assert probe.nothing_comes(2.5)
        for token in tokens:
            probe.source.acknowledge(token)
    assert nothing_is_left(broker.port)


def test_a_broker_that_lost_its_folder_is_a_possible_loss(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path / "one") as broker, Probe(broker.port) as probe:
        probe.well()
        broker.kill()
        with EmbeddedBroker(tmp_path / "two", broker.port):
            until(lambda: probe.told(PossibleLoss))
            probe.well()


def test_a_full_window_holds_at_most_what_it_says_and_then_everything_comes(broker: EmbeddedBroker) -> None:
    with Probe(broker.port, window_messages=100) as probe:
        probe.well()
        publish_all(broker.port, [(topic, payload + bytes(2_000)) for topic, payload in numbered(3_000)])
        while len(probe.payloads) < 3_000:
            taken = probe.take()
            assert sum(len(block) for block in taken.blocks) <= 100 + 65_536 // 2_000
            probe.source.acknowledge(taken.token)
        assert [payload[:-2_000] for payload in probe.payloads] == payloads(3_000)


def test_qos_0_messages_come_too(broker: EmbeddedBroker) -> None:
    with Probe(broker.port) as probe:
        probe.well()
        publish_all(broker.port, numbered(100), qos=0)
        probe.take_and_acknowledge(100)
        assert sorted(probe.payloads) == sorted(payloads(100))


def test_credentials_are_asked_and_a_wrong_one_is_told_in_words(tmp_path: Path) -> None:
    asked = {"mqtt": {"authorization": {"username": "station", "password": "right"}}}
    with EmbeddedBroker(tmp_path, settings=asked) as broker:
        with Probe(broker.port, username="station", password="wrong") as probe:
            until(lambda: "refuses the connection" in probe.health.why)
            assert "uthoriz" in probe.health.why
        with Probe(broker.port, username="station", password="right") as probe:
            probe.well()


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Made by the `openssl` program: certificate and key of 127.0.0.1, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=jianwei -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*command.split(), "-keyout", key, "-out", cert], check=True, capture_output=True, timeout=60)
    return cert, key


@pytest.fixture
def tls_broker(tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[EmbeddedBroker]:
    cert, key = certificate
    tls = {"cert_file": str(cert), "key_file": str(key)}
    with EmbeddedBroker(tmp_path / "broker", settings={"mqtt": {"tls": tls}}) as running:
        yield running


def test_tls_brings_every_message(tls_broker: EmbeddedBroker, certificate: tuple[Path, Path]) -> None:
    cert, _ = certificate
    messages = [(topic, payload + bytes(700)) for topic, payload in numbered(3_000)]
    with Probe(tls_broker.port, tls={"ca": str(cert)}, window_messages=300) as probe:
        probe.well()
        publish_all(tls_broker.port, messages, tls=ssl.create_default_context(cafile=cert))
        probe.take_and_acknowledge(3_000)
        assert probe.payloads == [payload for _, payload in messages]


def test_what_ssl_has_decrypted_is_read_though_nothing_more_comes(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record, larger than a read: the socket is silent after it, and only ssl knows of the rest.

    Today a read has room for the largest record, so reads are made smaller here.
    """
    monkeypatch.setattr(client, "RECEIVE_BYTES", 500)
    cert, key = certificate
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    messages = numbered(400)
    record = b"".join(publish(*message, mid) for mid, message in enumerate(messages, start=1))
    assert 20 * 500 < len(record) <= 16_384
    with ScriptedBroker() as scripted, Probe(scripted.port, tls={"ca": str(cert)}) as probe:
        line = scripted.accept()
        with context.wrap_socket(line.sock, server_side=True) as line.sock:
            line.greet()
            probe.well()
            line.send(record)
            probe.take_and_acknowledge(len(messages))
            assert probe.payloads == [payload for _, payload in messages]
            assert line.acknowledged(len(messages)) == list(range(1, len(messages) + 1))


def test_tls_with_a_certificate_that_nobody_vouches_for_is_refused(tls_broker: EmbeddedBroker) -> None:
    with Probe(tls_broker.port, tls={}) as probe:
        until(lambda: "certificate verify failed" in probe.health.why)


def test_tls_with_another_host_name_is_refused(tls_broker: EmbeddedBroker, certificate: tuple[Path, Path]) -> None:
    with Probe(tls_broker.port, host="localhost", tls={"ca": str(certificate[0])}) as probe:
        until(lambda: "certificate" in probe.health.why)


def test_a_missing_certificate_file_is_told(tls_broker: EmbeddedBroker, tmp_path: Path) -> None:
    with Probe(tls_broker.port, tls={"ca": str(tmp_path / "nothing.pem")}) as probe:
        until(lambda: f"tls.ca: {tmp_path / 'nothing.pem'} cannot be read: No such file" in probe.health.why)


def test_plain_words_to_a_tls_port_do_not_hang(tls_broker: EmbeddedBroker) -> None:
    with Probe(tls_broker.port, silence_s=1) as probe:
        until(lambda: probe.told(ConnectionLost))
        assert not probe.health.ok


def test_our_own_certificate_is_loaded(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    assert Tls(ca=cert, cert=cert, key=key).context().verify_mode == ssl.CERT_REQUIRED
