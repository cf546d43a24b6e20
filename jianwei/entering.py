"""How stations get into the register of the ledger: held against all that is registered, then entered at once or not at all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from alerts.register import Change, RegisterMoved, Shared, SqlRegister, What
from jianwei.entered import body_of, fact_of, read_bodies
from jianwei.station_fields import SECRET
from rules.index import Catalogue, CatalogueProblems, Problem
from rules.register import Entry, agreed
from rules.schema import Station

ATTEMPTS = 5  # as often as others may come in between
Outcome = Literal["added", "changed", "admitted", "unchanged"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A station as it shall stand in the register. `entry` tells where it was said; `shared` None: left as it is.

    `problem` tells what is wrong at a path of the entry by where that was said.
    """

    entry: Entry
    shared: Shared | None = None
    problem: Callable[[str, str], Problem] | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """What entering a station changes: field by field what it said and says, "" where nothing. Secrets only as names."""

    station: str
    outcome: Outcome
    fields: Sequence[tuple[str, str, str]] = ()


@dataclass(slots=True)
class Draft:
    """What is asked for, looked at against the register of the moment."""

    wanted: list[Wanted]
    problems: list[Problem] = field(default_factory=list)


Ask = Callable[[Mapping[str, Station]], Draft]  # told the stations that are entered now


class Entering:
    """Enters stations beside those of the files (`filed`), by the rules of `catalogue`. `by`: who does it."""

    def __init__(self, register: SqlRegister, catalogue: Catalogue, filed: Mapping[str, Station], by: str) -> None:
        self._register = register
        self._catalogue = catalogue
        self._filed = [Entry("`stations` of the settings", name, station) for name, station in filed.items()]
        self._by = by

    def enter(
        self,
        ask: Ask,
        *,
        what: What | None = None,
        forget: Sequence[str] = (),
        skip_wrong: bool = False,
        dry: bool = False,
    ) -> tuple[list[Difference], list[Problem]]:
        """What it changed. Raises CatalogueProblems with everything that is wrong, and nothing is entered.

        `skip_wrong`: stations with problems are left out, and their problems handed back. `dry`: nothing is entered.
        Whoever comes in between makes it look again; raises RegisterMoved when that does not end.
        """
        for _ in range(ATTEMPTS):
            seen = self._register.version()
            bodies = self._register.present()
            present = {entry.station.id: entry.station for entry in read_bodies(bodies, "", [])}
            draft = ask(present)
            wanted, problems = self._sound(draft, bodies)
            if problems and not (skip_wrong and wanted):
                raise CatalogueProblems(problems)
            differences = [self._difference(one, present, what) for one in wanted]
            if dry:
                return differences, problems
            try:
                self._enter(wanted, differences, seen, forget)
            except RegisterMoved:
                continue
            return differences, problems
        raise RegisterMoved("the register is changed by others all the time: try again")

    def remove(self, station: str) -> None:
        """Raises RegisterMoved where it is not entered any more."""
        for _ in range(ATTEMPTS):
            seen = self._register.version()
            if station not in self._register.present():
                raise RegisterMoved(f"{station} does not stand in the ledger any more")
            try:
                self._register.enter([Change(station, "removed", "")], self._by, seen=seen)
            except RegisterMoved:
                continue
            return
        raise RegisterMoved("the register is changed by others all the time: try again")

    def _sound(self, draft: Draft, bodies: Mapping[str, str]) -> tuple[list[Wanted], list[Problem]]:
        """The wanted stations that agree with the catalogue, the rest of the register, and each other."""
        told = list(draft.problems)
        wanted = list(draft.wanted)
        while wanted:
            named = {one.entry.station.id for one in wanted}
            others = read_bodies({name: body for name, body in bodies.items() if name not in named}, "the ledger", [])
            problems: list[Problem] = []
            agreed([*self._filed, *others, *(one.entry for one in wanted)], self._catalogue, problems)
            ours = {one.entry.file for one in wanted}
            wrong = [problem for problem in problems if problem.file in ours]
            if not wrong:
                break
            told += [_told(problem, wanted) for problem in wrong]
            wanted = [one for one in wanted if not any(_is_of(problem, one.entry) for problem in wrong)]
        return wanted, told

    def _difference(self, wanted: Wanted, present: Mapping[str, Station], what: What | None) -> Difference:
        station = wanted.entry.station
        before = present.get(station.id)
        fields = list(differences(before, station))
        name = station.id
        if wanted.shared and self._register.differs({name: wanted.shared}):
            had = self._register.has_shared().get(name, (False, False))
            told = (("password", wanted.shared.password), ("sm4_key", wanted.shared.sm4_key))
            fields += [
                (field_, "set" if has else "", "set anew" if has else "set")
                for (field_, value), has in zip(told, had, strict=True)
                if value is not None
            ]
        if before is None:
            return Difference(name, "admitted" if what == "admitted" else "added", fields)
        return Difference(name, "changed" if fields else "unchanged", fields)

    def _enter(
        self, wanted: Sequence[Wanted], differences: Sequence[Difference], seen: int, forget: Sequence[str]
    ) -> None:
        changes: list[Change] = []
        shared: dict[str, Shared] = {}
        for one, difference in zip(wanted, differences, strict=True):
            if difference.outcome == "unchanged":
                continue
            if difference.outcome != "changed" or any(name not in SECRET for name, _, _ in difference.fields):
                changes.append(Change(difference.station, difference.outcome, body_of(one.entry.station)))
            if one.shared:
                shared[difference.station] = one.shared
        if changes or shared or forget:
            self._register.enter(changes, self._by, seen=seen, shared=shared, forget=forget)


def differences(before: Station | None, after: Station | None) -> Iterator[tuple[str, str, str]]:
    """Field by field: its name, what it said, and what it says; "" where nothing."""
    old = dict(_flat(fact_of(before))) if before else {}
    new = dict(_flat(fact_of(after))) if after else {}
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            yield name, old.get(name, ""), new.get(name, "")


def _flat(content: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(content, dict) and content:
        for key, value in content.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    elif isinstance(content, list) and any(isinstance(value, dict) for value in content):
        for number, value in enumerate(content):
            yield from _flat(value, f"{name}[{number}]")
    elif isinstance(content, list):
        yield name, "; ".join(map(str, content)) or "none"
    else:
        yield name, str(content)


def _told(problem: Problem, wanted: Sequence[Wanted]) -> Problem:
    """By the line and column, where it was said in a table."""
    one = next((one for one in wanted if _is_of(problem, one.entry)), None)
    if one is None or one.problem is None:
        return problem
    return one.problem(problem.path.removeprefix(one.entry.place).removeprefix("."), problem.what)


def _is_of(problem: Problem, entry: Entry) -> bool:
    rest = problem.path.removeprefix(entry.place)
    return problem.file == entry.file and problem.path.startswith(entry.place) and (not rest or rest[0] in ".[,")
