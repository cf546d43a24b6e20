"""The MQTT source: `packets` cuts bytes, `client` bends paho, `connection` lives once, `source` lives long."""

from ingest.sources.mqtt.settings import MqttSourceSettings
from ingest.sources.mqtt.source import MqttSource

__all__ = ["MqttSource", "MqttSourceSettings"]
