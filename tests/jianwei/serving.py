"""A whole service on a folder, with its own broker, and a station that speaks to it."""

import http.client
import io
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console

from alerts.channels.file import FileChannelSettings
from ingest.broker import HOST
from ingest.stores.sqlite import SqliteStoreSettings
from jianwei.catalogue_files import read_catalogue
from jianwei.clock import wall_ns
from jianwei.runtime import Runtime
from jianwei.settings import (
    BrokerSettings,
    HealthSettings,
    HttpSettings,
    JournalSettings,
    Settings,
)
from jianwei.telemetry import Telemetry, open_log
from rules.readings import SECOND_NS
from rules.register import load_stations
from simulators import wire
from simulators.publish import Publisher
from tests.ingest.mqtt_probe import until

HOUR_NS = 3_600 * SECOND_NS
NITROGEN_DIOXIDE, OZONE = "a21004", "a05024"
CATALOGUE = read_catalogue()
STATIONS = load_stations(
    {"s.yaml": 'stations:\n- {id: A-1, name: {zh: 一号站, en: One}, station_type: city_air, class: "2"}\n'}, CATALOGUE
)
LATEST_HOUR_NS = (wall_ns() // HOUR_NS - 1) * HOUR_NS


def told(hours_ago: int, values: Mapping[str, float | None], station: str = "A-1") -> tuple[str, bytes]:
    """Topic and bytes of an hour's means."""
    at = wire.text_of_time(LATEST_HOUR_NS - hours_ago * HOUR_NS, 8 * 3_600)
    body = {"station": station, "kind": "hour", "time": at, "values": dict(values)}
    return wire.topic_of(station, "hour"), wire.dumped(body)


def settings_for(folder: Path, **changes: Any) -> Settings:
    """Quick, on free ports, with a file as the one channel."""
    said: dict[str, Any] = {
        "data_dir": folder,
        "broker": BrokerSettings(enabled=True, port=0),
        "journal": JournalSettings(tick_s=0.5, sync=False),
        "store": SqliteStoreSettings(sync=False),
        "channels": {"file": FileChannelSettings(folder=Path("alerts"))},
        "http": HttpSettings(port=0),
        "health": HealthSettings(silent_s=0, least_free_mb=0),
    }
    return Settings(**{**said, **changes})


class Service:
    """`Runtime` in a context, and what one may ask of it from outside."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.settings = settings_for(folder, **changes)
        self.log = io.StringIO()
        self.telemetry = Telemetry(open_log("debug", json_lines=True, stream=self.log))
        self.runtime = Runtime(self.settings, CATALOGUE, STATIONS, self.telemetry, wall_ns, Console(file=io.StringIO()))

    def __enter__(self) -> Self:
        self.runtime.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.runtime.__exit__(kind, error, trace)

    @property
    def broker_port(self) -> int:
        assert self.runtime.broker is not None
        return self.runtime.broker.port

    def publish(self, *messages: tuple[str, bytes]) -> None:
        """Returns when the broker has them."""
        with Publisher(HOST, self.broker_port) as publisher:
            for topic, payload in messages:
                publisher.publish(topic, payload)
            publisher.flush()

    def took(self, messages: int, within_s: float = 30.0) -> None:
        """Waits until so many messages were journaled, judged and stored."""
        until(lambda: self.runtime.recorder.messages >= messages and self.runtime.is_idle, within_s)

    def page(self, path: str) -> tuple[int, bytes]:
        assert self.runtime.port is not None
        line = http.client.HTTPConnection(HOST, self.runtime.port.port, timeout=5)
        try:
            line.request("GET", path)
            answer = line.getresponse()
            return answer.status, answer.read()
        finally:
            line.close()

    def ready(self) -> tuple[int, dict[str, str]]:
        """The status, and the words of the parts that are not well."""
        status, body = self.page("/health/ready")
        parts = json.loads(body)["parts"]
        return status, {name: part["why"] for name, part in parts.items() if not part["ok"]}

    def metric(self, name: str, **labels: str) -> float | None:
        self.page("/metrics")
        return self.telemetry.meters.registry.get_sample_value(name, labels)

    def notices(self) -> list[dict[str, Any]]:
        """The events that the file channel wrote."""
        files = sorted((self.settings.data_dir / "alerts").glob("*.jsonl"))
        return [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]

    def count(self) -> int:
        return self.runtime.store.count()
