"""Rules of one's own are read as strictly as the catalogue's, and watch what they say and nothing else."""

import pytest

from rules.index import CatalogueProblems
from rules.own_rules import OwnRules, OwnWatchlist, read_own_rules
from rules.readings import SECOND_NS, Family, Kind, Level, SeriesKey
from rules.several_watchlists import SeveralWatchlists
from rules.watches import Persistence, Subject, Watch
from tests.rules.watching import Handmade, watch

PARAMETERS = {"w01001", "w01009", "w01010"}
QUARTER_NS = 900 * SECOND_NS


def own(text: str) -> OwnRules:
    return read_own_rules(text, "own.yaml", PARAMETERS, {})


def watchlist(text: str) -> OwnWatchlist:
    feeds = {("A", Kind.HOUR): 3600 * SECOND_NS, ("B", Kind.REALTIME): QUARTER_NS}
    return OwnWatchlist(own(text), feeds, lambda parameter: "mg/L" if parameter == "w01009" else None)


def problems(text: str) -> list[str]:
    with pytest.raises(CatalogueProblems) as found:
        own(text)
    return [str(problem) for problem in found.value.problems]


def on(watches: OwnWatchlist, station: str, parameter: str, kind: Kind) -> dict[str, Watch]:
    return {watch.rule: watch for watch in watches.of_series(SeriesKey(station, parameter, kind))}


RULES = """
rules:
  - {rule: everywhere, check: gross_range, thresholds: {fail: [0, 9]}}
  - {rule: listed, check: gross_range, parameters: ["w01009"], thresholds: {fail: [0, 8]}}
  - {rule: each, check: spike, thresholds: {fail: 5}, parameters: {"w01009": {suspect: 1}, "w01010": {fail: 2}}}
  - {rule: only_b, check: gross_range, stations: [B], thresholds: {fail: [0, 7]}}
  - {rule: hourly, check: gross_range, kinds: [hour], thresholds: {fail: [0, 6]}}
  - {rule: hush, check: silence, thresholds: {fail_after: 3}}
  - {rule: broken, check: equipment_flag, family: equipment, thresholds: {flags: [D], says: suspect}}
"""


def test_a_rule_watches_the_stations_columns_and_kinds_that_it_names() -> None:
    watches = watchlist(RULES)
    assert set(on(watches, "A", "w01001", Kind.HOUR)) == {"everywhere", "hourly"}
    assert set(on(watches, "A", "w01009", Kind.HOUR)) == {"everywhere", "listed", "each", "hourly"}
    assert set(on(watches, "B", "w01010", Kind.REALTIME)) == {"everywhere", "each", "only_b"}
    assert [watch.rule for watch in watches.of_feed("A", Kind.HOUR)] == ["hush"]
    assert [watch.rule for watch in watches.of_station("B")] == ["broken"]
    assert set(watches.feeds()) == {("A", Kind.HOUR), ("B", Kind.REALTIME)}


def test_a_column_adds_to_the_thresholds_of_its_rule_or_replaces_them() -> None:
    watches = watchlist(RULES)
    oxygen = on(watches, "A", "w01009", Kind.HOUR)["each"]
    assert oxygen.thresholds.model_dump(include={"suspect", "fail"}) == {"suspect": 1, "fail": 5}
    temperature = on(watches, "A", "w01010", Kind.HOUR)["each"]
    assert temperature.thresholds.model_dump(include={"suspect", "fail"}) == {"suspect": None, "fail": 2}


def test_a_watch_carries_interval_unit_family_and_how_loud_it_is() -> None:
    watches = watchlist(
        """
rules:
  - rule: low
    check: exceedance
    source: Permit of the weir
    parameters: {"w01009": {low: 5, high: 20}}
    levels: {fail: orange}
    raise_after: {count: 2, of: 3, for_s: 60}
    escalate: [{ratio: 1.5, level: red}]
"""
    )
    low = on(watches, "B", "w01009", Kind.REALTIME)["low"]
    assert (low.interval_ns, low.unit, low.family, low.fail_level) == (
        QUARTER_NS,
        "mg/L",
        Family.EXCEEDANCE,
        Level.ORANGE,
    )
    assert low.raise_after == Persistence(2, 3, 60 * SECOND_NS)
    assert [step.level for step in low.escalation] == [Level.RED]
    (limit,) = low.limits
    assert (limit.low, limit.high, limit.standard, limit.mark, limit.has_multiple) == (
        5,
        20,
        "Permit of the weir",
        "P",
        False,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "own.yaml: $: "),
        ("rules: []", "own.yaml: $.rules: "),
        ("rules: [{rule: a}]", "own.yaml: $.rules[0].check: "),
        ("rules: [{rule: a, check: spike, thresholds: {fail: 1}, colour: red}]", "$.rules[0].colour: "),
        ("rules: [{rule: a, check: spike, station_types: [city_air]}]", "say stations instead"),
        ("rules: [{rule: a, check: spike, thresholds: {}}]", "$.rules[0].thresholds: "),
        ("rules: [{rule: a, check: exceedance}]", "give low, high, or both"),
        ('rules: [{rule: a, check: exceedance, parameters: {"w01009": {low: 5, high: 4}}}]', "nothing would pass"),
        (
            "rules: [{rule: a, check: silence, thresholds: {fail_after: 2}, escalate: [{ratio: 2, level: red}]}]",
            "ratio",
        ),
        ("rules: [{rule: a, check: spike, rule: b}]", "appears twice"),
    ],
)
def test_what_a_file_says_wrong_is_told_with_its_place(text: str, said: str) -> None:
    assert any(said in problem for problem in problems(text))


def test_of_two_rules_with_one_name_the_first_list_watches() -> None:
    key = SeriesKey("S1", "p0", watch("spike", {"fail": 1}).subject.kind or Kind.HOUR)
    first = Handmade([watch("spike", {"fail": 1}, rule="jump", series=key)])
    second = Handmade(
        [
            watch("spike", {"fail": 2}, rule="jump", series=key),
            watch("gross_range", {"fail": (0, 1)}, rule="span", series=key),
        ]
    )
    several = SeveralWatchlists(first, second)
    found = {one.rule: one for one in several.of_series(key)}
    assert found.keys() == {"jump", "span"}
    assert found["jump"].thresholds.model_dump()["fail"] == 1
    assert several.checks == {"jump": "spike", "span": "gross_range"}
    assert found["jump"].subject == Subject(*key)


def test_a_watch_that_cannot_be_kept_is_left_out_and_told() -> None:
    key = SeriesKey("S1", "p0", Kind.MINUTE)
    still = watch("flat_line", {"tolerance": 1.0, "fail_after_s": 60}, rule="still", series=key, interval_ns=0)
    several = SeveralWatchlists(Handmade([still, watch("spike", {"fail": 1}, series=key)]))
    assert [one.rule for one in several.of_series(key)] == ["spike"]
    assert "needs the nominal interval" in several.left_out["still"]
