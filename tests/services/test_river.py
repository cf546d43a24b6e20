"""A river's loggers, as files: through Mosquitto and through Kafka into InfluxDB, and out again, value by value.

The files are made here, in the form of the Logan River Observatory's: local standard time, for each sensor the raw value, a
corrected one and a remark. RIVER=FOLDER takes a folder of such files instead.
"""

import csv
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import pytest

from jianwei.catalogue_files import read_catalogue
from jianwei.replaying import Replay, spoken
from jianwei.tables import into_units_of, map_for, named
from rules.readings import SECOND_NS
from simulators.kafka import KafkaPublisher
from tests.services.held import Held, Values
from tests.services.influxdb import Influxdb
from tests.services.kafka import Kafka
from tests.services.mosquitto import GATEWAY, Mosquitto
from tests.services.site import IN, Site

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]
BUCKET = "river"  # a site keeps raw values for some years; these may be older
ZONE = timezone(timedelta(hours=-7))
COLUMNS = {
    "temp": "w01010",
    "cond": "w01014",
    "ph": "w01001",
    "do": "w01009",
    "turb": "w01003",
    "stage": "x.water_level",
}
# Without units: what is compared is what stands there.
MAP = 'time: {column: datetime, zone: "-07:00"}\nkind: realtime\nmissing: ["NULL", ""]\ncolumns:\n' + "".join(
    f'  - {{name: {column}, parameter: "{parameter}"}}\n' for column, parameter in COLUMNS.items()
)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    if "RIVER" in os.environ:
        found = sorted(Path(os.environ["RIVER"]).glob("*.csv"))
        assert found, f"no .csv in RIVER={os.environ['RIVER']}"
        return found
    return [made(tmp_path / f"{name}.csv", seed) for seed, name in enumerate(("Headwater2020", "Valley2020"))]


def made(path: Path, seed: int) -> Path:
    """Nine days every 15 minutes: gaps, sensors out of order, values with none to five digits behind the point."""
    dice = random.Random(seed)
    at = datetime(2020, 1, 1)  # noqa: DTZ001  # as the logger writes it
    level = {"temp": 1.5, "cond": 390.0, "ph": 8.4, "do": 11.5, "turb": 4.0, "stage": 40.0}
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(
            ["datetime", *(name for column in COLUMNS for name in (column, f"{column}_cor", f"{column}_qual"))]
        )
        for _ in range(9 * 96):
            at += timedelta(minutes=15 if dice.random() < 0.98 else 15 * dice.randrange(2, 40))
            cells = []
            for column, value in level.items():
                level[column] = value * dice.uniform(0.98, 1.02)
                shown = dice.choice((level[column],) * 50 + (-9999.0, 0.0, -value, value * 1e5))
                text = f"{shown:.{dice.choice((0, 1, 2, 2, 2, 5))}f}"
                cells += [text if dice.random() < 0.97 else dice.choice(("NULL", "")), "NULL", "NULL"]
            lines.writerow([f"{at:%Y-%m-%d %H:%M:%S}.000", *cells])
    return path


def written_in(file: Path) -> dict[int, Values]:
    """What the file says, read without anything of ours: by time in ns."""
    found: dict[int, Values] = {}
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            at = datetime.fromisoformat(row["datetime"]).replace(tzinfo=ZONE).astimezone(UTC)
            values = {parameter: row[column] for column, parameter in COLUMNS.items()}
            found[int(at.timestamp()) * SECOND_NS] = {
                parameter: None if text in {"NULL", ""} else float(text) for parameter, text in values.items()
            }
    return found


def by_mosquitto(site: Site, files: Sequence[Path], table_map: Path) -> None:
    """With `jianwei replay`, as a person does it."""
    to = f"mqtt://{GATEWAY}:{quote(site.mosquitto.password(GATEWAY), safe='')}@127.0.0.1:{site.mosquitto.port}"
    command = [sys.executable, "-m", "jianwei", "replay", *map(str, files)]
    command += ["--map", str(table_map), "--to", to, "--json"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=site.folder)
    account = json.loads(said.stdout)
    assert account["acknowledged"] == account["messages"]
    assert account["bad_cells"] == 0


def by_kafka(site: Site, files: Sequence[Path], table_map: Path) -> None:
    """The same messages, keyed by station."""
    assert site.kafka is not None
    catalogue, account = read_catalogue(), Replay()
    maps = {file: named(map_for(file, table_map, catalogue), file, None) for file in files}
    with KafkaPublisher(site.kafka.address, IN, client_id="river") as publisher:
        for message in spoken(maps, into_units_of(catalogue, None), account):
            publisher.publish(message.topic.split("/")[2].encode(), message.payload)
        publisher.flush()
        assert len(publisher.acknowledged) == publisher.published > 0
    assert account.bad == 0


@pytest.mark.parametrize("way", ["mosquitto", "kafka"])
def test_a_river_comes_out_of_influxdb_as_it_went_in(
    tmp_path: Path,
    a_mosquitto: Callable[..., Mosquitto],
    a_kafka: Callable[..., Kafka],
    an_influxdb: Callable[..., Influxdb],
    files: list[Path],
    way: str,
) -> None:
    kafka = a_kafka() if way == "kafka" else None
    site = Site(tmp_path, a_mosquitto(), an_influxdb(), kafka)
    site.influxdb.make_bucket(BUCKET)
    table_map = tmp_path / "map.yaml"
    table_map.write_text(MAP)
    expected = {file.stem: written_in(file) for file in files}
    readings = sum(len(values) for rows in expected.values() for values in rows.values())
    with closing(site.service("river", bucket=BUCKET)) as service, closing(Held(site.influxdb, bucket=BUCKET)) as held:
        service.start_and_subscribe()
        began_s = time.monotonic()
        (by_mosquitto if way == "mosquitto" else by_kafka)(site, files, table_map)
        held.await_quiet(readings)
        took_s = time.monotonic() - began_s
        assert {station: held.of_station(station) for station in expected} == expected
        assert held.count() == readings
        assert service.stop() == 0
    messages, missing = (
        sum(map(len, expected.values())),
        sum(value is None for rows in expected.values() for values in rows.values() for value in values.values()),
    )
    print(f"{way}: {messages:,} messages, {readings:,} values, {missing:,} of them missing, {took_s:.1f} s")  # noqa: T201
