"""All benchmarks, or some of them, as one table: python -m tests.bench [--quick] [--only NAME].

Figures are CPU time of the process that does the work, medians of several runs; what stands beside a figure was taken
in turn with it, so the ratio holds where the machine is shared. Ends with 1 when an aim was missed.
"""

import argparse
import sys
from collections.abc import Callable, Mapping

from rich.console import Console

from tests.bench import decode, engine, journal, receive, store, whole
from tests.bench.table import Effort, Row, show

BENCHMARKS: Mapping[str, Callable[[Effort], list[Row]]] = {
    "receive": receive.rows,
    "decode": decode.rows,
    "engine": engine.rows,
    "journal": journal.rows,
    "store": store.rows,
    "whole": whole.rows,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Ratios of one run.")
    parser.add_argument("--quick", action="store_true", help="once and short: whether it works, not how much it costs")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="may be given several times")
    given = parser.parse_args()
    rows: list[Row] = []
    progress = Console(stderr=True)
    for name, measure in BENCHMARKS.items():
        if given.only is None or name in given.only:
            with progress.status(f"{name} ..."):
                rows += measure(Effort(given.quick))
    console = Console()
    show(rows, console if console.is_terminal else Console(width=165))
    return 0 if all(row.verdict != "MISSED" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
