"""The witness against the house: what the fleet declares, the reader reads and the rules find."""

from collections.abc import Sequence
from math import isnan

import pytest

from ingest.formats.json_v1 import JsonV1
from rules.checks import CHECKS
from rules.readings import SECOND_NS, SeriesKey
from simulators.faults import FAULTS
from simulators.fleet import Fleet
from simulators.scenario import load_scenario
from simulators.truth import Tally, found_in, score
from tests.simulators.judged import judge
from tests.simulators.town import content


class Kept:
    """Readings by series and time, the last one of each."""

    def __init__(self) -> None:
        self.keys: dict[SeriesKey, int] = {}
        self.values: dict[tuple[SeriesKey, int], float] = {}

    def place(self, key: SeriesKey) -> int:
        return self.keys.setdefault(key, len(self.keys))

    def extend(
        self, series: Sequence[int], measured_ns: int, values: Sequence[float], flags: Sequence[int] | None
    ) -> None:
        names = list(self.keys)
        for i, value in zip(series, values, strict=True):
            self.values[names[i], measured_ns] = value


def test_the_reader_keeps_and_refuses_exactly_what_the_fleet_declares() -> None:
    fleet = Fleet(load_scenario("city"), 1)
    reader, kept, tally, refused = JsonV1(), Kept(), Tally(), 0
    for message in fleet.messages(fleet.start_ns, fleet.end_ns):
        tally.add(message)
        problems = reader.decode(message.topic, message.payload, kept)
        assert len(problems) == message.problems, (message, problems)
        refused += len(problems)
        if message.problems == 0:
            for parameter, value in content(message)["values"].items():
                read = kept.values[SeriesKey(message.station, parameter, message.kind), message.measured_ns]
                assert isnan(read) if value is None else read == value
    assert len(kept.values) == tally.expected_stored
    assert refused == tally.expected_quarantined > 10


@pytest.mark.parametrize("seed", [1, 7])
def test_on_a_quiet_night_nothing_is_raised(seed: int) -> None:
    """Every signal stays well inside the limits and thresholds of the catalogue."""
    fleet = Fleet(load_scenario("quiet"), seed)
    assert found_in(judge(fleet, fleet.end_ns)) == []


@pytest.mark.parametrize("seed", [1, 7])
def test_what_was_done_to_the_city_is_found_and_nothing_else(seed: int) -> None:
    fleet = Fleet(load_scenario("city"), seed)
    outcome = score(fleet.truth(), found_in(judge(fleet, fleet.end_ns)), fleet.end_ns)
    assert outcome.missed_ones == []
    assert outcome.false_ones == []
    assert (outcome.found, outcome.pending) == (len(fleet.truth().expected), 0)


def test_an_account_can_be_asked_for_at_any_time() -> None:
    """After two hours some faults are found, none is missed, and the rest is still to come."""
    fleet = Fleet(load_scenario("city"), 1)
    until_ns = fleet.start_ns + 2 * 3600 * SECOND_NS
    outcome = score(fleet.truth(), found_in(judge(fleet, until_ns)), until_ns)
    assert outcome.found >= 5
    assert (outcome.missed, outcome.false) == (0, 0)
    assert outcome.pending == len(fleet.truth().expected) - outcome.found


def test_the_city_tries_every_check_and_every_sort_of_station() -> None:
    city = load_scenario("city")
    types = {station: group.station_type for station, _, group in city.stations()}
    expected = [(types[fault.station], check) for fault in city.faults for e in fault.expect for check in e.checks]
    assert {check for _, check in expected} == set(CHECKS)
    assert {of for of, check in expected if check == "exceedance"} == set(types.values())
    assert {fault.kind for fault in city.faults} == set(FAULTS)
