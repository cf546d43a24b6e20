"""Every case beside every rule, one test each; and the runner itself, which must be able to fail."""

from datetime import date
from typing import Any

import pytest

from jianwei.catalogue_files import read_catalogue
from rules.cases import CaseResult, history, run_case, run_cases
from rules.limits import MOST_LIMITS
from rules.rule_schema import Case, CasesFile
from rules.schema import PermitLimit
from rules.strict_yaml import parse
from tests.rules.small_catalogue import small

CATALOGUE = read_catalogue()
ALL = [
    pytest.param(rule, case, id=f"{rule}: {case.case}")
    for rule, cases in sorted(CATALOGUE.cases.items())
    for case in cases
]
TWO_HOURS_OVER = """\
cases:
  - case: two hours over
    station: {type: brook}
    start: 2026-05-01T00:00:00+08:00
    every: 1h
    series: {"w21003": "0.5 1.1 2.1 0.5"}
    expect:
      - {at: +1h, opens: yellow}
      - {at: +2h, worsens: orange}
      - {at: +3h, clears: true}
"""


@pytest.mark.parametrize(("rule", "case"), ALL)
def test_case(rule: str, case: Case) -> None:
    assert run_case(CATALOGUE, rule, case).problems == []


def test_every_rule_has_cases_and_every_case_a_name_of_its_own() -> None:
    assert CATALOGUE.cases.keys() == CATALOGUE.rules.keys()
    for rule, cases in CATALOGUE.cases.items():
        names = [case.case for case in cases]
        assert len(names) == len(set(names)), rule


def test_every_rule_has_a_case_in_which_it_speaks() -> None:
    dumb = [rule for rule, cases in CATALOGUE.cases.items() if not any(case.expect for case in cases)]
    assert dumb == []


def test_the_tests_above_are_the_cases_that_the_check_command_runs() -> None:
    assert len(ALL) == len(run_cases(CATALOGUE)) >= 76


def ran(old: str = "", new: str = "", *, rule: str = "brook_over", text: str = TWO_HOURS_OVER) -> CaseResult:
    """The case above, with one change, in the small catalogue."""
    assert text.count(old) == 1 or not old
    [case] = CasesFile.model_validate(parse(text.replace(old, new) if old else text)).cases
    return run_case(small(), rule, case)


def test_a_case_that_expects_what_happens_passes() -> None:
    assert ran() == CaseResult("brook_over", "two hours over", [])
    assert ran().passed


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        pytest.param("      - {at: +2h, worsens: orange}\n", "", ["unexpected +002h00min worsened orange w21003"],
                     id="a transition that nobody expects"),
        pytest.param("clears: true}", "clears: true}\n      - {at: +3h, opens: red}",
                     ["expected +003h00min opened red w21003"], id="a transition that does not come"),
        pytest.param("opens: yellow", "opens: blue",
                     ["expected +001h00min opened blue w21003", "unexpected +001h00min opened yellow w21003"],
                     id="another level"),
        pytest.param("+1h, opens", "+61min, opens",
                     ["expected +001h01min opened yellow w21003", "unexpected +001h00min opened yellow w21003"],
                     id="another moment"),
        pytest.param("worsens: orange", 'worsens: orange, parameter: "w01009"',
                     ["expected +002h00min worsened orange w01009", "unexpected +002h00min worsened orange w21003"],
                     id="another parameter"),
        pytest.param("clears: true}", "clears: true}\n      - {at: +3h, clears: true}",
                     ["expected +003h00min cleared w21003"], id="the same transition once more"),
        pytest.param("2.1 0.5", "2.1 1.1", ["expected +003h00min cleared w21003"], id="another history"),
        pytest.param("2026-05-01", "2019-05-01",
                     ["expected +001h00min opened yellow w21003", "expected +002h00min worsened orange w21003",
                      "unexpected +002h00min opened yellow w21003"], id="another day, another edition"),
    ],
)  # fmt: skip
def test_a_case_that_expects_something_else_fails_and_says_what(old: str, new: str, told: list[str]) -> None:
    result = ran(old, new)
    assert not result.passed
    assert result.problems == [f"{way}: {line}" for way in ("one by one", "all at once") for line in told]


def test_a_case_that_the_engine_refuses_fails_with_its_reason() -> None:
    """A permit that was changed every year says more limits in a row than the engine keeps."""
    permit = [
        PermitLimit(
            parameter="w01001", period="instant", op="between", value=[year / 1000, 9.0], unit="1", permit="p", clause="1",
            valid_from=date(year, 1, 1), valid_to=date(year, 12, 31),
        )
        for year in range(2020, 2030)
    ]  # fmt: skip
    case = CATALOGUE.cases["wastewater_over"][0]
    many = case.model_copy(update={"station": case.station.model_copy(update={"permit": permit})})
    result = run_case(CATALOGUE, "wastewater_over", many)
    assert not result.passed
    assert len(result.problems) == 1
    assert f"more than {MOST_LIMITS} limits follow each other" in result.problems[0]


def test_what_other_rules_find_is_not_compared() -> None:
    """At pH 3 the standard and the range both speak; a case of one hears nothing of the other."""
    text = TWO_HOURS_OVER[: TWO_HOURS_OVER.index("      - ")].replace('"w21003": "0.5 1.1 2.1 0.5"', '"w01001": "7 3"')
    of_standard = ran(rule="brook_over", text=text + "      - {at: +1h, opens: yellow}\n")
    of_range = ran(rule="brook_range", text=text + "      - {at: +1h, opens: blue}\n")
    assert of_standard.passed
    assert of_range.passed


def case(**changes: Any) -> Case:
    [plain] = CasesFile.model_validate(parse(TWO_HOURS_OVER)).cases
    return plain.model_copy(update=changes)


def test_a_history_ticks_once_at_its_end_unless_it_is_asked_to_tick() -> None:
    plain = case(series={"w21003": "1 _ 2"})
    assert [(h.key is None, h.value) for h in history(plain)] == [(False, 1.0), (False, 2.0)]
    ticking = case(series={"w21003": "1 _ 2"}, ticks=True)
    start = history(ticking)[0].at_ns
    told = [((h.at_ns - start) // 3_600_000_000_000, h.key is None) for h in history(ticking)]
    assert told == [(0, False), (0, True), (1, True), (2, False), (2, True)]


def test_silence_goes_on_ticking_after_the_last_slot() -> None:
    silent = case(series={"w21003": "1 _"}, then_silent="2h")
    start = history(silent)[0].at_ns
    assert [(h.at_ns - start) // 3_600_000_000_000 for h in history(silent) if h.key is None] == [2, 3]


def test_a_value_with_a_time_of_its_own_arrives_in_its_slot() -> None:
    early = case(series={"w21003": "1 2@-30min"})
    first, second = history(early)
    assert second.at_ns - first.at_ns == 3_600_000_000_000
    assert second.measured_ns - first.measured_ns == 1_800_000_000_000
