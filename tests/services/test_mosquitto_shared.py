"""Two services share the work of one broker: `$share/GROUP/FILTER`. Each message goes to one of them; and what
Mosquitto drops when one is paused, away, or gone. The counts here are those of docs/mqtt.md."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.stores.sqlite import SqliteStore
from jianwei.folders import DataFolder
from rules.readings import SECOND_NS
from simulators.load import Load, Plan
from tests.brokers_by_packets import HOST
from tests.ingest.mqtt_probe import Probe, until
from tests.services.mosquitto import GATEWAY, SERVICE, Mosquitto
from tests.services.recording import as_service, payloads_in, publish_as_gateway, recording

pytestmark = pytest.mark.services
EACH = pytest.mark.parametrize("protocol", ["3.1.1", "5"])
FILTER = "$share/city/jianwei/v1/#"
PLAN = Plan(scenario="load", seed=1, stations=50, start_ns=1_762_084_800 * SECOND_NS, interval_ns=SECOND_NS)
ON_THE_WAY, QUEUED = 100, 1_000  # of the small broker: unacknowledged at most, waiting at most

SETTINGS = """
instance = "{name}"
[[sources]]
client_id = "{name}"
port = {port}
topics = ["{filter}"]
username = "{username}"
password_file = "{password_file}"
reconnect_min_s = 0.1
reconnect_max_s = 0.5
[http]
enabled = false
[log]
level = "warning"
"""


class Member:
    """`jianwei run` in a process of its own, one of the group."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        folder.mkdir()
        self._folder = folder
        self.data = DataFolder(folder / "data")
        said = SETTINGS.format(
            name=folder.name,
            port=broker.port,
            filter=FILTER,
            username=SERVICE,
            password_file=broker.password_file(SERVICE),
        )
        (folder / "jianwei.toml").write_text(said)
        self.process = self._started()

    def _started(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "jianwei", "run", "-c", str(self._folder / "jianwei.toml")]
        with (self._folder / "log.jsonl").open("ab") as log:
            return subprocess.Popen(command, stderr=log, stdout=log)

    def subscribed(self) -> "Member":
        until((self.data.root / "sessions").exists, within_s=60)
        until(lambda: list((self.data.root / "sessions").iterdir()))
        return self

    def payloads(self) -> list[bytes]:
        return payloads_in(self.data.journal) if self.data.journal.is_dir() else []

    def readings(self) -> int:
        return SqliteStore(self.data.store).count()

    def goes(self) -> None:
        self.process.terminate()
        assert self.process.wait(30) == 0

    def comes_back(self) -> None:
        self.process = self._started()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def members(tmp_path: Path) -> Any:
    made: list[Member] = []

    def two(broker: Mosquitto) -> list[Member]:
        made.extend(Member(tmp_path / name, broker) for name in ("east", "west"))
        return [member.subscribed() for member in made]

    yield two
    for member in made:
        member.close()


def load(count: int) -> list[tuple[str, bytes]]:
    """Messages of json_v1 that all differ."""
    made = Load(PLAN)
    return [(f"jianwei/v1/{made.stations[n % PLAN.stations].id}/realtime", made.payload(n)) for n in range(count)]


# Each message goes to one


@EACH
def test_each_message_is_handled_by_exactly_one_of_the_group(
    a_mosquitto: Callable[..., Mosquitto], tmp_path: Path, protocol: str
) -> None:
    broker, messages = a_mosquitto(), load(4_000)
    said = {"topics": (FILTER,), "protocol": protocol, **as_service(broker)}
    with (
        recording(tmp_path / "east", broker.port, client_id="east", **said) as east,
        recording(tmp_path / "west", broker.port, client_id="west", **said) as west,
    ):
        east.well()
        west.well()
        publish_as_gateway(broker, messages)
        until(lambda: len(east.payloads()) + len(west.payloads()) >= 4_000)
        assert Counter(east.payloads() + west.payloads()) == Counter(payload for _, payload in messages)
        assert len(east.payloads()) == len(west.payloads()) == 2_000  # in strict turns


def test_two_services_store_each_reading_once_between_them(
    a_mosquitto: Callable[..., Mosquitto], members: Callable[[Mosquitto], list[Member]]
) -> None:
    """The format is chosen by the topic of the message, which says nothing of the group."""
    broker = a_mosquitto()
    east, west = members(broker)
    publish_as_gateway(broker, load(1_000))
    until(lambda: len(east.payloads()) + len(west.payloads()) >= 1_000)
    for member in (east, west):
        member.goes()
    made = Load(PLAN)
    assert east.readings() + west.readings() == sum(len(made.readings(n)[2]) for n in range(1_000))


