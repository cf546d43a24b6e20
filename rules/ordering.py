"""Where a reading stands in its series, and what is finally said about it: the first and the last kernel of a batch."""

import numpy as np

from rules.readings import RANK, EquipmentFlag, Int64s, UInt8s, UInt64s, Verdict
from rules.state import (
    CONFLICT,
    DUPLICATE,
    FAIL,
    IMPOSSIBLE,
    IN_ORDER,
    LATE,
    SILENT,
    SUSPECT,
    Int32s,
    Records,
    compiled,
)

# The newest reading of a series. `value` and `flag` as the store holds them (a conflict replaces them); `ordered_…` as
# they came in order, which is what the checks have seen.
NEWEST = np.dtype(
    [
        ("measured_ns", "i8"),
        ("position", "i8"),
        ("value", "f8"),
        ("ordered_value", "f8"),
        ("flag", "u1"),
        ("ordered_flag", "u1"),
        ("seen", "u1"),
        ("watched", "u1"),
    ],
    align=True,
)

# What was said about it: by the checks that do not amend, and where (row of which batch).
GIVEN = np.dtype([("raised", "u8"), ("batch", "i8"), ("row", "i4"), ("rank", "u1"), ("superseded", "u1")], align=True)

# A row on its way out. `reading` is the row of the batch it came from; an amendment has ~row of the one that settled it.
WORD = np.dtype(
    [
        ("series", "i8"),
        ("measured_ns", "i8"),
        ("value", "f8"),
        ("raised", "u8"),
        ("reading", "i4"),
        ("flag", "u1"),
        ("verdict", "u1"),
        ("late", "?"),
    ],
    align=True,
)

LATES, DUPLICATES, CONFLICTS, UNWATCHED = 0, 1, 2, 3

NORMAL = int(EquipmentFlag.NORMAL)
ORDINARY, AMENDING, EQUIPMENT = 0, 1, 2  # what the words of a slot mean for the verdict
RANK_NOT_EVALUATED = int(RANK[Verdict.NOT_EVALUATED])
RANK_SUSPECT = int(RANK[Verdict.SUSPECT])
VERDICT_OF_RANK = np.array([9, 2, 1, 3, 4], dtype=np.uint8)

# The rank of a reading with an equipment flag, where no rule says otherwise: broken, out of range or without contact
# is suspect; stopped, maintained, calibrated or set by hand is not evaluated.
FLAG_RANK = np.full(256, RANK_SUSPECT, dtype=np.uint8)
FLAG_RANK[[EquipmentFlag.STOPPED, EquipmentFlag.MAINTENANCE]] = RANK_NOT_EVALUATED
FLAG_RANK[[EquipmentFlag.SET_BY_HAND, EquipmentFlag.CALIBRATION]] = RANK_NOT_EVALUATED


@compiled
def route(readings: Records, time_words: UInt8s, newest: Records, counts: Int64s) -> None:
    """Sets order, valid and prior of every reading, moves `newest` on, and adds to counts.

    `time_words`: the words of impossible_time, one row a slot.
    """
    for row in range(readings.size):
        reading = readings[row]
        last = newest[reading["subject"]]
        value = reading["value"]
        if not np.isfinite(value):
            value = np.nan
            reading["value"] = np.nan
        reading["valid"] = value if reading["flag"] == NORMAL else np.nan
        reading["prior_ns"] = last["measured_ns"]
        reading["prior_position"] = last["position"]
        reading["prior_value"] = last["ordered_value"]
        reading["prior_flag"] = last["ordered_flag"]
        order = IN_ORDER
        for slot in range(time_words.shape[0]):
            if time_words[slot, row] == FAIL:
                order = IMPOSSIBLE
        if order == IN_ORDER and last["seen"]:
            if reading["measured_ns"] < last["measured_ns"]:
                order = LATE
                counts[LATES] += 1
            elif reading["measured_ns"] == last["measured_ns"]:
                same_value = value == last["value"] or (np.isnan(value) and np.isnan(last["value"]))
                order = DUPLICATE if same_value and reading["flag"] == last["flag"] else CONFLICT
                counts[DUPLICATES if order == DUPLICATE else CONFLICTS] += 1
        reading["order"] = order
        if not last["watched"] and order != DUPLICATE:
            counts[UNWATCHED] += 1
        if order in (IN_ORDER, CONFLICT):
            last["value"] = value
            last["flag"] = reading["flag"]
        if order == IN_ORDER:
            last["seen"] = 1
            last["measured_ns"] = reading["measured_ns"]
            last["position"] = reading["position"]
            last["ordered_value"] = value
            last["ordered_flag"] = reading["flag"]


