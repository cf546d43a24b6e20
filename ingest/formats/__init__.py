"""The formats there are. A settings file names one for a topic filter; `open_format` makes it."""

from collections.abc import Callable, Mapping
from typing import Literal

from ingest.formats.json_v1 import JsonV1
from ingest.message import Format

FormatName = Literal["json_v1"]

FORMATS: Mapping[FormatName, Callable[[], Format]] = {
    "json_v1": JsonV1,
}


def open_format(name: FormatName) -> Format:
    """A format with bounds of its own choice."""
    return FORMATS[name]()
