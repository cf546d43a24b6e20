"""The stores there are, by the name that the settings use."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ingest.message import Store
from ingest.stores.sqlite import SqliteStore

STORES: Mapping[str, Callable[[Path], Store]] = {"sqlite": SqliteStore}
