"""Receivers of alerts that write down what came and when: a webhook with bad manners, a subscriber, a consumer of Kafka."""

import asyncio
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NamedTuple

import paho.mqtt.client as paho
from aiokafka import AIOKafkaConsumer
from paho.mqtt.enums import CallbackAPIVersion

from jianwei.clock import wall_ns

Manner = Literal["well", "hangs", "refuses", "drips"]
DRIP_S = 0.5


class Arrival(NamedTuple):
    id: str
    station: str
    found: str  # as the event says it
    came_ns: int


class Inbox:
    """What came, in the order in which it did."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []

    def keep(self, attributes: dict[str, Any], data: dict[str, Any]) -> None:
        self.arrivals.append(Arrival(attributes["id"], attributes["subject"], data["found"], wall_ns()))

    @property
    def ids(self) -> list[str]:
        return [arrival.id for arrival in self.arrivals]

    def of_station(self, station: str) -> list[str]:
        return [arrival.id for arrival in self.arrivals if arrival.station == station]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Whoever asked has hung up, as it should where it gets no answer."""


class Webhook(Inbox):
    """Has what it answered with 200. `slow_s`: so long it thinks about each event."""

    def __init__(self, manner: Manner = "well", *, slow_s: float = 0.0) -> None:
        super().__init__()
        self.manner = manner
        self.asked = 0
        webhook = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                webhook.asked += 1
                self.close_connection = webhook.manner != "well"
                match webhook.manner:
                    case "well":
                        time.sleep(slow_s)
                        webhook.keep(body, body["data"])
                        self.send_response(200)
                        self.send_header("Content-Length", "0")
                        self.end_headers()
                    case "refuses":
                        self.send_error(500)
                    case "hangs":
                        webhook._wait_until_well()
                    case "drips":
                        self._drip()

            def _drip(self) -> None:
                """A head that goes on and on: each piece is soon followed by another."""
                try:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                    while webhook.manner == "drips":
                        self.wfile.write(b"x")
                        time.sleep(DRIP_S)
                except OSError:
                    return  # it was given up

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._well = threading.Event()
        self._server = _Server(("127.0.0.1", 0), Answer)
        self._serving = threading.Thread(target=self._server.serve_forever)
        self._serving.start()

    @property
    def port(self) -> int:
        port: int = self._server.server_address[1]
        return port

    def is_well_again(self) -> None:
        self.manner = "well"
        self._well.set()

    def close(self) -> None:
        self.is_well_again()
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()

    def _wait_until_well(self) -> None:
        self._well.wait(600)


class Subscriber(Inbox):
    """Of the alerts on an MQTT broker."""

    def __init__(self, port: int) -> None:
        super().__init__()
        ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("jianwei/alerts/v1/#", qos=1)
        self._client.loop_start()
        assert ready.wait(10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        body = json.loads(message.payload)
        self.keep(body, body["data"])


class Consumer(Inbox):
    """Of the alerts on a topic of Kafka."""

    def __init__(self, server: str, topic: str) -> None:
        super().__init__()
        self._server, self._topic = server, topic
        self._ended = threading.Event()
        self._consuming = threading.Thread(target=lambda: asyncio.run(self._consume()))
        self._consuming.start()

    def close(self) -> None:
        self._ended.set()
        self._consuming.join()

    async def _consume(self) -> None:
        consumer = AIOKafkaConsumer(
            self._topic, bootstrap_servers=self._server, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            while not self._ended.is_set():
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        attributes = {name.removeprefix("ce_"): value.decode() for name, value in record.headers}
                        self.keep(attributes, json.loads(record.value))
        finally:
            await consumer.stop()
