"""Each fault does to the town what it says, to its station alone, in its window alone."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from rules.readings import SECOND_NS, Kind
from simulators.faults import FAULTS
from simulators.samples import Outgoing
from tests.simulators.town import content, sent, town

QUIET = sent(town())
START_NS = town().start_ns
WINDOW: dict[str, Any] = {"station": "T-1", "at": "1h", "for": "1h"}
FROM_NS, UNTIL_NS = START_NS + 3600 * SECOND_NS, START_NS + 7200 * SECOND_NS
Values = dict[str, float | None]


def pairs(fault: dict[str, Any]) -> list[tuple[Values, Values, dict[str, Any]]]:
    """Values before and after, and the message after, of the station's messages in the window."""
    before = {(m.station, m.kind, content(m)["seq"]): m for m in QUIET}
    after = [m for m in sent(town({**WINDOW, **fault})) if concerned(m)]
    assert len(after) == 13  # twelve realtime, one hour
    return [
        (content(before[m.station, m.kind, content(m)["seq"]])["values"], content(m)["values"], content(m))
        for m in after
    ]


def concerned(message: Outgoing) -> bool:
    return message.station == "T-1" and FROM_NS <= message.sent_ns < UNTIL_NS


SETTINGS: dict[str, dict[str, Any]] = {
    "scale": {"by": 3.0},
    "shift": {"by": 100.0},
    "broken": {"reads": -7.0},
    "missing": {},
    "spike": {"by": 500.0},
    "stuck": {},
    "flagged": {"letter": "C"},
    "wrong_clock": {"by": 28_800},
    "outage": {},
    "duplicate": {"after": "10m"},
    "out_of_order": {},
    "held_back": {},
    "corrected": {"after": "1m", "by": 1.02},
    "garbled": {},
    "text_value": {},
    "naive_time": {},
}


def test_every_kind_of_fault_is_tried_here() -> None:
    assert set(SETTINGS) == set(FAULTS)


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_a_fault_changes_its_station_in_its_window_only(kind: str) -> None:
    changed = sent(town({**WINDOW, "kind": kind, **SETTINGS[kind]}))
    assert changed != QUIET
    assert [m for m in changed if m.station == "T-2"] == [m for m in QUIET if m.station == "T-2"]
    outside = {m.payload for m in QUIET if m.station == "T-1" and not concerned(m)}
    assert outside <= {m.payload for m in changed}


@pytest.mark.parametrize(
    ("fault", "becomes"),
    [
        ({"kind": "scale", "by": 3.0}, lambda v: 3.0 * v),
        ({"kind": "shift", "by": -10.0}, lambda v: v - 10.0),
        ({"kind": "broken", "reads": -7.0}, lambda _: -7.0),
    ],
)
def test_values_change_as_declared(fault: dict[str, Any], becomes: Callable[[float], float]) -> None:
    """Only of the parameters named."""
    for before, after, _ in pairs({**fault, "parameters": ["x"]}):
        assert after["x"] == pytest.approx(becomes(before["x"] or 0.0), abs=0.02)
        assert after["y"] == before["y"]


def test_a_ramp_comes_up_and_goes_down() -> None:
    gains = [
        (after["x"] or 0.0) - (before["x"] or 0.0)
        for before, after, message in pairs({"kind": "shift", "by": 60.0, "ramp": "20m", "parameters": ["x"]})
        if message["kind"] == "realtime"
    ]
    assert [round(gain) for gain in gains] == [0, 15, 30, 45, 60, 60, 60, 60, 60, 45, 30, 15]


def test_a_spike_is_one_value() -> None:
    found = [m["kind"] for before, after, m in pairs({"kind": "spike", "by": 500.0}) if after != before]
    assert sorted(found) == ["hour", "realtime"]


def test_a_stuck_instrument_repeats_itself() -> None:
    values = [a["x"] for _, a, m in pairs({"kind": "stuck", "parameters": ["x"]}) if m["kind"] == "realtime"]
    assert len(set(values)) == 1
    others = [a["y"] for _, a, m in pairs({"kind": "stuck", "parameters": ["x"]}) if m["kind"] == "realtime"]
    assert len(set(others)) > 6


def test_missing_values_are_said_and_are_readings() -> None:
    for _, after, _ in pairs({"kind": "missing"}):
        assert after == {"x": None, "y": None}
    assert all(len(m.stored) == 2 for m in sent(town({**WINDOW, "kind": "missing"})))


def test_a_flag_stands_beside_its_value() -> None:
    for before, after, message in pairs({"kind": "flagged", "letter": "M", "by": 5.0, "parameters": ["x"]}):
        assert message["flags"] == {"x": "M"}
        assert after["x"] == pytest.approx(5.0 * (before["x"] or 0.0), abs=0.1)


def test_a_wrong_clock_changes_the_time_only() -> None:
    before = {m.payload.split(b'"seq"')[1]: m for m in QUIET if concerned(m)}
    for message in sent(town({**WINDOW, "kind": "wrong_clock", "by": 28_800})):
        if concerned(message):
            true = before[message.payload.split(b'"seq"')[1]]
            assert message.measured_ns == true.measured_ns + 28_800 * SECOND_NS
            assert message.sent_ns == true.sent_ns


def test_an_outage_sends_nothing() -> None:
    assert not [m for m in sent(town({**WINDOW, "kind": "outage"})) if concerned(m)]


def test_duplicates_are_byte_for_byte() -> None:
    twice = sent(town({**WINDOW, "kind": "duplicate", "after": "10m"}))
    assert len(twice) == len(QUIET) + 13
    assert {m.payload for m in twice} == {m.payload for m in QUIET}


def test_out_of_order_messages_all_come() -> None:
    swapped = [m for m in sent(town({**WINDOW, "kind": "out_of_order"})) if m.kind == Kind.REALTIME]
    assert {m.payload for m in swapped} == {m.payload for m in QUIET if m.kind == Kind.REALTIME}
    measured = [m.measured_ns for m in swapped if concerned(m)]
    assert sum(two < one for one, two in pairwise(measured)) == 6


def test_what_was_held_back_comes_in_a_burst_and_in_order() -> None:
    held = [m for m in sent(town({**WINDOW, "kind": "held_back"})) if m.station == "T-1"]
    assert not [m for m in held if FROM_NS <= m.sent_ns < UNTIL_NS]
    burst = [m for m in held if UNTIL_NS <= m.sent_ns < UNTIL_NS + 4 * SECOND_NS and m.measured_ns < UNTIL_NS]
    realtime = [m.measured_ns for m in burst if m.kind == Kind.REALTIME]
    assert realtime == sorted(realtime)
    assert len(burst) >= 13


def test_a_correction_follows_with_another_value_and_the_same_time() -> None:
    corrected = [m for m in sent(town({**WINDOW, "kind": "corrected", "after": "1m", "by": 1.02})) if concerned(m)]
    by_time: dict[tuple[Kind, int], list[Outgoing]] = {}
    for message in corrected:
        by_time.setdefault((message.kind, message.measured_ns), []).append(message)
    both = [found for found in by_time.values() if len(found) == 2]
    assert len(both) >= 12
    for first, second in both:
        assert content(second)["values"]["x"] == pytest.approx(1.02 * content(first)["values"]["x"], abs=0.01)


def test_a_text_instead_of_a_number_costs_one_reading() -> None:
    for message in sent(town({**WINDOW, "kind": "text_value", "parameters": ["y"]})):
        if concerned(message):
            assert isinstance(content(message)["values"]["y"], str)
            assert (message.stored, message.problems) == (("x",), 1)


@pytest.mark.parametrize("kind", ["garbled", "naive_time"])
def test_a_bad_message_costs_all_its_readings(kind: str) -> None:
    bad = [m for m in sent(town({**WINDOW, "kind": kind})) if concerned(m)]
    assert len(bad) == 13
    assert all((m.stored, m.problems) == ((), 1) for m in bad)
    if kind == "naive_time":
        assert all(json.loads(m.payload)["time"][-3] == ":" and "+" not in json.loads(m.payload)["time"] for m in bad)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "scale", "by": 3.0, "strenght": 1},
        {"kind": "melted"},
        {"kind": "stuck", "station": "T-9"},
        {"kind": "stuck", "parameters": ["z"]},
        {"kind": "stuck", "feeds": ["minute"]},
        {"kind": "stuck", "for": "an hour"},
        {"kind": "stuck", "expect": [{"within": "1h"}]},
    ],
)
def test_a_slip_in_a_fault_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        town({**WINDOW, **wrong})
