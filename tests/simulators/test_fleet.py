import hashlib
import os
import subprocess
import sys
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.readings import SECOND_NS, Kind
from rules.register import StationsFile
from rules.strict_yaml import parse
from simulators.fleet import Fleet, register_yaml
from simulators.scenario import load_scenario
from tests.simulators.town import content, sent, town

ROOT = Path(__file__).parents[2]
PRINT = """
import hashlib
from simulators.fleet import Fleet
from simulators.scenario import load_scenario
fleet = Fleet(load_scenario("city"), 11)
messages = fleet.messages(0, fleet.end_ns * 2)
print(hashlib.sha256(b"".join(b"%d %s " % (m.sent_ns, m.topic.encode()) + m.payload for m in messages)).hexdigest())
print([(e.station, sorted(e.rules), sorted(e.checks), sorted(e.parameters), e.by_ns) for e in fleet.truth().expected])
"""


def test_the_same_seed_gives_the_same_bytes_in_every_process() -> None:
    """Under other hash seeds too, so no order of a set has slipped in."""
    said = {
        subprocess.run(
            [sys.executable, "-c", PRINT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(said) == 1


def test_another_seed_gives_another_city() -> None:
    one, two = (b"".join(m.payload for m in sent(town(), seed)) for seed in (1, 2))
    assert hashlib.sha256(one).digest() != hashlib.sha256(two).digest()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6 * 3600 * SECOND_NS), max_size=6))
def test_windows_join_without_a_seam(cuts: list[int]) -> None:
    """However the span is cut, every message comes once and in the same order."""
    fleet = Fleet(town({"kind": "held_back", "station": "T-1", "at": "1h", "for": "1h"}), 1)
    edges = [fleet.start_ns, *(fleet.start_ns + cut for cut in sorted(cuts)), fleet.end_ns]
    pieces = [m for a, b in pairwise(edges) for m in fleet.messages(a, b)]
    assert pieces == fleet.messages(fleet.start_ns, fleet.end_ns)


def test_messages_leave_in_order_and_after_they_are_complete() -> None:
    messages = sent(town())
    assert [m.sent_ns for m in messages] == sorted(m.sent_ns for m in messages)
    spans = {Kind.REALTIME: 0, Kind.HOUR: 3600, Kind.DAY: 86_400}
    assert all(m.sent_ns >= m.measured_ns + spans[m.kind] * SECOND_NS for m in messages)


def test_hours_and_days_begin_at_local_hours_and_midnights() -> None:
    for message in sent(town()):
        when = datetime.fromisoformat(content(message)["time"])
        if message.kind == Kind.HOUR:
            assert (when.minute, when.second) == (0, 0)
        if message.kind == Kind.DAY:
            assert when.isoformat() == "2026-11-02T00:00:00+08:00"


def test_a_fleet_can_be_moved_to_another_day() -> None:
    scenario = town()
    moved = Fleet(scenario, 1, scenario.start_ns + 86_400 * SECOND_NS)
    assert len(moved.messages(moved.start_ns, moved.end_ns)) == len(sent(scenario))
    assert moved.messages(0, moved.start_ns) == []


def test_what_is_expected_is_expected_in_time() -> None:
    fault = {
        "kind": "stuck",
        "station": "T-2",
        "parameters": ["x", "y"],
        "at": "1h",
        "for": "2h",
        "expect": [{"checks": ["flat_line"], "within": "90m"}, {"rules": ["r"], "parameters": [], "within": "1h"}],
    }
    fleet = Fleet(town(fault), 1)
    expected = fleet.truth().expected
    assert [(min(e.parameters), (e.by_ns - fleet.start_ns) // SECOND_NS) for e in expected] == [
        ("", 7200),
        ("x", 9000),
        ("y", 9000),
    ]


@pytest.mark.parametrize("name", ["city", "quiet", "load", "loggers"])
def test_the_register_of_a_shipped_scenario_is_whole(name: str) -> None:
    scenario = load_scenario(name)
    stations = Fleet(scenario, 1).stations()
    assert len({station.id for station in stations}) == len(stations) == len(list(scenario.stations()))
    assert all(station.feeds for station in stations)
    assert StationsFile.model_validate(parse(register_yaml(stations))).stations == stations


def test_the_city_is_as_large_as_promised() -> None:
    """At least four stations of each of six types, and the first faults within an hour and a half."""
    city = load_scenario("city")
    of_type = Counter(group.station_type for _, _, group in city.stations())
    assert len(of_type) >= 6
    assert min(of_type.values()) >= 4
    assert len({fault.kind for fault in city.faults if fault.expect and fault.at <= 5400}) >= 4
