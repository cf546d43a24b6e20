"""A site with all of its services: half of the stations speak by MQTT, half by Kafka; and the service between them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import count as counter
from pathlib import Path

from rules.readings import SECOND_NS
from simulators.load import VALUES, Load, Plan
from tests.kill.service import SOURCE, Service
from tests.services.held import BUCKET, Held, Values
from tests.services.influxdb import Influxdb
from tests.services.kafka import Kafka
from tests.services.kafka_topics import make_topic
from tests.services.mosquitto import GATEWAY, SERVICE, Mosquitto
from tests.services.timed_load import Order, TimedLoad

SCENARIO = Path(__file__).parents[2] / "simulators" / "scenarios" / "load.yaml"
START_NS = 1_762_084_800 * SECOND_NS
STATIONS = 100  # of each half
READINGS = 10  # a message
MANY = 10_000_000

IN, ALERTS, STATES = "readings", "jianwei.alerts.v1", "jianwei.alert-state.v1"

SETTINGS = """
instance = "{name}"
data_dir = "{data_dir}"
stations = ["stations.yaml"]
[[formats]]
topic = "#"
format = "json_v1"
[worker]
snapshot_every_s = 1.0
[channels.archive]
type = "file"
folder = "alerts"
[http]
enabled = false
[log]
level = "warning"
[[sources]]
type = "mqtt"
name = "{source}"
client_id = "{name}"
protocol = "5"
port = {mqtt_port}
username = "{username}"
password_file = "{password_file}"
reconnect_min_s = 0.1
reconnect_max_s = 0.5
"""

FROM_KAFKA = """
[[sources]]
type = "kafka"
name = "province"
servers = ["{kafka}"]
topics = ["{topic}"]
group = "{name}"
group_instance_id = "{name}"
session_timeout_s = 6.0
reconnect_min_s = 0.1
reconnect_max_s = 0.5
"""

WITH_INFLUXDB = """
[store]
type = "influxdb"
url = "{url}"
org = "{org}"
token_file = "{token_file}"
raw = "{bucket}"
"""

WITH_ALERTS = """
[channels.bus]
type = "kafka"
servers = ["{kafka}"]
timeout_s = 5.0
"""


@dataclass(frozen=True)
class Half:
    """The stations that speak by `way`; their names begin with `letters`."""

    way: str
    letters: str
    folder: Path

    @cached_property
    def plan(self) -> Plan:
        scenario = self.folder / f"{self.way}.yaml"
        scenario.write_text(SCENARIO.read_text().replace("LD-", f"{self.letters}-"))
        return Plan(str(scenario), seed=1, stations=STATIONS, start_ns=START_NS, interval_ns=SECOND_NS)

    @cached_property
    def load(self) -> Load:
        return Load(self.plan)

    def message(self, number: int) -> tuple[str, int, Values]:
        """What the store must hold of it: station, measured time, values."""
        values = _values(self.load.payload(number).partition(VALUES)[2])
        turn, place = divmod(number, STATIONS)
        return self.load.stations[place].id, START_NS + turn * SECOND_NS, values

    def number(self, station: str, measured_ns: int) -> int:
        """Of the message in which this station spoke of this time."""
        place = [s.id for s in self.load.stations].index(station)
        return (measured_ns - START_NS) // SECOND_NS * STATIONS + place


@cache
def _values(text: bytes) -> Values:
    """The load says the same few thousand things again and again."""
    values: Values = json.loads(b"{" + VALUES + text)["values"]
    return values


class Site:
    """Brokers and database that run, with topics made, and services on them. `mqtt_port`: where the source goes.

    Without Kafka there is the half by MQTT only.
    """

    def __init__(self, folder: Path, mosquitto: Mosquitto, influxdb: Influxdb, kafka: Kafka | None = None) -> None:
        self.folder = folder
        self.mosquitto, self.influxdb, self.kafka = mosquitto, influxdb, kafka
        self.mqtt_port = mosquitto.port
        self._loads = counter()
        self.halves = [Half("mqtt", "LM", folder)]
        if kafka is not None:
            self.halves.append(Half("kafka", "LK", folder))
            for topic in (IN, ALERTS):
                make_topic(kafka.address, topic, 3)
            make_topic(kafka.address, STATES, 3, **{"cleanup.policy": "compact"})

    def service(
        self, name: str, *, with_all: bool = True, data_dir: Path | None = None, bucket: str | None = None
    ) -> Service:
        """`with_all` False: with the embedded store, and no alerts to Kafka. `bucket`: not that of the site."""
        data_dir = data_dir or self.folder / name / "data"
        said: dict[str, object] = {"name": name, "source": SOURCE, "mqtt_port": self.mqtt_port, "data_dir": data_dir}
        said |= {"username": SERVICE, "password_file": self.mosquitto.password_file(SERVICE)}
        settings = SETTINGS
        if with_all:
            influxdb = self.influxdb
            token_file = influxdb.service_token_file if bucket is None else influxdb.folder / "secrets" / "admin.token"
            settings += WITH_INFLUXDB
            said |= {"url": influxdb.url, "org": influxdb.org, "token_file": token_file, "bucket": bucket or BUCKET}
        if self.kafka is not None:
            settings += FROM_KAFKA + (WITH_ALERTS if with_all else "")
            said |= {"kafka": self.kafka.address, "topic": IN}
        stations = [station for half in self.halves for station in half.load.stations]
        return Service(self.folder / name, settings.format(**said), stations, data_dir=data_dir)

    def load(self, half: Half, *, rate: float, count: int = MANY, leave_out: Sequence[int] = ()) -> TimedLoad:
        """It begins at once; the numbers `leave_out` are not published."""
        order = Order(half.plan, self.mosquitto.port, rate, count, leave_out=list(leave_out))
        if half.way == "kafka":
            assert self.kafka is not None
            order = replace(order, port=self.kafka.port, topic=IN)
        else:
            order = replace(order, username=GATEWAY, password=self.mosquitto.password(GATEWAY))
        return TimedLoad(self.folder / f"load-{next(self._loads)}", order)


def missing_of(held: Held, half: Half, count: int) -> list[int]:
    """Numbers of messages that are not there; all others are there whole, with their values, and nothing else is."""
    there = {station.id: held.of_station(station.id) for station in half.load.stations}
    missing = []
    for number in range(count):
        station, measured_ns, values = half.message(number)
        if (row := there[station].pop(measured_ns, None)) is None:
            missing.append(number)
        else:
            assert row == values, f"{station}, message {number}"
    assert not any(there.values()), "there is what was never published"
    return missing
