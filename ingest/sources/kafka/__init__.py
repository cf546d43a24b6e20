"""The Kafka source: `inbox` counts what is not durable, `member` lives once in the group, `source` lives long."""

from ingest.sources.kafka.settings import KafkaSourceSettings
from ingest.sources.kafka.source import KafkaSource

__all__ = ["KafkaSource", "KafkaSourceSettings"]
