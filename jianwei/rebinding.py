"""A running service follows the register: whoever is entered, changed or removed counts without a restart."""

from collections.abc import Callable, Mapping
from threading import Lock

from alerts.register import SqlRegister
from ingest.message import Health
from ingest.records import Emit, RegisterBound
from ingest.site import Roster, Site
from jianwei.entered import read_bodies, secrets_in, sound
from rules.binding import Binding
from rules.engine import Engine
from rules.index import Catalogue, CatalogueProblems, Problem
from rules.register import Entry, agreed
from rules.schema import Station

LOOK_S = 1.0  # a change is seen within so long
KEPT = 4  # versions whose stations are at hand


class StationsOfVersions:
    """Who was registered in which version: stations of files as they are now, those of the ledger as they were then.

    From any thread. Raises LedgerUnavailable.
    """

    def __init__(self, register: SqlRegister, catalogue: Catalogue, filed: Mapping[str, Station], file: str) -> None:
        self._register = register
        self._catalogue = catalogue
        self._filed = [Entry("the station files", name, station) for name, station in filed.items()]
        self._file = file
        self._known: dict[int, Mapping[str, Station]] = {}
        self._lock = Lock()

    def strictly(self, version: int) -> Mapping[str, Station]:
        """Raises CatalogueProblems where they do not agree with the catalogue, or with each other."""
        problems: list[Problem] = []
        stations = agreed(self._entries(version, problems), self._catalogue, problems)
        if problems:
            raise CatalogueProblems(problems)
        self._keep(version, stations)
        return stations

    def at(self, version: int) -> Mapping[str, Station]:
        """Those that were sound: nobody can mend a version of long ago."""
        with self._lock:
            known = self._known.get(version)
        if known is None:
            known = sound(self._entries(version, []), self._catalogue)
            self._keep(version, known)
        return known

    def _entries(self, version: int, problems: list[Problem]) -> list[Entry]:
        return [*self._filed, *read_bodies(self._register.present(version), self._file, problems)]

    def _keep(self, version: int, stations: Mapping[str, Station]) -> None:
        with self._lock:
            self._known[version] = stations
            while len(self._known) > KEPT:
                del self._known[next(iter(self._known))]


class Rebinding:
    """Looks whether the register has changed, and lets everybody know who asks for the stations.

    `roster` has the site as it is now. `follow` is told the version of the entries and the stations: the worker judges
    by them from its next entry on. A register with problems is not taken: the service goes on with the one before, and
    its health says why.
    """

    def __init__(self, register: SqlRegister, stations: StationsOfVersions, catalogue: Catalogue, emit: Emit) -> None:
        self._register = register
        self._stations = stations
        self._catalogue = catalogue
        self._emit = emit
        self._seen = register.version()
        self._number = register.number()
        self._why = ""
        self.roster = Roster(Site(catalogue, stations.strictly(self._number), secrets_in(register)))
        self.follow: Callable[[int, Mapping[str, Station]], None] = lambda _version, _stations: None

    @property
    def number(self) -> int:
        """The version of the entries that holds."""
        return self._number

    def step(self) -> float:
        """Seconds until the next look. Raises LedgerUnavailable."""
        version = self._register.version()
        if version != self._seen:
            self._take(self._register.number())
            self._seen = version
        return LOOK_S

    def health(self, now_ns: int) -> Health:  # noqa: ARG002  # every part is told the time
        """Red while the register in the ledger has problems."""
        return Health(not self._why, self._why)

    def site_at(self, version: int) -> Site:
        """The site with the stations of a version, and what loggers share with us now."""
        return Site(self._catalogue, self._stations.at(version), self.roster.site.secrets)

    def engine(self, snapshot: bytes | None, version: int) -> Engine:
        """An engine under a version. Raises SnapshotUnreadable."""
        watchlist = Binding(self._catalogue, self._stations.at(version))
        return Engine(watchlist) if snapshot is None else Engine.restore(snapshot, watchlist)

    def _take(self, number: int) -> None:
        try:
            stations = self._stations.strictly(number)
        except CatalogueProblems as error:
            self._why = f"the register was changed, and the change is not taken: {error}"
            return
        self._why = ""
        self.roster.replace(Site(self._catalogue, stations, secrets_in(self._register)))
        self._number = number
        self.follow(number, stations)
        self._emit(RegisterBound(number, len(stations)))
