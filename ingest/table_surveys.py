"""What a table holds, before anything is done with it: its stations, how far apart their rows are, their order."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median_low

from ingest.table_files import CellProblem, Row

MOST_STEPS = 1_000  # of a station that are looked at


@dataclass(frozen=True, slots=True)
class Survey:
    """`intervals_ns` by station: what usually lies between two rows, 0 where there are not two times.

    `is_in_order`: no row is older than one before it, of whatever station.
    """

    rows: int
    intervals_ns: dict[str, int]
    is_in_order: bool


def survey(rows: Iterable[Row | CellProblem]) -> Survey:
    """Looks at every row once, and keeps a bounded part of each station."""
    count = 0
    newest_ns: int | None = None
    is_in_order = True
    last_ns: dict[str, int] = {}
    steps: dict[str, array[int]] = {}
    for row in rows:
        if isinstance(row, CellProblem):
            continue
        count += 1
        measured_ns, station = row.measured_ns, row.station
        if newest_ns is not None and measured_ns < newest_ns:
            is_in_order = False
        else:
            newest_ns = measured_ns
        if station not in last_ns:
            steps[station] = array("q")
        elif measured_ns > last_ns[station] and len(steps[station]) < MOST_STEPS:
            steps[station].append(measured_ns - last_ns[station])
        last_ns[station] = measured_ns
    return Survey(count, {name: median_low(found) if found else 0 for name, found in steps.items()}, is_in_order)
