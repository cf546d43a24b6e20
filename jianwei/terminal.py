"""How a command speaks: results on standard output, for a person or as JSON; everything else on standard error.

Exit codes of every command: 0 it is done and all is well; 1 it could not be done, or what was looked at is not well (the
reason stands on standard error); 2 the command line itself is wrong.
"""

import getpass
import json
from pathlib import Path
from typing import Annotated, Any, Never

import typer
from rich.console import Console, RenderableType

DONE, NOT_WELL, WRONG_USE = 0, 1, 2

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The settings file; `jianwei init` writes one.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, for programs.")]
CONFIG = Path("jianwei.toml")


def print_fitted(renderable: RenderableType) -> None:
    """A table or a board on standard output, fitted to the width of the screen."""
    out.print(renderable, soft_wrap=False)


def print_json(content: Any) -> None:
    """One document; what JSON has no word for (nan, a path) becomes null or text."""
    typer.echo(json.dumps(_plain(content), ensure_ascii=False, indent=1, default=str))


def complain(message: object) -> None:
    """On standard error, as plain text: a message may quote what a station sent."""
    err.print(str(message), style="red", markup=False)


def fail(message: object) -> Never:
    """Ends the command with exit code 1."""
    complain(message)
    raise typer.Exit(NOT_WELL)


def refuse(message: str) -> Never:
    """The command line is wrong: exit code 2, with a word about how to ask for help."""
    raise typer.BadParameter(message)


def user_name(unnamed: str) -> str:
    """Who gives the command, for the record; `unnamed` where the machine has no name for its user, as in a container."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return unnamed


def _plain(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple | set | frozenset):
        return [_plain(value) for value in content]
    if isinstance(content, float) and content - content != 0.0:  # nan and the infinities
        return None
    return content
