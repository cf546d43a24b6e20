"""What a benchmark says, and how all of it is shown: one table, with the aim beside each figure."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Aim:
    """A bound of a row's ratio or of its figure."""

    of: Literal["ratio", "figure"]
    bound: float
    most: bool  # else it is the least

    def is_met(self, value: float) -> bool:
        return value <= self.bound if self.most else value >= self.bound

    def __str__(self) -> str:
        return f"{'<' if self.most else '>='} {self.bound:g}{' x' if self.of == 'ratio' else ''}"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; where it can be, beside that of another way to do the same, taken in the same run.

    `ratio` says how many times dearer the other way is.
    """

    what: str
    figure: float
    unit: str
    beside: str = ""
    other: float | None = None
    aim: Aim | None = None

    @property
    def ratio(self) -> float | None:
        return None if self.other is None else self.other / self.figure

    @property
    def verdict(self) -> str:
        if self.aim is None:
            return ""
        value = self.ratio if self.aim.of == "ratio" else self.figure
        return "met" if value is not None and self.aim.is_met(value) else "MISSED"


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work a benchmark may do: a quick run says whether it works, a full one says how much."""

    quick: bool

    def of(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def median(self, measure: Callable[[], float], repeats: int = 3) -> float:
        return statistics.median(measure() for _ in range(1 if self.quick else repeats))

    def medians(self, *measures: Callable[[], float], repeats: int = 3) -> list[float]:
        """Of ways to do the same, taken in turn, so that a noisy moment falls on all of them."""
        taken = [[measure() for measure in measures] for _ in range(1 if self.quick else repeats)]
        return [statistics.median(way) for way in zip(*taken, strict=True)]


def show(rows: Sequence[Row], console: Console) -> None:
    table = Table("what", "beside", title="ratios of one run: how many times dearer the other way is")
    for name in ("figure", "unit", "other", "ratio", "aim", ""):
        table.add_column(name, justify="left" if name == "unit" else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.what,
            row.beside,
            f"{row.figure:,.3g}" if row.figure < 1_000 else f"{row.figure:,.0f}",
            row.unit,
            "" if row.other is None else f"{row.other:.3g}",
            "" if row.ratio is None else f"{row.ratio:.1f} x",
            "" if row.aim is None else str(row.aim),
            f"[bold red]{row.verdict}[/]" if row.verdict == "MISSED" else f"[green]{row.verdict}[/]",
        )
    console.print(table)
