"""The loader finds every problem of every file at once, and says where each of them is."""

import pytest

from rules.index import CatalogueProblems
from rules.loading import load
from tests.rules.small_catalogue import SMALL, planted, problems_of

NEW, OLD, TOWN = "standards/new.yaml", "standards/old.yaml", "standards/town.yaml"
PARAMETERS, TYPE = "parameters/water.yaml", "station_types/brook.yaml"
RULE, CASES = "rules/brook_over.yaml", "rules/brook_over.cases.yaml"
RANGE, RANGE_CASES = "rules/brook_range.yaml", "rules/brook_range.cases.yaml"


def test_a_catalogue_that_is_right_has_no_problems() -> None:
    assert problems_of(SMALL) == []


SHAPE = [
    ("an unknown key", NEW, "authority: general", "authority: general\nauthor: me", "$.author: Extra inputs are not"),
    ("a key deep down that is misspelt", NEW, "op: between", "opp: between", "$.limits[3].op: Field required"),
    ("a number in quotes", NEW, "value: 0.5", 'value: "0.5"', "$.limits[1].value: Input should be a valid number"),
    ("a number that is a text to YAML", NEW, "value: 0.5", "value: 5e-1", "$.limits[1].value: Input should be a valid n"),
    ("a truth value for a number", NEW, "value: 0.5", "value: yes", "$.limits[1].value: Input should be a valid number"),
    ("no number", NEW, "value: 0.5", "value: .nan", "$.limits[1].value: Input should be a finite number"),
    ("no end", NEW, "value: 0.5", "value: .inf", "$.limits[1].value: Input should be a finite number"),
    ("a number out of this world", NEW, "value: 0.5", "value: 1.0e+300", "$.limits[1].value: Input should be less"),
    ("a number with a leading zero", NEW, "value: 0.5", "value: 05", "$: line 15, column 79: 05 is no decimal number"),
    ("NO for a text", NEW, 'edition: "2020"', "edition: NO", "$.edition: Input should be a valid string"),
    ("a year for a text", NEW, 'edition: "2020"', "edition: 2020", "$.edition: Input should be a valid string"),
    ("a class without quotes", NEW, 'class: "I",', "class: 1,", "$.limits[1].class: Input should be a valid string"),
    ("an empty text", NEW, "clause: t2", 'clause: ""', "$.limits[4].clause: String should have at least 1"),
    ("a day in quotes", NEW, "valid_from: 2020-01-01", 'valid_from: "2020-01-01"', "$.valid_from: Input should be a val"),
    ("a moment for a day", NEW, "valid_from: 2020-01-01", "valid_from: 2020-01-01T00:00:00Z", "$.valid_from: Input sho"),
    ("a day that never comes", OLD, "2019-12-31", "2019-12-32", "$: line 8, column 11: day is out of range for month"),
    ("an operator that there is not", NEW, 'op: ">="', 'op: "=>"', "$.limits[2].op: Input should be '<=', '<', '>='"),
    ("a range of one", NEW, "value: [6, 9]", "value: [6]", "$.limits[3]: Value error, between needs value: [low, high]"),
    ("a range upside down", NEW, "value: [6, 9]", "value: [9, 6]", "$.limits[3]: Value error, between needs value"),
    ("one value for a range", NEW, "value: [6, 9]", "value: 6", "$.limits[3]: Value error, between needs value"),
    ("two values for one end", NEW, "value: 0.5", "value: [0.5, 1]", "$.limits[1]: Value error, <= takes one value"),
    ("a limit of nothing", NEW, 'parameter: "w01009", ', "", "$.limits[2]: Value error, a limit names a parameter, or"),
    ("a limit without a mark", NEW, "clause: t2, mark: R", "clause: t2", "$.limits[4].mark: Field required"),
    ("a mark that there is not", NEW, "mark: R", "mark: L", "$.limits[4].mark: Input should be 'C', 'R' or 'P'"),
    ("a limit without a clause", NEW, "clause: t2, ", "", "$.limits[4].clause: Field required"),
    ("a factor of nothing", "units.yaml", "factor: 1000", "factor: 0", "$.units.mg/L.factor: Input should be greater"),
    ("a kind that there is not", "periods.yaml", "[day]", "[days]", "$.periods.24h.judges[0]: Input should be 'realti"),
    ("a feed without a pause", TYPE, "interval_s: 3600", "interval_s: 0", "$.feeds.hour.interval_s: Input should be gr"),
    ("an hour of sixty", TYPE, "interval_s: 3600", "interval_s: 1:00", "$: line 10, column 22: 1:00 is no decimal number"),
    ("holding more often than looked", RULE, "mark: P", "mark: P\nraise_after: {count: 3, of: 2}", "count 3 of the last 2"),
    ("a case of no time zone", CASES, "+08:00", "", "$.cases[0].start: Value error, start needs a zone, such as +08:00"),
    ("a line that says two things", CASES, "opens: yellow", "opens: yellow, clears: true", "say exactly one of opens"),
    ("a line that says nothing", CASES, ", opens: yellow", "", "say exactly one of opens, worsens, clears"),
    ("a file of nothing", RANGE_CASES, SMALL[RANGE_CASES], "", "$: Input should be a valid dictionary"),
    ("a file without cases", RANGE_CASES, SMALL[RANGE_CASES], "cases: []", "$.cases: List should have at least 1 item"),
]  # fmt: skip

