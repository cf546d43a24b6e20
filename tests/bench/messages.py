"""The messages that benchmarks speak of: 2,000 stations with ten readings each, as the load generator makes them."""

from rules.readings import SECOND_NS
from simulators.load import Load, Plan

STATIONS = 2_000
READINGS = 10  # a message
PLAN = Plan("load", seed=1, stations=STATIONS, start_ns=1_772_323_200 * SECOND_NS, interval_ns=SECOND_NS)


def messages(count: int) -> list[tuple[str, bytes]]:
    """Topic and payload, in the order in which they are published."""
    load = Load(PLAN)
    topics = [f"jianwei/v1/{station.id}/{load.kind.name.lower()}" for station in load.stations]
    return [(topics[number % STATIONS], load.payload(number)) for number in range(count)]
