"""`python -m tests.services obtain [NAME...] | up [FOLDER] | down [FOLDER]`: what `make services…` runs."""

import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from simulators.fleet import Fleet, register_yaml
from simulators.scenario import load_scenario
from tests.services import obtain
from tests.services.influxdb import Influxdb
from tests.services.kafka import Kafka
from tests.services.mosquitto import GATEWAY, SERVICE, Mosquitto
from tests.services.program import DidNotStart, is_free

FOLDER = Path(".services")
END_TIMEOUT_S = 30.0
SCENARIO, SPAN = "city", "2h"  # nothing goes wrong in its first minutes
SETTINGS = """\
# For `jianwei run -c FILE` on the services of `make services-up`, which writes this anew each time: copy it to change it.
stations = ["{register}"]

[[sources]]
type = "mqtt"
port = {mqtt}
username = "{service}"
password_file = "{password_file}"

[[sources]]
type = "kafka"
servers = ["{kafka}"]
topics = ["jianwei.readings.v1"]

[[formats]]
topic = "#"
format = "json_v1"

[store]
type = "influxdb"
url = "{influxdb}"
org = "{org}"
token_file = "{token_file}"

[channels.archive]
type = "file"
folder = "alerts"

[channels.bus]
type = "kafka"
servers = ["{kafka}"]
topic = "jianwei.alerts.v1"
state_topic = "jianwei.alert-state.v1"

[channels.duty]
type = "mqtt"
host = "127.0.0.1"
port = {mqtt}
username = "{service}"
password_file = "{password_file}"

[dead_letters]
enabled = true
servers = ["{kafka}"]
topic = "jianwei.dead-letters.v1"
"""
LINES = """
The settings are in {folder}/jianwei.toml, passwords of Mosquitto in {folder}/mosquitto/accounts/. To paste:

    .venv/bin/jianwei check -c {folder}/jianwei.toml
    .venv/bin/jianwei run -c {folder}/jianwei.toml

and beside it, by MQTT or by Kafka (the same hours a second time are late, and mostly told to nobody):

    .venv/bin/jianwei simulate {scenario} --speed max --for {span} \\
        --to "mqtt://{gateway}:$(cat {password_file})@127.0.0.1:{mosquitto}"
    .venv/bin/jianwei simulate {scenario} --speed max --for {span} --to kafka://127.0.0.1:{kafka}/jianwei.readings.v1
    .venv/bin/jianwei episodes -c {folder}/jianwei.toml
"""


def up(folder: Path) -> None:
    """Starts what does not run, on the data and ports of the last time, and says how to run on them.

    Where all of them run it only says so again.
    """
    noted = _noted(folder)
    running = [name for name, (number, began) in noted.items() if _lives(number, began)]
    if len(running) == len(obtain.SERVICES):
        _tell(f"the services of {folder} run already (make services-down ends them)")
        _tell_lines(folder)
        return
    if running:
        raise DidNotStart(f"of the services of {folder} only {', '.join(running)} runs: make services-down, then again")
    mosquitto = Mosquitto(folder / "mosquitto", outlives=True)
    kafka = Kafka(folder / "kafka", outlives=True)
    influxdb = Influxdb(folder / "influxdb", outlives=True)
    ports = _ports(folder)
    started: dict[str, tuple[int, int]] = {}
    for program in (mosquitto, kafka, influxdb):
        last = ports.get(program.name, 0)
        program.port = ports[program.name] = last if last and is_free(last) else program.port
        program.start()
        started[program.name] = (program.pid, _began(program.pid) or 0)
        (folder / "running.json").write_text(json.dumps(started))
        _tell(f"{program.name}: started in {program.started_in_s:.1f} s, process {program.pid}, log {program.log}")
    (folder / "ports.json").write_text(json.dumps(ports))
    kafka.make_topics()
    _settle(folder, mosquitto, kafka, influxdb)
    _tell_lines(folder)


def _settle(folder: Path, mosquitto: Mosquitto, kafka: Kafka, influxdb: Influxdb) -> None:
    """A service can be run on these settings, and knows the stations of the scenario."""
    register = folder / f"{SCENARIO}.yaml"
    register.write_text(register_yaml(Fleet(load_scenario(SCENARIO), 1).stations()))
    settings = SETTINGS.format(
        register=register.name,
        mqtt=mosquitto.port,
        service=SERVICE,
        password_file=mosquitto.password_file(SERVICE),
        kafka=kafka.address,
        influxdb=influxdb.url,
        org=influxdb.org,
        token_file=influxdb.service_token_file,
    )
    (folder / "jianwei.toml").write_text(settings)


def _tell_lines(folder: Path) -> None:
    password_file = folder / "mosquitto" / "accounts" / f"{GATEWAY}.password"
    said = {"folder": folder, "password_file": password_file, "gateway": GATEWAY, "scenario": SCENARIO, "span": SPAN}
    _tell(LINES.format(**said, **_ports(folder)))


def _ports(folder: Path) -> dict[str, int]:
    """Of the last time, by service: a copy of the settings stays good."""
    file = folder / "ports.json"
    ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    return ports


def down(folder: Path) -> None:
    """Ends what `up` started. Its data stays."""
    for name, (number, began) in _noted(folder).items():
        if not _lives(number, began):
            _tell(f"{name}: does not run")
            continue
        os.kill(number, signal.SIGTERM)
        end_s = time.monotonic() + END_TIMEOUT_S
        while _lives(number, began) and time.monotonic() < end_s:
            time.sleep(0.05)
        if _lives(number, began):
            os.kill(number, signal.SIGKILL)
        _tell(f"{name}: ended")
    (folder / "running.json").unlink(missing_ok=True)


def _noted(folder: Path) -> dict[str, tuple[int, int]]:
    file = folder / "running.json"
    return (
        {name: (number, began) for name, (number, began) in json.loads(file.read_text()).items()}
        if file.exists()
        else {}
    )


def _began(number: int) -> int | None:
    """When a process began, in ticks since the machine did; None when there is none, or one that has ended."""
    try:
        words = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(words[19]) if words[0] != "Z" else None


def _lives(number: int, began: int) -> bool:
    """A process number alone may be another's by now."""
    return _began(number) == began


def _tell(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # the command's voice


def main(words: list[str]) -> int:
    match words:
        case ["obtain", *names] if set(names) <= obtain.PROGRAMS.keys():
            work = partial(obtain.obtain, tuple(names) or obtain.SERVICES)
        case ["up" | "down" as what, *folder] if len(folder) <= 1:
            work = partial(up if what == "up" else down, Path(*folder) if folder else FOLDER)
        case _:
            _tell(__doc__ or "")
            return 2
    try:
        work()
    except (obtain.NotObtained, DidNotStart) as error:
        _tell(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
