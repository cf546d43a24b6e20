"""`jianwei station`: the register of stations in the ledger, and what is heard of their loggers."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from alerts.loggers import KnownLogger
from alerts.register import SqlRegister, Version
from ingest.instants import instant_ns
from jianwei.clock import wall_ns
from jianwei.commands.station_ask import ask, requests
from jianwei.commands.station_entry import ByOption, add, admit, change, entering, import_stations
from jianwei.moments import HEADING, shown
from jianwei.nearest import no_such
from jianwei.site import Site, read_site
from jianwei.station_facts import (
    as_yaml,
    filed,
    history_facts,
    logger_fact,
    logger_sentence,
    offset,
    safe,
    station_fact,
)
from jianwei.terminal import CONFIG, ConfigOption, JsonOption, fail, out, print_fitted, print_json

station = typer.Typer(
    help="Enter stations, change and remove them, see who is connected and who waits to be admitted; ask a station.",
    no_args_is_help=True,
)
station.command("add")(add)
station.command("change")(change)
station.command("admit")(admit)
station.command("import")(import_stations)
station.command("ask")(ask)
station.command("requests")(requests)


@station.command("list")
def list_stations(
    config: ConfigOption = CONFIG,
    *,
    waiting: Annotated[bool, typer.Option("--waiting", help="Loggers of nobody who is registered.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List stations of files and ledger: is the logger connected, when was it last heard, how wrong is its clock.

    With --waiting those whose MN nobody has registered, the newest first; `jianwei station admit` lets one in.

    For example:

        jianwei station list -c site/jianwei.toml
        jianwei station list --waiting --json
    """
    site = read_site(config)
    with ExitStack() as exits:
        register = _opened_to_read(site, exits)
        known = [] if register is None else register.waiting() if waiting else register.loggers()
    if waiting:
        _tell_waiting(known, as_json=as_json)
        return
    loggers: dict[str, list[KnownLogger]] = {}
    for logger in known:
        loggers.setdefault(logger.station, []).append(logger)
    if as_json:
        print_json([station_fact(one, _where(one.id, site), loggers.get(one.id, [])) for one in site.stations.values()])
        return
    table = _table(
        f"站点 Stations: {len(site.stations)} ({HEADING})",
        ("Station", "Name", "Type", "MN", "In", "Logger", "Last heard", "Clock"),
    )
    for one in site.stations.values():
        newest = max(loggers.get(one.id, []), key=lambda logger: logger.last_ns, default=None)
        heard = (newest.state, shown(newest.last_ns), offset(newest.offset_ns)) if newest else ("", "", "")
        name = f"{one.name.zh} {one.name.en}" if one.name.en != one.name.zh else one.name.zh
        row = (one.id, name, one.station_type, (one.logger and one.logger.mn) or "", _where(one.id, site), *heard)
        table.add_row(*map(Text, row))
    print_fitted(table)


@station.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="STATION", help="Its id.")],
    config: ConfigOption = CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """All of one station's entry, its logger, and its history: what changed when, and by whom.

    A password is only told to be set. Which limit holds for it is what `jianwei explain` tells.

    For example:

        jianwei station show WE-07
    """
    site = read_site(config)
    history: list[Version] = []
    loggers: list[KnownLogger] = []
    secrets = (False, False)
    with ExitStack() as exits:
        register = _opened_to_read(site, exits)
        if register is not None:
            history = register.history(name)
            loggers = [logger for logger in register.loggers() if logger.station == name]
            secrets = register.has_shared().get(name, secrets)
    found = site.stations.get(name)
    if found is None and not history:
        fail(no_such("station", name, site.stations))
    told = dict(zip(("password", "sm4_key"), ("set" if has else "not set" for has in secrets), strict=True))
    changes = list(history_facts(history))
    if as_json:
        entry = station_fact(found, _where(name, site), loggers) if found else {"id": name, "in": "removed"}
        print_json({**entry, **told, "history": changes})
        return
    out.print(f"{name}: {_where(name, site) or 'removed'}", markup=False)
    if found is not None:
        for line in as_yaml(filed(found)).splitlines():
            out.print(f"  {line}", markup=False)
    out.print(*(f"  {what}: {has}" for what, has in told.items()), sep="\n", markup=False)
    for logger in loggers:
        out.print(logger_sentence(logger), markup=False)
    if changes:
        out.print(f"History ({HEADING}):", markup=False)
    for version in changes:
        who = f"{shown(instant_ns(version['at']))} {version['what']} by {version['by']}"
        out.print(f"  {who}", markup=False)
        for field in version["fields"] if version["what"] == "changed" else ():
            out.print(f"    {field['field']}: {field['before'] or '-'} -> {field['after'] or '-'}", markup=False)


@station.command("remove")
def remove(
    name: Annotated[str, typer.Argument(metavar="STATION", help="Its id.")],
    config: ConfigOption = CONFIG,
    *,
    by: ByOption = "",
) -> None:
    """Take a station out of the ledger's register, and forget its password. Its history stays, and so do its data.

    Nothing watches it any more: open episodes end with the words "no longer watched". It can be added again.

    For example:

        jianwei station remove WE-07 --by "Li Ming"
    """
    site = read_site(config)
    if name in site.filed:
        fail(f"{name} stands in a file that `stations` of {config} names: take it out there")
    if name not in site.stations:
        fail(no_such("station", name, site.stations))
    with entering(site, by) as register:
        register.remove(name)
    out.print(f"removed {name}", markup=False)


@station.command("export")
def export(
    config: ConfigOption = CONFIG,
    *,
    only_ledger: Annotated[bool, typer.Option("--ledger", help="Only what stands in the ledger.")] = False,
) -> None:
    """Write the register as YAML to standard output, without passwords: to keep it elsewhere, or to import it again.

    For example:

        jianwei station export > stations-$(date +%F).yaml
    """
    site = read_site(config)
    stations = [one for one in site.stations.values() if not only_ledger or one.id not in site.filed]
    typer.echo(as_yaml({"stations": [filed(one) for one in stations]}), nl=False)


def _opened_to_read(site: Site, exits: ExitStack) -> SqlRegister | None:
    """None where nothing has been entered, and no service has run: looking makes no ledger."""
    if not site.folder.ledger.exists():
        return None
    register = SqlRegister(site.folder.ledger_url, wall_ns, upgrades=False)
    exits.callback(register.close)
    return register


def _tell_waiting(known: Sequence[KnownLogger], *, as_json: bool) -> None:
    if as_json:
        print_json([logger_fact(logger) for logger in known])
        return
    if not known:
        out.print("nobody waits to be admitted")
        return
    table = _table(
        f"待接入 Waiting: {len(known)} ({HEADING})",
        ("MN", "Edition", "Address", "Source", "State", "First heard", "Last heard", "Times", "Why"),
    )
    for one in known:
        times = (shown(one.first_ns), shown(one.last_ns), str(one.times))
        row = (safe(one.mn), one.edition, safe(one.address), one.source, one.state, *times, safe(one.why))
        table.add_row(*map(Text, row))
    print_fitted(table)


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _where(name: str, site: Site) -> str:
    """Where an entry stands; "" where it stands nowhere."""
    return "file" if name in site.filed else "ledger" if name in site.stations else ""
