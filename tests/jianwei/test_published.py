"""What is published is what the code says, and the AsyncAPI page holds together."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from alerts.channels.kafka import KafkaChannelSettings, records_of
from alerts.channels.mqtt import MqttChannelSettings
from ingest.formats.json_v1 import KINDS, TOPIC
from ingest.sources.mqtt.settings import MqttSourceSettings
from jianwei.published import FILES, FOLDER, asyncapi, publish
from simulators.wire import topic_of
from tests.alerts.found import OPENED
from tests.alerts.test_channel_kafka import event_of

ROOT = Path(__file__).parent.parent.parent
HOW_TO = "write it again: python -m jianwei.published"


@pytest.mark.parametrize("name", FILES)
def test_the_published_file_is_that_of_the_code(name: str) -> None:
    assert (ROOT / FOLDER / name).read_text(encoding="utf-8") == FILES[name](), HOW_TO


def test_nothing_else_is_published() -> None:
    assert {path.name for path in (ROOT / FOLDER).iterdir()} == set(FILES)


def test_publishing_writes_every_file(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert publish(folder) == [folder / name for name in FILES]
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == {
        name: text() for name, text in FILES.items()
    }


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from references(inner)


def test_every_reference_leads_somewhere() -> None:
    page = asyncapi()
    found = list(references(page))
    for reference in found:
        file, _, pointer = reference.partition("#")
        assert not file or file.removeprefix("./") in FILES
        node: Any = json.loads(FILES[file.removeprefix("./")]()) if file else page
        for part in filter(None, pointer.split("/")):
            node = node[part]
    assert {"./json_v1.json", "./alert_event.json"} <= set(found)


def test_every_channel_names_the_parameters_of_its_address() -> None:
    for channel in asyncapi()["channels"].values():
        assert re.findall(r"\{(\w+)\}", channel["address"]) == list(channel.get("parameters", {}))


def test_the_page_is_written_without_shorthands_of_yaml() -> None:
    text = FILES["asyncapi.yaml"]()
    assert yaml.safe_load(text) == asyncapi()
    assert not re.search(r"[&*]id\d", text)


@pytest.mark.parametrize("kind", KINDS)
def test_the_address_of_readings_is_where_stations_publish_and_we_listen(kind: str) -> None:
    readings = asyncapi()["channels"]["readings"]
    topic = readings["address"].format(station="SW-01", kind=kind)
    assert topic == topic_of("SW-01", kind)
    named = TOPIC.fullmatch(topic)
    assert named is not None
    assert named.groups() == ("SW-01", kind)
    assert kind in readings["parameters"]["kind"]["enum"]
    assert MqttSourceSettings(client_id="a").topics == ("jianwei/v1/#",)


def test_the_address_of_alerts_is_where_the_channel_publishes() -> None:
    settings = MqttChannelSettings(host="127.0.0.1")
    assert asyncapi()["channels"]["alerts"]["address"] == f"{settings.topic}/{{station}}"


def test_we_receive_readings_and_send_alerts_at_least_once() -> None:
    operations = [o for o in asyncapi()["operations"].values() if "bindings" in o]
    said = [(o["action"], o["channel"]["$ref"].split("/")[-1], o["bindings"]["mqtt"]["qos"]) for o in operations]
    assert said == [("receive", "readings", 1), ("send", "alerts", 1)]


def test_what_is_written_to_kafka_is_where_and_how_the_page_says() -> None:
    page = asyncapi()
    written = records_of(event_of(OPENED), KafkaChannelSettings())
    assert [record.topic for record in written] == [
        page["channels"][name]["address"] for name in ("alerts_in_kafka", "alert_state")
    ]
    said = page["components"]["messages"]["alert_record"]
    schema = json.loads(FILES["alert_event.json"]())
    for record in written:
        assert {name for name, _ in record.headers} == set(said["headers"]["properties"])
        assert record.value is not None
        jsonschema.validate(json.loads(record.value), {"$ref": "#/$defs/AlertData", "$defs": schema["$defs"]})
