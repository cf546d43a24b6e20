"""The sources there are. A settings file names one by `type`; `open_source` makes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, Field

from ingest.message import Source
from ingest.records import Clock, Emit
from ingest.site import Roster, Site
from ingest.sources.hj212_tcp import Hj212TcpSource, Hj212TcpSourceSettings
from ingest.sources.kafka import KafkaSource, KafkaSourceSettings
from ingest.sources.mqtt import MqttSource, MqttSourceSettings

SourceSettings = Annotated[
    MqttSourceSettings | KafkaSourceSettings | Hj212TcpSourceSettings, Field(discriminator="type")
]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the program lends to its sources: the time, an ear for what they tell, and who is registered."""

    clock: Clock
    emit: Emit
    roster: Roster = field(default_factory=lambda: Roster(Site()))


SOURCES: Mapping[type[BaseModel], Callable[[Any, Surroundings], Source]] = {
    MqttSourceSettings: lambda settings, here: MqttSource(settings, here.clock, here.emit),
    KafkaSourceSettings: lambda settings, here: KafkaSource(settings, here.clock, here.emit),
    Hj212TcpSourceSettings: lambda settings, here: Hj212TcpSource(settings, here.clock, here.emit, here.roster),
}


def open_source(settings: SourceSettings, here: Surroundings) -> Source:
    """The source that these settings describe, not yet started."""
    return SOURCES[type(settings)](settings, here)
