"""`explain` tells the limit in force and why every other one lost, and never sounds surer than we are."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from jianwei.catalogue_files import read_catalogue
from rules.binding import Binding
from rules.explaining import Explanation, Standing, explain, worded
from rules.index import Catalogue
from rules.limits import candidates
from rules.readings import Kind, SeriesKey
from rules.schema import Station
from tests.rules.small_catalogue import small

REAL = read_catalogue()
TODAY = date(2026, 5, 1)
TOWN = "standards/town.yaml"


def station(station_type: str = "brook", **told: Any) -> Station:
    return Station.model_validate({"id": "S", "name": {"zh": "站", "en": "S"}, "station_type": station_type, **told})


def by_hour(explanation: Explanation) -> Standing:
    [standing] = [standing for standing in explanation.standings if standing.kind is Kind.HOUR]
    return standing


def reasons(standing: Standing) -> dict[str, str]:
    return {lost.limit.limit_id: lost.reason for lost in standing.lost}


def explained(catalogue: Catalogue | None = None, parameter: str = "w21003", on: date = TODAY, **told: Any) -> Standing:
    return by_hour(explain(catalogue or small(), station(**told), parameter, on))


def test_the_limit_in_force_and_why_the_others_lost() -> None:
    standing = explained()
    assert standing.limit is not None
    assert (standing.limit.limit_id, standing.class_, standing.period) == ("B1", "II", "instant")
    assert standing.wording == "legal limit"
    assert standing.judged_by == ["brook_over"]
    assert reasons(standing) == {
        "A1": "it is no longer valid",
        "B2": "it is for class I",
        "C1": "Town rules does not apply to this station",
    }


def test_what_a_permit_displaces() -> None:
    permit = {"parameter": "w21003", "period": "instant", "op": "<=", "unit": "mg/L", "permit": "P", "clause": "1"}
    told = reasons(
        explained(permit=[{**permit, "value": 3}, {**permit, "value": 4}, {**permit, "value": 5, "period": "24h"}])
    )
    assert told["B1"] == "permit goes before general"
    assert told["permit-2"] == "another one of the same authority is stricter"
    assert told["permit-3"] == "its period 24h does not judge hour values"


def test_a_milder_local_limit_that_wins_and_a_condition_that_nobody_claims() -> None:
    in_park: dict[str, Any] = {"classes": {"Town": "park"}}
    assert reasons(explained(**in_park))["C1"] == (
        "it holds only under warm, which the register does not say of this station"
    )
    standing = explained(**in_park, conditions=["warm"])
    assert standing.limit is not None
    assert (standing.limit.limit_id, standing.limit.condition) == ("C1", "warm")
    assert standing.wording == "project default, not a legal limit"
    assert reasons(standing)["B1"] == "local goes before general"


def test_what_is_not_yet_valid() -> None:
    standing = explained(on=date(2019, 12, 31))
    assert standing.limit is not None
    assert standing.limit.limit_id == "A1"
    assert reasons(standing)["B1"] == "it is not yet valid"


def test_no_limit_is_said_and_is_not_compliance() -> None:
    standing = explained(on=date(1999, 12, 31))
    assert (standing.limit, standing.wording, standing.class_, standing.period) == (None, "", "", "")
    assert reasons(standing)["A1"] == "it is not yet valid"


def test_a_limit_that_no_rule_compares_with_is_known_and_not_watched() -> None:
    [standing] = explain(small(), station(), "w21003", TODAY).standings[:1]
    assert (standing.kind, standing.judged_by) == (Kind.REALTIME, [])
    assert standing.limit is not None


def test_every_rule_that_watches_is_told_with_its_thresholds_and_mark() -> None:
    explanation = explain(small(), station(), "w01001", TODAY)
    told = {(watching.kind, watching.rule): watching for watching in explanation.watching}
    of_range = told[Kind.HOUR, "brook_range"]
    assert of_range.thresholds == {"fail": [0.0, 14.0], "suspect": [5.0, 10.0]}
    assert (of_range.mark, of_range.source, of_range.expected) == ("P", "chosen here", True)
    assert not told[Kind.MINUTE, "brook_range"].expected
    assert (explanation.name.zh, explanation.unit) == ("pH值", "1")


@pytest.mark.parametrize(("mark", "wording"), [("C", "legal limit"), ("R", "reference"), ("P", "project default")])
def test_only_what_is_confirmed_is_called_a_legal_limit(mark: str, wording: str) -> None:
    limit = explained().limit
    assert limit is not None
    said = worded(replace(limit, mark=mark))
    assert said.startswith(wording)
    assert (said == "legal limit") is (mark == "C")


@pytest.mark.parametrize(
    ("parameter", "station_type"), [("w99999", "brook"), ("w21003", "creek")], ids=["parameter", "station type"]
)
def test_what_the_catalogue_has_not_is_a_key_error(parameter: str, station_type: str) -> None:
    with pytest.raises(KeyError):
        explain(small(), station(station_type), parameter, TODAY)


def test_what_is_explained_is_what_is_watched() -> None:
    """For every type: the same rules, and every limit known of is either in force or told with a reason."""
    for name, station_type in REAL.station_types.items():
        it = station(name)
        binding = Binding(REAL, {it.id: it})
        for code in {code for feed in station_type.feeds.values() for code in feed.parameters}:
            explanation = explain(REAL, it, code, TODAY)
            for kind in Kind:
                watches = binding.of_series(SeriesKey(it.id, code, kind))
                assert [w.rule for w in watches] == [w.rule for w in explanation.watching if w.kind is kind]
            for standing in explanation.standings:
                known = {candidate.limit.limit_id for candidate in candidates(REAL, it, code, standing.kind)}
                in_force = {standing.limit.limit_id} if standing.limit else set()
                assert in_force | reasons(standing).keys() == known
                assert all(reasons(standing).values())
