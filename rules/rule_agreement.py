"""Agreement of a rule and its cases with the rest of the catalogue."""

from collections.abc import Iterator

from rules.cases import station_of
from rules.checks import CHECKS
from rules.index import Catalogue, Problem
from rules.names import Names
from rules.notation import MOST_SLOTS, NotationError, expand, seconds
from rules.rule_schema import LEVELS, Case, Rule
from rules.station_agreement import station_problems

LONGEST_SLOT_S = 31 * 86400


def rule_problems(path: str, rule: Rule, names: Names) -> Iterator[Problem]:
    """What a rule names and the catalogue lacks, and what it asks that its check cannot do."""
    catalogue = names.catalogue
    stem = path.rpartition("/")[2].removesuffix(".yaml")
    if rule.rule != stem:
        yield Problem(path, "$.rule", f"the file is called {stem}, the rule is not")
    for number, name in enumerate(rule.station_types):
        if what := names.station_type_problem(name):
            yield Problem(path, f"$.station_types[{number}]", what)
        if name in rule.station_types[:number]:
            yield Problem(path, f"$.station_types[{number}]", f"{name} is named twice")
    for code in rule.parameters or ():
        if what := names.parameter_problem(code):
            yield Problem(path, f"$.parameters.{code}", what)
        elif code in catalogue.parameters:
            yield from _one_unit(path, rule, code, catalogue)
    yield from check_problems(path, rule)
    cases_path = path.removesuffix(".yaml") + ".cases.yaml"
    for number, case in enumerate(catalogue.cases.get(rule.rule, ())):
        place = f"$.cases[{number}]"
        for where, what in _case_problems(case, rule, names):
            yield Problem(cases_path, place + where, what)


def _one_unit(path: str, rule: Rule, code: str, catalogue: Catalogue) -> Iterator[Problem]:
    """A threshold is one number, so all station types of a rule must report its parameter in one unit."""
    units = {catalogue.unit_of(name, code) for name in rule.station_types if name in catalogue.station_types}
    if len(units) > 1 and rule.check != "exceedance":
        told = ", ".join(sorted(map(str, units)))
        yield Problem(path, f"$.parameters.{code}", f"its station types report in different units: {told}")


def check_problems(path: str, rule: Rule) -> Iterator[Problem]:
    """What a rule asks that its check cannot do."""
    if rule.check not in CHECKS:
        yield Problem(path, "$.check", f"there is no check {rule.check}; there are {', '.join(CHECKS)}")
        return
    subject = CHECKS[rule.check].subject
    if subject != "series" and rule.parameters is not None:
        yield Problem(path, "$.parameters", f"{rule.check} looks at a {subject}, not at parameters")
    if subject == "station" and rule.kinds is not None:
        yield Problem(path, "$.kinds", f"{rule.check} looks at a station, not at kinds")
    if rule.escalate and rule.check != "exceedance":
        yield Problem(path, "$.escalate", "only an exceedance has a ratio to escalate by")
    ratios = [step.ratio for step in rule.escalate]
    if ratios != sorted(set(ratios)):
        yield Problem(path, "$.escalate", "ratios must rise")
    loudness = [LEVELS[level] for level in (rule.levels.fail, *(step.level for step in rule.escalate))]
    if loudness != sorted(loudness):
        yield Problem(path, "$.escalate", "levels must not fall as the ratio rises")


def _case_problems(case: Case, rule: Rule, names: Names) -> Iterator[tuple[str, str]]:
    if case.station.type not in rule.station_types:
        yield ".station.type", f"the rule does not watch {case.station.type}"
    every_s = seconds(case.every)
    silent_s = seconds(case.then_silent) if case.then_silent else 0
    if not 1 <= every_s <= LONGEST_SLOT_S:
        yield ".every", "a slot is from 1 s to 31 d long"
        return
    if silent_s > MOST_SLOTS * every_s:
        yield ".then_silent", f"more than {MOST_SLOTS} slots"
    for where, what in station_problems(station_of(case.station, case), names):
        yield ".station" + (".type" if where == ".station_type" else where), what
    for code, text in case.series.items():
        if what_code := names.parameter_problem(code):
            yield f".series.{code}", what_code
        try:
            expand(text, every_s)
        except NotationError as error:
            yield f".series.{code}", str(error)
