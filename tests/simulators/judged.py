"""A fleet judged by the rules of the catalogue, with nothing between: what the witness says against what is found."""

import json
import math
from pathlib import Path

import numpy as np

from rules.binding import Binding
from rules.engine import Engine
from rules.loading import load
from rules.readings import FLAG_LETTERS, SECOND_NS, Batch, SeriesKey, Transition
from simulators.fleet import Fleet
from simulators.samples import Outgoing

CATALOGUE = Path(__file__).parents[2] / "rules" / "catalogue"
TICK_NS = 30 * SECOND_NS

Row = tuple[int, int, int, float, int, int]


def engine_for(fleet: Fleet) -> Engine:
    texts = {path.relative_to(CATALOGUE).as_posix(): path.read_text() for path in CATALOGUE.rglob("*.yaml")}
    return Engine(Binding(load(texts), {station.id: station for station in fleet.stations()}))


def judge(fleet: Fleet, until_ns: int) -> list[Transition]:
    """Transitions of the fleet's messages up to `until_ns`, with a tick every half minute of its time."""
    engine = engine_for(fleet)
    found: list[Transition] = []
    for start_ns in range(fleet.start_ns, until_ns, TICK_NS):
        rows = [row for m in fleet.messages(start_ns, start_ns + TICK_NS) for row in rows_of(engine, m)]
        if rows:
            found += engine.evaluate(batch_of(rows)).transitions
        found += engine.tick(start_ns + TICK_NS)
    return found


def rows_of(engine: Engine, message: Outgoing) -> list[Row]:
    """The readings that the message says must be stored."""
    if not message.stored:
        return []
    content = json.loads(message.payload)
    flags = content.get("flags", {})
    return [
        (
            engine.place(SeriesKey(message.station, parameter, message.kind)),
            message.measured_ns,
            message.sent_ns,
            math.nan if content["values"][parameter] is None else content["values"][parameter],
            FLAG_LETTERS[flags.get(parameter, "N")],
            0,
        )
        for parameter in message.stored
    ]


def batch_of(rows: list[Row]) -> Batch:
    series, measured_ns, received_ns, value, flag, position = zip(*rows, strict=True)
    return Batch(
        np.array(series, dtype=np.int64),
        np.array(measured_ns, dtype=np.int64),
        np.array(received_ns, dtype=np.int64),
        np.array(value, dtype=np.float64),
        np.array(flag, dtype=np.uint8),
        np.array(position, dtype=np.int64),
    )
