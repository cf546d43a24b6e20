"""The formats there are. A settings file names one for a topic filter; `open_format` makes it."""

from collections.abc import Callable, Mapping
from typing import Literal

from ingest.formats.hj212 import Hj212
from ingest.formats.json_v1 import JsonV1
from ingest.message import Format
from ingest.site import Site

FormatName = Literal["json_v1", "hj212"]

FORMATS: Mapping[FormatName, Callable[[Site], Format]] = {
    "json_v1": lambda _site: JsonV1(),
    "hj212": Hj212.of,
}


def open_format(name: FormatName, site: Site | None = None) -> Format:
    """A format with bounds of its own choice, for the stations of a site; without one it takes all as they say."""
    return FORMATS[name](site or Site())
