"""The commands there are: one file each, one line here."""

from collections.abc import Callable, Mapping

import typer

from jianwei.commands.run import run

COMMANDS: Mapping[str, Callable[..., None]] = {
    "run": run,
}
GROUPS: Mapping[str, typer.Typer] = {}
