"""The witness against the house, in HJ 212: what the loggers of a city say is read as what they declare."""

import pytest
from pydantic import ValidationError

from ingest.formats.hj212 import Hj212
from ingest.formats.json_v1 import JsonV1
from ingest.site import Site
from jianwei.catalogue_files import read_catalogue
from rules.register import load_stations
from simulators.fleet import Fleet, register_yaml
from simulators.loggers.manner import codes_of_2005
from simulators.scenario import load_scenario
from simulators.truth import Tally
from tests.simulators.test_witness import Kept
from tests.simulators.town import town


def test_the_reader_keeps_what_the_loggers_say_value_by_value_and_refuses_what_they_spoil() -> None:
    """The other stations say the same in json_v1, as they do in the scenario without loggers."""
    fleet, plain = Fleet(load_scenario("loggers"), 1), Fleet(load_scenario("city"), 1)
    catalogue = read_catalogue()
    register = load_stations({"stations.yaml": register_yaml(fleet.stations())}, catalogue)
    reader, json_reader = Hj212.of(Site(catalogue, register)), JsonV1()
    kept, as_json, tally, refused = Kept(), Kept(), Tally(), 0
    for message in fleet.messages(fleet.start_ns, fleet.end_ns):
        tally.add(message)
        chosen = reader if fleet.speaks_hj212(message.station) else json_reader
        problems = chosen.decode(message.topic, message.payload, kept)
        assert len(problems) == message.problems, (message, problems)
        refused += len(problems)
    of_plain = JsonV1()
    for message in plain.messages(plain.start_ns, plain.end_ns):
        of_plain.decode(message.topic, message.payload, as_json)
    assert (len(kept.values), refused) == (tally.expected_stored, tally.expected_quarantined)
    other = {series.station for series, at_ns in kept.values.keys() - as_json.values.keys()}
    assert other == {"SG-05"}  # its clock is wrong
    same = [key for key in as_json.values if key[0].station != "SG-05"]
    assert all(repr(kept.values[key]) == repr(as_json.values[key]) for key in same)


def test_half_of_the_enterprises_have_loggers_and_every_edition_is_among_them() -> None:
    scenario = load_scenario("loggers")
    enterprises = {s for s, _, g in scenario.stations() if g.station_type in {"wastewater_outlet", "stack_gas"}}
    speaking = {manner.station for manner in scenario.loggers}
    assert len(enterprises & speaking) == round(len(enterprises) / 2 + 0.1)
    assert {manner.edition for manner in scenario.loggers} == {"2005", "2017", "2025", "surface_water"}


def test_the_register_says_what_differs_and_nothing_secret() -> None:
    entries = {station.id: station.logger for station in Fleet(load_scenario("loggers"), 1).stations()}
    old, gbk = entries["WE-02"], entries["WE-03"]
    assert old is not None
    assert (old.mn, old.edition, old.checks) == ("88888880000002", "2005", ["modbus"])
    assert gbk is not None
    assert gbk.encoding == "gbk"
    assert entries["SG-01"] is None
    assert "123456" not in register_yaml(Fleet(load_scenario("loggers"), 1).stations())


def test_old_names_are_those_of_the_catalogue() -> None:
    assert codes_of_2005()["w01018"] == "011"
    assert len(set(codes_of_2005().values())) == len(codes_of_2005())


@pytest.mark.parametrize(
    ("loggers", "what"),
    [
        ([{"station": "T-9"}], "no station T-9"),
        ([{"station": "T-1"}, {"station": "T-1"}], "has two"),
        ([{"station": "T-1", "mn": "t-2"}], "call themselves the same"),
        ([{"station": "T-1", "mn": "T 2"}], "loggers.0.mn"),
        ([{"station": "T-1", "cuts": 1.5}], "loggers.0.cuts"),
        ([{"station": "T-1", "heartbeat": "1m"}], "has no heartbeat"),
        ([{"station": "T-1", "remark": "a//b"}], "loggers.0.remark"),
        ([{"station": "T-1", "speaks": "softly"}], "loggers.0.speaks"),
    ],
)
def test_a_logger_that_cannot_be_is_refused(loggers: list[dict[str, object]], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        town(loggers=loggers)
