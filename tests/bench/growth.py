"""Does a message cost more where there are ten times as many series, or where a day of messages lies in the journal?

From Mosquitto into InfluxDB, saturated; every message is counted there.
"""

import tempfile
from pathlib import Path

from tests.bench.messages import READINGS, STATIONS
from tests.bench.processes import rss_mb
from tests.bench.runs import FASTEST, Ours, Run, Way, median
from tests.bench.stack import Stack
from tests.bench.table import Aim, Effort, Row

MANY_STATIONS = 20_000
A_RUN = 100_000  # messages
DAY_ROUNDS = 24 * 60  # every station speaks every minute
MOST_FEW_MB = 350
WARM_MESSAGES = 40_000


def with_series(effort: Effort) -> list[Row]:
    few, few_mb, _ = _cost(effort, STATIONS)
    many, many_mb, influxdb_mb = _cost(effort, MANY_STATIONS)
    few_series, many_series = (f"{stations * READINGS:,} series" for stations in (STATIONS, MANY_STATIONS))
    return [
        Row(f"into InfluxDB, {few_series}, saturated", few.own_us, "us a message of ten", f"with {many_series}", many.own_us),
        Row("    and InfluxDB", few.services_us["InfluxDB"], "us a message of ten", f"with {many_series}", many.services_us["InfluxDB"]),
        Row(
            f"memory of the service, {few_series}", few_mb, "MB", f"with {many_series} (InfluxDB then: {influxdb_mb:.0f} MB)",
            many_mb, Aim("figure", MOST_FEW_MB, most=True),
        ),
    ]  # fmt: skip


def _cost(effort: Effort, stations: int) -> tuple[Run, float, float]:
    """The median run, and the memory of the service and of InfluxDB after all of them."""
    rounds, warm_rounds, repeats = effort.of(A_RUN, 20_000) // stations, WARM_MESSAGES // stations, effort.of(3, 1)
    with tempfile.TemporaryDirectory() as name, Stack(Path(name)) as stack, stack.service("bench", stations) as service:
        way = Way(stack, Ours(service), "bench-raw", warm_rounds + repeats * rounds, stations=stations)
        way.run(warm_rounds, FASTEST)
        runs = [way.run(rounds, FASTEST) for _ in range(repeats)]
        return median(runs), rss_mb(service.pid), rss_mb(stack.influxdb.pid)


def with_a_day(effort: Effort) -> list[Row]:
    piece = effort.of(60, 10)
    between = effort.of(DAY_ROUNDS, 60) - 2 * piece
    warm_rounds = WARM_MESSAGES // STATIONS
    with tempfile.TemporaryDirectory() as name, Stack(Path(name)) as stack, stack.service("bench", STATIONS) as service:
        way = Way(stack, Ours(service), "bench-raw", warm_rounds + between + 2 * piece)
        way.run(warm_rounds, FASTEST)
        first = way.run(piece, FASTEST)
        first_mb = rss_mb(service.pid)
        way.run(between, FASTEST)
        last = way.run(piece, FASTEST)
        last_mb = rss_mb(service.pid)
        journal_mb = sum(file.stat().st_size for file in (stack.folder / "bench/data/journal").rglob("*")) / 2**20
    messages = f"{(between + 2 * piece) * STATIONS:,} messages"
    beside = f"after {messages} (journal {journal_mb:,.0f} MB)"
    return [
        Row("into InfluxDB, an empty journal, saturated", first.own_us, "us a message of ten", beside, last.own_us),
        Row("    memory of the service", first_mb, "MB", beside, last_mb),
    ]  # fmt: skip
