"""`jianwei quarantine`: what could not be read or stored, and a second chance for it."""

from contextlib import ExitStack, closing
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from ingest.journal import SqliteJournal
from ingest.message import INDEX_BITS
from ingest.quarantine import CLASSES, Kept, Quarantine
from jianwei.clock import wall_ns
from jianwei.folders import DataFolder
from jianwei.lock import DataInUse, DataLock
from jianwei.moments import HEADING, shown, written
from jianwei.nearest import no_such
from jianwei.payloads import payload_fact, payload_text
from jianwei.retrying import HandIn, into_journal, is_message, retried, through_broker, waiting
from jianwei.site import data_folder
from jianwei.terminal import CONFIG, ConfigOption, JsonOption, err, fail, out, print_fitted, print_json, refuse
from simulators.publish import BrokerRefusedError, BrokerUnreachableError, Publisher
from simulators.targets import open_target

KNOWN = (*dict.fromkeys(CLASSES.values()), "other")

ClassOption = Annotated[
    str, typer.Option("--class", help=f"Only of this class of reason: {', '.join(KNOWN)}.", show_default=False)
]

quarantine = typer.Typer(
    help="Look at what could not be read or stored, and hand it in again once the cause is mended.",
    no_args_is_help=True,
)


@quarantine.command("list")
def list_problems(
    config: ConfigOption = CONFIG,
    *,
    only: ClassOption = "",
    after: Annotated[int, typer.Option(help="Only those with a greater id: the next page.", min=0)] = 0,
    most: Annotated[int, typer.Option(help="At most so many, the oldest first.", min=1)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List problems, the oldest first: which message, where in it, and why.

    A message may have several problems.

    For example:

        jianwei quarantine list --class bad_value --after 120
    """
    _check(only)
    with closing(_opened(data_folder(config))) as kept_there:
        counts = kept_there.counts()
        found = kept_there.entries(after=after, most=most, only=only or None)
    if as_json:
        print_json({"counts": counts, "problems": [_fact(kept) for kept in found]})
        return
    told = ", ".join(f"{number} {word}" for word, number in counts.items())
    table = Table(
        title=f"隔离 Quarantine: {told or 'empty'} ({HEADING})",
        title_justify="left",
        header_style="bold",
        pad_edge=False,
    )
    for heading in ("Id", "Received", "Topic", "Place", "Reason", "Retried"):
        table.add_column(heading, overflow="fold")
    for kept in found:
        problem = kept.problem
        when = "" if kept.retried_ns is None else shown(kept.retried_ns)
        cells = (str(kept.id), _received(problem.received_ns), problem.topic, problem.where, problem.reason, when)
        table.add_row(*map(Text, cells))
    print_fitted(table)
    if len(found) == most:
        out.print(f"more: --after {found[-1].id}")


@quarantine.command("show")
def show(
    number: Annotated[int, typer.Argument(metavar="ID", help="As `list` tells it.", min=1)],
    config: ConfigOption = CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """One problem with all that is known of it, and the bytes of its message.

    Bytes that are no text are told in hex.

    For example:

        jianwei quarantine show 17
    """
    with closing(_opened(data_folder(config))) as kept_there:
        kept = kept_there.get(number)
    if kept is None:
        fail(f"there is no problem {number} in quarantine")
    if as_json:
        print_json(_fact(kept) | payload_fact(kept.problem.payload))
        return
    problem = kept.problem
    rows = (
        ("Reason", f"{problem.reason} ({kept.reason_class})"),
        ("Place", problem.where or "the message as a whole"),
        ("Source", problem.source),
        ("Topic", problem.topic),
        ("Received", f"{_received(problem.received_ns)} ({HEADING})"),
        ("Journal", f"entry {problem.position >> INDEX_BITS}, message {problem.position & (1 << INDEX_BITS) - 1}"),
        ("Retried", "no" if kept.retried_ns is None else shown(kept.retried_ns)),
        ("Bytes", f"{len(problem.payload)}: {payload_text(problem.payload)}"),
    )
    for what, told in rows:
        out.print(f"{what:<9} {told}", markup=False)


@quarantine.command("retry")
def retry(
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="As `list` tells them.")] = None,
    config: ConfigOption = CONFIG,
    *,
    every: Annotated[bool, typer.Option("--all", help="All that had no second chance yet.")] = False,
    only: ClassOption = "",
    to: Annotated[
        str,
        typer.Option(help="mqtt://[user:password@]host[:port]: through this broker, beside a running service."),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Hand messages in again, whole and as they came, once what was wrong with them has been mended.

    While the service is stopped they are appended to its journal, and its next start judges them. A running service
    takes messages from its sources alone, so name its broker with --to. They are received anew either way; readings
    that are stored already stay as they are, and what is bad again comes back under a new id.

    For example:

        jianwei quarantine retry 17 18
        jianwei quarantine retry --class no_format
        jianwei quarantine retry --all --to mqtt://127.0.0.1:1883
    """
    _check(only)
    if bool(ids) + every + bool(only) != 1:
        refuse("name ids, or --all, or --class")
    folder = data_folder(config)
    with ExitStack() as exits:
        kept_there = exits.enter_context(closing(_opened(folder)))
        chosen = _chosen(kept_there, ids) if ids else waiting(kept_there, only or None)
        hand_in = _way(folder, to, exits)
        done = 0
        try:
            with Progress(TextColumn("messages"), BarColumn(), MofNCompleteColumn(), console=err) as progress:
                bar = progress.add_task("messages", total=len(chosen))
                for number in retried(kept_there, chosen, hand_in, wall_ns):
                    done += number
                    progress.update(bar, completed=done)
                progress.update(bar, total=done)
        except (BrokerUnreachableError, BrokerRefusedError) as error:
            fail(f"the broker took {done} messages, and no more: {error}")
    if as_json:
        print_json({"retried": done, "to": "broker" if to else "journal"})
    else:
        when = "the service takes them from its broker" if to else "the next `jianwei run` judges them"
        out.print(f"{done} messages handed in again; {when}" if done else "no message waits for a second chance")


def _way(folder: DataFolder, to: str, exits: ExitStack) -> HandIn:
    """Where messages are handed in: a broker, or the journal under the lock of the data folder."""
    if to:
        try:
            target = open_target(to) if to.startswith("mqtt:") else None
        except ValueError as error:
            refuse(f"--to: {error}")
        if not isinstance(target, Publisher):
            refuse("--to: only mqtt://… leads to a service")
        return through_broker(exits.enter_context(target))
    try:
        exits.enter_context(DataLock(folder.root))
    except DataInUse as error:
        fail(f"{error}. Or hand the messages in through the service's broker: --to mqtt://host:port")
    return into_journal(exits.enter_context(closing(SqliteJournal(folder.journal))))


def _chosen(kept_there: Quarantine, ids: list[int]) -> list[int]:
    """All of them exist and are messages, or nothing is done."""
    for number in ids:
        kept = kept_there.get(number)
        if kept is None:
            fail(f"there is no problem {number} in quarantine; nothing was done")
        if not is_message(kept):
            fail(f"problem {number} is a row that the store refused, not a message; nothing was done")
    return ids


def _opened(folder: DataFolder) -> Quarantine:
    return Quarantine(folder.quarantine)


def _check(only: str) -> None:
    if only and only not in KNOWN:
        refuse(f"--class: {no_such('class of reason', only, KNOWN)}")


def _received(at_ns: int) -> str:
    """The store's own refusals were not received."""
    return shown(at_ns) if at_ns else "—"


def _fact(kept: Kept) -> dict[str, Any]:
    problem = kept.problem
    return {
        "id": kept.id,
        "class": kept.reason_class,
        "reason": problem.reason,
        "place": problem.where,
        "source": problem.source,
        "topic": problem.topic,
        "received": written(problem.received_ns) if problem.received_ns else None,
        "position": problem.position,
        "bytes": len(problem.payload),
        "retried": None if kept.retried_ns is None else written(kept.retried_ns),
    }
