"""The channels there are. A settings file names one by `type`; `open_channel` makes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Discriminator
from rich.console import Console

from alerts.channel import Channel
from alerts.channels.file import FileChannel, FileChannelSettings
from alerts.channels.kafka import KafkaChannel, KafkaChannelSettings
from alerts.channels.mqtt import MqttChannel, MqttChannelSettings
from alerts.channels.terminal import TerminalChannel, TerminalChannelSettings
from alerts.channels.webhook import WebhookChannel, WebhookSettings
from alerts.records import Clock

ChannelSettings = Annotated[
    FileChannelSettings | KafkaChannelSettings | MqttChannelSettings | TerminalChannelSettings | WebhookSettings,
    Discriminator("type"),
]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the program lends to its channels."""

    clock: Clock
    console: Console


CHANNELS: Mapping[type[BaseModel], Callable[[str, Any, Surroundings], Channel]] = {
    FileChannelSettings: lambda name, settings, here: FileChannel(name, settings, here.clock),
    KafkaChannelSettings: lambda name, settings, _here: KafkaChannel(name, settings),
    MqttChannelSettings: lambda name, settings, _here: MqttChannel(name, settings),
    TerminalChannelSettings: lambda name, settings, here: TerminalChannel(name, settings, here.console),
    WebhookSettings: lambda name, settings, here: WebhookChannel(name, settings, here.clock),
}


def open_channel(name: str, settings: ChannelSettings, here: Surroundings) -> Channel:
    """The channel that these settings describe, under the name that routes use."""
    return CHANNELS[type(settings)](name, settings, here)
