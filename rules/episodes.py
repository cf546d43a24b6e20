"""Episodes: from words to spans. One kernel for all checks; a machine of three moves: opened, worsened, cleared.

Time is event time: of the reading, of its arrival, or of the tick, as the check says (`Moved`). A reading is bad when
its word has a level in the watch (NONE: that word raises nothing), good when its word is good or has no level; readings
without an evaluated word do not exist here, so a gap neither raises, nor clears, nor interrupts.

Raising: an episode is pending from the first bad reading on, for as long as the last `of` evaluated readings hold one.
It opens at a bad reading when `count` of the last `of` are bad and `duration` has passed since it is pending. Clearing
is the mirror image, with good readings. The level is the loudest since the episode began, and never falls.
"""

import math
from collections.abc import Hashable

import numpy as np

from rules.readings import Float64s, Int64s, UInt8s
from rules.state import FAIL, GOOD, IMPOSSIBLE, IN_ORDER, SUSPECT, Int32s, Moved, Records, compiled
from rules.watches import Persistence, Watch

# How one watch raises and clears; many watches share one.
MANNER = np.dtype(
    [
        ("edition", "i8"),
        ("rule", "i4"),  # place in the engine's list of names
        ("unit", "i4"),  # the same
        ("raise_mask", "u8"),
        ("raise_ns", "i8"),
        ("clear_mask", "u8"),
        ("clear_ns", "i8"),
        ("step_from", "f8", (5,)),  # by level: the excess from which on a FAIL has it; nan: never
        ("raise_count", "i4"),
        ("clear_count", "i4"),
        ("suspect_level", "u1"),
        ("fail_level", "u1"),
        ("family", "u1"),
    ],
    align=True,
)

# An episode, pending or open. Only a subject in trouble has one. A free record has row -1.
EPISODE = np.dtype(
    [
        ("row", "i8"),
        ("edition", "i8"),
        ("bad", "u8"),  # last evaluated readings as bits, newest lowest
        ("good", "u8"),  # the same since it is open
        ("since_ns", "i8"),
        ("good_since_ns", "i8"),
        ("first_ns", "i8"),
        ("first_value", "f8"),
        ("first_position", "i8"),
        ("worst_ns", "i8"),
        ("worst_value", "f8"),
        ("worst_position", "i8"),
        ("worst_excess", "f8"),
        ("last_ns", "i8"),
        ("last_value", "f8"),
        ("last_position", "i8"),
        ("level", "u1"),
        ("open", "u1"),
    ],
    align=True,
)

EVENT = np.dtype(
    [("reading", "i8"), ("slot", "i8"), ("row", "i8"), ("at_ns", "i8"), ("found_ns", "i8"), ("what", "u1")], align=True
)

NOTHING, OPENED, WORSENED, CLEARED, FORGOTTEN = 0, 1, 2, 3, 4
WHAT = ("", "opened", "worsened", "cleared")

BY_READING, BY_PRIOR, BY_ARRIVAL = int(Moved.BY_READING), int(Moved.BY_PRIOR), int(Moved.BY_ARRIVAL)
BY_STATION, BY_TICK = int(Moved.BY_STATION), int(Moved.BY_TICK)

ONE = np.uint64(1)
NO_BITS = np.uint64(0)
TIE = 1e-9  # 0.15 is one and a half times 0.1, whatever binary fractions say


def _mask(hold: Persistence, rule: str) -> int:
    if not 1 <= hold.count <= hold.of <= 64 or hold.duration_ns < 0:
        raise ValueError(f"{rule}: {hold} can never hold, or asks for more than 64 readings")
    return (1 << hold.of) - 1


def manner_key(watch: Watch) -> Hashable:
    """Equal for watches that raise and clear in the same manner, in the name of the same rule."""
    levels = int(watch.suspect_level), int(watch.fail_level)
    named = watch.rule, watch.edition, int(watch.family), watch.unit
    return (*named, *levels, watch.raise_after, watch.clear_after, *watch.escalation)