MEANING = [
    ("an unknown parameter in a limit", NEW, 'w21003", class: "I"', 'w99999", class: "I"',
     "$.limits[1].parameter: parameter w99999 is not in parameters/"),
    ("an unknown second code in a limit", NEW, '["w20143"]', '["w20999"]',
     "$.limits[4].parameter: parameter w20999 is not in parameters/"),
    ("an unknown unit in a limit", NEW, 'value: 0.5, unit: "mg/L"', 'value: 0.5, unit: "mg/l"',
     "$.limits[1].unit: unit mg/l is not in units.yaml"),
    ("a unit of another dimension", NEW, 'value: 0.5, unit: "mg/L"', 'value: 0.5, unit: "degC"',
     "$.limits[1].unit: cannot be told in the unit of the parameter: degC is celsius, mg/L is mass_concentration"),
    ("an unknown unit of a parameter", PARAMETERS, 'unit: "1"', 'unit: "pH"',
     "$.parameters[0].unit: unit pH is not in units.yaml"),
    ("an unknown class in a limit", NEW, 'class: "I",', 'class: "IX",',
     "$.limits[1].class: class IX is not among the classes of this file"),
    ("an unknown period", NEW, 'period: "24h"', "period: decade",
     "$.limits[4].period: period decade is not in periods.yaml"),
    ("an unknown condition", TOWN, "[warm]", "[wet]", "$.limits[0].conditions: condition wet is not in conditions.yaml"),
    ("an unknown source", TOWN, "source: seen", "source: heard",
     "$.limits[0].source: source heard is not in sources.yaml"),
    ("a limit without a source", TOWN, "source: seen\n", "",
     "$.limits[0].source: a limit needs a source, of its own or of its file"),
    ("a limit that ends before it begins", NEW, "mark: R}", "mark: R, valid_to: 2019-01-01}",
     "$.limits[4].valid_to: ends before it begins"),
    ("a limit that stands twice", NEW, "id: B2", "id: B1",
     "$.limits[1]: limit B1 stands already in standards/new.yaml $.limits[0]"),
    ("a standard that stands twice", NEW, "standard: River 2020", "standard: River 2000",
     "standards/old.yaml: $.standard: standard River 2000 stands already in standards/new.yaml $.standard"),
    ("a parameter that stands twice", PARAMETERS, 'code: "w20143"', 'code: "w20115"',
     "$.parameters[4]: parameter w20115 stands already in parameters/water.yaml $.parameters[3]"),
    ("editions on the same days", OLD, "2019-12-31", "2020-01-01",
     "standards/new.yaml: $.limits[0]: B1 holds on days on which A1 already does"),
    ("two limits in one file on the same days", NEW, 'id: B2, parameter: "w21003", class: "I"',
     'id: B2, parameter: "w21003", class: "II"', "$.limits[1]: B2 holds on days on which B1 already does"),
    ("a second code that has its own limit", NEW, 'id: B2, parameter: "w21003", class: "I", period: instant',
     'id: B2, parameter: "w20143", class: all, period: "24h"',
     "$.limits[4]: B5 holds on days on which B2 already does"),
    ("an unknown family", TYPE, "family: Town", "family: Village", "$.standards[1].family: no standard of the family V"),
    ("a family named twice", TYPE, "family: Town", "family: River", "$.standards[1].family: River is applied twice"),
    ("a class that no edition has", TYPE, 'class: "II"', 'class: "IX"', "$.standards[0]: River has no class IX"),
    ("a medium in which nothing is limited", TYPE, "medium: water", "medium: watre",
     "$.standards[0].family: River limits nothing in the medium watre"),
    ("an unknown parameter in a feed", TYPE, '["w01001", "w21003"]', '["w01001", "w2l003"]',
     "$.feeds.hour.parameters[1]: parameter w2l003 is not in parameters/"),
    ("a unit that a type cannot report in", TYPE, "water_body: river", 'water_body: river\nunits: {"w21003": "1"}',
     "$.units.w21003: cannot be told in the unit of the parameter: 1 is number, mg/L is mass_concentration"),
    ("a type that is not called as its file", TYPE, "station_type: brook", "station_type: creek",
     "$.station_type: the file is called brook, the station type is not"),
    ("an unknown station type in a rule", RANGE, "[brook]", "[brooks]",
     "$.station_types[0]: there is no station type brooks"),
    ("a station type twice in a rule", RANGE, "[brook]", "[brook, brook]", "$.station_types[1]: brook is named twice"),
    ("an unknown parameter in a rule", RANGE, '"w01001":', '"w01oo1":',
     "$.parameters.w01oo1: parameter w01oo1 is not in parameters/"),
    ("an unknown check", RANGE, "check: gross_range", "check: gross", "$.check: there is no check gross; there are imp"),
    ("a rule that is not called as its file", RANGE, "rule: brook_range", "rule: brook_span",
     "$.rule: the file is called brook_range, the rule is not"),
    ("a threshold that the check does not know", RANGE, "suspect:", "suspects:",
     "$.parameters.w01001.suspects: Extra inputs are not permitted"),
    ("a threshold that is no number", RANGE, "fail: [0, 14]", "fail: [0, .nan]",
     "$.parameters.w01001.fail: a threshold is a finite number"),
    ("a suspicion wider than failure", RANGE, "suspect: [5, 10]", "suspect: [-5, 10]", "$.parameters.w01001: Value err"),
    ("an escalation that falls", RULE, "ratio: 2.0, level: orange", "ratio: 2.0, level: blue",
     "$.escalate: levels must not fall as the ratio rises"),
    ("an escalation out of order", RULE, "{ratio: 2.0, level: orange}", "{ratio: 2.0, level: red}\n  - {ratio: 1.5, level: red}",
     "$.escalate: ratios must rise"),
    ("an escalation of what has no ratio", RANGE, "mark: P", "mark: P\nescalate: [{ratio: 2.0, level: red}]",
     "$.escalate: only an exceedance has a ratio to escalate by"),
    ("a case of a type that the rule does not watch", CASES, "type: brook", "type: lake",
     "$.cases[0].station.type: the rule does not watch lake"),
    ("a case of a class that there is not", CASES, "type: brook", 'type: brook, class: "IX"',
     "$.cases[0].station.class: no standard of brook has a class IX"),
    ("a case under a condition that there is not", CASES, "type: brook", "type: brook, conditions: [wet]",
     "$.cases[0].station.conditions: condition wet is not in conditions.yaml"),
    ("a case that cannot be read", CASES, '"0.5 1.1 0.5"', '"0.5 about_1 0.5"',
     "$.cases[0].series.w21003: cannot read 'about_1'"),
    ("a case of an unknown parameter", CASES, '"w21003"', '"w21oo3"', "$.cases[0].series.w21oo3: parameter w21oo3 is"),
    ("a case whose slots have no length", CASES, "every: 1h", "every: 0h", "$.cases[0].every: a slot is from 1 s to 31 d"),
    ("a silence without end", CASES, "every: 1h", "every: 1s\n    then_silent: 999999d",
     "$.cases[0].then_silent: more than 10000 slots"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "old", "new", "told"), [pytest.param(*row[1:], id=row[0]) for row in SHAPE + MEANING])
