"""What Mosquitto refuses is told in health, with what to do; and what it refuses without telling is known."""

import base64
import hashlib
import json
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.records import ConnectionLost, PossibleLoss
from tests.brokers_by_packets import publish_all
from tests.ingest.mqtt_probe import Probe, until
from tests.services.mosquitto import DUTY, GATEWAY, SERVICE, Mosquitto
from tests.services.plain_mosquitto import PlainMosquitto
from tests.services.recording import as_service, publish_as_gateway

pytestmark = pytest.mark.services
EACH = pytest.mark.parametrize("protocol", ["3.1.1", "5"])
MESSAGES = [("jianwei/v1/S1/minute", b"%d" % n) for n in range(100)]


# Who may connect


@EACH
@pytest.mark.parametrize("account", [{}, {"username": SERVICE}, {"username": SERVICE, "password": "wrong"}])
def test_a_connection_that_is_not_authorised_is_told_with_what_to_do(
    mosquitto: Mosquitto, protocol: str, account: dict[str, str]
) -> None:
    with Probe(mosquitto.port, protocol=protocol, client_id="stranger", **account) as probe:
        until(lambda: "Not authorized (check `username` and password of this source" in probe.health.why)
        assert not probe.health.ok
        assert "wrong" not in probe.health.why


@EACH
def test_a_password_that_is_mended_is_taken_without_a_new_start(
    mosquitto: Mosquitto, protocol: str, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("wrong")
    account = {"username": SERVICE, "password_file": str(secret)}
    with Probe(mosquitto.port, protocol=protocol, client_id="mended", **account) as probe:
        until(lambda: "Not authorized" in probe.health.why)
        secret.write_text(mosquitto.password(SERVICE) + "\n")
        probe.well()


# Two with one client id


@EACH
def test_a_client_id_that_two_processes_use_is_told(mosquitto: Mosquitto, protocol: str) -> None:
    """Mosquitto before 2.0.15 only closes the older connection, also with MQTT 5. Nobody is told of a loss: there is none."""
    settings = {"client_id": "twin", "protocol": protocol, "reconnect_max_s": 0.4, **as_service(mosquitto)}
    with Probe(mosquitto.port, **settings) as one, Probe(mosquitto.port, **settings) as other:
        for probe in (one, other):
            until(lambda: any("another client uses the client id 'twin'" in r.why for r in probe.told(ConnectionLost)))  # noqa: B023  # called in this turn only
            assert not probe.told(PossibleLoss)


# What may be heard


@EACH
def test_without_the_right_to_read_mosquittos_acl_file_confirms_the_subscription_and_sends_nothing(
    mosquitto: Mosquitto, protocol: str
) -> None:
    """The source cannot know. `health.silent_s` of the settings turns red when nothing comes for long."""
    account = {"username": DUTY, "password_file": str(mosquitto.password_file(DUTY))}
    with Probe(mosquitto.port, protocol=protocol, client_id="no-right", **account) as probe:
        probe.well()
        publish_as_gateway(mosquitto, MESSAGES)
        assert probe.nothing_comes(0.5)
        assert probe.health.ok


def with_roles(folder: Path, allowed: str) -> PlainMosquitto:
    """A broker whose rights are kept by Mosquitto's own plug-in, which refuses subscriptions in words."""
    plugins = [*Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"), *Path("/usr/lib").glob("mosquitto_dyn*.so")]
    assert plugins, (
        "mosquitto_dynamic_security.so is not in /usr/lib; the mosquitto package of Debian and Ubuntu has it"
    )
    salt = b"twelve bytes"
    rights = {"acltype": "subscribePattern", "topic": allowed, "allow": True}
    account = {
        "username": SERVICE,
        "password": base64.b64encode(hashlib.pbkdf2_hmac("sha512", b"right", salt, 101, 64)).decode(),
        "salt": base64.b64encode(salt).decode(),
        "iterations": 101,
        "roles": [{"rolename": "reader"}],
    }
    folder.mkdir()
    file = folder / "roles.json"
    everything_else = {
        "publishClientSend": True,
        "publishClientReceive": True,
        "subscribe": False,
        "unsubscribe": True,
    }
    said = {
        "defaultACLAccess": everything_else,
        "clients": [account],
        "roles": [{"rolename": "reader", "acls": [rights]}],
    }
    file.write_text(json.dumps(said))
    return PlainMosquitto(folder, "allow_anonymous false", f"plugin {plugins[0]}", f"plugin_opt_config_file {file}")


@EACH
def test_a_refused_subscription_is_told_and_what_is_granted_is_heard(tmp_path: Path, protocol: str) -> None:
    account: dict[str, Any] = {"username": SERVICE, "password": "right", "keepalive_s": 1}
    topics = ("jianwei/v1/S1/#", "jianwei/v1/S2/#")
    with (
        with_roles(tmp_path / "broker", "jianwei/v1/S1/#") as broker,
        Probe(broker.port, protocol=protocol, topics=topics, **account) as probe,
    ):
        until(lambda: "check the rights of this user" in probe.health.why)
        assert "jianwei/v1/S2/#: " in probe.health.why
        assert "jianwei/v1/S1/#: " not in probe.health.why
        publish_all(broker.port, MESSAGES, username=SERVICE, password="right")
        probe.take_and_acknowledge(100)
        assert not probe.health.ok


@EACH
def test_what_a_station_says_under_another_name_is_acknowledged_to_it_and_comes_to_nobody(
    a_mosquitto: Callable[..., Mosquitto], protocol: str
) -> None:
    broker = a_mosquitto(stations=("S1",))
    with Probe(broker.port, protocol=protocol, **as_service(broker)) as probe:
        probe.well()
        for topic in ("jianwei/v1/S2/minute", "jianwei/v1/S1/minute"):
            publish_all(broker.port, [(topic, topic.encode())], username="S1", password=broker.password("S1"))
        probe.take_and_acknowledge(1)
        assert probe.payloads == [b"jianwei/v1/S1/minute"]


# TLS with passwords and rights


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by the `openssl` program: an authority, and certificates of the broker (127.0.0.1) and of the service."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(command: str) -> None:
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True, timeout=60)

    openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout authority.key -out authority.pem")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("broker", SERVICE):
        openssl(f"req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr")
        openssl(
            f"x509 -req -in {name}.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile names -out {name}.pem"
        )
    return folder


def with_tls(folder: Path, certificates: Path, site: Mosquitto, *lines: str) -> PlainMosquitto:
    """The accounts and rights of `site`, behind TLS."""
    return PlainMosquitto(
        folder,
        f"cafile {certificates}/authority.pem",
        f"certfile {certificates}/broker.pem",
        f"keyfile {certificates}/broker.key",
        "allow_anonymous false",
        f"password_file {site.folder}/accounts/jianwei.passwd",
        f"acl_file {site.folder}/accounts/jianwei.acl",
        "max_queued_messages 100000",
        *lines,
    )


@EACH
def test_password_rights_and_tls_together_bring_every_message(
    mosquitto: Mosquitto, certificates: Path, tmp_path: Path, protocol: str
) -> None:
    ca = certificates / "authority.pem"
    with (
        with_tls(tmp_path, certificates, mosquitto) as broker,
        Probe(broker.port, protocol=protocol, tls={"ca": str(ca)}, **as_service(mosquitto)) as probe,
    ):
        probe.well()
        messages = [(f"jianwei/v1/S{n % 50}/minute", b"%d" % n + bytes(500)) for n in range(3_000)]
        context = ssl.create_default_context(cafile=ca)
        publish_all(broker.port, messages, tls=context, username=GATEWAY, password=mosquitto.password(GATEWAY))
        probe.take_and_acknowledge(3_000)
        assert probe.payloads == [payload for _, payload in messages]


@EACH
def test_a_wrong_password_is_told_through_tls_as_well(
    mosquitto: Mosquitto, certificates: Path, tmp_path: Path, protocol: str
) -> None:
    said: dict[str, Any] = {"username": SERVICE, "password": "wrong", "tls": {"ca": f"{certificates}/authority.pem"}}
    with with_tls(tmp_path, certificates, mosquitto) as broker, Probe(broker.port, protocol=protocol, **said) as probe:
        until(lambda: "Not authorized (check `username`" in probe.health.why)


@EACH
def test_a_broker_that_asks_for_our_certificate_is_shown_it(
    mosquitto: Mosquitto, certificates: Path, tmp_path: Path, protocol: str
) -> None:
    ours = {name: f"{certificates}/{SERVICE}.{end}" for name, end in (("cert", "pem"), ("key", "key"))}
    ca = {"ca": f"{certificates}/authority.pem"}
    with with_tls(tmp_path, certificates, mosquitto, "require_certificate true") as broker:
        with Probe(broker.port, protocol=protocol, tls=ca, **as_service(mosquitto)) as probe:
            # Now and then the broker resets the connection before we have read why.
            until(lambda: any("certificate required" in lost.why for lost in probe.told(ConnectionLost)))
        with Probe(broker.port, protocol=protocol, tls=ca | ours, **as_service(mosquitto)) as probe:
            probe.well()
