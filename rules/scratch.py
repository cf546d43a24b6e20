"""The desk on which a batch is judged: made once, used again for every batch."""

from collections.abc import Iterable

import numpy as np

from rules.ordering import AMENDING, EQUIPMENT, ORDINARY, WORD
from rules.readings import Batch, Float64s, Int64s, UInt8s, UInt64s
from rules.state import READING, Int32s, Moved, Records
from rules.tables import Table

CHUNK = 4096  # longer batches are judged in parts, so that what is on the desk stays in the processor's cache

ROLES = {Moved.BY_PRIOR: AMENDING, Moved.BY_STATION: EQUIPMENT}


class Scratch:
    """Arrays with a row for each slot of each check and a column for each reading of a chunk."""

    def __init__(self) -> None:
        self.readings: Records = np.zeros(CHUNK, READING)
        self.out: Records = np.zeros(2 * CHUNK, WORD)
        self.ranks: UInt8s = np.zeros(CHUNK, dtype=np.uint8)
        self.said: UInt8s = np.zeros(CHUNK, dtype=np.uint8)
        self.raised: UInt64s = np.zeros(CHUNK, dtype=np.uint64)
        self.settled: Int32s = np.zeros(CHUNK, dtype=np.int32)
        self.slots_of: dict[str, slice] = {}
        self.lay_out([])

    def lay_out(self, tables: Iterable[Table]) -> None:
        """Gives each slot of each table its row."""
        roles: list[int] = []
        bits: list[int] = []
        widest = 1
        self.slots_of = {}
        for table in tables:
            self.slots_of[table.spec.name] = slice(len(roles), len(roles) + table.slots)
            roles += [ROLES.get(table.spec.moved, ORDINARY)] * table.slots
            bits += [1 << table.spec.bit] * table.slots
            widest = max(widest, table.slots)
        self.roles: UInt8s = np.array(roles, dtype=np.uint8)
        self.bits: UInt64s = np.array(bits, dtype=np.uint64)
        self.amending: Int64s = np.flatnonzero(self.roles == AMENDING)
        self.words: UInt8s = np.zeros((len(roles), CHUNK), dtype=np.uint8)
        self.moves: UInt8s = np.zeros((len(roles), CHUNK), dtype=np.uint8)
        self.excess: Float64s = np.zeros((len(roles), CHUNK))
        self.views: dict[str, tuple[UInt8s, Float64s, UInt8s]] = {
            name: (self.words[at], self.excess[at], self.moves[at]) for name, at in self.slots_of.items()
        }

    def load(self, batch: Batch) -> Records:
        """The batch as records; at most a chunk."""
        readings = self.readings[: len(batch)]
        readings["subject"] = batch.series
        readings["measured_ns"] = batch.measured_ns
        readings["received_ns"] = batch.received_ns
        readings["position"] = batch.position
        readings["value"] = batch.value
        readings["flag"] = batch.flag
        return readings