def test_a_planted_defect_is_told_with_its_place(path: str, old: str, new: str, told: str) -> None:
    found = problems_of(planted(path, old, new))
    named = [problem for problem in found if told in problem]
    assert named, found
    assert all(": $" in problem for problem in found)
    assert any(problem.startswith(f"{path}: ") for problem in found) or told.startswith("standards/")


@pytest.mark.parametrize(
    ("without", "told"),
    [
        (RANGE_CASES, [f"{RANGE}: $: no cases: rules/brook_range.cases.yaml is missing"]),
        (RANGE, [f"{RANGE_CASES}: $: there is no rule brook_range beside these cases"]),
        (TOWN, [f"{TYPE}: $.standards[1].family: no standard of the family Town"]),
        ("sources.yaml", [f"{path}: $.limits[{at}].source: source seen is not in sources.yaml"
                          for path, limits in ((NEW, 5), (OLD, 1), (TOWN, 1)) for at in range(limits)]),
    ],
)  # fmt: skip
def test_a_file_that_is_missing_is_missed(without: str, told: list[str]) -> None:
    assert problems_of({path: text for path, text in SMALL.items() if path != without}) == told


def test_all_problems_are_told_at_once_sorted_by_file() -> None:
    texts = dict(SMALL)
    for path, old, new in (
        (TYPE, "family: Town", "family: Village"),
        (NEW, "value: 0.5", "value: .nan"),
        (RANGE, "check: gross_range", "check: gross"),
        ("units.yaml", "zh: 无量纲, ", ""),
    ):
        texts[path] = texts[path].replace(old, new)
    texts["readme.txt"] = "what is this?"
    with pytest.raises(CatalogueProblems) as refused:
        load(texts)
    told = dict.fromkeys((problem.file, problem.path) for problem in refused.value.problems)
    assert list(told) == [
        ("readme.txt", "$"),
        (RANGE, "$.check"),
        (NEW, "$.limits[1].value"),
        ("units.yaml", "$.units.1.zh"),
    ]
    assert str(refused.value).splitlines() == [str(problem) for problem in refused.value.problems]


