"""The service under a steady load for as long as asked: does its memory grow?

python -m tests.bench.soak --for 3600 --rate 2000: prints a line every few seconds, and at the end the slope of the
memory over the second half, when everything has been met once. Ends with 1 when it is steeper than `--most-slope`.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from simulators.load import read_report
from tests.bench.messages import READINGS, STATIONS
from tests.bench.service import Figures, Serving, serving
from tests.bench.whole import loading


def slope_mb_an_hour(samples: Sequence[tuple[float, Figures]]) -> float:
    """Of a straight line through the second half; 0 where there is too little of it."""
    half = samples[len(samples) // 2 :]
    if len(half) < 2:
        return 0.0
    elapsed_s, rss_mb = zip(*((at_s, figures.rss_mb) for at_s, figures in half), strict=True)
    return float(np.polyfit(elapsed_s, rss_mb, 1)[0]) * 3_600


def watched(service: Serving, for_s: float, every_s: float, console: Console) -> list[tuple[float, Figures]]:
    """Samples of the service while the load runs."""
    samples: list[tuple[float, Figures]] = []
    began_s = time.monotonic()
    while (elapsed_s := time.monotonic() - began_s) < for_s:
        now = service.figures()
        samples.append((elapsed_s, now))
        console.print(
            f"{elapsed_s:6.0f} s  {now.rss_mb:6.1f} MB  {now.messages:10,} messages  {now.stored:11,} stored  "
            f"{now.cpu_s / max(now.messages, 1) * 1e6:5.1f} us a message  {'; '.join(now.ill)}"
        )
        time.sleep(every_s)
    return samples


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description="Memory under a steady load.")
    parser.add_argument("--for", dest="for_s", type=float, default=600.0, help="seconds")
    parser.add_argument("--rate", type=float, default=2_000.0, help="messages a second")
    parser.add_argument("--every", dest="every_s", type=float, default=5.0, help="seconds between samples")
    parser.add_argument("--most-slope", type=float, default=5.0, help="MB an hour that are still called flat")
    given = parser.parse_args()
    console = Console(width=140)
    rounds = round(given.for_s * given.rate / STATIONS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        with serving(folder / "data", STATIONS) as service:
            report = folder / "report.json"
            with loading(service.port, report, rounds=rounds, rate=given.rate, rounds_ago=rounds):
                samples = watched(service, given.for_s, given.every_s, console)
            published = read_report(report).published
            last = service.rested(published)
    slope = slope_mb_an_hour(samples)
    lost = published * READINGS - last.stored
    console.print(
        f"{published:,} messages in {given.for_s:.0f} s, {max(lost, 0):,} readings lost; memory {samples[0][1].rss_mb:.0f} "
        f"to {last.rss_mb:.0f} MB, at most {last.most_rss_mb:.0f}; {slope:+.1f} MB an hour over the second half"
    )
    return 0 if slope <= given.most_slope and lost <= 0 else 1


if __name__ == "__main__":
    sys.exit(main())
