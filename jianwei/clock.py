"""The only place where the program asks for the time of day."""

import time


def wall_ns() -> int:
    """Nanoseconds since 1970-01-01T00:00:00Z."""
    return time.time_ns()  # noqa: TID251  # this is the one place


class SimulatedClock:
    """A clock that stands still until it is set. Any thread may read it; one sets it."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns
