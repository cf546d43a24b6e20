"""One coloured line in Chinese and English on a terminal."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.text import Text

from alerts.channel import DeliveryFailed
from alerts.events import AlertEvent

STYLES = {"none": "dim", "blue": "blue", "yellow": "yellow", "orange": "dark_orange", "red": "bold red"}


class TerminalChannelSettings(BaseModel):
    """`language`: zh, en, or both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["terminal"] = "terminal"
    language: Literal["zh", "en", "both"] = "both"


class TerminalChannel:
    """Writes to a Rich console, which the program may share with a live board."""

    def __init__(self, name: str, settings: TerminalChannelSettings, console: Console) -> None:
        self._name = name
        self._language = settings.language
        self._console = console

    def send(self, event: AlertEvent) -> None:
        text = event.data.text
        words = {"zh": [text.zh], "en": [text.en], "both": [text.zh, text.en]}[self._language]
        # What a station calls itself is shown, never obeyed: no markup, no control characters.
        line = "".join(letter if letter.isprintable() else "�" for letter in "  ".join(words))
        style = "green" if event.data.what == "cleared" else STYLES[event.severity]
        try:
            self._console.print(Text(line, style=style), soft_wrap=True)
        except OSError as error:
            raise DeliveryFailed(self._name, "unreachable", str(error)) from error

    def close(self) -> None:
        """The console belongs to the program."""
