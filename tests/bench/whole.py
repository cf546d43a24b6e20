"""The whole way, with everything on: real broker, journal, all rules of the catalogue, store, ledger.

The service's own process is measured; the broker, a process of its own, is not. Saturated: the load generator publishes
as fast as it is acknowledged.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jianwei.clock import wall_ns
from rules.readings import SECOND_NS
from simulators.load import read_report
from tests.bench.messages import READINGS, STATIONS
from tests.bench.service import EVERY_S, Serving, serving
from tests.bench.table import Aim, Effort, Row

FASTEST = 1_000_000.0  # messages a second: more than there can be
PACED = 2_000.0
WARM_ROUNDS = 20


@contextmanager
def loading(port: int, report: Path, *, rounds: int, rate: float, rounds_ago: int) -> Iterator[None]:
    """The load generator, whose first round was `rounds_ago` before now; it has ended when the context ends."""
    start = datetime.fromtimestamp(wall_ns() // SECOND_NS, UTC) - timedelta(seconds=rounds_ago * EVERY_S)
    count = rounds * STATIONS
    command = [
        sys.executable, "-m", "simulators.load", "--port", str(port), "--stations", str(STATIONS), "--rate", str(rate),
        "--count", str(count), "--seconds", str(10 * count), "--start", start.isoformat(), "--interval", str(EVERY_S),
        "--window", "5000", "--report", str(report),
    ]  # fmt: skip
    with subprocess.Popen(command) as process:
        try:
            yield
            process.wait()
        finally:
            process.kill()


class Way:
    """One service, and load after load through it; the first round of the first load was `rounds_ago` before now."""

    def __init__(self, service: Serving, folder: Path, rounds_ago: int) -> None:
        self._service = service
        self._report = folder / "report.json"
        self._rounds_ago = rounds_ago
        self._messages = 0

    def cost_us(self, rounds: int, rate: float) -> tuple[float, float]:
        """CPU microseconds of the service a message, and messages a second; each was stored."""
        before = self._service.figures()
        with loading(self._service.port, self._report, rounds=rounds, rate=rate, rounds_ago=self._rounds_ago):
            pass
        report = read_report(self._report)
        self._rounds_ago -= rounds
        self._messages += report.published
        after = self._service.rested(self._messages)
        assert after.stored - before.stored >= report.published * READINGS, "readings are missing in the store"
        return (after.cpu_s - before.cpu_s) / report.published * 1e6, report.published / report.took_s


def rows(effort: Effort) -> list[Row]:
    saturated, paced = effort.of(300, 60), effort.of(20, 5)
    series = f"{STATIONS * READINGS:,} series"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        with serving(folder / "data", STATIONS) as service:
            way = Way(service, folder, rounds_ago=WARM_ROUNDS + saturated + paced)
            way.cost_us(WARM_ROUNDS, FASTEST)  # every series is met, every kernel compiled
            dear_us, rate = way.cost_us(saturated, FASTEST)
            paced_us, _ = way.cost_us(paced, PACED)
            rss_mb = service.figures().rss_mb
    return [
        Row(
            f"the whole way, {series}, saturated ({rate:,.0f} a second)", dear_us, "us a message of ten",
            aim=Aim("figure", 20, most=True),
        ),
        Row(f"the whole way, {series}, {PACED:,.0f} a second", paced_us, "us a message of ten"),
        Row(f"memory of the service, {series}", rss_mb, "MB", aim=Aim("figure", 350, most=True)),
    ]  # fmt: skip
