"""The program. What each command does stands in its file under commands/; here errors become sentences and exit codes."""

import os
import sys
from importlib import metadata
from typing import Annotated

import typer

from alerts.database import LedgerUnavailable
from alerts.register import RegisterMoved
from ingest.broker import BrokerUnavailableError
from ingest.message import JournalUnavailable
from ingest.pipeline import JournalFallsShort
from ingest.segments import JournalDamaged
from jianwei.commands import COMMANDS, GROUPS
from jianwei.lock import DataInUse
from jianwei.settings import SettingsProblems
from jianwei.terminal import NOT_WELL, complain
from rules.index import CatalogueProblems

# What a person can do something about: told in a sentence, without a stack. Anything else is a mistake of ours.
TOLD = (
    BrokerUnavailableError,
    CatalogueProblems,
    DataInUse,
    JournalDamaged,
    JournalFallsShort,
    JournalUnavailable,
    LedgerUnavailable,
    OSError,
    RegisterMoved,
    SettingsProblems,
)

EPILOG = "Exit codes: 0 done and well, 1 not done or not well (the reason stands on standard error), 2 wrong usage."

app = typer.Typer(
    name="jianwei",
    help="见微 Jianwei: from a station's message to an alert. Takes sensor readings, keeps them, judges them, tells people.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for name, command in COMMANDS.items():
    app.command(name, epilog=EPILOG)(command)
for name, group in GROUPS.items():
    for one in group.registered_commands:
        one.epilog = EPILOG
    app.add_typer(group, name=name)


@app.callback(invoke_without_command=True)
def program(*, version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False) -> None:
    if version:
        typer.echo(metadata.version("jianwei"))
        raise typer.Exit


def main() -> None:
    """The entry point of `jianwei` and of `python -m jianwei`."""
    try:
        app()
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except TOLD as error:
        complain(error)
        sys.exit(NOT_WELL)


if __name__ == "__main__":
    main()
