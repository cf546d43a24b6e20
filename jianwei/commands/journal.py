"""`jianwei journal`: the record of everything that came, byte for byte."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from alerts.ledger import SqlLedger
from ingest import segments
from ingest.journal import Finding, SqliteJournal
from ingest.message import Block, Entry, position_of
from jianwei.clock import wall_ns
from jianwei.moments import HEADING, shown, written
from jianwei.payloads import beside, beside_text, payload_fact, payload_text
from jianwei.site import data_folder
from jianwei.terminal import (
    CONFIG,
    NOT_WELL,
    ConfigOption,
    JsonOption,
    complain,
    err,
    fail,
    out,
    print_fitted,
    print_json,
)

journal = typer.Typer(
    help="Look at the record of everything that came, and check that it is what was written.", no_args_is_help=True
)


@journal.command("list")
def list_days(config: ConfigOption = CONFIG, *, as_json: JsonOption = False) -> None:
    """The days there are, with their entries and size; a sealed day is closed, and its digest recorded.

    Days are those of UTC, as the files are named.

    For example:

        jianwei journal list -c site/jianwei.toml
    """
    with _opened(config) as record:
        days = record.days()
    if as_json:
        print_json([asdict(day) for day in days])
        return
    table = Table(title="日志 Journal, days in UTC", title_justify="left", header_style="bold")
    for heading in ("Day", "First entry", "Last entry", "Size", "Sealed"):
        table.add_column(heading, justify="right" if heading in {"First entry", "Last entry", "Size"} else "left")
    for day in days:
        size = f"{day.size_bytes / 1e6:,.1f} MB"
        table.add_row(day.day, str(day.first), str(day.last), size, "sealed" if day.sealed else "open")
    print_fitted(table)


@journal.command("show")
def show(
    number: Annotated[int, typer.Argument(metavar="ENTRY", help="The entry's number.", min=1)],
    config: ConfigOption = CONFIG,
    *,
    payloads: Annotated[bool, typer.Option("--payloads", help="Also what is in the messages.")] = False,
    as_json: JsonOption = False,
) -> None:
    """One entry: when it was written, whether time passed with it, and the messages in it.

    Bytes that are no text are told in hex.

    For example:

        jianwei journal show 1042 --payloads
    """
    with _opened(config) as record:
        found = record.read(number - 1, 1)
        last = record.last()
        if not found or found[0].number != number:
            first = found[0].number if found else 1
            fail(f"there is no entry {number}: " + (f"the journal holds {first} to {last}" if last else "it is empty"))
    entry = found[0]
    if as_json:
        print_json(_fact(entry, payloads=payloads))
        return
    messages = sum(map(len, entry.blocks))
    tick = ", and time passed (a tick)" if entry.tick else ""
    out.print(f"entry {entry.number}, written {shown(entry.written_ns)} ({HEADING}), {messages} messages{tick}")
    for first, block in _placed(entry):
        out.print(f"from {block.source}, received {shown(block.received_ns)}: {len(block)}", markup=False)
        for index, topic in enumerate(block.topics):
            payload = block.payloads[index]
            told = payload_text(payload) if payloads else f"{len(payload)} bytes"
            out.print(f"  {first + index} {topic}{beside_text(block, index)}: {told}", markup=False)


def _lost_end(config: Path, record: SqliteJournal) -> list[Finding]:
    """SQLite drops the end of a write-ahead log that was damaged, without a word; the ledger remembers how far it went."""
    last = record.last()  # first: a service beside us may go on meanwhile
    site = data_folder(config)
    if not site.ledger.exists():
        return []
    ledger = SqlLedger(site.ledger_url, [], wall_ns)
    try:
        judged = ledger.resume().judged
    finally:
        ledger.close()
    if judged <= max(last, record.last()):
        return []
    newest = max(segments.names(site.journal), default="")
    return [Finding(newest, f"its end is missing: the ledger has judged entry {judged}", last + 1)]


@journal.command("verify")
def verify(config: ConfigOption = CONFIG, *, as_json: JsonOption = False) -> None:
    """Follow the chain of digests through every day, and name everything that is not as it was written.

    Exit code 1 when there is any. May run beside the service.

    For example:

        jianwei journal verify -c site/jianwei.toml
    """
    folder = data_folder(config)
    days = segments.names(folder.journal)
    with (
        closing(SqliteJournal(folder.journal)) as record,
        Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=err) as progress,
    ):
        bar = progress.add_task("days", total=len(days))

        def begun(day: str) -> None:
            done = sum(name < day for name in days)
            progress.update(bar, description=day, completed=done)

        findings = record.verify(begun) or _lost_end(config, record)
        progress.update(bar, description="days", completed=len(days))
    if as_json:
        print_json({"ok": not findings, "days": len(days), "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            entry = f", entry {finding.number}" if finding.number is not None else ""
            complain(f"{finding.day}{entry}: {finding.what}")
        out.print(f"{len(days)} days, {f'{len(findings)} findings' if findings else 'all as written'}")
    if findings:
        raise typer.Exit(NOT_WELL)


@contextmanager
def _opened(config: Any) -> Iterator[SqliteJournal]:
    """The journal of a site, for reading. What SQLite says of a damaged file becomes a sentence."""
    folder = data_folder(config)
    with closing(SqliteJournal(folder.journal)) as record:
        try:
            yield record
        except sqlite3.Error as error:
            fail(f"the journal cannot be read: {error}; jianwei journal verify says where")


def _placed(entry: Entry) -> Iterator[tuple[int, Block]]:
    """Each block with the index of its first message in the entry."""
    first = 0
    for block in entry.blocks:
        yield first, block
        first += len(block)


def _fact(entry: Entry, *, payloads: bool) -> dict[str, Any]:
    return {
        "number": entry.number,
        "written": written(entry.written_ns),
        "tick": entry.tick,
        "blocks": [
            {
                "source": block.source,
                "received": written(block.received_ns),
                "messages": [
                    {
                        "position": position_of(entry.number, first + index),
                        "topic": topic,
                        "bytes": len(block.payloads[index]),
                        **beside(block, index),
                        **(payload_fact(block.payloads[index]) if payloads else {}),
                    }
                    for index, topic in enumerate(block.topics)
                ],
            }
            for first, block in _placed(entry)
        ],
    }
