"""What every store promises, asked of whatever `opened` opens: each call gives a new object on the same readings."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np
from hypothesis import strategies as st

from ingest.message import Refused, Stored, StoredReading
from ingest.partitions import DAY_NS
from ingest.stores import WholeStore
from rules.readings import Judged, Kind, SeriesKey

NOON_NS = 1_772_366_400_000_000_000  # 2026-03-01T12:00Z
INT64 = (-(2**63), 2**63 - 1)
ALWAYS = (-(2**63), 2**63)
KEYS = [
    SeriesKey("上塘河-01", "p1", Kind.HOUR),
    SeriesKey("上塘河-01", "p1", Kind.MINUTE),
    SeriesKey("上塘河-01", "p2", Kind.HOUR),
    SeriesKey("B", "p1", Kind.HOUR),
]
Opened = Callable[[], WholeStore]
Told = tuple[SeriesKey, int, bytes, int, int, int]


@dataclass(frozen=True)
class Row:
    series: int = 0
    measured_ns: int = NOON_NS
    value: float = 1.0
    flag: int = 0
    verdict: int = 1
    raised: int = 0
    late: bool = False


def judged(*rows: Row) -> Judged:
    return Judged(
        np.array([r.series for r in rows], np.int64),
        np.array([r.measured_ns for r in rows], np.int64),
        np.array([r.value for r in rows], np.float64),
        np.array([r.flag for r in rows], np.uint8),
        np.array([r.verdict for r in rows], np.uint8),
        np.array([r.raised for r in rows], np.uint64),
        np.array([r.late for r in rows], np.bool_),
    )


def everything(store: WholeStore) -> list[StoredReading]:
    return [reading for station in store.stations() for reading in store.read(station, None, None, *ALWAYS)]


def walked(store: WholeStore) -> list[StoredReading]:
    return [reading for minute in store.minutes(*ALWAYS, None, None, None) for reading in minute]


def bits(value: float) -> bytes:
    return b"missing" if isnan(value) else struct.pack("<d", value)


def told(reading: StoredReading) -> Told:
    key = SeriesKey(reading.station, reading.parameter, reading.kind)
    return key, reading.measured_ns, bits(reading.value), reading.flag, reading.verdict, reading.raised


def rows_at(times: st.SearchStrategy[int]) -> st.SearchStrategy[list[Row]]:
    """Writes of a few rows, among them whatever an engine never makes."""
    odd_values = st.sampled_from([0.0, -0.0, nan, 5e-324, 1.7976931348623157e308, 1.0])
    return st.lists(
        st.builds(
            Row,
            series=st.integers(0, len(KEYS) - 1),
            measured_ns=times,
            value=st.one_of(odd_values, st.floats(allow_infinity=False)),
            flag=st.integers(0, 7),
            verdict=st.sampled_from([1, 2, 3, 4, 9]),
            raised=st.one_of(st.just(0), st.integers(0, 2**64 - 1)),
            late=st.booleans(),
        ),
        max_size=12,
    )


def what_shall_stand(batches: Sequence[Sequence[Row]], keys: Sequence[SeriesKey]) -> list[Told]:
    """A later row replaces; a late row that is there changes nothing; every bit of a value comes back."""
    expected: dict[tuple[SeriesKey, int], Row] = {}
    for row in (row for batch in batches for row in batch):
        at = (keys[row.series], row.measured_ns)
        known = expected.get(at)
        same = known is not None and (known.value == row.value or (isnan(known.value) and isnan(row.value)))
        if not (row.late and same and known is not None and known.flag == row.flag):
            expected[at] = row
    return sorted((k, t, bits(r.value), r.flag, r.verdict, r.raised) for (k, t), r in expected.items())


def reading_is_by_parameter_kind_and_time(opened: Opened) -> None:
    store = opened()
    rows = [Row(series=s, measured_ns=NOON_NS + d * DAY_NS) for d in (2, 0, 1) for s in range(len(KEYS))]
    store.write(judged(*rows), KEYS)
    found = store.read(KEYS[0].station, None, None, *ALWAYS)
    order = [(r.parameter, r.kind, r.measured_ns) for r in found]
    assert order == sorted(order)
    assert len(found) == 9
    assert {r.kind for r in store.read(KEYS[0].station, "p1", Kind.MINUTE, *ALWAYS)} == {Kind.MINUTE}
    assert {(r.parameter, r.kind) for r in store.read(KEYS[0].station, "p2", None, *ALWAYS)} == {("p2", Kind.HOUR)}
    assert store.read("unknown", None, None, *ALWAYS) == []
    assert store.stations() == ["B", "上塘河-01"]
    assert store.count() == len(rows)


def a_span_holds_its_start_and_not_its_end(opened: Opened) -> None:
    store = opened()
    store.write(judged(*(Row(measured_ns=NOON_NS + n) for n in range(5))), KEYS)

    def between(first: int, end: int) -> list[int]:
        read = store.read(KEYS[0].station, "p1", Kind.HOUR, NOON_NS + first, NOON_NS + end)
        return [reading.measured_ns - NOON_NS for reading in read]

    assert between(1, 3) == [1, 2]
    assert between(-10, 10) == [0, 1, 2, 3, 4]
    assert between(3, 3) == between(3, 1) == []


def a_late_row_with_another_value_is_taken(opened: Opened) -> None:
    """Missing is a value here: it differs from every number."""
    for at, (before, late) in enumerate([(nan, 1.0), (1.0, nan), (1.0, 2.0)]):
        store = opened()
        store.write(judged(Row(value=before, measured_ns=NOON_NS + at)), KEYS)
        store.write(judged(Row(value=late, verdict=3, late=True, measured_ns=NOON_NS + at)), KEYS)
        reading = everything(store)[-1]
        assert (bits(reading.value), reading.verdict) == (bits(late), 3)


def a_late_row_with_the_known_value_keeps_the_first_verdict(opened: Opened) -> None:
    store = opened()
    for at, value in enumerate([nan, 1.0]):
        store.write(judged(Row(value=value, verdict=4, measured_ns=NOON_NS + at)), KEYS)
        store.write(judged(Row(value=value, verdict=1, late=True, measured_ns=NOON_NS + at)), KEYS)
    assert [reading.verdict for reading in everything(store)] == [4, 4]


def a_late_row_with_another_flag_is_taken(opened: Opened) -> None:
    store = opened()
    store.write(judged(Row(flag=0)), KEYS)
    store.write(judged(Row(flag=5, verdict=4, late=True)), KEYS)
    assert [(reading.flag, reading.verdict) for reading in everything(store)] == [(5, 4)]
    store.write(judged(Row(flag=0, verdict=1, late=True)), KEYS)
    assert [(reading.flag, reading.verdict) for reading in everything(store)] == [(0, 1)]


def a_late_row_with_the_known_flag_keeps_the_first_verdict(opened: Opened) -> None:
    store = opened()
    for at, flag in enumerate([5, 8]):
        store.write(judged(Row(flag=flag, verdict=4, measured_ns=NOON_NS + at)), KEYS)
        store.write(judged(Row(flag=flag, verdict=1, late=True, measured_ns=NOON_NS + at)), KEYS)
    assert [(reading.flag, reading.verdict) for reading in everything(store)] == [(5, 4), (8, 4)]


def a_value_that_was_corrected_to_missing_is_known_as_missing(opened: Opened) -> None:
    for at, late in enumerate([nan, 7.0]):
        store = opened()
        for value, verdict in ((7.0, 1), (nan, 9)):
            store.write(judged(Row(value=value, verdict=verdict, measured_ns=NOON_NS + at)), KEYS)
        store.write(judged(Row(value=late, verdict=3, late=True, measured_ns=NOON_NS + at)), KEYS)
        reading = everything(store)[-1]
        assert (bits(reading.value), reading.verdict) == ((b"missing", 9) if isnan(late) else (bits(7.0), 3))


def a_correction_takes_back_whatever_was_said(opened: Opened) -> None:
    store = opened()
    store.write(judged(Row(value=7.0, flag=5, verdict=4, raised=0b1011)), KEYS)
    store.write(judged(Row(value=nan, verdict=9)), KEYS)
    assert [told(r)[2:] for r in everything(store)] == [(b"missing", 0, 9, 0)]
    store.write(judged(Row(value=8.0, verdict=3, raised=0)), KEYS)
    assert [told(r)[2:] for r in everything(store)] == [(bits(8.0), 0, 3, 0)]


def writing_twice_changes_nothing(opened: Opened) -> None:
    store = opened()
    rows = judged(*(Row(measured_ns=NOON_NS + n, value=float(n)) for n in range(100)))
    store.write(rows, KEYS)
    once = everything(store)
    store.write(rows, KEYS)
    assert everything(store) == once
    assert len(once) == 100


def a_new_object_finds_what_an_old_one_wrote_and_reads_beside_it(opened: Opened) -> None:
    writer, reader = opened(), opened()
    writer.write(judged(Row(series=3)), KEYS)
    assert [r.station for r in everything(reader)] == ["B"]
    writer.write(judged(Row(series=0)), KEYS)
    assert len(everything(reader)) == 2
    assert reader.write(judged(Row(series=3, value=2.0)), KEYS) == Stored()
    assert {r.value for r in everything(writer)} == {1.0, 2.0}


def keys_may_grow_and_change_places(opened: Opened) -> None:
    """After a restore the engine may have other places for the same series."""
    store = opened()
    store.write(judged(Row(series=0)), KEYS)
    store.write(judged(Row(series=3, value=2.0)), KEYS[::-1])
    assert [r.value for r in everything(store)] == [2.0]
    grown = KEYS[:1]
    store.write(judged(Row(series=0, value=3.0)), grown)
    grown += KEYS[3:]
    store.write(judged(Row(series=1, value=4.0)), grown)
    assert {r.station: r.value for r in everything(store)} == {KEYS[0].station: 3.0, "B": 4.0}


def a_name_that_is_no_text_is_refused_and_the_rest_is_stored(opened: Opened) -> None:
    store = opened()
    keys = [KEYS[0], SeriesKey("\ud800", "p", Kind.DAY)]
    result = store.write(judged(Row(series=1), Row(series=0), Row(series=1)), keys)
    assert isinstance(result, Refused)
    assert list(result.rows) == [0, 2]
    assert store.count() == 1


def a_walk_is_in_the_order_of_time_with_odd_times_last(opened: Opened) -> None:
    store = opened()
    times = [0, NOON_NS + DAY_NS, NOON_NS, NOON_NS + 1, NOON_NS + 61_000_000_000, 2**62]
    rows = [Row(series=s, measured_ns=t) for t in times for s in range(len(KEYS))]
    store.write(judged(*rows), KEYS)
    met = walked(store)
    assert len(met) == len(rows)
    assert [r.measured_ns for r in met[:-8]] == sorted([*times[1:5]] * 4)
    first = met[:4]
    assert [(r.measured_ns, r.station, r.parameter, r.kind) for r in first] == sorted(
        (r.measured_ns, r.station, r.parameter, r.kind) for r in first if r.measured_ns == NOON_NS
    )
    some = [r for minute in store.minutes(NOON_NS, NOON_NS + 2, "上塘河-01", "p1", Kind.MINUTE) for r in minute]
    assert [(told(r)[0], r.measured_ns - NOON_NS) for r in some] == [(KEYS[1], 0), (KEYS[1], 1)]


CONTRACT: Sequence[Callable[[Opened], None]] = [
    reading_is_by_parameter_kind_and_time,
    a_span_holds_its_start_and_not_its_end,
    a_late_row_with_another_value_is_taken,
    a_late_row_with_the_known_value_keeps_the_first_verdict,
    a_late_row_with_another_flag_is_taken,
    a_late_row_with_the_known_flag_keeps_the_first_verdict,
    a_value_that_was_corrected_to_missing_is_known_as_missing,
    a_correction_takes_back_whatever_was_said,
    writing_twice_changes_nothing,
    a_new_object_finds_what_an_old_one_wrote_and_reads_beside_it,
    keys_may_grow_and_change_places,
    a_name_that_is_no_text_is_refused_and_the_rest_is_stored,
    a_walk_is_in_the_order_of_time_with_odd_times_last,
]
