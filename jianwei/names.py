"""What stations, parameters and rules are called, by the catalogue and the register."""

from collections.abc import Mapping

from alerts.notices import Bilingual
from rules.index import Catalogue
from rules.schema import Name, Station


class CatalogueNames:
    """Implements `alerts.notices.Names`; what is in neither is called by its code.

    `stations` may be replaced while others ask.
    """

    def __init__(self, catalogue: Catalogue, stations: Mapping[str, Station]) -> None:
        self._catalogue = catalogue
        self.stations = stations

    def station(self, station: str) -> Bilingual:
        entry = self.stations.get(station)
        return _said(entry.name) if entry else _code(station)

    def parameter(self, parameter: str) -> Bilingual:
        row = self._catalogue.parameters.get(parameter)
        return Bilingual(zh=row.zh, en=row.en) if row else _code(parameter)

    def rule(self, rule: str) -> Bilingual:
        entry = self._catalogue.rules.get(rule)
        return _said(entry.name) if entry else _code(rule)


def _said(name: Name) -> Bilingual:
    return Bilingual(zh=name.zh, en=name.en)


def _code(code: str) -> Bilingual:
    return Bilingual(zh=code, en=code)
