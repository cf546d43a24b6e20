"""The commands there are: one file each, one line here."""

from collections.abc import Callable, Mapping

import typer

from jianwei.commands.check import check
from jianwei.commands.demo import demo
from jianwei.commands.init import init
from jianwei.commands.run import run

COMMANDS: Mapping[str, Callable[..., None]] = {
    "demo": demo,
    "init": init,
    "check": check,
    "run": run,
}
GROUPS: Mapping[str, typer.Typer] = {}