def describe(watch: Watch, rule: int, unit: int, manner: np.void) -> None:
    """Fills a MANNER record; `rule` and `unit` are numbers of names. A ratio of 1.5 means half over the upper limit or half under the lower; so does 0.5."""
    raising, clearing = watch.raise_after, watch.clear_after
    manner["edition"], manner["rule"], manner["unit"] = watch.edition, rule, unit
    manner["family"] = watch.family
    manner["raise_mask"], manner["clear_mask"] = _mask(raising, watch.rule), _mask(clearing, watch.rule)
    manner["raise_count"], manner["clear_count"] = raising.count, clearing.count
    manner["raise_ns"], manner["clear_ns"] = raising.duration_ns, clearing.duration_ns
    manner["suspect_level"], manner["fail_level"] = watch.suspect_level, watch.fail_level
    manner["step_from"] = np.nan
    for step in watch.escalation:
        excess = abs(step.ratio - 1) - TIE
        known = float(manner["step_from"][step.level])
        manner["step_from"][step.level] = excess if math.isnan(known) else min(known, excess)


@compiled
def holds(bits: np.uint64, mask: np.uint64, count: int) -> bool:
    left = bits & mask
    found = 0
    while left != NO_BITS:
        left &= left - ONE
        found += 1
    return found >= count


@compiled
def level_of(manner: np.void, word: int, excess: float) -> int:
    if word == SUSPECT:
        return manner["suspect_level"]  # type: ignore[no-any-return]  # a record has no types
    if word != FAIL:
        return 0
    level = manner["fail_level"]
    for louder in range(1, 5):
        if excess >= manner["step_from"][louder] and louder > level:
            level = louder
    return level  # type: ignore[no-any-return]  # a record has no types


@compiled
def advance(episode: np.void, manner: np.void, level: int, at_ns: int) -> int:
    """One evaluated reading further; says what that changed."""
    if level:
        episode["bad"] = episode["bad"] << ONE | ONE
        episode["good"] = episode["good"] << ONE
        if episode["good"] & manner["clear_mask"] == NO_BITS:
            episode["good"] = NO_BITS
        louder = level > episode["level"]
        if louder:
            episode["level"] = level
        if episode["open"]:
            return WORSENED if louder else NOTHING
        long_enough = at_ns - episode["since_ns"] >= manner["raise_ns"]
        if long_enough and holds(episode["bad"], manner["raise_mask"], manner["raise_count"]):
            episode["open"] = 1
            episode["good"] = NO_BITS
            episode["edition"] = manner["edition"]
            return OPENED
        return NOTHING
    episode["bad"] = episode["bad"] << ONE
    if not episode["open"]:
        return FORGOTTEN if episode["bad"] & manner["raise_mask"] == NO_BITS else NOTHING
    if episode["good"] == NO_BITS:
        episode["good_since_ns"] = at_ns
    episode["good"] = episode["good"] << ONE | ONE
    long_enough = at_ns - episode["good_since_ns"] >= manner["clear_ns"]
    if long_enough and holds(episode["good"], manner["clear_mask"], manner["clear_count"]):
        return CLEARED
    return NOTHING


@compiled
def remember(episode: np.void, level: int, excess: float, point: tuple[int, float, int]) -> None:
    """Keeps the reading as evidence: the last one, and of bad ones the first and the worst."""
    episode["last_ns"], episode["last_value"], episode["last_position"] = point
    if not level:
        return
    first = episode["bad"] == NO_BITS and not episode["open"]
    if first:
        episode["first_ns"], episode["first_value"], episode["first_position"] = point
    if first or excess > episode["worst_excess"]:
        episode["worst_ns"], episode["worst_value"], episode["worst_position"] = point
        episode["worst_excess"] = excess


