"""Episodes once more, slowly: plain lists and fractions, one reading at a time, after the sentences about the engine."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

from rules.readings import Level, LimitInForce, Verdict
from rules.watches import Escalation, Persistence, Watch
from tests.rules.watching import Row

Point = tuple[int, float, int]  # measured, value, position
Change = tuple[str, Level, int, int, Point, Point, Point]  # what, level, at, since, first, worst, last


@dataclass(frozen=True)
class Spoken:
    """An evaluated reading: how bad (none: good), by how much, and which it was."""

    word: Verdict
    excess: Fraction
    point: Point


def exact(number: float) -> Fraction:
    return Fraction(repr(number))


def in_order(rows: Iterable[Row]) -> Iterator[tuple[Point, bool]]:
    """The readings of one series that are newer than all before; is the value one that a check may look at?"""
    newest: int | None = None
    for _, measured_ns, _, value, flag, position in rows:
        if newest is None or measured_ns > newest:
            newest = measured_ns
            yield (measured_ns, value, position), isfinite(value) and flag == 0


def ranged(rows: Iterable[Row], fail: tuple[float, float], suspect: tuple[float, float]) -> Iterator[Spoken]:
    for point, valid in in_order(rows):
        value = point[1]
        if valid and suspect[0] <= value <= suspect[1]:
            yield Spoken(Verdict.GOOD, Fraction(0), point)
        elif valid:
            outside = max(exact(suspect[0]) - exact(value), exact(value) - exact(suspect[1]))
            yield Spoken(Verdict.SUSPECT if fail[0] <= value <= fail[1] else Verdict.FAIL, outside, point)


def limited(rows: Iterable[Row], limits: Sequence[LimitInForce]) -> Iterator[Spoken]:
    for point, valid in in_order(rows):
        measured_ns, value, _ = point
        in_force = [limit for limit in limits if limit.valid_from_ns <= measured_ns < limit.valid_until_ns]
        if not valid or not in_force:
            continue
        low, high = in_force[0].low, in_force[0].high
        if low <= value <= high:
            yield Spoken(Verdict.GOOD, Fraction(0), point)
        else:
            broken = exact(high if value > high else low)
            yield Spoken(Verdict.FAIL, abs(exact(value) - broken) / broken, point)


def spiked(rows: Iterable[Row], suspect: float, fail: float) -> Iterator[Spoken]:
    """The middle one of three valid readings that follow each other."""
    readings = list(in_order(rows))
    for (before, valid_before), (point, valid), (after, valid_after) in zip(
        readings, readings[1:], readings[2:], strict=False
    ):
        if valid_before and valid and valid_after:
            height = abs(exact(point[1]) - (exact(before[1]) + exact(after[1])) / 2)
            word = (
                Verdict.FAIL if height > exact(fail) else Verdict.SUSPECT if height > exact(suspect) else Verdict.GOOD
            )
            yield Spoken(word, height, point)


def level_of(spoken: Spoken, watch: Watch) -> Level:
    if spoken.word is Verdict.SUSPECT:
        return watch.suspect_level
    if spoken.word is not Verdict.FAIL:
        return Level.NONE
    reached = [step.level for step in watch.escalation if spoken.excess >= abs(_share(step))]
    return max([watch.fail_level, *reached])


def _share(step: Escalation) -> Fraction:
    return exact(step.ratio) - 1


def held(marks: Sequence[bool], times: Sequence[int], hold: Persistence) -> bool:
    """At the newest of the readings: have `count` of the last `of` the mark, for long enough since the first that has it?"""
    first = next(at_ns for mark, at_ns in zip(marks, times, strict=True) if mark)
    return sum(marks[-hold.of :]) >= hold.count and times[-1] - first >= hold.duration_ns


def changes(watch: Watch, readings: Iterable[Spoken]) -> list[Change]:
    """What a watch finds in the evaluated readings of its series."""
    found: list[Change] = []
    pending: list[tuple[Spoken, Level]] = []  # from the first bad reading on
    is_open = False
    healing: list[tuple[bool, int]] = []  # from the first good reading since then on

    def tell(what: str) -> None:
        bad = [spoken for spoken, level in pending if level]
        worst = max(bad, key=lambda spoken: spoken.excess)  # the first of equals
        loudest = max(level for _, level in pending)
        points = bad[0].point, worst.point, pending[-1][0].point
        found.append((what, loudest, pending[-1][0].point[0], bad[0].point[0], *points))

    for spoken in readings:
        level = level_of(spoken, watch)
        if not pending and not level:
            continue
        louder = bool(pending) and level > max(before for _, before in pending)
        pending.append((spoken, level))
        marks, times = [bool(bad) for _, bad in pending], [known.point[0] for known, _ in pending]
        if not is_open:
            if level and held(marks, times, watch.raise_after):
                tell("opened")
                is_open, healing = True, []
            elif not any(marks[-watch.raise_after.of :]):
                pending = []
            continue
        if level and louder:
            tell("worsened")
        if healing or not level:
            healing.append((not level, spoken.point[0]))
        if not any(good for good, _ in healing[-watch.clear_after.of :]):
            healing = []
        if not level and held([good for good, _ in healing], [at_ns for _, at_ns in healing], watch.clear_after):
            tell("cleared")
            is_open, pending = False, []
    return found
