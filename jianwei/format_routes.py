"""Which format reads which topic, as the settings of a site say."""

from paho.mqtt.client import topic_matches_sub

from ingest.formats import open_format
from ingest.judging import Choose
from ingest.message import Format
from ingest.site import Site
from jianwei.settings import FormatRoute


def chooser(routes: list[FormatRoute], site: Site | None = None) -> Choose:
    """Which format a topic speaks: the first route whose filter matches. Formats are made afresh."""
    formats: list[tuple[str, Format]] = [(route.topic, open_format(route.format, site)) for route in routes]

    def choose(_source: str, topic: str) -> Format | None:
        return next((found for pattern, found in formats if topic_matches_sub(pattern, topic)), None)

    return choose