@compiled
def take(pool: Records, free: Int32s, row: int, since_ns: int) -> int:
    """A record for a new episode; free[0] counts what lies free from free[1] on."""
    at = free[free[0]]
    free[0] -= 1
    episode = pool[at]
    episode["row"] = row
    episode["bad"] = NO_BITS
    episode["good"] = NO_BITS
    episode["since_ns"] = since_ns
    episode["good_since_ns"] = 0  # as in a new record: equal memories give equal snapshots
    episode["edition"] = 0
    episode["level"] = 0
    episode["open"] = 0
    return at  # type: ignore[no-any-return]  # numpy integers count as ints here


@compiled
def release(pool: Records, free: Int32s, at: int) -> None:
    pool[at]["row"] = -1
    free[0] += 1
    free[free[0]] = at


@compiled
def speaks(moved: int, order: int) -> bool:
    """Whether a reading of this order moves episodes at all."""
    if moved == BY_TICK:
        return True
    if moved == BY_ARRIVAL:
        return order in (IN_ORDER, IMPOSSIBLE)
    return order == IN_ORDER


@compiled
def times_of(moved: int, reading: np.void) -> tuple[int, int]:
    """When the word changes its episode, and since when it has been so."""
    if moved == BY_PRIOR:
        return reading["prior_ns"], reading["prior_ns"]
    if moved == BY_ARRIVAL:
        return reading["received_ns"], reading["received_ns"]
    if moved == BY_TICK:
        return reading["received_ns"], reading["prior_ns"]
    return reading["measured_ns"], reading["measured_ns"]


@compiled
def point_of(moved: int, reading: np.void) -> tuple[int, float, int]:
    """Which reading the word is about: time, value, position."""
    if moved == BY_PRIOR:
        return reading["prior_ns"], reading["prior_value"], reading["prior_position"]
    if moved == BY_ARRIVAL:  # it is about the time of a whole message
        return reading["measured_ns"], np.nan, reading["position"]
    return reading["measured_ns"], reading["value"], reading["position"]


@compiled
def move(
    moved: int,
    readings: Records,
    place: Int32s,
    words: UInt8s,
    excess: Float64s,
    active: Int32s,
    manner_of: Int32s,
    manners: Records,
    ended: Int64s,
    pool: Records,
    free: Int32s,
    events: Records,
    copies: Records,
) -> int:
    """Moves the episodes of one check over a batch; returns how many events it wrote.

    `active[row]`: its record in `pool`, -1 for none. `ended[row]`: no episode of the row begins before this, so that no
    two have the same start, whatever order series of a station or a wrong clock come in. The pool must have a free
    record for every raised word, and `events` and `copies` room for two events a raised word and one for each record
    in use.
    """
    found = 0
    for at in range(readings.size):
        reading = readings[at]
        for slot in range(place.shape[1]):
            word = words[slot, at]
            if word not in (GOOD, SUSPECT, FAIL):
                continue
            row = place[reading["subject"], slot]
            if row < 0 or (active[row] < 0 and word == GOOD) or not speaks(moved, reading["order"]):
                continue
            manner = manners[manner_of[row]]
            outside = excess[slot, at] if moved not in (BY_STATION, BY_TICK) else 0.0
            level = level_of(manner, word, outside)
            if active[row] < 0 and not level:
                continue
            at_ns, since_ns = times_of(moved, reading)
            if active[row] < 0:
                active[row] = take(pool, free, row, max(since_ns, ended[row]))
            episode = pool[active[row]]
            at_ns = max(at_ns, episode["since_ns"])  # series of one station need not come in the order of time
            remember(episode, level, outside, point_of(moved, reading))
            what = advance(episode, manner, level, at_ns)
            if what in (OPENED, WORSENED, CLEARED):
                event = events[found]
                event["reading"], event["slot"], event["row"] = at, slot, row
                event["at_ns"], event["found_ns"], event["what"] = at_ns, reading["received_ns"], what
                copies[found] = episode
                found += 1
            if what in (CLEARED, FORGOTTEN):
                ended[row] = max(at_ns, episode["since_ns"] + 1)
                release(pool, free, active[row])
                active[row] = -1
    return found
