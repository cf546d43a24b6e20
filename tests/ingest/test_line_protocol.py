"""Lines beside those of the official client, and what no line can carry."""

from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from influxdb_client.client.write.point import Point

from ingest.stores.influxdb.line_protocol import Lines
from ingest.stores.influxdb.names import EARLIEST_NS, LATEST_NS, problem_of, reading_of, words_of
from rules.readings import Int64s, Judged, Kind, SeriesKey
from tests.ingest.store_contract import NOON_NS, Row, judged, rows_at, told

NAMES = st.one_of(st.text(min_size=1, max_size=12), st.text(", =\\\"'%a测\n", min_size=1, max_size=8))
VALUES = st.floats(allow_nan=False, allow_infinity=False)


def lines() -> Lines:
    return Lines(lambda key: key.kind.name.lower(), lambda _: "surface_water")


def every(rows: Judged) -> Int64s:
    return np.arange(len(rows))


def text_of(keys: list[SeriesKey], *rows: Row) -> list[str]:
    taken = judged(*rows)
    return lines().laid_out(taken, keys).body(every(taken)).text.decode().split("\n")


def cut(line: str, at: str) -> list[str]:
    """At every `at` that no backslash stands before."""
    parts = [""]
    for before, letter in zip("\0" + line, line, strict=False):
        if letter == at and before != "\\":
            parts.append("")
        else:
            parts[-1] += letter
    return parts


@given(NAMES, st.lists(NAMES, min_size=1, max_size=5, unique=True), st.sampled_from(Kind), st.data())
def test_a_line_says_what_the_line_of_the_official_client_says(
    station: str, parameters: list[str], kind: Kind, data: st.DataObject
) -> None:
    keys = [SeriesKey(station, parameter, kind) for parameter in parameters]
    assume(not any(problem_of(key) for key in keys))
    values = data.draw(st.lists(VALUES, min_size=len(keys), max_size=len(keys)))
    point: Any = Point("surface_water")  # type: ignore[no-untyped-call]
    point.tag("station", station).tag("kind", kind.name.lower()).time(NOON_NS)
    for key, value in zip(keys, values, strict=True):
        point.field(key.parameter, value).field(key.parameter + "_word", 1)
    (line,) = text_of(keys, *(Row(series=n, value=value, measured_ns=NOON_NS) for n, value in enumerate(values)))
    ours, theirs = cut(line, " "), cut(point.to_line_protocol(), " ")
    assert ours[0] == theirs[0]
    assert ours[2] + "000000" == theirs[2]
    assert fields(ours[1]) == fields(theirs[1])


def fields(text: str) -> dict[str, str]:
    """Numbers as their bits, since 1e16 may be written in several ways."""
    pairs = [cut(pair, "=") for pair in cut(text, ",")]
    return {name: value if value.endswith("i") else float(value).hex() for name, value in pairs}


@given(rows_at(st.integers(NOON_NS, NOON_NS + 3)))
def test_what_a_word_says_of_a_reading_comes_back_whatever_lay_there_before(rows: list[Row]) -> None:
    key = SeriesKey("A", "p", Kind.HOUR)
    for row, word in zip(rows, words_of(judged(*rows)).tolist(), strict=True):
        for stale in (None, 7):
            (line,) = text_of([key], Row(0, row.measured_ns, row.value, row.flag, row.verdict, row.raised))
            said = fields(cut(line, " ")[1].replace("u", "i"))
            value = float.fromhex(said["p"]) if "p" in said else stale
            raised = int(said["p_raised"][:-1]) if "p_raised" in said else stale
            found = reading_of(key, row.measured_ns, word, value, raised)
            whole = reading_of(key, row.measured_ns, word, row.value, row.raised)
            assert told(found) == told(whole)
            assert (found.flag, found.verdict, found.raised) == (row.flag, row.verdict, row.raised)


def test_a_word_is_plain_for_whatever_the_engine_makes() -> None:
    rows = [
        Row(),
        Row(verdict=2),
        Row(verdict=4, raised=8),
        Row(value=nan, verdict=9),
        Row(verdict=4, flag=5, raised=1),
    ]
    assert words_of(judged(*rows)).tolist() == [1, 2, 4, 9, 54]


