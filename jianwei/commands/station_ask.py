"""`jianwei station ask` and `jianwei station requests`: what a station is asked, and what came of it."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from typing import Annotated, Any

import typer
from rich.table import Table

from alerts.register import SqlRegister
from alerts.requests import Ask, Requested, SqlRequests
from ingest.hj212.askable import ASKABLE
from ingest.instants import InstantError
from ingest.sources.hj212_tcp import Hj212TcpSourceSettings
from jianwei.clock import wall_ns
from jianwei.lock import is_held
from jianwei.moments import HEADING, shown, written
from jianwei.nearest import no_such
from jianwei.phrases import NotAskable, request_in, time_ns_of
from jianwei.site import Site, read_site
from jianwei.terminal import (
    CONFIG,
    NOT_WELL,
    ConfigOption,
    JsonOption,
    err,
    fail,
    out,
    print_fitted,
    print_json,
    refuse,
    user_name,
)
from rules.readings import SECOND_NS
from rules.schema import Station

LOOK_S = 0.1

Who = Annotated[
    str, typer.Argument(metavar="MN|STATION", help="Its MN, or its id in the register.", show_default=False)
]


def ask(
    who: Who,
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT...",
            help="clock [set], interval realtime|minute [VALUE], timeout SECONDS REPEATS, history minute|hour|day|equipment, "
            "realtime|equipment start|stop; or a CN with NAME=VALUE.",
            show_default=False,
        ),
    ],
    config: ConfigOption = CONFIG,
    *,
    since: Annotated[
        str, typer.Option("--from", help="History from here; in Beijing without a zone.", show_default=False)
    ] = "",
    until: Annotated[str, typer.Option("--to", help="History up to here, at most now.", show_default=False)] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for what comes of it.")] = True,
    wait_s: Annotated[float, typer.Option(help="Wait no longer; it stays asked.", min=0)] = 300.0,
    as_json: JsonOption = False,
) -> None:
    """Ask a station's logger for its clock, its intervals or its history, or set them. Times are those of Beijing.

    The running service asks, as soon as the station is connected; Ctrl-C leaves it asked.

    For example:

        jianwei station ask 88888880000001 history minute --from 2026-03-01T08:00 --to 2026-03-01T10:00
        jianwei station ask WE-07 clock set
        jianwei station ask WE-07 interval realtime 30
        jianwei station ask WE-07 3012 PolId=w01018 --no-wait
    """
    try:
        begin_ns, end_ns = _span(since, until)
        cn, fields = request_in(what, begin_ns, end_ns)
    except (InstantError, NotAskable) as error:
        refuse(str(error))
    site = read_site(config)
    station = _station(site, who)
    if not any(isinstance(source, Hj212TcpSourceSettings) for source in site.settings.sources):
        fail('no source of the settings has a line to stations: add [[sources]] with type = "hj212_tcp"')
    told = _asked(site, station, cn, fields, wait_s if wait else None, (lambda _told: None) if as_json else _tell)
    if as_json:
        print_json(request_fact(told))
    elif told.state == "due":
        out.print(
            f"request {told.number} is asked, and waits; `jianwei station requests` tells what comes of it",
            markup=False,
        )
    if wait and told.state != "done":
        raise typer.Exit(NOT_WELL)


def requests(
    config: ConfigOption = CONFIG,
    *,
    station: Annotated[str, typer.Option(help="Only of this one, by id or MN.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.", min=1)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List what stations were asked, by people and by the program, and what came of it.

    For example:

        jianwei station requests --station WE-07
    """
    site = read_site(config)
    of = _station(site, station).id if station else None
    found: list[Requested] = []
    if site.folder.ledger.exists():
        with closing(SqlRequests(site.folder.ledger_url, wall_ns)) as kept:
            found = kept.newest(of, limit)
    if as_json:
        print_json([request_fact(request) for request in found])
    elif found:
        print_fitted(_table(found))
    else:
        out.print("nothing was asked")


def request_fact(request: Requested) -> dict[str, Any]:
    """For programs."""
    return {
        "number": request.number,
        "station": request.station,
        "mn": request.mn,
        "cn": request.cn,
        "fields": dict(request.fields),
        "asked": written(request.asked_ns),
        "asked_by": request.asked_by,
        "episode": request.episode or None,
        "state": request.state,
        "moved": written(request.moved_ns),
        "said": request.said,
        "frames": request.frames,
        "readings": request.readings,
    }


