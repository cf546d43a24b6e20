"""`jianwei station add`, `change`, `admit` and `import`: how stations get into the register of the ledger."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from alerts.loggers import KnownLogger
from alerts.register import Shared, SqlRegister, What
from jianwei.catalogue_files import read_filed
from jianwei.clock import wall_ns
from jianwei.entering import Difference, Draft, Entering, Wanted
from jianwei.nearest import nearest, no_such
from jianwei.site import Site, read_site
from jianwei.station_fields import FIELDS, KEY_BYTES, SECRET, FieldError, by_heading, sm4_key
from jianwei.station_tables import Said, read_said, read_tables
from jianwei.terminal import CONFIG, ConfigOption, JsonOption, complain, fail, out, print_json, refuse, user_name
from rules.index import CatalogueProblems, Problem
from rules.register import Entry
from rules.schema import Station

MOST_TOLD = 200  # problems, one by one
FieldArguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FIELD=VALUE]...",
        help="Fields by the headings of the table that `import` reads, in either language: "
        f"{', '.join(field.name for field in FIELDS if field.name not in SECRET)}. An empty value takes one out.",
        show_default=False,
    ),
]
PasswordFile = Annotated[Path | None, typer.Option(help="The logger's password stands there.", show_default=False)]
PasswordPrompt = Annotated[bool, typer.Option("--password", help="Ask for the logger's password, unseen.")]
KeyFile = Annotated[
    Path | None, typer.Option(help="The key of SM4 stands there: 32 hex digits, or 16 bytes.", show_default=False)
]
KeyPrompt = Annotated[bool, typer.Option("--sm4-key", help="Ask for the key of SM4, unseen.")]
ByOption = Annotated[str, typer.Option("--by", help="Who does it, for the history. [default: the user]")]


def add(
    name: Annotated[str, typer.Argument(metavar="STATION", help="Its id: how it is called in messages.")],
    fields: FieldArguments = None,
    config: ConfigOption = CONFIG,
    *,
    password_file: PasswordFile = None,
    password: PasswordPrompt = False,
    sm4_key_file: KeyFile = None,
    sm4: KeyPrompt = False,
    by: ByOption = "",
    as_json: JsonOption = False,
) -> None:
    """Enter a station. A running service judges it within two seconds.

    For example:

        jianwei station add SW-03 name_zh=永宁江断面 type=surface_water_section class=III water_body=river
    """
    site = read_site(config)
    if name in site.stations:
        fail(f"station {name} is registered already: `jianwei station change {name}` changes it")
    shared = _shared(password_file, sm4_key_file, ask_password=password, ask_key=sm4)
    _enter_one(site, name, _cells(fields), shared, by, "added", as_json=as_json)


def change(
    name: Annotated[str, typer.Argument(metavar="STATION", help="Its id.")],
    fields: FieldArguments = None,
    config: ConfigOption = CONFIG,
    *,
    password_file: PasswordFile = None,
    password: PasswordPrompt = False,
    sm4_key_file: KeyFile = None,
    sm4: KeyPrompt = False,
    forget: Annotated[bool, typer.Option("--forget-secrets", help="Password and key are no longer known.")] = False,
    by: ByOption = "",
    as_json: JsonOption = False,
) -> None:
    """Change what is said of a station that was entered; what is not named stays.

    For example:

        jianwei station change SW-03 class=II note= --by "Li Ming"
    """
    site = read_site(config)
    if name in site.filed:
        fail(f"{name} stands in a file that `stations` of {config} names: change it there")
    if name not in site.stations:
        fail(no_such("station", name, site.stations))
    shared = _shared(password_file, sm4_key_file, ask_password=password, ask_key=sm4)
    _enter_one(site, name, _cells(fields), shared, by, "changed", forget=forget, as_json=as_json)


def admit(
    mn: Annotated[str, typer.Argument(metavar="MN", help="As `jianwei station list --waiting` tells it.")],
    fields: FieldArguments = None,
    config: ConfigOption = CONFIG,
    *,
    password_file: PasswordFile = None,
    password: PasswordPrompt = False,
    sm4_key_file: KeyFile = None,
    sm4: KeyPrompt = False,
    by: ByOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a station of a logger that waits. MN and edition are taken from what was heard; the id is the MN unless said.

    For example:

        jianwei station admit 88888880000001 id=WE-07 name_zh=总排口 type=wastewater_outlet --password-file we07.txt
    """
    site = read_site(config)
    heard = _waiting(site, mn)
    cells = {"mn": heard.mn, **({"edition": heard.edition} if heard.edition else {}), **_cells(fields)}
    name = cells.pop("id", "") or heard.mn
    if name in site.stations:
        fail(
            f"station {name} is registered already: `jianwei station change {name} mn={heard.mn}` gives it this logger"
        )
    shared = _shared(password_file, sm4_key_file, ask_password=password, ask_key=sm4)
    _enter_one(site, name, cells, shared, by, "admitted", as_json=as_json)


