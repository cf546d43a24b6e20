"""Whatever happens to the text of the real catalogue, the loader reads it or names what is wrong, and nothing else."""

from importlib import resources

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.cases import run_cases
from rules.index import Catalogue, CatalogueProblems
from rules.loading import load


def text_of(path: str) -> str:
    return (resources.files("rules") / "catalogue" / path).read_text(encoding="utf-8")


SHARED = ["units.yaml", "periods.yaml", "conditions.yaml", "sources.yaml", "parameters/water.yaml"]
# One town of the real catalogue: small enough to be loaded some hundred times, with everything that names each other.
PATHS = [
    *SHARED,
    *("standards/gb3838-2002.yaml", "station_types/surface_water_section.yaml"),
    *(f"rules/{name}{end}" for name in ("surface_water_over", "silence_hourly") for end in (".yaml", ".cases.yaml")),
]
ONE_TYPE = "[surface_water_section, drinking_water_source, city_air, pharma_park_voc, wastewater_outlet, stack_gas]"
TEXTS = {path: text_of(path) for path in PATHS} | {"parameters/air.yaml": "parameters: []"}
TEXTS = {path: text.replace(ONE_TYPE, "[surface_water_section]") for path, text in TEXTS.items()}
WORDS = ["010", "12:30", "NO", "~", ".nan", "-1", "1.0e+308", "0", '""', "[]", "{}", "- ", ": ", "2026-02-30", "river", "\t", "\x85", "&a", "*a", "!!set", "'"]  # fmt: skip


def test_the_undamaged_town_loads() -> None:
    catalogue = load(TEXTS)
    assert catalogue.rules.keys() == {"surface_water_over", "silence_hourly"}
    assert all(result.passed for result in run_cases(catalogue))


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    """One file of the town with one or two of its lines dropped, doubled, exchanged, cut or written over."""
    path = draw(st.sampled_from(PATHS))
    lines = TEXTS[path].splitlines()
    for _ in range(draw(st.integers(1, 2))):
        at, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        words = lines[at].split(" ")
        word = draw(st.integers(0, len(words) - 1))
        match draw(st.sampled_from(["drop", "double", "swap", "cut", "lose a word", "write over", "scribble"])):
            case "drop" if len(lines) > 1:
                del lines[at]
            case "double":
                lines.insert(other, lines[at])
            case "swap":
                lines[at], lines[other] = lines[other], lines[at]
            case "cut":
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case "lose a word":
                lines[at] = " ".join(words[:word] + words[word + 1 :])
            case "write over":
                lines[at] = " ".join([*words[:word], draw(st.sampled_from(WORDS)), *words[word + 1 :]])
            case _:
                lines[at] += draw(st.text(max_size=3))
    return path, {**TEXTS, path: "\n".join(lines) + "\n"}


def loaded(texts: dict[str, str]) -> Catalogue | CatalogueProblems:
    try:
        return load(texts)
    except CatalogueProblems as found:
        return found


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged())
def test_a_damaged_catalogue_is_read_or_its_problems_are_named(damage: tuple[str, dict[str, str]]) -> None:
    """And what is read can be used: its cases run, though they may fail."""
    path, texts = damage
    outcome = loaded(texts)
    if isinstance(outcome, CatalogueProblems):
        assert outcome.problems == sorted(outcome.problems)
        assert all(problem.file in texts and problem.path.startswith("$") for problem in outcome.problems)
        assert all(problem.what for problem in outcome.problems)
    elif path.endswith(".cases.yaml") or path.startswith("station_types/"):
        run_cases(outcome)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("text", ["", "{}", "- 1", "\x00", "a: [", "!!python/name:os.system"])
def test_a_file_of_something_else_is_named(path: str, text: str) -> None:
    outcome = loaded({**TEXTS, path: text})
    assert isinstance(outcome, CatalogueProblems)
    assert [problem.file for problem in outcome.problems if problem.file == path]


@pytest.mark.parametrize(
    "path", ["parameters.yaml", "standards/a/b.yaml", "../units.yaml", "Units.yaml", "rules/x.yml"]
)
def test_a_file_in_no_place_of_the_catalogue_is_named(path: str) -> None:
    outcome = loaded({**TEXTS, path: "{}"})
    assert isinstance(outcome, CatalogueProblems)
    assert [str(problem) for problem in outcome.problems] == [
        f"{path}: $: this path belongs to no part of the catalogue"
    ]


@pytest.mark.parametrize("path", [path for path in PATHS if not path.startswith("rules/")])
def test_a_file_that_is_gone_is_missed(path: str) -> None:
    outcome = loaded({name: text for name, text in TEXTS.items() if name != path})
    assert isinstance(outcome, CatalogueProblems)
    assert all(problem.file in TEXTS and problem.file != path for problem in outcome.problems)