def _asked(
    site: Site,
    station: Station,
    cn: str,
    fields: Mapping[str, str],
    wait_s: float | None,
    tell: Callable[[Requested], None],
) -> Requested:
    """The request in the ledger, after `wait_s` at most; None: at once."""
    site.folder.root.mkdir(parents=True, exist_ok=True)  # whoever asks before the first start is served by it
    with ExitStack() as exits:
        requests = exits.enter_context(closing(SqlRequests(site.folder.ledger_url, wall_ns)))
        register = exits.enter_context(closing(SqlRegister(site.folder.ledger_url, wall_ns)))
        (number,) = requests.put([Ask(station.id, station.mn, cn, fields, by=user_name("command line"))])
        try:
            if _tell_outlook(site, register, station, number) and wait_s is not None:
                _wait(requests, number, wait_s, tell)
        except KeyboardInterrupt:
            _tell_that_it_stays(number)
        return _last(requests, number)


def _span(since: str, until: str) -> tuple[int | None, int | None]:
    if not since:
        return None, time_ns_of(until) if until else None
    return time_ns_of(since), time_ns_of(until) if until else wall_ns()


def _station(site: Site, who: str) -> Station:
    by_mn = {s.mn.upper(): s for s in site.stations.values() if s.logger is not None}
    station = site.stations.get(who) or by_mn.get(who.upper())
    if station is None:
        fail(no_such("station", who, [*site.stations, *by_mn]))
    return station


def _tell_outlook(site: Site, register: SqlRegister, station: Station, number: int) -> bool:
    """Says at once what will keep the request waiting. False: nobody will ask before a service runs."""
    if not is_held(site.folder.root):
        err.print(f"no service is running: request {number} is kept, and asked once one runs", markup=False)
        return False
    lines = [logger for logger in register.loggers() if logger.station == station.id]
    if not any(logger.state == "connected" for logger in lines):
        seen = max((logger.last_ns for logger in lines), default=None)
        since = (
            "was never connected" if seen is None else f"is not connected; it was last heard {shown(seen)} ({HEADING})"
        )
        hours = site.settings.requests.wait_h
        err.print(f"{station.id} {since}: request {number} waits for it, at most {hours:g} h", markup=False)
    return True


def _wait(requests: SqlRequests, number: int, wait_s: float, tell: Callable[[Requested], None]) -> None:
    """Until it has ended, or the time is over."""
    end_s = time.monotonic() + wait_s
    told = _last(requests, number)
    while not told.is_final:
        if time.monotonic() > end_s:
            _tell_that_it_stays(number)
            return
        time.sleep(LOOK_S)
        before, told = told, _last(requests, number)
        if (told.state, told.said) != (before.state, before.said):
            tell(told)


def _tell_that_it_stays(number: int) -> None:
    err.print(f"request {number} stays asked; `jianwei station requests` tells what comes of it", markup=False)


def _last(requests: SqlRequests, number: int) -> Requested:
    found = requests.get(number)
    if found is None:
        fail(f"request {number} is no longer in the ledger")
    return found


def _tell(request: Requested) -> None:
    where = out if request.state in {"due", "sent", "accepted", "done"} else err
    where.print(f"request {request.number} {_outcome(request)}", markup=False)


def _outcome(request: Requested) -> str:
    words = {"due": "waits", "sent": "was sent", "accepted": "was accepted", "gone": "is lost"}
    came = ""
    if request.frames:
        frames, readings = request.frames, request.readings
        came = f"{frames} frame{'s' * (frames != 1)} with {readings} reading{'s' * (readings != 1)} came"
    told = "; ".join(part for part in (came, request.said) if part)
    state = words.get(request.state, f"is {request.state}")
    return f"{state}: {told}" if told else state


def _table(found: list[Requested]) -> Table:
    table = Table(title=f"请求 Requests: {len(found)} ({HEADING})", title_justify="left")
    for heading in ("No.", "asked", "by", "station", "what", "state", "what came of it"):
        table.add_column(heading, overflow="fold")
    for request in found:
        fields = " ".join(f"{name}={value}" for name, value in request.fields.items())
        what = f"{request.cn} {ASKABLE[request.cn].words if request.cn in ASKABLE else ''} {fields}".strip()
        asked_ns = request.asked_ns // SECOND_NS * SECOND_NS
        by = request.asked_by + (f" {request.episode[:8]}" if request.episode else "")
        table.add_row(str(request.number), shown(asked_ns), by, request.station, what, request.state, _outcome(request))
    return table
