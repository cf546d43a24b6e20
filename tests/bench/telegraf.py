"""Telegraf as its own documentation sets it up: from Mosquitto, persistent session, into InfluxDB. It knows no rules.

An independent measure of what receiving, decoding and storing a message costs where the program is a compiled one.
"""

import time
from typing import ClassVar

from tests.bench.stack import FILTER, Stack
from tests.services import obtain
from tests.services.mosquitto import SERVICE
from tests.services.program import HOST, Program

PATIENCE_S = 300.0
CLIENT = "telegraf"
AGENT = """
[agent]
  interval = "1s"
  flush_interval = "1s"
  flush_jitter = "0s"
  metric_batch_size = 5000
  metric_buffer_limit = 200000
  omit_hostname = true

[[outputs.influxdb_v2]]
  urls = ["{url}"]
  token = "{token}"
  organization = "{org}"
  bucket = "{bucket}"

[[inputs.mqtt_consumer]]
  servers = ["tcp://{host}:{port}"]
  topics = ["{filter}"]
  topic_tag = ""
  qos = 1
  persistent_session = true
  client_id = "{client}"
  username = "{user}"
  password = "{password}"
  max_undelivered_messages = 20000
"""
PARSERS = {
    "json_v2": """
  data_format = "json_v2"
  [[inputs.mqtt_consumer.json_v2]]
    measurement_name = "wastewater"
    timestamp_path = "time"
    timestamp_format = "2006-01-02T15:04:05Z07:00"
    [[inputs.mqtt_consumer.json_v2.tag]]
      path = "station"
    [[inputs.mqtt_consumer.json_v2.tag]]
      path = "kind"
    [[inputs.mqtt_consumer.json_v2.object]]
      path = "values"
      disable_prepend_keys = true
""",
    "json": """
  data_format = "json"
  name_override = "wastewater"
  tag_keys = ["station", "kind"]
  json_time_key = "ts"
  json_time_format = "unix_ms"
""",
}


class Telegraf(Program):
    """A consumer of its own bucket, with one of its parsers."""

    name: ClassVar[str] = "telegraf"

    def __init__(self, stack: Stack, parser: str, bucket: str) -> None:
        super().__init__(stack.folder / bucket)
        self._stack = stack
        self._parser = parser
        self._bucket = bucket
        self._points_before = self._greeted_before = 0

    def command(self) -> list[str]:
        influxdb, mosquitto = self._stack.influxdb, self._stack.mosquitto
        influxdb.make_bucket(self._bucket)
        text = AGENT.format(
            url=influxdb.url, token=influxdb.token.strip(), org=influxdb.org, bucket=self._bucket, host=HOST,
            port=mosquitto.port, filter=FILTER, client=CLIENT, user=SERVICE, password=mosquitto.password(SERVICE),
        )  # fmt: skip
        file = self.folder / "telegraf.conf"
        file.write_text(text + PARSERS[self._parser])
        file.chmod(0o600)
        self._points_before, self._greeted_before = self._stack.points_taken(), self._greeted()
        return [str(obtain.telegraf()), "--config", str(file), "--quiet"]

    def is_ready(self) -> bool:
        """Connected, as Mosquitto tells it, and it subscribes at once; were it late, messages would be missing at the end."""
        return self._greeted() > self._greeted_before

    def _greeted(self) -> int:
        return self._stack.mosquitto.said().count(f" as {CLIENT} ")

    def stop(self) -> None:
        super().stop()
        self._stack.forget_session(CLIENT)

    def wait(self, messages: int) -> None:
        """Each is one point."""
        end_s = time.monotonic() + PATIENCE_S
        while (taken := self._stack.points_taken() - self._points_before) < messages:
            if time.monotonic() > end_s:
                raise TimeoutError(f"Telegraf stored {taken} of {messages} messages; {self.log}:\n{self.last_words()}")
            time.sleep(0.5)


def version() -> str:
    """Of the program that is compared with, as its build names it."""
    return obtain.TELEGRAF.rpartition("@v")[2]
