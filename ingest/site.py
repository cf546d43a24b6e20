"""What a format may ask of the site: the catalogue and the register of stations."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rules.index import Catalogue
from rules.schema import Station


@dataclass(frozen=True, slots=True)
class Site:
    """`stations` by id. Without a catalogue, codes and units stay as they are sent."""

    catalogue: Catalogue | None = None
    stations: Mapping[str, Station] = field(default_factory=dict)
