"""The twenty watches of `engine.PLAN` as a plain Python loop: no episodes, no amendments, nothing but the words."""

from collections.abc import Iterable

Seen = tuple[int, float, int]  # measured_ns, value, since when it stands still


def judge(readings: Iterable[tuple[int, int, int, float, int]], seen: dict[int, Seen]) -> int:
    """How many readings somebody raised. A reading: series, measured_ns, received_ns, value, flag."""
    found = 0
    for series, measured_ns, received_ns, value, flag in readings:
        raised = measured_ns > received_ns + 3_600_000_000_000
        before_ns, before, still_ns = seen.get(series, (measured_ns, value, measured_ns))
        for n in range(4):
            raised |= not -90.0 - n <= value <= 190.0 or not 0.0 <= value <= 99.0
        change = abs(value - before)
        for n in range(3):
            raised |= change > 60.0 + n or change > 90.0
        if measured_ns > before_ns:
            pace = change / (measured_ns - before_ns) * 60e9
            for n in range(3):
                raised |= pace > 90.0 + n or pace > 100.0
        still_ns = still_ns if change <= 0.01 else measured_ns
        for _ in range(3):
            raised |= measured_ns - still_ns >= 600_000_000_000
        for _ in range(4):
            raised |= not 0.0 <= value <= 99.0
        found += raised or flag in {2, 5}
        seen[series] = (measured_ns, value, still_ns)
    return found
