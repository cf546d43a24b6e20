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
from simulators.load import Report, read_report
from tests.bench.messages import READINGS, STATIONS
from tests.bench.service import EVERY_S, Serving, serving
from tests.bench.table import Aim, Effort, Row

FASTEST = 1_000_000.0  # messages a second: more than there can be
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


def published(service: Serving, folder: Path, *, rounds: int, rate: float, rounds_ago: int) -> Report:
    report = folder / "report.json"
    with loading(service.port, report, rounds=rounds, rate=rate, rounds_ago=rounds_ago):
        pass
    return read_report(report)


def rows(effort: Effort) -> list[Row]:
    rounds = effort.of(300, 60)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        with serving(folder / "data", STATIONS) as service:
            warm = WARM_ROUNDS * STATIONS
            published(service, folder, rounds=WARM_ROUNDS, rate=FASTEST, rounds_ago=rounds + 2 * WARM_ROUNDS)
            before = service.rested(warm)
            report = published(service, folder, rounds=rounds, rate=FASTEST, rounds_ago=rounds)
            after = service.rested(warm + report.published)
    assert after.stored - before.stored >= report.published * READINGS, "readings are missing in the store"
    cost = (after.cpu_s - before.cpu_s) / report.published * 1e6
    rate = report.published / report.took_s
    return [
        Row(
            f"the whole way, {STATIONS * READINGS:,} series, {rate:,.0f} messages a second", cost,
            "us a message of ten", aim=Aim("figure", 20, most=True),
        ),
        Row(f"memory of the service, {STATIONS * READINGS:,} series", after.rss_mb, "MB", aim=Aim("figure", 350, most=True)),
    ]  # fmt: skip
