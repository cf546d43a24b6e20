"""Ours beside Telegraf in one run: the same Mosquitto, the same InfluxDB, the same messages, turn after turn.

Ours has its journal and all rules on; Telegraf knows no rules. A message has ten readings for both, so the ratio of their
microseconds is the ratio of readings for a second of the processor.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.messages import STATIONS
from tests.bench.runs import FASTEST, Ours, Run, Way, median
from tests.bench.stack import Stack
from tests.bench.table import Aim, Effort, Row
from tests.bench.telegraf import Telegraf, version

PACED = 10_000.0
WARM_ROUNDS = 10
OURS = "ours"
WAYS = {OURS: "json_v1", "json_v2": "json_v1", "json": "flat"}  # who reads which form
AIMS = {"json_v2": 5.0, "json": 2.5}


@contextmanager
def way(stack: Stack, who: str, turn: int, rounds: int) -> Iterator[Way]:
    bucket = f"{who}-{turn}"
    if who == OURS:
        with stack.service(bucket, STATIONS) as service:
            yield Way(stack, Ours(service), f"{bucket}-raw", rounds)
        return
    with Telegraf(stack, who, bucket) as telegraf:
        yield Way(stack, telegraf, bucket, rounds, form=WAYS[who])


def rows(effort: Effort) -> list[Row]:
    turns, saturated, paced = effort.of(3, 1), effort.of(60, 10), effort.of(50, 10)
    runs: dict[tuple[str, bool], list[Run]] = {}
    with tempfile.TemporaryDirectory() as name, Stack(Path(name)) as stack:
        assert stack.mosquitto.running
        for turn in range(turns):
            for who in WAYS:
                with way(stack, who, turn, WARM_ROUNDS + saturated + paced) as a_way:
                    a_way.run(WARM_ROUNDS, FASTEST)
                    for rate, rounds in ((FASTEST, saturated), (PACED, paced)):
                        runs.setdefault((who, rate == PACED), []).append(a_way.run(rounds, rate))
    taken = {key: median(of) for key, of in runs.items()}
    return [_beside(taken, who, is_paced=is_paced) for is_paced in (False, True) for who in AIMS]


def _beside(taken: dict[tuple[str, bool], Run], who: str, *, is_paced: bool) -> Row:
    ours, theirs = taken[OURS, is_paced], taken[who, is_paced]
    how = (
        f"{PACED:,.0f} a second" if is_paced else f"saturated ({ours.rate:,.0f} a second; Telegraf {theirs.rate:,.0f})"
    )
    return Row(
        f"Mosquitto to InfluxDB, {how}: {ours.others} us",
        ours.own_us,
        "us a message of ten",
        f"Telegraf {version()}, {who}: {theirs.others} us",
        theirs.own_us,
        Aim("ratio", AIMS[who], most=False),
    )
