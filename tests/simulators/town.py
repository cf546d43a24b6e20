"""A town of two stations, and the messages that it sends when something is wrong in one of them."""

import json
from typing import Any

from rules.strict_yaml import parse
from simulators.fleet import Fleet
from simulators.samples import Outgoing
from simulators.scenario import Scenario

TOWN = """
name: {zh: 镇, en: Town}
start: 2026-11-02T20:00:00+08:00
length: 6h
fleet:
  - station_type: city_air
    count: 2
    id: "T-{n}"
    name: {zh: "站{n}", en: "Station {n}"}
    signals:
      x: {base: 50.0, spread: 0.1, wander: 4.0, noise: 2.0, decimals: 2}
      y: {base: 8.0, wander: 1.0, noise: 0.5, decimals: 3}
    feeds:
      - {kind: realtime, interval: 5m}
      - {kind: hour, delay: 1m, jitter: 30s}
      - {kind: day, delay: 5m}
"""


def town(*faults: dict[str, Any], **changes: Any) -> Scenario:
    """The scenario with these faults."""
    return Scenario.model_validate({**parse(TOWN), "faults": list(faults), **changes})


def sent(scenario: Scenario, seed: int = 1) -> list[Outgoing]:
    fleet = Fleet(scenario, seed)
    return fleet.messages(0, fleet.end_ns * 2)


def content(message: Outgoing) -> dict[str, Any]:
    found = json.loads(message.payload)
    assert isinstance(found, dict)
    return found
