from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.instants import FIRST_YEAR, LAST_YEAR, InstantError, instant_ns

MOST_NS = 2**63


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01T08:00:00+08:00", 0),
        ("1969-12-31T19:30:00-04:30", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2026-05-01T08:00:00.5+08:00", 1_777_593_600_500_000_000),
        ("2024-02-29T23:59:59-00:00", 1_709_251_199_000_000_000),
        ("1700-01-01T00:00:00+23:59", -8_520_336_000_000_000_000 - 86_340 * 10**9),
    ],
)
def test_an_instant_is_told_to_the_nanosecond(text: str, ns: int) -> None:
    assert instant_ns(text) == ns


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-05-01T08:00:00", "it has no zone: end it with Z or +08:00"),
        ("2026-05-01T08:00:00.123", "it has no zone: end it with Z or +08:00"),
        ("2026-05-01T08:00:00.1234567890Z", "is not in the form"),
        ("2026-05-01T08:00:00.Z", "is not in the form"),
        ("2026-05-01 08:00:00Z", "is not in the form"),
        ("2026-05-01T08:00Z", "is not in the form"),
        ("2026-05-01", "is not in the form"),
        ("20260501T080000Z", "is not in the form"),
        ("2026-05-01T08:00:00+0800", "is not in the form"),
        ("2026-05-01T08:00:00Z\n", "is not in the form"),
        (" 2026-05-01T08:00:00Z", "is not in the form"),
        ("٢٠٢٦-05-01T08:00:00Z", "is not in the form"),
        ("", "is not in the form"),
        ("2026-05-01T08:00:00+24:00", "+24:00 is no zone"),
        ("2026-05-01T08:00:00-08:60", "-08:60 is no zone"),
        ("2026-02-29T08:00:00Z", "day is out of range for month"),
        ("2026-13-01T08:00:00Z", "month must be in 1..12"),
        ("2026-05-01T24:00:00Z", "hour must be in 0..23"),
        ("2026-05-01T08:00:60Z", "second must be in 0..59"),
        ("0000-01-01T00:00:00Z", "year 0 is out of range"),
        ("1699-12-31T23:59:59Z", "the year 1699 is out of range"),
        ("2201-01-01T00:00:00Z", "the year 2201 is out of range"),
    ],
)
def test_what_is_no_instant_is_told_why(text: str, why: str) -> None:
    with pytest.raises(InstantError) as told:
        instant_ns(text)
    assert why in str(told.value)


def test_a_long_text_is_not_repeated_whole() -> None:
    with pytest.raises(InstantError) as told:
        instant_ns("9" * 100_000)
    assert len(str(told.value)) < 120


@given(
    st.datetimes(datetime(FIRST_YEAR, 1, 1), datetime(LAST_YEAR, 12, 31, 23, 59, 59, 999_999)),  # noqa: DTZ001
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_it_agrees_with_the_standard_library(local: datetime, minutes: int) -> None:
    moment = local.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    ns = instant_ns(moment.isoformat())
    assert ns == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000
    assert -MOST_NS <= ns < MOST_NS


@given(st.text(max_size=40) | st.text("0123456789-+:.TZ ", max_size=40))
def test_any_text_is_an_instant_or_an_instant_error(text: str) -> None:
    with suppress(InstantError):
        assert isinstance(instant_ns(text), int)
