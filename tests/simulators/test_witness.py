"""The witness against the house: what the fleet declares, the reader reads and the rules find."""

from collections.abc import Sequence
from math import isnan

from ingest.formats.json_v1 import JsonV1
from rules.readings import SeriesKey
from simulators.fleet import Fleet
from simulators.scenario import load_scenario
from simulators.truth import Tally
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
