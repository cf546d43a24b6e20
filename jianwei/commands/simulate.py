"""`jianwei simulate`: a fleet of stations that are not there, for a service that is."""

import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ingest.instants import InstantError
from jianwei.clock import wall_ns
from jianwei.moments import moment_ns
from jianwei.nearest import no_such
from jianwei.simulation import Account, acknowledged, sent
from jianwei.terminal import JsonOption, err, fail, out, print_fitted, print_json, refuse
from rules.readings import SECOND_NS
from simulators.durations import seconds
from simulators.fleet import Fleet, register_yaml
from simulators.publish import BrokerRefusedError, BrokerUnreachableError
from simulators.samples import Outgoing
from simulators.scenario import Scenario, load_scenario, shipped
from simulators.targets import Target, open_target
from simulators.truth import Tally


def simulate(
    scenario: Annotated[
        str, typer.Argument(help="A shipped scenario (see --list), or a file.", show_default=False)
    ] = "",
    *,
    to: Annotated[
        str,
        typer.Option(
            help="mqtt://[user:password@]host[:port], kafka://host:port/topic, or a file.", show_default=False
        ),
    ] = "",
    seed: Annotated[int, typer.Option(help="Equal seeds give equal messages.", min=0)] = 1,
    speed: Annotated[
        str, typer.Option(help="Simulated seconds in a second, or max. [default: 1 to a broker, max to a file]")
    ] = "",
    lasts: Annotated[str, typer.Option("--for", help="How much simulated time, such as 2h. [default: all of it]")] = "",
    start: Annotated[
        str,
        typer.Option(
            help="now, or a time such as 2026-03-01T08:00:00+08:00. "
            "[default: to a broker so that it ends now, at speed 1 now; to a file the scenario's own]"
        ),
    ] = "",
    register: Annotated[
        Path | None, typer.Option(help="Write the stations there, for `stations` of the settings.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="Name the shipped scenarios, and end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send what a fleet of stations sends, faults and all, to a broker or into a file.

    At the end: what was sent, and what a service that took all of it must hold. --register alone writes the register,
    which a service needs first. A second run of these stations over these hours is late, and mostly told to nobody.

    For example:

        jianwei simulate city --register site/city.yaml
        jianwei simulate city --to mqtt://127.0.0.1:1883 --speed 60 --for 2h
        jianwei simulate quiet --to quiet.jsonl --seed 7
    """
    if listing:
        _list(as_json=as_json)
        return
    if not scenario:
        refuse(f"which scenario? There are {', '.join(shipped())}, and files of your own")
    if not to and register is None:
        refuse("say where the messages go with --to, or only --register FILE")
    told = _scenario(scenario)
    is_broker = to.startswith(("mqtt:", "kafka:"))
    span_s, pace = _span_s(lasts, told), _pace(speed, is_broker=is_broker)
    whole_s = int(told.length) if span_s is None else span_s
    fleet = Fleet(told, seed, _start_ns(start, told, is_broker=is_broker, speed=pace, span_s=whole_s))
    if not force:
        _spare(register, None if is_broker or not to else Path(to.removeprefix("file://")))
    if register is not None:
        _write_register(fleet, register)
    if to:
        with closing(_target(to)) as target:
            _tell(_run(fleet, target, span_s, pace), as_json=as_json)


def _spare(*paths: Path | None) -> None:
    for path in paths:
        if path is not None and path.exists():
            fail(f"{path} exists; --force overwrites")


def _write_register(fleet: Fleet, path: Path) -> None:
    path.write_text(register_yaml(fleet.stations()), encoding="utf-8")
    err.print(f"wrote {len(fleet.stations())} stations to {path}", markup=False)


def _run(fleet: Fleet, target: Target, span_s: int | None, speed: float | None) -> Account:
    """To the end, or to Ctrl-C."""
    began_s = time.monotonic()
    with err.status("Laying the scenario out"):
        end_ns = 2**63 - 1 if span_s is None else fleet.start_ns + span_s * SECOND_NS
        messages: list[Outgoing] = fleet.messages(fleet.start_ns, end_ns)
    tally = Tally()
    try:
        with Progress(
            TextColumn("messages"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err
        ) as progress:
            bar = progress.add_task("messages", total=len(messages))
            for number in sent(messages, target, tally, fleet.start_ns, speed):
                progress.advance(bar, number)
    except KeyboardInterrupt:
        err.print("Stopped; this is the account so far.")
    except (BrokerUnreachableError, BrokerRefusedError) as error:
        fail(f"the broker took {acknowledged(target, tally)} of {len(messages)} messages: {error}")
    return Account(
        scenario=fleet.scenario.name.en,
        seed=fleet.seed,
        stations=len(fleet.stations()),
        messages=tally.messages,
        acknowledged=acknowledged(target, tally),
        expected_stored=tally.expected_stored,
        expected_quarantined=tally.expected_quarantined,
        faults=len(fleet.scenario.faults),
        took_s=round(time.monotonic() - began_s, 3),
    )


def _tell(account: Account, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(account))
        return
    table = Table(title=f"{account.scenario}, seed {account.seed}", title_justify="left", show_header=False)
    for what, number in (
        ("Stations", account.stations),
        ("Messages", account.messages),
        ("Acknowledged", account.acknowledged),
        ("Readings that must be stored", account.expected_stored),
        ("Problems that must be in quarantine", account.expected_quarantined),
        ("Faults declared", account.faults),
    ):
        table.add_row(what, f"{number:,}")
    print_fitted(table)


def _list(*, as_json: bool) -> None:
    scenarios = {name: load_scenario(name) for name in shipped()}
    facts = [
        {
            "scenario": name,
            "zh": told.name.zh,
            "en": told.name.en,
            "stations": sum(group.count for group in told.fleet),
            "length_s": told.length,
            "faults": len(told.faults),
        }
        for name, told in scenarios.items()
    ]
    if as_json:
        print_json(facts)
        return
    for fact in facts:
        out.print(
            f"{fact['scenario']:<8} {fact['zh']} {fact['en']}: {fact['stations']} stations, "
            f"{_span(scenarios[str(fact['scenario'])])}, {fact['faults']} faults",
            markup=False,
        )


def _span(scenario: Scenario) -> str:
    return f"{scenario.length / 3600:g} h" if scenario.length >= 3600 else f"{scenario.length / 60:g} min"


def _scenario(name: str) -> Scenario:
    try:
        return load_scenario(name)
    except FileNotFoundError:
        fail(f"{no_such('scenario', name, shipped())} (nor a file of that name; --list names the shipped ones)")
    except ValidationError as error:
        places = [
            (".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_url=False, include_input=False)
        ]
        fail("\n".join(f"{name}: {place or 'scenario'}: {what}" for place, what in places))
    except ValueError as error:
        fail(f"{name}: {error}")


def _target(to: str) -> Target:
    try:
        return open_target(to)
    except ValueError as error:
        refuse(f"--to: {error}")
    except (BrokerUnreachableError, BrokerRefusedError) as error:
        fail(f"--to: {error}")


def _start_ns(text: str, scenario: Scenario, *, is_broker: bool, speed: float | None, span_s: int) -> int:
    now_ns = wall_ns() // SECOND_NS * SECOND_NS
    if text == "now":
        return now_ns
    if not text and is_broker:
        # Faster than life a fleet would soon speak of the future, which every rule on clocks would report.
        ahead_s = span_s if speed is None else max(0.0, span_s * (1 - 1 / speed))
        return now_ns - int(ahead_s) * SECOND_NS
    try:
        return moment_ns(text) if text else scenario.start_ns
    except InstantError as error:
        refuse(f"--start: {error}")


def _span_s(text: str, scenario: Scenario) -> int | None:
    """None: to the end, with the few last messages that leave after it."""
    if not text:
        return None
    try:
        span_s = seconds(text)
    except ValueError as error:
        refuse(f"--for: {error}")
    if not span_s:
        refuse(f"--for {text} is no time at all")
    if span_s > scenario.length:
        err.print(f"The scenario ends after {_span(scenario)}.")
    return span_s


def _pace(text: str, *, is_broker: bool) -> float | None:
    """None: as fast as it goes."""
    if text == "max" or (not text and not is_broker):
        return None
    try:
        pace = float(text or 1)
    except ValueError:
        refuse(f"--speed {text}: give simulated seconds in a second, or max")
    if not 0 < pace < 1e9:
        refuse(f"--speed {text}: a number above 0, or max")
    return pace
