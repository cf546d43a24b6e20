"""The line on the terminal, and the table of channels."""

import io
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from alerts.channels import CHANNELS, ChannelSettings, Surroundings, open_channel
from alerts.channels.terminal import TerminalChannel, TerminalChannelSettings
from alerts.events import AlertEvent, compose
from alerts.notices import CodesAsNames
from rules.readings import Level, Transition
from tests.alerts.found import NOON_NS, OPENED


def event_of(transition: Transition) -> AlertEvent:
    return compose(transition, number=1, recorded_ns=NOON_NS, names=CodesAsNames(), instance="test")


def shown(event: AlertEvent, **settings: Any) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="truecolor", width=40)
    TerminalChannel("terminal", TerminalChannelSettings(**settings), console).send(event)
    return out.getvalue()


def test_one_line_in_both_languages() -> None:
    line = shown(event_of(OPENED))
    assert line.count("\n") == 1
    assert "超过" in line
    assert "exceeds" in line


def test_one_language_if_asked() -> None:
    assert "超过" not in shown(event_of(OPENED), language="en")
    assert "exceeds" not in shown(event_of(OPENED), language="zh")


def test_levels_differ_in_colour() -> None:
    lines = {shown(event_of(replace(OPENED, level=level))).split("【")[0] for level in Level}
    assert len(lines) == len(Level)


def test_what_a_station_calls_itself_is_shown_and_not_obeyed() -> None:
    line = shown(event_of(replace(OPENED, station="[red]S\x1b[2J\n\u202e")))
    assert "[red]S�[2J��" in line
    assert "\x1b[2J" not in line


@pytest.mark.parametrize(
    "settings",
    [
        {"type": "terminal"},
        {"type": "file", "folder": "events"},
        {"type": "webhook", "url": "https://example.org", "secret": "long enough"},
        {"type": "mqtt", "host": "localhost"},
    ],
)
def test_settings_open_their_channel(settings: dict[str, object]) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(ChannelSettings)
    made = adapter.validate_python(settings)
    assert type(made) in CHANNELS
    open_channel("it", made, Surroundings(lambda: NOON_NS, Console())).close()


def test_unknown_settings_are_refused() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(ChannelSettings)
    for wrong in ({"type": "pigeon"}, {"type": "terminal", "colour": 1}):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)
