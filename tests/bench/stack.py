"""Mosquitto, InfluxDB and Kafka as a site has them, and the service on top; each with what it costs."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from tests import brokers_by_packets as mqtt
from tests.bench.processes import cpu_s
from tests.bench.service import Serving, serving
from tests.services.influxdb import Influxdb
from tests.services.kafka import Kafka
from tests.services.kafka_topics import make_topic
from tests.services.mosquitto import DUTY, GATEWAY, SERVICE, Mosquitto
from tests.services.program import HOST, Program

PARTITIONS = 8
FIELD = "w01018"  # every message of the load has it
ALERTS = "duty"
QUERY_TIMEOUT_S = 120.0
FILTER = "jianwei/v1/#"
P = TypeVar("P", bound=Program)


class Stack:
    """Starts what is asked for when it is asked for; ends all of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._exits = ExitStack()
        self._running: dict[str, Program] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    @cached_property
    def mosquitto(self) -> Mosquitto:
        return self._started("Mosquitto", Mosquitto(self.folder / "mosquitto"))

    @cached_property
    def influxdb(self) -> Influxdb:
        return self._started("InfluxDB", Influxdb(self.folder / "influxdb"))

    @cached_property
    def kafka(self) -> Kafka:
        return self._started("Kafka", Kafka(self.folder / "kafka"))

    def _started(self, name: str, program: P) -> P:
        self._exits.enter_context(program)
        self._running[name] = program
        return program

    def cpu_s(self) -> Mapping[str, float]:
        """Of each service that runs, so far."""
        return {name: cpu_s(program.pid) for name, program in self._running.items()}

    def make_topic(self, name: str) -> str:
        make_topic(self.kafka.address, name, PARTITIONS)
        return name

    @contextmanager
    def service(self, name: str, stations: int, *, topic: str | None = None) -> Iterator[Serving]:
        """Ours, with a data folder and buckets called `name`; from the Kafka topic, if there is one, else from Mosquitto."""
        folder = self.folder / name
        folder.mkdir()
        said = {**self._source(name, topic), "store": self._store(name), **self._alerts()}
        (folder / "settings.json").write_text(json.dumps(said))
        try:
            with serving(folder / "data", stations, folder / "settings.json") as running:
                running.ready()
                yield running
        finally:
            self.forget_session(name)

    def forget_session(self, client_id: str) -> None:
        """So that Mosquitto keeps nothing for a client that will not come again."""
        if "mosquitto" in vars(self):
            line = mqtt.Line(socket.create_connection((HOST, self.mosquitto.port)))
            line.send(mqtt.connect(client_id, username=SERVICE, password=self.mosquitto.password(SERVICE)))
            assert line.receive().body[1:] == b"\0"
            line.send(mqtt.packet(mqtt.DISCONNECT))
            line.close()

    def _source(self, name: str, topic: str | None) -> dict[str, Any]:
        if topic is None:
            source = {"type": "mqtt", "client_id": name, "topics": [FILTER], **self._at_mosquitto()}
            return {"sources": [source], "formats": [{"topic": FILTER, "format": "json_v1"}]}
        source = {"type": "kafka", "servers": [self.kafka.address], "topics": [topic], "group": name}
        return {"sources": [{**source, "client_id": name}], "formats": [{"topic": topic, "format": "json_v1"}]}

    def _store(self, name: str) -> dict[str, Any]:
        buckets = {kind: f"{name}-{kind}" for kind in ("raw", "hour", "day")}
        token_file = self.influxdb.service_token_file.with_name("admin.token")
        return {
            "type": "influxdb",
            "url": self.influxdb.url,
            "org": self.influxdb.org,
            "token_file": str(token_file),
        } | buckets

    def _alerts(self) -> dict[str, Any]:
        """To Mosquitto, about the stations of the probe only: what others have to tell would stand before it in the row."""
        channel = {"type": "mqtt", **self._at_mosquitto()}
        return {"channels": {ALERTS: channel}, "routes": [{"channel": ALERTS, "stations": "PB-*"}]}

    def _at_mosquitto(self) -> dict[str, Any]:
        password = str(self.mosquitto.password_file(SERVICE))
        return {"host": HOST, "port": self.mosquitto.port, "username": SERVICE, "password_file": password}

    def publishing(self, topic: str | None) -> list[str]:
        """Arguments for whoever publishes."""
        if topic is not None:
            return ["--kafka", self.kafka.address, "--topic", topic]
        password = str(self.mosquitto.password_file(GATEWAY))
        return ["--port", str(self.mosquitto.port), "--username", GATEWAY, "--password-file", password]

    def listening(self) -> list[str]:
        """Arguments for whoever hears alerts."""
        password = str(self.mosquitto.password_file(DUTY))
        return ["--alerts-port", str(self.mosquitto.port), "--alerts-user", DUTY, "--alerts-password-file", password]

    def count(self, bucket: str) -> int:
        """Messages of the load in a bucket: points with the field that every one of them has."""
        flux = (
            f'from(bucket: "{bucket}") |> range(start: 2020-01-01T00:00:00Z, stop: 2040-01-01T00:00:00Z) '
            f'|> filter(fn: (r) => r._field == "{FIELD}") |> group() |> count()'
        )
        headers = {"Authorization": f"Token {self.influxdb.token}", "Accept": "application/csv"}
        answer = httpx.post(
            f"{self.influxdb.url}/api/v2/query",
            params={"org": self.influxdb.org},
            headers=headers,
            json={"query": flux, "dialect": {"annotations": [], "header": True}},
            timeout=QUERY_TIMEOUT_S,
        ).raise_for_status()
        lines = [line.split(",") for line in answer.text.splitlines() if line.strip(",")]
        return sum(int(line[lines[0].index("_value")]) for line in lines[1:]) if lines else 0

    def points_taken(self) -> int:
        """Points that InfluxDB has written since its start, of whatever bucket: cheap to ask, again and again."""
        answer = httpx.get(f"{self.influxdb.url}/metrics", timeout=QUERY_TIMEOUT_S).raise_for_status()
        found = [line for line in answer.text.splitlines() if line.startswith("storage_writer_ok_points_sum")]
        assert found, "InfluxDB tells no storage_writer_ok_points_sum any more"
        return int(sum(float(line.rpartition(" ")[2]) for line in found))
