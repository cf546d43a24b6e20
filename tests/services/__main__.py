"""`python -m tests.services obtain [NAME...] | up [FOLDER] | down [FOLDER]`: what `make services…` runs."""

import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from tests.services import obtain
from tests.services.influxdb import Influxdb
from tests.services.kafka import Kafka
from tests.services.mosquitto import SERVICE, Mosquitto
from tests.services.program import DidNotStart, Program

FOLDER = Path(".services")
END_TIMEOUT_S = 30.0
SETTINGS = """\
# For `jianwei run -c {folder}/jianwei.toml`, on the services that `make services-up` started.
stations = []

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
"""


def up(folder: Path) -> None:
    """Starts what does not run, on the data of the last time, and says where everything is."""
    noted = _noted(folder)
    if any(_lives(number, began) for number, began in noted.values()):
        raise DidNotStart(f"services of {folder} run already: make services-down")
    folder = folder.absolute()
    mosquitto = Mosquitto(folder / "mosquitto", outlives=True)
    kafka = Kafka(folder / "kafka", outlives=True)
    influxdb = Influxdb(folder / "influxdb", outlives=True)
    started: dict[str, tuple[int, int]] = {}
    programs: list[Program] = [mosquitto, kafka, influxdb]
    for program in programs:
        program.start()
        started[program.name] = (program.pid, _began(program.pid) or 0)
        (folder / "running.json").write_text(json.dumps(started))
        _tell(f"{program.name}: started in {program.started_in_s:.1f} s, process {program.pid}, log {program.log}")
    kafka.make_topics()
    settings = SETTINGS.format(
        folder=folder,
        mqtt=mosquitto.port,
        service=SERVICE,
        password_file=mosquitto.password_file(SERVICE),
        kafka=kafka.address,
        influxdb=influxdb.url,
        org=influxdb.org,
        token_file=influxdb.service_token_file,
    )
    (folder / "jianwei.toml").write_text(settings)
    _tell(f"\n{settings}\nwritten to {folder / 'jianwei.toml'}; passwords of Mosquitto: {folder}/mosquitto/accounts/")


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
