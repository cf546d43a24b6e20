"""The sources there are. A settings file names one by `type`; `open_source` makes it."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from ingest.message import Source
from ingest.records import Clock, Emit
from ingest.sources.kafka import KafkaSource, KafkaSourceSettings
from ingest.sources.mqtt import MqttSource, MqttSourceSettings

SourceSettings = Annotated[MqttSourceSettings | KafkaSourceSettings, Field(discriminator="type")]

SOURCES: Mapping[type[BaseModel], Callable[[Any, Clock, Emit], Source]] = {
    MqttSourceSettings: MqttSource,
    KafkaSourceSettings: KafkaSource,
}


def open_source(settings: SourceSettings, clock: Clock, emit: Emit) -> Source:
    """The source that these settings describe, not yet started."""
    return SOURCES[type(settings)](settings, clock, emit)
