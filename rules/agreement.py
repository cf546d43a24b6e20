"""Agreement between the files of a catalogue: whatever one names, another has, and nothing is said twice.

Each function looks at one sort of file and yields problems. Where a file could not be read at all, the names it may
hold are not called unknown: its own problem is told already.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date

from pydantic import BaseModel

from rules.index import Catalogue, Problem, validity
from rules.names import Names, Shapes
from rules.rule_agreement import rule_problems
from rules.rule_schema import CasesFile, Rule
from rules.schema import ParametersFile, SourcesFile, StandardFile, StationType


def disagreements(catalogue: Catalogue, files: Mapping[str, BaseModel], unread: Shapes) -> Iterator[Problem]:
    """Every disagreement between these files, which are those that could be read."""
    names = Names(catalogue, unread)
    yield from _said_twice(files)
    for path, content in files.items():
        if isinstance(content, ParametersFile):
            yield from _parameter_problems(path, content, names)
        elif isinstance(content, StandardFile):
            yield from _standard_problems(path, content, names)
        elif isinstance(content, StationType):
            yield from _station_type_problems(path, content, names)
        elif isinstance(content, Rule):
            yield from rule_problems(path, content, names)
            if CasesFile not in unread and content.rule not in catalogue.cases:
                yield Problem(path, "$", f"no cases: rules/{content.rule}.cases.yaml is missing")
        elif isinstance(content, CasesFile) and (rule := _stem(path)) not in catalogue.rules and Rule not in unread:
            yield Problem(path, "$", f"there is no rule {rule} beside these cases")
    yield from _overlaps(files)


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".yaml").removesuffix(".cases")


def _said_twice(files: Mapping[str, BaseModel]) -> Iterator[Problem]:
    """Names that must be unique over all files of their sort."""
    first: dict[tuple[str, str], str] = {}

    def seen(sort: str, name: str, path: str, place: str) -> Iterator[Problem]:
        other = first.setdefault((sort, name), f"{path} {place}")
        if other != f"{path} {place}":
            yield Problem(path, place, f"{sort} {name} stands already in {other}")

    for path, content in files.items():
        if isinstance(content, ParametersFile):
            for number, row in enumerate(content.parameters):
                yield from seen("parameter", row.code, path, f"$.parameters[{number}]")
                if row.old_code is not None:
                    yield from seen("old code", row.old_code, path, f"$.parameters[{number}].old_code")
        elif isinstance(content, StandardFile):
            yield from seen("standard", content.standard, path, "$.standard")
            for number, limit in enumerate(content.limits):
                yield from seen("limit", limit.id, path, f"$.limits[{number}]")
        elif isinstance(content, StationType):
            yield from seen("station type", content.station_type, path, "$.station_type")
            if content.station_type != _stem(path):
                yield Problem(path, "$.station_type", f"the file is called {_stem(path)}, the station type is not")


def _parameter_problems(path: str, content: ParametersFile, names: Names) -> Iterator[Problem]:
    for number, row in enumerate(content.parameters):
        for field in ("unit", "wire_unit", "total_unit"):
            unit = getattr(row, field)
            if unit is not None and (what := names.unit_problem(unit)):
                yield Problem(path, f"$.parameters[{number}].{field}", what)


def _standard_problems(path: str, content: StandardFile, names: Names) -> Iterator[Problem]:
    for number, limit in enumerate(content.limits):
        place = f"$.limits[{number}]"
        if limit.class_ != "all" and limit.class_ not in content.classes:
            yield Problem(path, f"{place}.class", f"class {limit.class_} is not among the classes of this file")
        source = limit.source or content.source
        if source is None:
            yield Problem(path, f"{place}.source", "a limit needs a source, of its own or of its file")
        elif names.lacks(SourcesFile, names.catalogue.sources, source):
            yield Problem(path, f"{place}.source", f"source {source} is not in sources.yaml")
        yield from names.condition_problems(path, f"{place}.conditions", limit.conditions)
        for code in (limit.parameter, *limit.also) if limit.parameter else ():
            if what := names.parameter_problem(code):
                yield Problem(path, f"{place}.parameter", what)
        row = names.catalogue.parameters.get(limit.parameter or "")
        unit = row.unit if row and limit.of == "value" else None
        yield from names.bound_problems(path, place, limit, limit.period, unit)
        start, end = validity(content, limit)
        if start > end:
            yield Problem(path, f"{place}.valid_to", "ends before it begins")


def _station_type_problems(path: str, content: StationType, names: Names) -> Iterator[Problem]:
    yield from _applied_problems(path, content, names)
    yield from names.condition_problems(path, "$.conditions", content.conditions)
    for kind, feed in content.feeds.items():
        for number, code in enumerate(feed.parameters):
            if what := names.parameter_problem(code):
                yield Problem(path, f"$.feeds.{kind}.parameters[{number}]", what)
    parameters = names.catalogue.parameters
    for code, unit in content.units.items():
        what = names.parameter_problem(code) or names.unit_problem(unit)
        if what is None and code in parameters:
            what = names.conversion_problem(unit, parameters[code].unit)
        if what:
            yield Problem(path, f"$.units.{code}", what)


def _applied_problems(path: str, content: StationType, names: Names) -> Iterator[Problem]:
    families = names.catalogue.classes()
    media: dict[str, set[str]] = defaultdict(set)
    for standard in names.catalogue.standards.values():
        media[standard.family].update(limit.medium or standard.medium for limit in standard.limits)
    seen: set[str] = set()
    for number, applied in enumerate(content.standards):
        place = f"$.standards[{number}]"
        if names.lacks(StandardFile, families, applied.family):
            yield Problem(path, f"{place}.family", f"no standard of the family {applied.family}")
        elif names.lacks(StandardFile, media[applied.family], content.medium):
            yield Problem(path, f"{place}.family", f"{applied.family} limits nothing in the medium {content.medium}")
        if applied.family in seen:
            yield Problem(path, f"{place}.family", f"{applied.family} is applied twice")
        seen.add(applied.family)
        for class_ in (*applied.also, *([applied.class_] if applied.class_ else [])):
            if applied.family in families and names.lacks(StandardFile, families[applied.family], class_):
                yield Problem(path, place, f"{applied.family} has no class {class_}")


def _overlaps(files: Mapping[str, BaseModel]) -> Iterator[Problem]:
    """Two limits that say the same thing on the same day contradict or repeat each other."""
    alike: dict[tuple[object, ...], list[tuple[date, date, str, str, str]]] = defaultdict(list)
    for path, content in files.items():
        if not isinstance(content, StandardFile):
            continue
        for number, limit in enumerate(content.limits):
            for subject in (limit.parameter or limit.item, *limit.also):
                key = (
                    *(content.family, limit.medium or content.medium, limit.class_, subject, limit.of, limit.period),
                    *(tuple(sorted(limit.conditions)), limit.op in (">", ">=")),
                )
                alike[key].append((*validity(content, limit), path, f"$.limits[{number}]", limit.id))
    found: dict[Problem, None] = {}
    for group in alike.values():
        group.sort()
        longest = group[0]
        for later in group[1:]:
            if later[0] <= longest[1]:
                what = f"{later[4]} holds on days on which {longest[4]} already does"
                found[Problem(later[2], later[3], what)] = None
            longest = max(longest, later, key=lambda limit: limit[1])
    yield from found
