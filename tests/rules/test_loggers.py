"""What the register says of a data logger: one station an MN, known parameters, units that can be converted."""

from collections.abc import Sequence

import pytest

from jianwei.catalogue_files import read_catalogue
from rules.index import CatalogueProblems
from rules.loading import load
from rules.register import load_stations
from rules.schema import Logger

CATALOGUE = read_catalogue()


def entry(number: int, logger: str) -> str:
    name = "{zh: 排口, en: Outlet}"
    return f"  - {{id: WE-{number}, name: {name}, station_type: wastewater_outlet, logger: {{{logger}}}}}\n"


def problems(*loggers: str) -> list[str]:
    text = "stations:\n" + "".join(entry(number, logger) for number, logger in enumerate(loggers))
    try:
        load_stations({"s.yaml": text}, CATALOGUE)
    except CatalogueProblems as found:
        return [f"{problem.path} {problem.what}" for problem in found.problems]
    return []


def test_a_logger_that_speaks_as_the_standard_says_needs_no_word() -> None:
    assert problems("", "mn: A1B2", 'edition: "2005", checks: [modbus], encoding: gbk, flags: {A: D}') == []
    assert Logger().checks == []


def test_an_mn_leads_to_one_station_however_it_is_written() -> None:
    assert problems("mn: A1B2", "mn: a1b2") == [
        "$.stations[1].logger.mn MN a1b2 is the logger of two stations: also of WE-0 in s.yaml: $.stations[0]"
    ]


@pytest.mark.parametrize(
    ("logger", "path", "what"),
    [
        ('units: {"w99999": "L/s"}', ".logger.units.w99999", "is not in parameters/"),
        ('units: {"w00000": "furlong"}', ".logger.units.w00000", "is not in units.yaml"),
        ('units: {"w00000": "mg/L"}', ".logger.units.w00000", "cannot be told in the unit of the parameter"),
        ("mn: ../etc", ".logger.mn", "should match pattern"),
        ("checks: [crc32]", ".logger.checks[0]", "Input should be"),
        ("flags: {A: X}", ".logger.flags.A", "Input should be"),
    ],
)
def test_what_cannot_be_so_is_told_with_its_place(logger: str, path: str, what: str) -> None:
    found: Sequence[str] = problems(logger)
    assert len(found) == 1
    assert found[0].startswith(f"$.stations[0]{path} ")
    assert what in found[0]


def test_every_code_of_2005_leads_to_one_parameter() -> None:
    """Old codes are kept where the parameter is, with its mark; two parameters of one old code would mix two series."""
    old = [row.old_code for row in CATALOGUE.parameters.values() if row.old_code is not None]
    assert len(old) == len(set(old)) == 96
    marks = {row.old_code: row.mark for row in CATALOGUE.parameters.values()}
    assert marks["011"] == "C"
    assert marks["B00"] == "R"
    assert CATALOGUE.parameters["w01018"].old_code == "011"


def test_two_parameters_of_one_old_code_are_refused() -> None:
    row = '{{code: "{code}", old_code: "011", zh: 甲, en: One, unit: null, media: [wastewater], source: none}}'
    text = "parameters:\n" + "".join(f"- {row.format(code=code)}\n" for code in ("w90001", "w90002"))
    with pytest.raises(CatalogueProblems) as refused:
        load({"parameters/more.yaml": text})
    told = [problem.what for problem in refused.value.problems]
    assert "old code 011 stands already in parameters/more.yaml $.parameters[0].old_code" in told
