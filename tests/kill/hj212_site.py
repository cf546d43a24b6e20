"""A service with a port for data loggers, as a site has it; and what its store must hold."""

from collections.abc import Sequence
from math import isnan
from pathlib import Path

from ingest.stores.sqlite import SqliteStore
from rules.schema import Station
from tests.kill.hj212_voices import Voices
from tests.kill.service import Service, wait_until
from tests.services.program import accepts, free_port

SETTINGS = """
instance = "loggers"
stations = ["stations.yaml"]
[[sources]]
type = "hj212_tcp"
name = "loggers"
port = {port}
most_of_one_address = {most_of_one_address}
[[formats]]
topic = "jianwei/hj212/#"
format = "hj212"
[worker]
snapshot_every_s = 1.0
[channels.archive]
type = "file"
folder = "alerts"
[http]
enabled = false
[log]
level = "warning"
"""


class Platform(Service):
    """It listens when `start` returns. The port stays over restarts."""

    def __init__(self, folder: Path, stations: list[Station], *, most_of_one_address: int = 500) -> None:
        self.port = free_port()
        settings = SETTINGS.format(port=self.port, most_of_one_address=most_of_one_address)
        super().__init__(folder, settings, stations)

    def listens(self) -> bool:
        """It must not have ended by itself."""
        return self.pid > 0 and accepts(self.port)

    def start_and_listen(self) -> None:
        self.start()
        assert wait_until(self.listens, timeout_s=60), self.last_words()

    def await_stored(self, readings: int) -> None:
        assert wait_until(lambda: self.stored() >= readings, timeout_s=60), f"{self.stored()} of {readings} are stored"

    def stored_of(self, stations: Sequence[Station]) -> int:
        """Readings of these stations, with those that stand twice."""
        store = SqliteStore(self.data.store)
        return sum(1 for station in stations for _ in store.read(station.id, None, None, 0, 2**63 - 1))


def check_store(service: Service, voices: Voices, turns: list[int]) -> int:
    """Of each station so many samples, every reading once with its value, and nothing else. The answer: how many readings."""
    store = SqliteStore(service.data.store)
    compared = 0
    for place, said in enumerate(turns):
        station = voices.stations[place].id
        rows = list(store.read(station, None, None, 0, 2**63 - 1))
        stored = {(row.measured_ns, row.parameter): row.value for row in rows}
        assert len(stored) == len(rows), f"{station}: a reading stands twice"
        for turn in range(said):
            for parameter, value in voices.readings(place, turn).items():
                kept = stored.pop((voices.measured_ns(turn), parameter))
                assert isnan(kept) if value is None else kept == value, (station, turn, parameter)
                compared += 1
        assert stored == {}, f"{station}: there is what was never said"
    return compared
