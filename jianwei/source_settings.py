"""The sources of a site: those that its settings name, and one that reads from the embedded broker."""

from pathlib import Path

from ingest.broker import HOST, RESEND_AFTER_S, EmbeddedBroker
from ingest.sources import SourceSettings
from ingest.sources.mqtt import MqttSourceSettings
from jianwei.folders import DataFolder
from jianwei.settings import EMBEDDED, Settings


def sources_of(settings: Settings, folder: DataFolder, broker: EmbeddedBroker | None) -> list[SourceSettings]:
    """Those of the site, and last one for the embedded broker; each knows where it remembers its session."""
    found = [
        s.model_copy(update={"session_file": s.session_file or _session(s, folder)})
        if isinstance(s, MqttSourceSettings)
        else s
        for s in settings.sources
    ]
    if broker is not None:
        own = MqttSourceSettings(
            name=EMBEDDED,
            host=HOST,
            port=broker.port,
            client_id=f"jianwei-{settings.instance}",
            topics=tuple(route.topic for route in settings.formats),
            resend_after_s=RESEND_AFTER_S,
            reconnect_min_s=0.2,
            reconnect_max_s=5.0,
        )
        found.append(own.model_copy(update={"session_file": _session(own, folder)}))
    return found


def _session(settings: SourceSettings, folder: DataFolder) -> Path:
    path = folder.session(settings.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
