"""Whoever reads a million broken inputs must not grow, and must not stay with one of them."""

import gc
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

# `make fuzz` asks for a million; a tenth is what `make test` has time for.
INPUTS = int(os.environ.get("FUZZ", "100000"))
MOST_INPUT_S = 2.0  # a megabyte takes 0.3 to 0.6 where the host is shared; what hangs takes for ever
MOST_GROWTH_BLOCKS = 2_000  # of Python's memory, over half of all inputs
MOST_GROWTH_MB = 8.0


class Patience:
    """A context round the reading of one input: it must not take more than MOST_INPUT_S of the processor.

    Time of this thread, so that a machine that others use fails nobody.
    """

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._began_s = 0.0

    def __enter__(self) -> Self:
        self._began_s = time.thread_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        took_s = time.thread_time() - self._began_s
        if took_s > self.longest_s:
            self.longest_s = took_s
            assert took_s < MOST_INPUT_S, f"one input took {took_s:.2f} s"


def rss_mb() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def without_growth(turns: int, turn: Callable[[int], None]) -> None:
    """Takes all turns, numbered from 0. The second half of them must leave as much memory in use as the first did."""
    held: list[tuple[int, float]] = []
    for ends in (range(turns // 2), range(turns // 2, turns)):
        for number in ends:
            turn(number)
        gc.collect()
        held.append((sys.getallocatedblocks(), rss_mb()))
    (blocks_before, mb_before), (blocks, mb) = held
    assert blocks - blocks_before < MOST_GROWTH_BLOCKS, f"{blocks - blocks_before} blocks of memory were not given back"
    assert mb - mb_before < MOST_GROWTH_MB, f"memory grew by {mb - mb_before:.1f} MB"
