"""What the MQTT client leans on in paho, and where paho is bent."""

import inspect
import re
from pathlib import Path

import paho.mqtt
import paho.mqtt.client
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ingest.sources.mqtt import client as bent
from ingest.sources.mqtt.client import LEANS_ON, UNREADABLE, BulkClient
from ingest.sources.mqtt.settings import MqttSourceSettings
from tests.brokers_by_packets import PUBACK, ScriptedBroker, connack, packet

ROOT = Path(__file__).parents[2]
SIGNATURES = {
    "_create_socket": "(self)",
    "_sock_recv": "(self, bufsize)",
    "_sock_close": "(self)",
    "_packet_read": "(self)",
    "_packet_queue": "(self, command, packet, mid, qos, info)",
    "_loop_rc_handle": "(self, rc)",
    "_send_pingreq": "(self)",
}


def settings(port: int, **more: object) -> MqttSourceSettings:
    return MqttSourceSettings.model_validate({"client_id": "c", "port": port, **more})


@pytest.mark.parametrize("name", LEANS_ON)
def test_every_private_name_of_paho_that_we_lean_on_is_as_we_know_it(name: str) -> None:
    parameters = inspect.signature(getattr(paho.mqtt.client.Client, name)).parameters
    assert f"({', '.join(parameters)})" == SIGNATURES[name]


def test_leans_on_names_all_private_names_of_paho_in_use() -> None:
    """In the source: every `self._x` or `super()._x` that paho has and we do not set ourselves. `_sock` is the socket."""
    used = set(re.findall(r"(?:self|super\(\))\.(_[a-z]\w*)", inspect.getsource(bent)))
    theirs = set(dir(paho.mqtt.client.Client)) | set(vars(paho.mqtt.client.Client(CallbackAPIVersion.VERSION2)))
    assert used & theirs == {*LEANS_ON, "_sock"} - {"_create_socket"}  # which paho calls, not we


def test_our_own_attributes_hide_none_of_paho() -> None:
    plain = paho.mqtt.client.Client(CallbackAPIVersion.VERSION2)
    with ScriptedBroker() as broker:
        ours = BulkClient(settings(broker.port), 5)
        added = set(vars(ours)) - set(vars(plain))
        assert not added & set(dir(paho.mqtt.client.Client))
        overridden = {name for name in vars(BulkClient) if hasattr(paho.mqtt.client.Client, name)} - {"__init__"}
        assert {name for name in overridden if not name.startswith("__")} == {
            "_create_socket",
            "_sock_recv",
            "_sock_close",
        }
        ours.give_up("end of test")


def test_the_installed_paho_is_in_the_pinned_range() -> None:
    assert '"paho-mqtt>=2.1,<2.3"' in (ROOT / "pyproject.toml").read_text()
    assert (2, 1) <= tuple(int(n) for n in paho.mqtt.__version__.split(".")[:2]) < (2, 3)


def test_acknowledgements_of_a_batch_leave_in_one_send() -> None:
    with ScriptedBroker() as broker:
        client = BulkClient(settings(broker.port), 5)
        line = broker.accept()
        line.receive()
        sends = []
        real = client._sock_send
        client._sock_send = lambda buf: sends.append(len(buf)) or real(buf)  # type: ignore[method-assign,func-returns-value]  # a look over the shoulder of paho
        client.acknowledge(list(range(1, 1_001)))
        assert line.acknowledged(1_000) == list(range(1, 1_001))
        assert sends == [4_000]
        client.give_up("end of test")


def test_acknowledgements_that_the_socket_does_not_take_follow_later() -> None:
    with ScriptedBroker() as broker:
        client = BulkClient(settings(broker.port), 5)
        line = broker.accept()
        line.receive()
        expected: list[int] = []
        while not client.want_write():
            client.acknowledge(list(range(1, 60_001)))
            expected += range(1, 60_001)
        got: list[int] = []
        while len(got) < len(expected):
            found = line.receive()
            assert found.kind == PUBACK
            got.append(int.from_bytes(found.body, "big"))
            if client.want_write():
                client.loop_write()
        assert got == expected
        client.give_up("end of test")


def test_a_packet_in_pieces_reaches_paho_whole() -> None:
    with ScriptedBroker() as broker:
        client = BulkClient(settings(broker.port), 5)
        line = broker.accept()
        line.receive()
        for piece in connack(present=True):
            line.send(bytes([piece]))
            while not (received := client.receive())[0]:
                pass
            client.hand_on(received[1])
        assert client.session_present is True
        client.hang_up()
        assert client.why_ended == "stopped"


def test_what_paho_raises_for_nonsense_is_known() -> None:
    with ScriptedBroker() as broker:
        for five in ("3.1.1", "5"):
            for first in (0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0xB0, 0xE0, 0xF0):
                for body in (b"", b"\0", b"\0\1", b"\0\1\xff", b"\0\0\x05\x11", b"\0\1\x02\x1f\xff"):
                    client = BulkClient(settings(broker.port, protocol=five), 5)
                    line = broker.accept()
                    line.send(packet(first, body))
                    while not (received := client.receive())[0]:
                        pass
                    client.hand_on(received[1])  # nothing escapes
                    client.give_up("end of test")
    assert ValueError in UNREADABLE
