"""Readings, message by message, become the columns of a batch."""

from array import array
from collections.abc import Callable, Sequence

import numpy as np

from rules.readings import Batch, Int64s, SeriesKey


class BatchBuilder:
    """The `Columns` into which formats put what they read. `place` is the engine's.

    Use: `extend` any number of times for a message, `end_message` once after each, `build` once after the last; then
    it is empty again.
    """

    def __init__(self, place: Callable[[SeriesKey], int]) -> None:
        self.place = place
        self._empty()

    def _empty(self) -> None:
        self._series = array("q")  # takes what is an array itself, such as the places of a layout, in one go
        self._values: list[float] = []
        self._measured_ns: list[int] = []  # one a sample
        self._sample_ends: list[int] = []
        self._message_ends: list[int] = []
        self._flags: list[tuple[int, Sequence[int]]] = []  # (row, flags from there on) where not all are normal

    def __len__(self) -> int:
        return len(self._series)

    @property
    def messages(self) -> int:
        return len(self._message_ends)

    def extend(
        self, series: Sequence[int], measured_ns: int, values: Sequence[float], flags: Sequence[int] | None
    ) -> None:
        """One sample: as many readings as `series`, all measured at the same time. flags None: all normal."""
        if flags is not None:
            self._flags.append((len(self._series), flags))
        self._series.extend(series)
        self._values.extend(values)
        self._measured_ns.append(measured_ns)
        self._sample_ends.append(len(self._series))

    def end_message(self) -> None:
        """What came since the last call was one message, perhaps without any reading."""
        self._message_ends.append(len(self._series))

    def build(self, received_ns: Int64s, position: Int64s) -> Batch:
        """The batch; `received_ns` and `position` have an item for each message that was ended."""
        rows = len(self._series)
        if len(self._values) != rows:
            raise ValueError(f"{rows} places and {len(self._values)} values: a format counts wrongly")
        flag = np.zeros(rows, np.uint8)
        for start, flags in self._flags:
            flag[start : start + len(flags)] = flags
        per_message = _sizes(self._message_ends)
        batch = Batch(
            series=np.frombuffer(self._series, np.int64),
            measured_ns=np.repeat(np.array(self._measured_ns, np.int64), _sizes(self._sample_ends)),
            received_ns=np.repeat(received_ns, per_message),
            value=np.array(self._values, np.float64),
            flag=flag,
            position=np.repeat(position, per_message),
        )
        self._empty()
        return batch


def _sizes(ends: list[int]) -> Int64s:
    """How many rows lie between each end and the one before."""
    bounds = np.array([0, *ends], np.int64)
    return bounds[1:] - bounds[:-1]
