"""All benchmarks, or some of them, as one table: python -m tests.bench [--quick] [NAME ...].

Figures are CPU time of the process that does the work, medians of several runs; what stands beside a figure was taken
in turn with it, so the ratio holds where the machine is shared. Ends with 1 when an aim was missed.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping

from rich.console import Console

from tests.bench import decode, engine, growth, hj212, influxdb, journal, race, receive, services, store, whole
from tests.bench.table import Effort, Row, show

BENCHMARKS: Mapping[str, Callable[[Effort], list[Row]]] = {
    "receive": receive.rows,
    "decode": decode.rows,
    "hj212": hj212.rows,
    "engine": engine.rows,
    "journal": journal.rows,
    "store": store.rows,
    "lines": influxdb.rows,
    "whole": whole.rows,
    "mosquitto": services.from_mosquitto,
    "kafka": services.from_kafka,
    "telegraf": race.rows,
    "series": growth.with_series,
    "day": growth.with_a_day,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Ratios of one run.")
    parser.add_argument("--quick", action="store_true", help="once and short: whether it works, not how much it costs")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; none: all of them")
    given = parser.parse_args()
    if unknown := set(given.names) - BENCHMARKS.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    rows: list[Row] = []
    broken: list[str] = []
    progress = Console(stderr=True)
    for name, measure in BENCHMARKS.items():
        if given.names and name not in given.names:
            continue
        began_s = time.monotonic()
        with progress.status(f"{name} ..."):
            try:
                rows += measure(Effort(given.quick))
            except Exception as error:  # noqa: BLE001  # the others are still worth their time; this one is told, and fails
                broken.append(f"{name}: {error!r}")
        progress.print(f"{name}: {time.monotonic() - began_s:.0f} s, load average {os.getloadavg()[0]:.1f}")
    console = Console()
    show(rows, console if console.is_terminal else Console(width=165))
    for line in broken:
        console.print(f"FAILED {line}", markup=False, style="bold red")
    return 1 if broken or any(row.verdict == "MISSED" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
