"""`jianwei replay`: files speak as if they were stations."""

import time
from collections.abc import Iterable, Iterator
from math import isfinite, nan
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ingest.broker import HOST
from ingest.table_maps import TableMap, TableMapProblems
from jianwei.catalogue_files import read_catalogue
from jianwei.replaying import Replay, Spoken, holds_lines, line_count, spoken, told
from jianwei.settings import BrokerSettings, read_settings
from jianwei.tables import into_units_of, map_for, named, tell_problems
from jianwei.terminal import CONFIG, NOT_WELL, ConfigOption, JsonOption, complain, err, fail, out, print_json, refuse
from rules.index import Catalogue
from simulators.publish import BrokerRefusedError, BrokerUnreachableError, Publisher
from simulators.targets import open_broker

REDRAWN_EVERY = 200  # messages
PATIENCE_S = 10.0  # with a broker that does not answer


def replay(
    files: Annotated[list[Path], typer.Argument(help="CSV files, or files of messages from `jianwei simulate`.")],
    *,
    map_file: Annotated[
        Path | None,
        typer.Option("--map", help="What the columns mean. Without it they must be named by parameter codes."),
    ] = None,
    to: Annotated[
        str,
        typer.Option(help="mqtt://[user:password@]host[:port]. [default: the embedded broker of the settings file]"),
    ] = "",
    station: Annotated[
        str | None, typer.Option(help="Whose rows they are, where the map names none. [default: the file's name]")
    ] = None,
    station_type: Annotated[
        str | None, typer.Option("--as", help="Send values in the units of this station type, where they differ.")
    ] = None,
    speed: Annotated[str, typer.Option(help="How many times the files' own pace, or max.")] = "max",
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Publish files as messages of stations at QoS 1, all files together in the order of their times.

    A row becomes one message. Ends when the broker has acknowledged every message, and says how many there were. Cells
    that cannot be read are told and left out. Exit code 1 when there were any, or when not everything was acknowledged,
    as after Ctrl-C. Examples:

        jianwei replay river.csv --map map.yaml --to mqtt://127.0.0.1:1883
        jianwei replay a.csv b.csv --map map.yaml --speed 3600
    """
    pace = _pace(speed)
    try:
        publisher = open_broker(to or _embedded_broker(config), client="jianwei-replay", patience_s=PATIENCE_S)
    except ValueError as error:
        refuse(f"--to: {error}")
    catalogue = read_catalogue()
    if station_type is not None and station_type not in catalogue.station_types:
        refuse(f"there is no station type {station_type}; there are {', '.join(sorted(catalogue.station_types))}")
    maps = {file: _map(file, map_file, station, catalogue) for file in files}
    account = Replay()
    began_s = time.monotonic()
    with publisher:
        is_whole = _sent(spoken(maps, into_units_of(catalogue, station_type), account), publisher, account, maps, pace)
    _tell(account, len(publisher.acknowledged), time.monotonic() - began_s, as_json=as_json)
    if not account.messages:
        fail("nothing in it could be sent")
    if account.bad or not is_whole:
        raise typer.Exit(NOT_WELL)


def _sent(
    messages: Iterator[Spoken], publisher: Publisher, account: Replay, files: Iterable[Path], pace: float | None
) -> bool:
    """Whether all of them were sent and acknowledged. Ctrl-C and a broker that goes away end it early."""
    try:
        with Progress(
            TextColumn("lines"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err
        ) as progress:
            bar = progress.add_task("lines", total=sum(map(line_count, files)))
            at: dict[Path, int] = {}
            for number, message in enumerate(told(messages, publisher, account, pace)):
                at[message.file] = message.line
                if pace is not None or number % REDRAWN_EVERY == 0:
                    progress.update(bar, completed=sum(at.values()))
            progress.update(bar, completed=sum(at.values()))
    except KeyboardInterrupt:
        err.print("Stopped; this is the account so far.")
        return False
    except (BrokerUnreachableError, BrokerRefusedError) as error:
        complain(f"the broker took {len(publisher.acknowledged):,} of {account.messages:,} messages: {error}")
    return len(publisher.acknowledged) == publisher.published


def _tell(account: Replay, acknowledged: int, took_s: float, *, as_json: bool) -> None:
    tell_problems(account.problems, account.bad)
    if as_json:
        print_json(
            {
                "messages": account.messages,
                "acknowledged": acknowledged,
                "values": account.values,
                "missing": account.missing,
                "bad_cells": account.bad,
                "took_s": round(took_s, 3),
            }
        )
        return
    out.print(f"{account.messages:,} messages sent, {acknowledged:,} acknowledged, in {took_s:.1f} s")
    if account.values:
        out.print(f"{account.values:,} values in them, {account.missing:,} of these missing")
    out.print(f"Cells or lines that could not be read: {account.bad:,}")


def _pace(text: str) -> float | None:
    if text == "max":
        return None
    try:
        pace = float(text)
    except ValueError:
        pace = nan
    if not (isfinite(pace) and pace > 0):
        refuse(f"--speed {text}: say a number above 0, or max")
    return pace


def _map(file: Path, map_file: Path | None, station: str | None, catalogue: Catalogue) -> TableMap | None:
    """None for a file of messages: it says itself whose they are."""
    if holds_lines(file):
        return None
    try:
        return named(map_for(file, map_file, catalogue), file, station)
    except TableMapProblems as error:
        fail(error)


def _embedded_broker(config: Path) -> str:
    broker = read_settings(config).broker if config.is_file() else BrokerSettings()
    if not (broker.enabled and broker.port):
        refuse(f"--to is missing, and {config} names no embedded broker with a fixed port")
    return f"mqtt://{HOST}:{broker.port}"
