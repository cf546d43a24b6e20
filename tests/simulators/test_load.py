import json

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.readings import SECOND_NS
from simulators import wire
from simulators.load import Load, Plan

PLAN = Plan("load", seed=3, stations=40, start_ns=1_793_620_800 * SECOND_NS, interval_ns=SECOND_NS)
LOAD = Load(PLAN)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40 * 1000))
def test_a_message_follows_from_its_number(number: int) -> None:
    """Its station, its time and its values, whatever was asked before."""
    message = json.loads(LOAD.payload(number))
    station, measured_ns, values = LOAD.readings(number)
    assert station == message["station"] == f"LD-{number % 40 + 1:05d}"
    assert measured_ns == PLAN.start_ns + number // 40 * SECOND_NS
    assert message["time"] == wire.text_of_time(measured_ns, 8 * 3600)
    assert message["seq"] == number // 40
    assert message["values"] == values
    assert len(values) == 10
    assert LOAD.payload(number) == Load(PLAN).payload(number)


def test_the_packet_made_of_pieces_is_the_packet_made_at_once() -> None:
    head, payload = LOAD.encoded(1234)
    topic = f"jianwei/v1/{LOAD.readings(1234)[0]}/realtime"
    assert head + b"\x00\x07" + payload == wire.publish_packet(topic, payload, 7)


def test_load_holds_exceedances_that_begin_and_end() -> None:
    """Every eighth station is the polluting one, for half a minute in five."""
    polluting = [max(v or 0.0 for v in LOAD.readings(turn * 40)[2].values()) for turn in range(300)]
    quiet = [max(v or 0.0 for v in LOAD.readings(turn * 40 + 4)[2].values()) for turn in range(300)]
    assert sum(v > 2 * max(quiet) for v in polluting) == 30


def test_the_register_names_every_station_once() -> None:
    assert len({station.id for station in LOAD.stations}) == 40
