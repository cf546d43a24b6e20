"""What the world does while nothing is wrong: values as a pure function of (seed, station, parameter, time).

Noise is counter-based: every draw is a hash of the seed, the name of its stream and the number of its step, so any
moment can be computed without its past, and columns of moments at once.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rules.readings import SECOND_NS, Float64s, Int64s, UInt64s

HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
TIDE_NS = 44_714 * SECOND_NS  # the principal lunar tide, 12.42 h


@dataclass(frozen=True, slots=True)
class Shape:
    """How one parameter of one station moves.

    `base`, plus waves of the day (top at `peak_ns` after midnight UTC) and of the tide, plus a slow wander and a fast
    noise (at most the given amounts either way), cut to `low`..`high`.
    """

    base: float
    daily: float
    peak_ns: int
    tide: float
    wander: float
    wander_ns: int
    noise: float
    low: float
    high: float


def stream(seed: int, *names: str) -> int:
    """The number of a stream of dice: equal for equal names, in every process."""
    text = "\0".join([str(seed), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def uniform(of: int, counters: UInt64s) -> Float64s:
    """One number in [0, 1) for each counter of the stream `of` (the SplitMix64 finaliser over a Weyl sequence)."""
    mixed = counters * np.uint64(0x9E3779B97F4A7C15) + np.uint64(of)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def bell(of: int, counters: UInt64s) -> Float64s:
    """One number in (-1, 1) for each counter, near zero more often than not: the mean of four draws.

    It is bounded on purpose: a quiet station never leaves its range by bad luck.
    """
    lanes: UInt64s = counters[..., None] * np.uint64(4) | np.arange(4, dtype=np.uint64)
    draws = uniform(of, lanes)
    return np.asarray(draws.mean(axis=-1) * 2.0 - 1.0, dtype=np.float64)


def wander(of: int, times_ns: Int64s, span_ns: int) -> Float64s:
    """A smooth walk in (-1, 1) that turns about every `span_ns`: dice on a lattice, eased between."""
    lattice: Int64s = times_ns // span_ns
    share = (times_ns - lattice * span_ns) / span_ns
    eased = share * share * (3.0 - 2.0 * share)
    before = uniform(of, lattice.astype(np.uint64))
    after = uniform(of, (lattice + np.int64(1)).astype(np.uint64))
    return np.asarray((before + (after - before) * eased) * 2.0 - 1.0, dtype=np.float64)


def values(shape: Shape, of: int, times_ns: Int64s, step_ns: int) -> Float64s:
    """The values at these times, unrounded.

    `of` is the stream of this station and parameter; times within one step share their noise.
    """
    day = np.cos(2.0 * np.pi * ((times_ns - shape.peak_ns) % DAY_NS) / DAY_NS)
    tide = np.sin(2.0 * np.pi * (times_ns % TIDE_NS) / TIDE_NS)
    slow = wander(of ^ 1, times_ns, shape.wander_ns)
    fast = bell(of ^ 2, (times_ns // step_ns).astype(np.uint64))
    total = shape.base + shape.daily * day + shape.tide * tide + shape.wander * slow + shape.noise * fast
    return np.clip(total, shape.low, shape.high)


def means(shape: Shape, of: int, starts_ns: Int64s, span_ns: int, step_ns: int) -> Float64s:
    """The means over [start, start + span): what a station reports for an hour or a day."""
    points = max(1, min(60, span_ns // step_ns))
    offsets = np.arange(points, dtype=np.int64) * (span_ns // points)
    grid: NDArray[np.int64] = starts_ns[:, None] + offsets[None, :]
    return np.asarray(values(shape, of, grid, step_ns).mean(axis=1), dtype=np.float64)