def test_a_message_is_one_line_and_an_amendment_another() -> None:
    keys = [SeriesKey("A", name, Kind.HOUR) for name in ("p", "q")]
    later = NOON_NS + 60_000_000_000
    found = text_of(keys, Row(0), Row(1, value=nan, verdict=9), Row(0, later, 2.5, 5, 3, 6), Row(1, later), Row(0))
    assert found == [
        f"surface_water,kind=hour,station=A p=1.0,p_word=1i,q_word=9i {NOON_NS // 10**6}",
        f"surface_water,kind=hour,station=A p=2.5,p_word=53i,p_raised=6u,q=1.0,q_word=1i {later // 10**6}",
        f"surface_water,kind=hour,station=A p=1.0,p_word=1i {NOON_NS // 10**6}",
    ]


def test_layouts_are_forgotten_with_the_keys_they_were_made_for() -> None:
    """After a restore the engine has other places for the same series."""
    made = lines()
    rows = judged(Row(0), Row(1))
    keys = [SeriesKey("A", "p", Kind.HOUR), SeriesKey("A", "q", Kind.HOUR)]
    before = made.laid_out(rows, keys).body(every(rows)).text
    after = made.laid_out(rows, keys[::-1]).body(every(rows)).text
    assert before.split()[1] == b"p=1.0,p_word=1i,q=1.0,q_word=1i"
    assert after.split()[1] == b"q=1.0,q_word=1i,p=1.0,p_word=1i"


def test_layouts_are_remembered_within_a_bound_on_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a single write, too."""
    monkeypatch.setattr("ingest.stores.influxdb.line_protocol.MOST_LAYOUTS_BYTES", 100_000)
    made = lines()
    keys = [SeriesKey("A", f"p{n}", Kind.HOUR) for n in range(200)]
    rows = judged(*(Row((n + at) % 200, NOON_NS + at * 1_000_000) for at in range(100) for n in range(200)))
    text = made.laid_out(rows, keys).body(every(rows)).text.decode().split("\n")
    assert [line.split()[1].split("=")[0] for line in text] == [f"p{at}" for at in range(100)]
    assert 0 < sum(len(layout) + len(line) for layout, line in made._layouts.lines.items()) < 120_000


@pytest.mark.parametrize(
    ("station", "parameter", "why"),
    [
        ("", "p", "the station has no name"),
        ("A", "", "the parameter has no name"),
        ("\ud800", "p", "is not text"),
        ("A\nB", "p", "station holds a control character"),
        ("A", "p\t", "parameter holds a control character"),
        ("A\\", "p", "a backslash where"),
        ("A\\ B", "p", "a backslash where"),
        ("A", "p\\,q", "a backslash where"),
        ("A", "p\\=", "a backslash where"),
        ("A", "time", "a column of the store"),
        ("A", "station", "a column of the store"),
        ("A", "p_word", "a column of the store"),
        ("A", "p_raised", "a column of the store"),
    ],
)
def test_a_name_that_no_line_can_carry_has_its_reason(station: str, parameter: str, why: str) -> None:
    rows = judged(Row(0), Row(1))
    laid = lines().laid_out(rows, [SeriesKey("C:\\dir", "w_words", Kind.DAY), SeriesKey(station, parameter, Kind.DAY)])
    assert list(laid.unfit()) == [1]
    assert why in laid.unfit()[1]


def test_what_no_number_of_a_line_can_say_has_its_reason() -> None:
    key = [SeriesKey("A", "p", Kind.DAY)]
    rows = judged(
        Row(value=inf), Row(value=-inf), Row(measured_ns=EARLIEST_NS - 1), Row(measured_ns=LATEST_NS + 1),
        Row(measured_ns=EARLIEST_NS), Row(measured_ns=LATEST_NS), Row(value=nan, verdict=9),
    )  # fmt: skip
    unfit = lines().laid_out(rows, key).unfit()
    assert sorted(unfit) == [0, 1, 2, 3]
    assert unfit[0] == "the value is infinite"
    assert unfit[3] == "the time is beyond what InfluxDB can say"