def test_m9_a_retained_message_may_come_to_a_group_as_well_and_does_no_harm(
    a_mosquitto: Callable[..., Mosquitto],
) -> None:
    """Mosquitto 2.0.11 sends it to a new member, later ones keep to the standard and do not: nothing may lean on it."""
    broker = a_mosquitto()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(GATEWAY, broker.password(GATEWAY))
    client.connect(HOST, broker.port)
    client.loop_start()
    client.publish("jianwei/v1/S/minute", b"kept", 1, retain=True).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()
    with Probe(broker.port, topics=(FILTER,), **as_service(broker)) as probe:
        probe.well()
        publish_as_gateway(broker, [("jianwei/v1/S/minute", b"new")])
        until(lambda: probe.nothing_comes(0.3))
        assert probe.payloads in ([b"new"], [b"kept", b"new"])


# What is dropped, M4


def small(a_mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    return a_mosquitto(settings={"max_inflight_messages": str(ON_THE_WAY), "max_queued_messages": str(QUEUED)})


@pytest.mark.parametrize("how", ["paused", "away"])
def test_m4_whoever_does_not_read_is_dealt_a_half_and_what_its_queue_does_not_hold_is_dropped(
    a_mosquitto: Callable[..., Mosquitto], members: Callable[[Mosquitto], list[Member]], how: str
) -> None:
    """While the other is idle, and though the publisher has every acknowledgement."""
    broker, messages = small(a_mosquitto), load(4_000)
    east, west = members(broker)
    if how == "paused":
        west.process.send_signal(signal.SIGSTOP)
    else:
        west.goes()
    for start in range(0, 4_000, 500):  # so that the queue of the one who reads is never full
        publish_as_gateway(broker, messages[start : start + 500])
        until(lambda: len(east.payloads()) == (start + 500) // 2)  # noqa: B023  # called in this turn only
    if how == "paused":
        west.process.send_signal(signal.SIGCONT)
    else:
        west.comes_back()
    until(lambda: len(west.payloads()) >= QUEUED, within_s=60)
    time.sleep(1)
    kept = len(set(west.payloads()))
    print(f"{how}: of 2,000 messages {kept} were kept and {2_000 - kept} dropped")  # noqa: T201  # the figure
    assert len(east.payloads()) == 2_000
    assert kept == (QUEUED + ON_THE_WAY if how == "paused" else QUEUED)


def test_m4_with_the_sites_settings_a_pause_drops_nothing(
    a_mosquitto: Callable[..., Mosquitto], members: Callable[[Mosquitto], list[Member]]
) -> None:
    broker, messages = a_mosquitto(), load(10_000)
    east, west = members(broker)
    west.process.send_signal(signal.SIGSTOP)
    publish_as_gateway(broker, messages)
    until(lambda: len(east.payloads()) == 5_000, within_s=60)
    west.process.send_signal(signal.SIGCONT)
    until(lambda: len(west.payloads()) >= 5_000, within_s=60)
    assert set(east.payloads() + west.payloads()) == {payload for _, payload in messages}


def test_m4_whoever_leaves_for_good_takes_a_share_until_its_session_ends_and_that_share_is_lost(
    a_mosquitto: Callable[..., Mosquitto],
) -> None:
    """Here after two seconds, by MQTT 5; with 3.1.1 `persistent_client_expiration` ends it."""
    broker = a_mosquitto()
    with Probe(broker.port, client_id="stays", topics=(FILTER,), **as_service(broker)) as stays:
        stays.well()
        leave(broker, expires_after_s=2)
        messages = load(300)
        publish_as_gateway(broker, messages[:100])
        stays.take_and_acknowledge(50)
        assert stays.nothing_comes(0.3)
        time.sleep(4)
        publish_as_gateway(broker, messages[100:])
        stays.take_and_acknowledge(250)
        assert stays.nothing_comes(0.3)


def leave(broker: Mosquitto, *, expires_after_s: int) -> None:
    """A member joins the group and goes."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types here
    properties.SessionExpiryInterval = expires_after_s
    client = paho.Client(CallbackAPIVersion.VERSION2, "leaves", protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set(SERVICE, broker.password(SERVICE))
    joined: list[object] = []
    client.on_subscribe = lambda *_: joined.append(True)
    client.connect(HOST, broker.port, properties=properties)
    client.loop_start()
    until(client.is_connected)
    client.subscribe(FILTER, qos=1)
    until(lambda: joined)
    client.disconnect()
    client.loop_stop()
