"""Events in Kafka: each change on one topic, the present state of each episode on a second, compacted one.

Both carry CloudEvents in binary mode: attributes in headers `ce_…`, the data as value. `topic` has the station as key,
so those of a station stay in order. `state_topic` has the episode as key, and holds its newest event: a station may
have several episodes of one rule at a time, one for each parameter, so station and rule together would not name one.
"""

from typing import Literal, Self

from cloudevents.core.bindings.kafka import to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from pydantic import model_validator

from alerts.events import AlertEvent
from alerts.kafka import KafkaConnection, Producer, Record, Topic


class KafkaChannelSettings(KafkaConnection):
    """`state_topic` empty: changes only. `tombstones`: what is over is deleted from `state_topic` after its last event."""

    type: Literal["kafka"] = "kafka"
    topic: Topic = "jianwei.alerts.v1"
    state_topic: Topic | Literal[""] = "jianwei.alert-state.v1"
    tombstones: bool = True

    @model_validator(mode="after")
    def _topics_differ(self) -> Self:
        if self.topic == self.state_topic:
            raise ValueError("topic and state_topic are the same: a compacted topic would lose changes; say two")
        return self


class KafkaChannel:
    """A change is sent when all of its records are acknowledged."""

    def __init__(self, name: str, settings: KafkaChannelSettings) -> None:
        self._settings = settings
        self._producer = Producer(name, settings)

    def send(self, event: AlertEvent) -> None:
        self._producer.send(event.id, records_of(event, self._settings))

    def close(self) -> None:
        self._producer.close()


def records_of(event: AlertEvent, settings: KafkaChannelSettings) -> list[Record]:
    """Equal events give equal records. A record without data is written here only, and bears no event."""
    records = [_record(settings.topic, event, event.partitionkey)]
    if settings.state_topic:
        episode = event.data.episode
        records.append(_record(settings.state_topic, event, episode))
        if settings.tombstones and event.data.what == "cleared":
            records.append(Record(settings.state_topic, episode.encode(), None))
    return records


def _record(topic: str, event: AlertEvent, key: str) -> Record:
    attributes = event.model_dump(exclude={"data"}) | {
        "partitionkey": key,
        "historical": "true" if event.historical else "false",
    }
    message = to_binary(CloudEvent(attributes, event.data.model_dump(mode="json")), JSONFormat())
    return Record(topic, key.encode(), message.value, tuple(message.headers.items()))
