"""`jianwei demo`: a simulated city through the whole service, on one screen."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from alerts.notices import notice_text
from jianwei.board import STYLES, board
from jianwei.catalogue_files import read_catalogue
from jianwei.demo import SPEED, STEP_S, Demo, DemoStalled, Summary
from jianwei.names import CatalogueNames
from jianwei.telemetry import Telemetry, open_log
from jianwei.terminal import NOT_WELL, JsonOption, err, fail, out, print_fitted, print_json, refuse
from rules.cases import run_case
from rules.checks import CHECKS
from rules.index import Catalogue
from rules.readings import Transition
from simulators.durations import seconds
from simulators.fleet import Fleet, register_yaml
from simulators.scenario import load_scenario

SCENARIO = "city"
REDRAW_S = 0.25
SETTINGS = """# What the demo left behind: try `jianwei episodes -c jianwei.toml`, `jianwei journal verify -c jianwei.toml`.
instance = "demo"
data_dir = "."
stations = ["stations.yaml"]
"""


def demo(
    *,
    lasts: Annotated[str, typer.Option("--for", help=f"How long; a second is {SPEED // 60} simulated minutes.")] = "2m",
    fast: Annotated[bool, typer.Option("--fast", help="Let simulated time run as fast as the machine goes.")] = False,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal summaries.", min=0)] = 1,
    keep: Annotated[Path | None, typer.Option(help="Leave all data in this folder, which must be empty.")] = None,
    as_json: JsonOption = False,
) -> None:
    """A city of 29 stations of six kinds reports, breaks limits and instruments, and is found out.

    Broker, journal, rules, store and alerts are the real ones, embedded. At the end: what was found against what was done.
    Exit code 1 when anything was lost, missed or raised without a cause. Examples:

        jianwei demo
        jianwei demo --fast --seed 7 --keep /tmp/city
    """
    began_s = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, and leaves nothing behind
    with err.status("Preparing. The first run compiles the checks, which takes half a minute."):
        catalogue = read_catalogue()
        fleet = Fleet(load_scenario(SCENARIO), seed)
        span_s = _span_s(lasts, fleet)
        _compile(catalogue)
    with _folder(keep) as folder:
        (folder / "jianwei.toml").write_text(SETTINGS)
        (folder / "stations.yaml").write_text(register_yaml(fleet.stations()))
        with (folder / "demo.log").open("w") as log:
            telemetry = Telemetry(open_log("info", json_lines=True, stream=log))
            show = Demo(fleet, catalogue, folder, telemetry, out)
            try:
                summary = _lived_through(show, span_s, fast=fast, quiet=as_json)
            except DemoStalled as error:
                fail(error)
    if as_json:
        print_json(asdict(summary))
    else:
        print_fitted(_account(summary, time.monotonic() - began_s))
        if keep is not None:
            out.print(f"Everything is in {keep}: cd there, then jianwei episodes, journal verify, export, explain")
    if summary.lost or summary.score.missed or summary.score.false:
        raise typer.Exit(NOT_WELL)


def _compile(catalogue: Catalogue) -> None:
    """Lets every check judge once, so that the board does not stand still while the first one does."""
    for check in CHECKS:
        rule = next(rule for rule, told in catalogue.rules.items() if told.check == check)
        run_case(catalogue, rule, catalogue.cases[rule][0])


def _lived_through(show: Demo, span_s: int, *, fast: bool, quiet: bool) -> Summary:
    """Runs to the end, or to Ctrl-C, and says what came of it."""
    with show.runtime:
        try:
            if quiet:
                for _ in show.steps(span_s, fast=fast):
                    pass
            elif out.is_terminal:
                _drawn(show, span_s, fast=fast)
            else:
                _told(show, span_s, fast=fast)
        except KeyboardInterrupt:
            err.print("Stopped; this is the account so far.")
        return show.summary()


def _drawn(show: Demo, span_s: int, *, fast: bool) -> None:
    """A live board."""
    names = CatalogueNames(show.runtime.catalogue, show.stations)
    title = f"见微 Jianwei · {show.fleet.scenario.name.zh} {show.fleet.scenario.name.en} · {SPEED}×"
    drawn_s = 0.0
    with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop") as live:
        for _ in show.steps(span_s, fast=fast):
            if time.monotonic() - drawn_s >= REDRAW_S:
                drawn_s = time.monotonic()
                live.update(board(title, show.pulse(), show.stations, show.open_episodes(), names), refresh=True)
        live.update(board(title, show.pulse(), show.stations, show.open_episodes(), names), refresh=True)


def _told(show: Demo, span_s: int, *, fast: bool) -> None:
    """Where there is no screen to draw on: a line for every change of an episode."""
    names = CatalogueNames(show.runtime.catalogue, show.stations)
    told = 0
    for _ in show.steps(span_s, fast=fast):
        told = _tell(show.transitions, told, names)
    _tell(show.transitions, told, names)


def _tell(transitions: list[Transition], told: int, names: CatalogueNames) -> int:
    for transition in transitions[told:]:
        text = notice_text(transition, names)
        style = "green" if transition.what == "cleared" else STYLES[transition.level]
        out.print(f"{text.zh} {text.en}", style=style, markup=False)
    return max(told, len(transitions))


def _account(summary: Summary, took_s: float) -> Table:
    """What was found against what was done."""
    table = Table(title=f"{summary.scenario}, seed {summary.seed}", title_justify="left", show_header=False)
    score = summary.score
    rows = [
        ("Simulated", f"{summary.simulated_s / 3600:.1f} h of {summary.stations} stations in {took_s:.0f} s"),
        ("Messages in", f"{summary.messages:,}"),
        ("Readings stored", f"{summary.stored:,}"),
        ("Quarantined", f"{summary.quarantined:,}, each with its bytes and reason"),
        ("Lost", f"{summary.lost:,}"),
        (
            "Notices delivered",
            f"{summary.notices_sent:,} for {summary.transitions:,} changes of episodes, on two channels",
        ),
        ("Faults found", f"{score.found}, missed {score.missed}, false {score.false}, not yet due {score.pending}"),
    ]
    rows += [("Missed", f"{one.fault} at {one.station} {' '.join(one.parameters)}") for one in score.missed_ones]
    rows += [("False", f"{one.rule} at {one.station} {one.parameter}") for one in score.false_ones]
    for row in rows:
        table.add_row(*row)
    return table


def _span_s(lasts: str, fleet: Fleet) -> int:
    """Simulated seconds in whole steps, not longer than the scenario."""
    try:
        asked_s = seconds(lasts) * SPEED
    except ValueError as error:
        refuse(str(error))
    length_s = int(fleet.scenario.length)
    span_s = min(asked_s, length_s) // STEP_S * STEP_S
    if span_s <= 0:
        refuse(f"--for {lasts} is no time at all")
    if asked_s > length_s:
        err.print(f"The scenario is {length_s // 3600} h long and ends after {length_s / SPEED:.0f} s.")
    return span_s


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with TemporaryDirectory(prefix="jianwei-demo-") as folder:
            yield Path(folder)
        return
    if keep.exists() and any(keep.iterdir()):
        refuse(f"--keep {keep}: the folder is not empty; a demo begins with nothing")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep
