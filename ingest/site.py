"""What a format or a source may ask of the site: the catalogue, the register of stations, and their secrets."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rules.index import Catalogue
from rules.schema import Station


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a station's logger shares with us, and nobody is shown: its password, and the key of SM4 (16 bytes)."""

    password: str | None = field(default=None, repr=False)
    sm4_key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Site:
    """`stations` and `secrets` by id of the station. Without a catalogue, codes and units stay as they are sent."""

    catalogue: Catalogue | None = None
    stations: Mapping[str, Station] = field(default_factory=dict)
    secrets: Mapping[str, Secrets] = field(default_factory=dict, repr=False)


class Roster:
    """The site as it is now. One thread replaces it, any number look; who looks twice may see two."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.number = 0  # counts replacements: who keeps something made from a site compares it

    def replace(self, site: Site) -> None:
        """From now on the site is this one."""
        self.site = site
        self.number += 1
