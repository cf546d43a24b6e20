"""Reads the catalogue that comes with the program, and registers of stations, from their files."""

from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from rules.index import Catalogue, Problem
from rules.loading import load
from rules.register import Entry, load_stations, read_entries
from rules.schema import Station


def read_catalogue() -> Catalogue:
    """Raises rules.index.CatalogueProblems with every problem, file and path."""
    return load(_texts(resources.files("rules") / "catalogue", ""))


def read_stations(paths: Sequence[Path], catalogue: Catalogue) -> dict[str, Station]:
    """Stations by id. Raises OSError for a file that cannot be read, CatalogueProblems for what it says."""
    return load_stations(_read(paths), catalogue)


def read_filed(paths: Sequence[Path], problems: list[Problem]) -> list[Entry]:
    """The entries of station files; problems are added. Raises OSError for a file that cannot be read."""
    return read_entries(_read(paths), problems)


def _read(paths: Sequence[Path]) -> dict[str, str]:
    """Bytes that are no UTF-8 (an old table saved as GBK) become a problem of the text, with their line."""
    return {str(path): path.read_text(encoding="utf-8", errors="surrogateescape") for path in paths}


def _texts(folder: Traversable, prefix: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            texts |= _texts(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".yaml"):
            texts[prefix + entry.name] = entry.read_text(encoding="utf-8")
    return texts
