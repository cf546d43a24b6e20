"""The commands there are: one file each, one line here."""

from collections.abc import Callable, Mapping

import typer

from jianwei.commands.check import check
from jianwei.commands.demo import demo
from jianwei.commands.episodes import episodes
from jianwei.commands.explain import explain
from jianwei.commands.export import export
from jianwei.commands.init import init
from jianwei.commands.journal import journal
from jianwei.commands.judge import judge
from jianwei.commands.quarantine import quarantine
from jianwei.commands.replay import replay
from jianwei.commands.run import run
from jianwei.commands.simulate import simulate
from jianwei.commands.station import station

COMMANDS: Mapping[str, Callable[..., None]] = {
    "demo": demo,
    "init": init,
    "check": check,
    "run": run,
    "simulate": simulate,
    "judge": judge,
    "replay": replay,
    "explain": explain,
    "episodes": episodes,
    "export": export,
}
GROUPS: Mapping[str, typer.Typer] = {
    "station": station,
    "quarantine": quarantine,
    "journal": journal,
}
