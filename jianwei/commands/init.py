"""`jianwei init`: a commented sample to begin with."""

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from jianwei.terminal import fail, out

FILES = {"jianwei.toml": "sample.toml", "stations.yaml": "sample_stations.yaml"}


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write; made where missing.")] = Path(),
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Write a commented settings file and a register of two sample stations. They run as they are.

    Files that exist are left alone, unless --force is given.

    For example:

        jianwei init site && jianwei run -c site/jianwei.toml
    """
    there = [name for name in FILES if (folder / name).exists()]
    if there and not force:
        fail(f"{' and '.join(there)} exist in {folder}; --force overwrites")
    folder.mkdir(parents=True, exist_ok=True)
    for name, sample in FILES.items():
        text = (resources.files("jianwei") / sample).read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")
        out.print(f"wrote {folder / name}", markup=False)
    out.print(
        f"next: jianwei check -c {folder / 'jianwei.toml'}, then jianwei run -c {folder / 'jianwei.toml'}", markup=False
    )
