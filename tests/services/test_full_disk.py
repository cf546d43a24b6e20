"""A disk fills under load, ours or InfluxDB's: nothing that was acknowledged is lost, and with room it goes on by itself."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from ingest.journal import SqliteJournal
from tests.kill.service import Service
from tests.services.held import Held
from tests.services.influxdb import Influxdb
from tests.services.mosquitto import Mosquitto
from tests.services.site import READINGS, Site, missing_of
from tests.services.watch import until

pytestmark = [pytest.mark.services, pytest.mark.timeout(400)]
RATE = 2_000
OUR_DISK_MB, OUR_ROOM_MB = 64, 6
THEIR_DISK_MB, THEIR_ROOM_MB = 256, 8
FULL_S = 20.0
QUIET_S = 100.0  # a store that was refused for long is asked once a minute
SHARD_IS_OPEN = 50_000  # readings
MB = 1_000_000


class SmallDisk:
    """A file system of its own in memory, and a file that takes its room away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    @property
    def free_mb(self) -> float:
        return shutil.disk_usage(self.folder).free / MB

    def leave_mb(self, room_mb: float) -> None:
        with self._ballast.open("wb") as file:
            for _ in range(int(self.free_mb - room_mb)):
                file.write(bytes(MB))

    def make_room(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path, int], SmallDisk]]:
    with ExitStack() as exits:
        yield lambda folder, size_mb: exits.enter_context(mounted(folder, size_mb))


@contextmanager
def mounted(folder: Path, size_mb: int) -> Iterator[SmallDisk]:
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb * MB}", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        words = getattr(error, "stderr", "") or error
        pytest.fail(f"a small file system is needed, and mounting one needs root (CAP_SYS_ADMIN): {words}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_our_disk_is_full_and_nothing_acknowledged_is_lost(
    tmp_path: Path,
    a_mosquitto: Callable[..., Mosquitto],
    an_influxdb: Callable[..., Influxdb],
    small_disk: Callable[[Path, int], SmallDisk],
) -> None:
    """Journal, ledger, snapshots, quarantine and archive lie on it. Mosquitto keeps what we do not take."""
    disk = small_disk(tmp_path / "disk", OUR_DISK_MB)
    site = Site(tmp_path, a_mosquitto(), an_influxdb())
    with (
        closing(site.service("full", data_dir=disk.folder / "data")) as service,
        closing(Held(site.influxdb)) as held,
    ):
        service.start_and_subscribe()
        pid = service.pid
        with closing(site.load(site.halves[0], rate=RATE)) as load:
            until(lambda: held.count() > 0, timeout_s=60, why=service.last_words)
            disk.leave_mb(OUR_ROOM_MB)
            until(
                lambda: "the journal takes nothing" in words(service), timeout_s=180, why=lambda: f"{disk.free_mb} MB"
            )
            time.sleep(FULL_S)
            disk.make_room()
            time.sleep(FULL_S / 4)
            load.end()
            report = load.report()
        held.await_quiet(report.count * READINGS, quiet_s=QUIET_S)
        assert service.pid == pid
        assert missing_of(held, site.halves[0], report.count) == []
        assert held.count() == report.count * READINGS
        assert service.stop() == 0
        service.found()
        assert SqliteJournal(service.data.journal).verify() == []


def test_the_disk_of_influxdb_is_full_and_nothing_is_lost(
    tmp_path: Path,
    a_mosquitto: Callable[..., Mosquitto],
    an_influxdb: Callable[..., Influxdb],
    small_disk: Callable[[Path, int], SmallDisk],
) -> None:
    """It answers 500, and we keep what it did not take. Started again, InfluxDB has what it took."""
    disk = small_disk(tmp_path / "influxdb" / "data", THEIR_DISK_MB)
    site = Site(tmp_path, a_mosquitto(), an_influxdb())
    with closing(site.service("full")) as service, closing(Held(site.influxdb)) as held:
        service.start_and_subscribe()
        with closing(site.load(site.halves[0], rate=RATE)) as load:
            until(lambda: held.count() > SHARD_IS_OPEN, timeout_s=60, why=service.last_words)
            disk.leave_mb(THEIR_ROOM_MB)
            until(lambda: "no space left on device" in words(service), timeout_s=120, why=lambda: f"{disk.free_mb} MB")
            time.sleep(FULL_S)
            disk.make_room()
            site.influxdb.stop()  # with room it goes on answering 500: a write-ahead log that failed stays so
            site.influxdb.start()
            time.sleep(FULL_S / 4)
            load.end()
            report = load.report()
        held.await_quiet(report.count * READINGS, quiet_s=QUIET_S)
        assert missing_of(held, site.halves[0], report.count) == []
        assert held.count() == report.count * READINGS
        assert service.stop() == 0
        service.found()


def words(service: Service) -> str:
    return (service.folder / "log.jsonl").read_text()