def test_all_problems_of_one_file_are_told_at_once() -> None:
    text = SMALL[NEW].replace("value: 0.5", "valeu: 0.5").replace("mark: R", "mark: L").replace("clause: t2, ", "")
    assert [problem.partition(": ")[2] for problem in problems_of({**SMALL, NEW: text})] == [
        "$.limits[1].valeu: Extra inputs are not permitted",
        "$.limits[1].value: Field required",
        "$.limits[4].clause: Field required",
        "$.limits[4].mark: Input should be 'C', 'R' or 'P'",
    ]


def test_a_file_that_cannot_be_read_makes_no_other_file_wrong() -> None:
    """Its names are not called unknown: only its own problem is told."""
    for path in SMALL:
        found = problems_of({**SMALL, path: "a: [1"})
        assert found == [f"{path}: $: line 2, column 1: did not find expected ',' or ']'"], path


def test_limits_of_other_days_classes_periods_and_conditions_do_not_overlap() -> None:
    for old, new in (
        ('class: "I",', 'class: "II", valid_from: 2030-01-01,'),
        ('class: "I", period: instant', 'class: "II", period: "1h"'),
        ('op: "<=", value: 0.5', 'op: ">=", value: 0.5'),
        ('class: "I",', 'class: "II", conditions: [warm],'),
    ):
        texts = planted(NEW, old, new)
        if "2030" in new:
            texts[NEW] = texts[NEW].replace("clause: t1, mark: C}", "clause: t1, mark: C, valid_to: 2029-12-31}", 1)
        assert problems_of(texts) == []


def test_of_three_limits_on_the_same_days_two_are_told() -> None:
    """The long one overlaps both short ones, which do not touch each other."""
    limit = '- {id: ID, parameter: "w20115", class: "I", period: "24h", op: "<=", value: 1, unit: "mg/L", clause: t, mark: C, DAYS}\n'
    days = {
        "D1": "valid_from: 2021-01-01",
        "D2": "valid_from: 2022-01-01, valid_to: 2022-12-31",
        "D3": "valid_from: 2024-01-01",
    }
    more = "".join(limit.replace("ID", name).replace("DAYS", span) for name, span in days.items())
    assert problems_of({**SMALL, NEW: SMALL[NEW] + more}) == [
        f"{NEW}: $.limits[6]: D2 holds on days on which D1 already does",
        f"{NEW}: $.limits[7]: D3 holds on days on which D1 already does",
    ]
