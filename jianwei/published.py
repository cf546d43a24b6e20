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
from alerts.channels.mqtt import MqttChannelSettings
from ingest import json_v1_schema
from ingest.formats.json_v1 import KINDS
from ingest.sources.mqtt.settings import MqttSourceSettings

FOLDER = Path("docs/schemas")
READINGS = "jianwei/v1/{station}/{kind}"
MQTT = {"qos": 1, "retain": False, "bindingVersion": "0.2.0"}


def asyncapi() -> dict[str, Any]:
    """The service as AsyncAPI 3 tells it: what it receives, what it sends, and where."""
    kind = {"description": "Over what span the values stand.", "enum": list(KINDS)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Jianwei",
            "version": "1.0.0",
            "description": "Readings of environmental monitoring stations come in by MQTT; what rules found in them goes "
            "out as CloudEvents. Published with QoS 1, a message is acknowledged to the broker when it is durable.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "plain": _server("mqtt", _default(MqttSourceSettings, "port"), "Inside a network of one's own."),
            "tls": _server("secure-mqtt", 8883, "Everywhere else; a user name and password, or a certificate."),
        },
        "channels": {
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
        },
        "operations": {
            "receive_readings": _operation("receive", "readings", "json_v1", "Take what stations measured."),
            "send_alerts": _operation(
                "send", "alerts", "alert_event", "Tell that an episode opened, worsened or cleared."
            ),
        },
        "components": {
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
            }
        },
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


def _operation(action: str, channel: str, message: str, summary: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
        "bindings": {"mqtt": dict(MQTT)},
    }


def _default(settings: type[MqttSourceSettings | MqttChannelSettings], name: str) -> Any:
    return settings.model_fields[name].default


if __name__ == "__main__":
    if any(word.startswith("-") for word in sys.argv[1:]) or len(sys.argv) > 2:
        raise SystemExit(f"python -m jianwei.published [FOLDER]: writes the schemas there; by default in {FOLDER}")
    for path in publish(Path(*sys.argv[1:2]) if sys.argv[1:] else FOLDER):
        print(path)  # noqa: T201  # the one thing it has to say
