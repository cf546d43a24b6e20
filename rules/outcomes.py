"""Outcomes put together: of the parts of a long batch, and every rule's own word for who asks why."""

from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np

from rules.ordering import AMENDING
from rules.readings import RANK, Counts, Judged, Outcome, UInt8s
from rules.roster import Roster
from rules.scratch import Scratch
from rules.state import SILENT, Records
from rules.tables import NOBODY, Table


def joined(parts: Sequence[Outcome]) -> Outcome:
    """One outcome of several that followed each other."""
    columns = {f.name: np.concatenate([getattr(part.judged, f.name) for part in parts]) for f in fields(Judged)}
    rules = sorted({rule for part in parts for rule in part.words})
    silent = [np.zeros(len(part.judged), dtype=np.uint8) for part in parts]
    return Outcome(
        judged=Judged(**columns),
        transitions=[change for part in parts for change in part.transitions],
        counts=sum((part.counts for part in parts), Counts()),
        words={
            rule: np.concatenate([part.words.get(rule, none) for part, none in zip(parts, silent, strict=True)])
            for rule in rules
        },
    )


def words_by_rule(
    roster: Roster, desk: Scratch, tables: Sequence[Table], readings: Records, end: int
) -> Mapping[str, UInt8s]:
    """Each rule's own word on the rows that go out; 0 where it says nothing, or nothing new in an amendment."""
    words: dict[str, UInt8s] = {}
    origin = desk.out["reading"][:end]
    reading = np.where(origin >= 0, origin, ~origin)
    for table in tables:
        for slot in range(table.slots):
            at = desk.slots_of[table.spec.name].start + slot
            rows = table.place[readings["subject"][reading], slot]
            spoken = _spoken(desk, at, origin, reading)
            rules = roster.manners.records["rule"][table.manner[rows]]
            for number in np.unique(rules[rows != NOBODY]):
                mine = np.where((rows != NOBODY) & (rules == number), spoken, SILENT).astype(np.uint8)
                name = roster.names[int(number)]
                words[name] = np.where(_rank(mine) > _rank(words[name]), mine, words[name]) if name in words else mine
    return words


def _spoken(desk: Scratch, slot: int, origin: "np.ndarray[tuple[int], np.dtype[np.int32]]", reading: UInt8s) -> UInt8s:
    """The words of one slot on the rows that go out, words that came one reading later put where they belong."""
    said = np.where(origin >= 0, desk.words[slot, reading], SILENT).astype(np.uint8)
    if desk.roles[slot] != AMENDING:
        return said
    later = desk.moves[slot, reading]
    said[origin < 0] = later[origin < 0]
    settled = desk.settled[reading]
    patching = (origin >= 0) & (settled >= 0) & (later != SILENT)
    said[settled[patching]] = later[patching]
    return said


def _rank(words: UInt8s) -> UInt8s:
    """0 for silence, then as words weigh."""
    return np.where(words == SILENT, 0, RANK[words] + 1).astype(np.uint8)