@compiled
def weigh(
    words: UInt8s, roles: UInt8s, bits: UInt64s, count: int, ranks: UInt8s, said: UInt8s, raised: UInt64s
) -> None:
    """The worst word of all slots: into ranks (value checks), said (equipment flags) and raised (who raised it)."""
    ranks[:count] = RANK_NOT_EVALUATED
    said[:count] = 0
    raised[:count] = 0
    for slot in range(words.shape[0]):
        if roles[slot] == AMENDING:  # first says 2, which changes nothing
            continue
        worst = said if roles[slot] == EQUIPMENT else ranks
        bit = bits[slot]
        for row in range(count):
            word = words[slot, row]
            worst[row] = max(worst[row], RANK[word])
            if word in (SUSPECT, FAIL):
                raised[row] |= bit


@compiled
def unable(flag: int, said: int, rank: int) -> int:
    """The rank of a reading without a valid value: GOOD of a check that asks for the time only says nothing of it."""
    flagged = said or FLAG_RANK[flag]
    alone = flagged if flag != NORMAL else 0
    return max(rank, alone) if rank >= RANK_SUSPECT else alone


@compiled
def settle(
    readings: Records,
    moves: UInt8s,
    amending: Int64s,
    bits: UInt64s,
    ranks: UInt8s,
    said: UInt8s,
    raised: UInt64s,
    given: Records,
    batch: int,
    every: int,
    out: Records,
    settled: Int32s,
) -> int:
    """Writes the rows for the store to `out`, and returns how many.

    A word that came one reading later is patched into its row when that is in this batch, and is a row of its own
    (before the reading that settled it) when it is not and changes the verdict, or `every` such word is asked for.
    `settled`: for each reading the row it patched, else -1.
    """
    end = 0
    for row in range(readings.size):
        reading = readings[row]
        settled[row] = -1
        if reading["order"] == DUPLICATE:
            continue
        mine = given[reading["subject"]]
        if reading["order"] == IN_ORDER and not mine["superseded"]:
            rank, mask = 0, mine["raised"]
            for slot in amending:
                word = moves[slot, row]
                rank = max(rank, RANK[word]) if word != SILENT else rank
                if word in (SUSPECT, FAIL):
                    mask |= bits[slot]
            worst = max(rank, mine["rank"])
            if rank and mine["batch"] == batch:
                settled[row] = mine["row"]
                out[mine["row"]]["verdict"] = VERDICT_OF_RANK[worst]
                out[mine["row"]]["raised"] = mask
            elif rank and (every or worst != mine["rank"] or mask != mine["raised"]):
                put(out[end], reading["subject"], reading["prior_ns"], reading["prior_value"], reading["prior_flag"])
                say(out[end], ~row, worst, mask, False)
                end += 1
        worst = ranks[row] if np.isfinite(reading["valid"]) else unable(reading["flag"], said[row], ranks[row])
        put(out[end], reading["subject"], reading["measured_ns"], reading["value"], reading["flag"])
        say(out[end], row, worst, raised[row], reading["order"] == LATE)
        if reading["order"] == IN_ORDER:
            mine["raised"] = raised[row]
            mine["rank"] = worst
            mine["batch"] = batch
            mine["row"] = end
            mine["superseded"] = 0
        elif reading["order"] != LATE and reading["measured_ns"] == reading["prior_ns"]:
            # CONFLICT, or IMPOSSIBLE by now: the store holds the other value; an amendment would bring this one back.
            mine["superseded"] = 1
        end += 1
    return end


@compiled
def put(word: np.void, series: int, measured_ns: int, value: float, flag: int) -> None:
    """What the station said."""
    word["series"] = series
    word["measured_ns"] = measured_ns
    word["value"] = value
    word["flag"] = flag


@compiled
def say(word: np.void, reading: int, rank: int, raised: int, late: bool) -> None:  # noqa: FBT001  # a column
    """What we say."""
    word["reading"] = reading
    word["verdict"] = VERDICT_OF_RANK[rank]
    word["raised"] = raised
    word["late"] = late
