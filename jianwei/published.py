"""What others build on, written from the code: schemas of the messages that come in and go out, and the AsyncAPI page.

    python -m jianwei.published [FOLDER]

writes them, into docs/schemas if no folder is named. A test holds the files there and the code equal.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from alerts import events
from alerts.channels.kafka import KafkaChannelSettings
from alerts.channels.mqtt import MqttChannelSettings
from ingest import json_v1_schema
from ingest.formats.json_v1 import KINDS
from ingest.sources.mqtt.settings import MqttSourceSettings

FOLDER = Path("docs/schemas")
READINGS = "jianwei/v1/{station}/{kind}"
MQTT = {"qos": 1, "retain": False, "bindingVersion": "0.2.0"}
KAFKA = {"bindingVersion": "0.5.0"}


def asyncapi() -> dict[str, Any]:
    """The service as AsyncAPI 3 tells it: what it receives, what it sends, and where."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Jianwei",
            "version": "1.0.0",
            "description": "Readings of environmental monitoring stations come in by MQTT; what rules found in them goes "
            "out as CloudEvents, by MQTT or into Kafka. Published with QoS 1, a message is acknowledged to the broker when it is durable.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "plain": _server("mqtt", _default(MqttSourceSettings, "port"), "Inside a network of one's own."),
            "tls": _server("secure-mqtt", 8883, "Everywhere else; a user name and password, or a certificate."),
            "kafka": {
                "host": "{host}:{port}",
                "protocol": "kafka",
                "description": "What a channel of type kafka writes to; with TLS and SASL where the settings say so.",
                "variables": {
                    "host": {"default": "127.0.0.1", "description": "A broker to begin with."},
                    "port": {"default": "9092"},
                },
            },
        },
        "channels": _channels(),
        "operations": {
            "receive_readings": _operation("receive", "readings", "json_v1", "Take what stations measured."),
            "send_alerts": _operation(
                "send", "alerts", "alert_event", "Tell that an episode opened, worsened or cleared."
            ),
            "write_alerts": _operation("send", "alerts_in_kafka", "alert_record", "The same, in Kafka."),
            "write_alert_state": _operation("send", "alert_state", "alert_record", "Keep what is open in Kafka."),
        },
        "components": _components(),
    }


def asyncapi_text() -> str:
    """The content of `docs/schemas/asyncapi.yaml`."""
    body = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=110)
    return f"# Written by python -m jianwei.published\n{body}"


FILES: Mapping[str, Callable[[], str]] = {
    "json_v1.json": json_v1_schema.schema_text,
    "alert_event.json": events.schema_text,
    "asyncapi.yaml": asyncapi_text,
}


def publish(folder: Path) -> list[Path]:
    """Writes every file; says which."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / name).write_text(text(), encoding="utf-8")
    return [folder / name for name in FILES]


def _channels() -> dict[str, Any]:
    kind = {"description": "Over what span the values stand.", "enum": list(KINDS)}
    return {
        "readings": {
            "address": READINGS,
            "description": "Where a station publishes. Message and topic name the same station and kind.",
            "parameters": {"station": _station(), "kind": kind},
            "messages": {"json_v1": {"$ref": "#/components/messages/json_v1"}},
        },
        "alerts": {
            "address": _default(MqttChannelSettings, "topic") + "/{station}",
            "description": "One event for each change of an episode; those of a station in their order.",
            "parameters": {"station": _station()},
            "messages": {"alert_event": {"$ref": "#/components/messages/alert_event"}},
        },
        "alerts_in_kafka": _kafka_channel(
            _default(KafkaChannelSettings, "topic"),
            "One record for each change of an episode; the key is the station, whose records stay in their order.",
            "delete",
        ),
        "alert_state": _kafka_channel(
            _default(KafkaChannelSettings, "state_topic"),
            "The newest event of each episode; the key is the episode. A record without value and headers says "
            "that the episode is over, and deletes it.",
            "compact",
        ),
    }


def _components() -> dict[str, Any]:
    return {
        "messages": {
            "json_v1": {
                "title": "What a station measured",
                "description": "Told with examples in docs/json_v1.md.",
                "contentType": "application/json",
                "payload": {"$ref": "./json_v1.json"},
            },
            "alert_event": {
                "title": "What a rule found: a CloudEvent 1.0 in structured mode",
                "contentType": events.CONTENT_TYPE,
                "payload": {"$ref": "./alert_event.json"},
            },
            "alert_record": {
                "title": "What a rule found: a CloudEvent 1.0 in binary mode",
                "contentType": "application/json",
                "headers": {"type": "object", "properties": _kafka_headers()},
                "payload": {"$ref": "./alert_event.json#/$defs/AlertData"},
                "bindings": {"kafka": {"key": {"type": "string"}, **KAFKA}},
            },
        }
    }


def _station() -> dict[str, str]:
    return {"description": "The station's id in the register."}


def _server(protocol: str, port: int, description: str) -> dict[str, Any]:
    return {
        "host": "{host}:{port}",
        "protocol": protocol,
        "protocolVersion": "3.1.1",
        "description": f"{description} MQTT 5 is spoken too.",
        "variables": {
            "host": {"default": _default(MqttSourceSettings, "host"), "description": "The broker."},
            "port": {"default": str(port)},
        },
    }


def _kafka_channel(topic: str, description: str, policy: str) -> dict[str, Any]:
    return {
        "address": topic,
        "description": description,
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {"alert_record": {"$ref": "#/components/messages/alert_record"}},
        "bindings": {"kafka": {"topicConfiguration": {"cleanup.policy": [policy]}, **KAFKA}},
    }


def _kafka_headers() -> dict[str, Any]:
    """Every attribute of the event as text; `partitionkey` is the record's key."""
    names = [f"ce_{name}" for name in events.AlertEvent.model_fields if name not in {"data", "datacontenttype"}]
    return {name: {"type": "string"} for name in [*names, "content-type"]}


def _operation(action: str, channel: str, message: str, summary: str) -> dict[str, Any]:
    by_mqtt = message != "alert_record"
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
        **({"bindings": {"mqtt": dict(MQTT)}} if by_mqtt else {}),
    }


def _default(settings: type[MqttSourceSettings | MqttChannelSettings | KafkaChannelSettings], name: str) -> Any:
    return settings.model_fields[name].default


if __name__ == "__main__":
    if any(word.startswith("-") for word in sys.argv[1:]) or len(sys.argv) > 2:
        raise SystemExit(f"python -m jianwei.published [FOLDER]: writes the schemas there; by default in {FOLDER}")
    for path in publish(Path(*sys.argv[1:2]) if sys.argv[1:] else FOLDER):
        print(path)  # noqa: T201  # the one thing it has to say
