"""The whole way through real services: from Mosquitto or Kafka, with everything on, into InfluxDB.

Beside the load, a probe publishes what must bring an alert, and waits for it at Mosquitto. Every message is counted in
InfluxDB, every alert where it must arrive.
"""

import tempfile
from pathlib import Path

from tests.bench.messages import STATIONS
from tests.bench.runs import FASTEST, Ours, Run, Way
from tests.bench.stack import Stack
from tests.bench.table import Aim, Effort, Row

RATES = (500.0, 2_000.0, 10_000.0)
AIMED_RATE, AIMED_P99_MS = 10_000.0, 100.0
LEAST_OF_RATE = 0.95
WARM_ROUNDS = 10
TOPIC = "readings"


def from_mosquitto(effort: Effort) -> list[Row]:
    return _rows(effort, "Mosquitto", None)


def from_kafka(effort: Effort) -> list[Row]:
    return _rows(effort, "Kafka", TOPIC)


def _rows(effort: Effort, broker: str, topic: str | None) -> list[Row]:
    seconds, saturated = effort.of(15, 4), effort.of(150, 20)
    rounds = {rate: max(1, round(rate * seconds / STATIONS)) for rate in RATES}
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as name, Stack(Path(name)) as stack:
        assert stack.mosquitto.running
        assert stack.influxdb.running
        if topic is not None:
            stack.make_topic(topic)
        own = "bench"
        with stack.service(own, STATIONS, topic=topic) as service:
            whole = WARM_ROUNDS + sum(rounds.values()) + saturated
            way = Way(stack, Ours(service), f"{own}-raw", whole, topic=topic)
            way.run(WARM_ROUNDS, FASTEST)  # every series is met, every kernel compiled
            for rate in RATES:
                run = way.run(rounds[rate], rate, probed=True)
                found += _told(f"from {broker} into InfluxDB, {rate:,.0f} a second", run, paced=rate)
            run = way.run(saturated, FASTEST)
            found += _told(f"from {broker} into InfluxDB, saturated ({run.rate:,.0f} a second)", run, paced=None)
    return found


def _told(what: str, run: Run, *, paced: float | None) -> list[Row]:
    cost = Row(what, run.own_us, "us a message of ten", f"us of {run.others}")
    if paced is None or run.latencies is None:
        return [cost]
    p50, p95, p99 = (run.latencies.percentile(percent) for percent in (50, 95, 99))
    return [
        cost,
        Row(
            "    publish to alert received, p99", p99, "ms", f"p50 {p50:.0f}, p95 {p95:.0f} ms",
            aim=Aim("figure", AIMED_P99_MS, most=True) if paced == AIMED_RATE else None,
        ),
        # Slower than it says, the load would flatter what stands above.
        Row("    published", run.published_rate, "a second", aim=Aim("figure", LEAST_OF_RATE * paced, most=False)),
    ]  # fmt: skip