def import_stations(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table (.csv) or a station file (.yaml).")],
    config: ConfigOption = CONFIG,
    *,
    permits: Annotated[
        Path | None, typer.Option(help="A table of permit limits of these stations.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would change.")] = False,
    skip_wrong: Annotated[
        bool, typer.Option("--skip-wrong", help="Enter those that are right though others are wrong.")
    ] = False,
    by: ByOption = "",
    as_json: JsonOption = False,
) -> None:
    """Enter and change stations from a file, all of them or none. What it does not name stays as it is.

    The columns stand in docs/register.md. The same file a second time changes nothing. Exit code 1 when anything is wrong.

    For example:

        jianwei station import stations.csv --permits permits.csv --dry-run
    """
    site = read_site(config)
    if permits is not None and file.suffix.lower() in (".yaml", ".yml"):
        refuse("--permits goes with a table; a station file says its limits itself")

    def ask(present: Mapping[str, Station]) -> Draft:
        if file.suffix.lower() in (".yaml", ".yml"):
            problems: list[Problem] = []
            return Draft([Wanted(entry) for entry in read_filed([file], problems)], problems)
        draft = Draft([])
        for said in read_tables(file, permits, present, site.catalogue, draft.problems):
            _add_to(draft, said)
        return draft

    with entering(site, by) as register:
        try:
            found, problems = register.enter(ask, skip_wrong=skip_wrong, dry=dry_run)
        except CatalogueProblems as error:
            _complain(error.problems)
            fail("nothing was entered")
    _tell(found, problems, dry=dry_run, as_json=as_json)


@contextmanager
def entering(site: Site, by: str) -> Iterator[Entering]:
    """The register of the site's ledger, which is made where there is none yet."""
    site.folder.root.mkdir(parents=True, exist_ok=True)
    with closing(SqlRegister(site.folder.ledger_url, wall_ns)) as register:
        yield Entering(register, site.catalogue, site.filed, by or user_name("unknown"))


def _enter_one(
    site: Site,
    name: str,
    cells: Mapping[str, str],
    shared: Shared | None,
    by: str,
    what: What,
    *,
    forget: bool = False,
    as_json: bool = False,
) -> None:
    def ask(present: Mapping[str, Station]) -> Draft:
        draft = Draft([])
        _add_to(draft, read_said(name, cells, present.get(name)), shared)
        return draft

    with entering(site, by) as register:
        try:
            found, problems = register.enter(ask, what=what, forget=[name] * forget)
        except CatalogueProblems as error:
            _complain(error.problems)
            fail("nothing was entered")
    _tell(found, problems, dry=False, as_json=as_json)


def _add_to(draft: Draft, said: Said, shared: Shared | None = None) -> None:
    draft.problems += said.problems
    if said.station is not None and not said.problems:
        entry = Entry(said.row.file, said.row.place or said.id, said.station)
        draft.wanted.append(Wanted(entry, shared or said.shared, said.problem_at))


