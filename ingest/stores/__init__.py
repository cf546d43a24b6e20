"""The stores there are. A settings file names one by `type`, the embedded one by saying nothing; `open_store` makes it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, BeforeValidator, Discriminator

from ingest.message import Store, StoredReading
from ingest.stores.influxdb import InfluxdbStore, InfluxdbStoreSettings
from ingest.stores.sqlite import SqliteStore, SqliteStoreSettings
from rules.readings import Kind


class WholeStore(Store, Protocol):
    """A store that can also be walked through."""

    def minutes(
        self, from_ns: int, until_ns: int, station: str | None, parameter: str | None, kind: Kind | None
    ) -> Iterator[list[StoredReading]]:
        """Readings in [from_ns, until_ns) in the order of time, a minute of them at once; None stands for all.

        Times before 2000 and after 2099 come last. Raises StoreUnreadable.
        """
        ...

    def stations(self) -> list[str]:
        """Every station that has a reading here, sorted."""
        ...

    def count(self) -> int:
        """Number of readings."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the program lends to its stores: a folder of their own, and the medium in which a parameter is measured."""

    folder: Path
    medium_of: Callable[[str], str | None]


def _typed(said: Any) -> Any:
    return {"type": "sqlite", **said} if isinstance(said, dict) else said


StoreSettings = Annotated[
    Annotated[SqliteStoreSettings | InfluxdbStoreSettings, Discriminator("type")], BeforeValidator(_typed)
]

STORES: Mapping[type[BaseModel], Callable[[Any, Surroundings], WholeStore]] = {
    SqliteStoreSettings: lambda settings, here: SqliteStore(here.folder, sync=settings.sync),
    InfluxdbStoreSettings: lambda settings, here: InfluxdbStore(settings, here.medium_of),
}


def open_store(settings: SqliteStoreSettings | InfluxdbStoreSettings, here: Surroundings) -> WholeStore:
    """The store that these settings describe."""
    return STORES[type(settings)](settings, here)
