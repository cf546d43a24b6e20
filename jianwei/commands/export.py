"""`jianwei export`: stored readings as CSV."""

import csv
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import timezone
from pathlib import Path
from typing import Annotated, TextIO

import typer

from ingest.instants import InstantError
from ingest.message import StoredReading, StoreUnreadable
from jianwei import moments
from jianwei.nearest import no_such
from jianwei.site import store_to_read
from jianwei.stored_csv import COLUMNS, line
from jianwei.terminal import CONFIG, ConfigOption, err, fail, refuse
from rules.readings import Kind

KINDS = {kind.name.lower(): kind for kind in Kind}
EARLIEST_NS, LATEST_NS = -(2**63), 2**63 - 1


def export(
    config: ConfigOption = CONFIG,
    *,
    station: Annotated[str, typer.Option(help="Only of this station.", show_default=False)] = "",
    parameter: Annotated[str, typer.Option(help="Only of this parameter code.", show_default=False)] = "",
    kind: Annotated[str, typer.Option(help="Only realtime, minute, hour or day values.", show_default=False)] = "",
    start: Annotated[
        str, typer.Option("--from", help="Measured at this time or later: 2026-03-01 (UTC+8) or with a zone.")
    ] = "",
    until: Annotated[str, typer.Option(help="Measured before this time.", show_default=False)] = "",
    zone: Annotated[str, typer.Option(help="In which times are written: Z (UTC), or such as +08:00.")] = "Z",
    file: Annotated[Path | None, typer.Option("--out", help="Write there. [default: standard output]")] = None,
) -> None:
    """Write stored readings as CSV, with what the equipment and what the rules said of each.

    Columns: station, parameter, kind, time, value (in the catalogue's unit; empty: missing), flag (the equipment's, in
    letters of HJ 212: N normal), verdict (ours: 1 good, 2 not evaluated, 3 suspect, 4 fail, 9 missing), raised_by (the
    checks that said 3 or 4). In the order of time; odd times (before 2000, after 2099) come last. Works beside a
    running service, and holds no more than a minute of readings at once.

    For example:

        jianwei export --station SW-01 --from 2026-03-01 --until 2026-04-01 --out march.csv
        jianwei export --kind hour --zone +08:00 | head
    """
    if kind and kind not in KINDS:
        refuse(f"--kind: {no_such('kind', kind, KINDS)}")
    from_ns, until_ns = _moment("--from", start, EARLIEST_NS), _moment("--until", until, LATEST_NS)
    try:
        in_zone = moments.zone(zone)
    except InstantError as error:
        refuse(f"--zone: {error}")

    with closing(store_to_read(config)) as store:
        try:
            known = store.stations()
            if station and station not in known:
                fail(f"{no_such('station', station, known)} (the store has readings of {len(known)})")
            found = store.minutes(from_ns, until_ns, station or None, parameter or None, KINDS.get(kind))
            number = _write(found, file, in_zone)
        except StoreUnreadable as error:
            fail(f"the store cannot be read: {error}")
    err.print(f"{number:,} readings" + (f" in {file}" if file else ""), markup=False)


def _write(readings: Iterable[list[StoredReading]], file: Path | None, zone: timezone) -> int:
    number = 0
    with _opened(file) as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(COLUMNS)
        for found in readings:
            rows.writerows(line(reading, zone) for reading in found)
            number += len(found)
    return number


@contextmanager
def _opened(file: Path | None) -> Iterator[TextIO]:
    if file is None:
        yield sys.stdout
        return
    with file.open("w", encoding="utf-8", newline="") as stream:
        yield stream


def _moment(option: str, text: str, default_ns: int) -> int:
    try:
        return moments.moment_ns(text) if text else default_ns
    except InstantError as error:
        refuse(f"{option}: {error}")