def _cells(arguments: Sequence[str] | None) -> dict[str, str]:
    """FIELD=VALUE by the name of the field."""
    known = by_heading(FIELDS)
    cells: dict[str, str] = {}
    for argument in arguments or ():
        heading, between, value = argument.partition("=")
        field = known.get(heading.strip().lower())
        if field is not None and field.name in SECRET:
            refuse(f"{field.name} is no argument: others would see it; --{field.name.replace('_', '-')} asks for it")
        if not between:
            refuse(f"{heading[:40]!r}: write FIELD=VALUE")
        if field is None:
            near = nearest(heading, known)
            refuse(f"there is no field {heading[:40]!r}" + (f"; did you mean {', '.join(near)}?" if near else ""))
        if field.name in cells:
            refuse(f"{field.name} is said twice")
        cells[field.name] = value
    return cells


def _shared(password_file: Path | None, key_file: Path | None, *, ask_password: bool, ask_key: bool) -> Shared | None:
    """What shall be shared from now on; None: what was shared before. An empty file is refused."""
    password = _first_line(password_file) if password_file else None
    if ask_password:
        password = typer.prompt("Password of the logger", hide_input=True, confirmation_prompt=True, err=True)
    key = _key_in(key_file) if key_file else None
    if ask_key:
        said = typer.prompt("Key of SM4, 32 hex digits or 16 characters", hide_input=True, err=True)
        key = _as_key(said, "--sm4-key")
    return Shared(password, key) if password is not None or key is not None else None


def _first_line(path: Path) -> str:
    try:
        line, _, rest = path.read_text(encoding="utf-8-sig").partition("\n")
    except UnicodeDecodeError:
        fail(f"{path}: is no text in UTF-8")
    if not line.strip() or rest.strip():
        fail(f"{path}: one line is asked for, and nothing else")
    return line.strip()


def _key_in(path: Path) -> bytes:
    content = path.read_bytes()
    return content if len(content) == KEY_BYTES else _as_key(_first_line(path), str(path))


def _as_key(said: str, where: str) -> bytes:
    try:
        return sm4_key(said)
    except FieldError as error:
        fail(f"{where}: {error}")


def _waiting(site: Site, mn: str) -> KnownLogger:
    waiting: list[KnownLogger] = []
    if site.folder.ledger.exists():
        with closing(SqlRegister(site.folder.ledger_url, wall_ns, upgrades=False)) as register:
            waiting = register.waiting()
    found = [logger for logger in waiting if logger.mn.upper() == mn.upper()]
    if not found:
        fail(f"{no_such('waiting logger', mn, [logger.mn for logger in waiting])}; `jianwei station list --waiting`")
    return found[0]


def _complain(problems: Sequence[Problem]) -> None:
    for problem in problems[:MOST_TOLD]:
        complain(problem)
    if len(problems) > MOST_TOLD:
        complain(f"and {len(problems) - MOST_TOLD:,} more problems")


def _tell(found: Sequence[Difference], problems: Sequence[Problem], *, dry: bool, as_json: bool) -> None:
    counts: dict[str, int] = {}
    for one in found:
        counts[one.outcome] = counts.get(one.outcome, 0) + 1
    if as_json:
        print_json({"dry_run": dry, "stations": [_fact(one) for one in found], "problems": list(map(str, problems))})
    else:
        for one in found:
            if one.outcome != "unchanged":
                out.print(f"{one.outcome} {one.station}", markup=False)
            if one.outcome == "changed":
                for name, before, after in one.fields:
                    out.print(f"  {name}: {before or '-'} -> {after or '-'}", markup=False)
        told = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items())) or "nothing said"
        out.print(f"{told}{'; nothing was entered: --dry-run' if dry else ''}", markup=False)
    if problems:
        _complain(problems)
        fail(f"{len(problems)} problems: what they name was left out")


def _fact(one: Difference) -> dict[str, Any]:
    fields = [{"field": name, "before": before, "after": after} for name, before, after in one.fields]
    return {"station": one.station, "outcome": one.outcome, "fields": fields}
