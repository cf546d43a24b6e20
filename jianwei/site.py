"""A site: its settings, the catalogue, and its register of stations, read and checked together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.stores import Surroundings, WholeStore, open_store
from jianwei.catalogue_files import read_catalogue, read_filed
from jianwei.entered import entered_in
from jianwei.folders import DataFolder
from jianwei.settings import Settings, SettingsProblems, read_settings
from rules.index import Catalogue, CatalogueProblems, Problem
from rules.register import agreed
from rules.schema import Station

EMPTY_REGISTER = "the register is empty: nothing is judged against limits; `jianwei station add`, or name station files in `stations`"


@dataclass(frozen=True, slots=True)
class Site:
    """What a service or a command about it needs to know before it opens anything.

    `stations` are all of the register, by id; `filed` those of them that stand in files, not in the ledger.
    """

    settings: Settings
    catalogue: Catalogue
    stations: Mapping[str, Station]
    filed: Mapping[str, Station]

    @property
    def folder(self) -> DataFolder:
        return DataFolder(self.settings.data_dir)


def read_site(config: Path) -> Site:
    """Raises SettingsProblems or CatalogueProblems with everything that is wrong, LedgerUnavailable."""
    settings = read_settings(config)
    catalogue = read_catalogue()
    problems: list[Problem] = []
    try:
        filed = read_filed(settings.stations, problems)
    except OSError as error:
        raise SettingsProblems(config, [f"stations: {error.filename} cannot be read: {error.strerror}"]) from error
    entries = [*filed, *entered_in(DataFolder(settings.data_dir), problems)]
    stations = agreed(entries, catalogue, problems)
    if problems:
        raise CatalogueProblems(problems)
    return Site(settings, catalogue, stations, {entry.station.id: entry.station for entry in filed})


def data_folder(config: Path) -> DataFolder:
    """The data folder of a site that has run. Raises SettingsProblems, also where nothing has run yet."""
    return _lived_in(config, read_settings(config))


def store_to_read(config: Path) -> WholeStore:
    """The store of a site that has run: nothing may be written to it. Raises like `data_folder`."""
    settings = read_settings(config)
    folder = _lived_in(config, settings)
    return open_store(settings.store, Surroundings(folder.store, lambda _parameter: None))


def _lived_in(config: Path, settings: Settings) -> DataFolder:
    folder = DataFolder(settings.data_dir)
    if not folder.has_state:
        raise SettingsProblems(config, [f"data_dir: there is no data in {folder.root} yet; `jianwei run` makes it"])
    return folder
