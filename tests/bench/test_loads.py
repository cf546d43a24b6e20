"""What the benchmark publishes is what it says: the same readings in both forms, and alerts where alerts are waited for."""

import json
from collections import Counter

from ingest.formats.json_v1 import JsonV1
from ingest.judging import Lane
from ingest.message import Block, Entry
from jianwei.catalogue_files import read_catalogue
from jianwei.clock import wall_ns
from rules.binding import Binding
from rules.engine import Engine
from simulators.load import Load
from tests.bench import probe
from tests.bench.flat import FlatLoad
from tests.bench.messages import PLAN
from tests.bench.probe import Cycles, Moments


def test_the_flat_form_holds_the_readings_of_the_nested_one() -> None:
    nested, flat = Load(PLAN), FlatLoad(PLAN)
    for number in (0, 1, 2, 1_999, 2_000, 240_001, 360_002):
        station, measured_ns, values = nested.readings(number)
        said = json.loads(flat.payload(number))
        assert (said.pop("station"), said.pop("kind"), said.pop("ts")) == (
            station,
            "realtime",
            measured_ns // 1_000_000,
        )
        said.pop("flagged", None)
        assert said == values


def test_each_message_of_the_probe_that_must_bring_an_alert_brings_it_and_no_other_does() -> None:
    register = {station.id: station for station in probe.stations()}
    lane = Lane(Engine(Binding(read_catalogue(), register)), 0, lambda: lambda _source, _topic: JsonV1())
    cycles, expected, found = Cycles(), Counter[tuple[int, tuple[str, str]]](), Counter[tuple[int, tuple[str, str]]]()
    for number in range(12 * probe.STATIONS):
        station, payload, change = cycles.message(number)
        block = Block("bench", wall_ns(), [f"jianwei/v1/{station}/hour"], [payload])
        judged = lane.judge([Entry(number + 1, wall_ns(), False, [block])])
        assert not judged.problems
        found.update((number, (t.station, t.what)) for t in judged.transitions if t.rule == probe.RULE)
        expected.update([(number, change)] if change is not None else [])
    assert found == expected
    assert len(expected) == 4 * probe.STATIONS  # two of five, but for those that would end what never began


def test_the_first_time_of_a_change_is_not_taken_for_its_second() -> None:
    moments = Moments()
    for at_s in (1.0, 2.0):
        moments.note(("PB-1", "opened"), at_s)
    moments.note(("PB-1", "cleared"), 3.0)
    assert moments.at_s == {(("PB-1", "opened"), 0): 1.0, (("PB-1", "opened"), 1): 2.0, (("PB-1", "cleared"), 0): 3.0}
