"""Notices call stations, parameters and rules what the catalogue and the register call them."""

from alerts.notices import Bilingual
from jianwei.catalogue_files import read_catalogue
from jianwei.names import CatalogueNames
from rules.register import load_stations

CATALOGUE = read_catalogue()
STATIONS = load_stations(
    {"s.yaml": "stations:\n- {id: TZ-1, name: {zh: 椒江断面, en: Jiaojiang}, station_type: surface_water_section}\n"},
    CATALOGUE,
)
NAMES = CatalogueNames(CATALOGUE, STATIONS)


def test_what_is_known_has_its_names_in_both_languages() -> None:
    assert NAMES.station("TZ-1") == Bilingual(zh="椒江断面", en="Jiaojiang")
    assert NAMES.rule("surface_water_over") != Bilingual(zh="surface_water_over", en="surface_water_over")
    for code, row in CATALOGUE.parameters.items():
        assert NAMES.parameter(code) == Bilingual(zh=row.zh, en=row.en)


def test_what_is_not_known_is_called_by_its_code() -> None:
    for say in (NAMES.station, NAMES.parameter, NAMES.rule):
        assert say("nobody") == Bilingual(zh="nobody", en="nobody")
