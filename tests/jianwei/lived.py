"""A small site whose service has lived through two days, for commands to look at."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from rich.console import Console

from ingest.instants import instant_ns
from ingest.journal import SqliteJournal
from ingest.message import Block
from jianwei.clock import SimulatedClock
from jianwei.runtime import Runtime
from jianwei.site import read_site
from jianwei.telemetry import Telemetry, open_log
from rules.readings import SECOND_NS

SETTINGS = """
instance = "lived"
stations = ["stations.yaml"]
{more}
[http]
enabled = false
[health]
silent_s = 0
"""
STATIONS = """
stations:
  - {id: SW-01, name: {zh: 上游断面, en: Upstream}, station_type: surface_water_section, class: III, water_body: river}
  - {id: SW-02, name: {zh: 下游断面, en: Downstream}, station_type: surface_water_section, class: III, water_body: river}
  - id: WE-01
    name: {zh: 总排口, en: Outlet}
    station_type: wastewater_outlet
    permit: [{parameter: w01018, period: "1h", op: "<=", value: 60.0, unit: mg/L, permit: 许可证, clause: 表1}]
  - {id: VOC-01, name: {zh: 园区, en: Park}, station_type: pharma_park_voc}
"""
PLANT = '[[formats]]\ntopic = "jianwei/v1/#"\n[[formats]]\ntopic = "plant/#"\n'
OXYGEN, COD, METHANOL = "w01009", "w01018", "a31001"
FIRST, SECOND = "2026-03-01T{:02}:00:00+08:00", "2026-03-02T{:02}:00:00+08:00"
BYTES = b"\xff\x00\x1b[2J"  # no text; it would clear a careless terminal
PATIENCE_S = 30.0


def message(station: str, at: str, values: dict[str, object], flags: dict[str, str] | None = None) -> bytes:
    told = {"station": station, "kind": "hour", "time": at, "values": values}
    return json.dumps({**told, **({"flags": flags} if flags else {})}).encode()


def block(at: str, *messages: tuple[str, bytes]) -> Block:
    return Block("gateway", instant_ns(at), [topic for topic, _ in messages], [payload for _, payload in messages])


def of(station: str, hour: int, value: float | None, parameter: str, day: str = FIRST) -> tuple[str, bytes]:
    return f"jianwei/v1/{station}/hour", message(station, day.format(hour), {parameter: value})


def history() -> Iterator[Block]:
    """Oxygen falls at SW-01 and recovers, falls at SW-02 and does not; WE-01 breaks its permit, VOC-01 a recalled limit."""
    for hour, oxygen in enumerate([7.5, 3.2, 3.0, 7.0, 7.1, 7.2]):
        yield block(FIRST.format(hour + 1), of("SW-01", hour, oxygen, OXYGEN), of("WE-01", hour, 40.5, COD))
    yield block(
        FIRST.format(8),
        ("jianwei/v1/SW-01/hour", BYTES),
        ("jianwei/v1/SW-01/hour", message("SW-01", FIRST.format(6), {OXYGEN: "7.3", "w01010": 18.5, "w01001": "x"})),
        ("plant/9", message("SW-02", FIRST.format(20), {OXYGEN: 7.0})),
    )
    for hour, low in enumerate([2.25, 2.0, None]):
        yield block(SECOND.format(hour + 1), of("SW-02", hour, low, OXYGEN, SECOND))
    yield block(SECOND.format(5), of("WE-01", 4, 90.0, COD, SECOND), of("VOC-01", 4, 0.9, METHANOL, SECOND))
    calibrating = message("WE-01", SECOND.format(5), {COD: 500.0}, {COD: "C"})
    yield block(SECOND.format(6), ("jianwei/v1/WE-01/hour", calibrating))


def settle(folder: Path, more: str = "") -> Path:
    """Writes settings and register; the settings file."""
    (folder / "stations.yaml").write_text(STATIONS, encoding="utf-8")
    config = folder / "jianwei.toml"
    config.write_text(SETTINGS.format(more=more))
    return config


def record(folder: Path, blocks: Iterator[Block]) -> None:
    """An entry a block, written when it was received."""
    journal = SqliteJournal(folder / "data" / "journal", sync=False)
    for one in blocks:
        journal.append([one], one.received_ns, tick=False)
    journal.close()


@contextmanager
def serving(config: Path) -> Iterator[Runtime]:
    """The site's service. It has judged and stored everything when the context ends."""
    site = read_site(config)
    telemetry = Telemetry(open_log("error", json_lines=True, stream=StringIO()))
    clock = SimulatedClock(instant_ns(SECOND.format(12)) + SECOND_NS)
    with Runtime(site.settings, site.catalogue, site.filed, telemetry, clock, Console(file=StringIO())) as runtime:
        until_idle(runtime)
        yield runtime
        until_idle(runtime)


def until_idle(runtime: Runtime, messages: int = 0) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not (runtime.recorder.messages >= messages and runtime.is_idle):
        assert time.monotonic() < end_s, runtime.wellbeing.report()
        time.sleep(0.005)
