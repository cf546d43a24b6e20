"""Times of tables: in the zone of the map, or at their own word, and never guessed."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.instants import InstantError, instant_ns
from ingest.table_times import TableTimes, zone_of

ZONES = [
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Asia/Shanghai",
    "Africa/Casablanca",
    "UTC",
    "+05:45",
]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2020-01-31 23:15:30", "2020-01-31T23:15:30+08:00"),
        ("2020-01-31T23:15:30", "2020-01-31T23:15:30+08:00"),
        ("2020-01-31 23:15", "2020-01-31T23:15:00+08:00"),
        ("2020-01-31", "2020-01-31T00:00:00+08:00"),
        ("2020-01-31 23:15:30.123456789", "2020-01-31T23:15:30.123456789+08:00"),
        ("2020-01-31 23:15:30,5", "2020-01-31T23:15:30.5+08:00"),
        ("2020-01-31 23:15:30Z", "2020-01-31T23:15:30Z"),
        ("2020-01-31 23:15 -07:00", "2020-01-31T23:15:00-07:00"),
        ("2020-01-31T23:15-0730", "2020-01-31T23:15:00-07:30"),
    ],
)
def test_a_time_is_read_in_the_zone_or_at_its_own_word(text: str, instant: str) -> None:
    for zone in ("Asia/Shanghai", "+08:00"):
        assert TableTimes(zone).measured_ns(text) == instant_ns(instant)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("31.01.2020 23:15", "is not in the form 2020-01-31 23:15:00; the map may say another"),
        ("2020-01-31 23", "is not in the form"),
        ("2020-01-31  23:15", "is not in the form"),
        ("2020-01-31 23:15:30.1234567890", "is not in the form"),
        ("", "is not in the form"),
        ("2020-02-30", "day is out of range for month"),
        ("2020-01-31 24:00", "hour must be in 0..23"),
        ("2020-01-31 23:15+24:00", "+24:00 is no offset from UTC"),
        ("2020-01-31 23:15+08:60", "+08:60 is no offset from UTC"),
        ("1699-12-31 23:15", "the year 1699 is out of range"),
        ("9999-12-31 23:15", "the year 9999 is out of range"),
    ],
)
def test_what_is_no_time_is_told_why(text: str, why: str) -> None:
    with pytest.raises(InstantError) as told:
        TableTimes("Asia/Shanghai").measured_ns(text)
    assert why in str(told.value)


def test_a_time_without_zone_needs_one_from_the_map() -> None:
    assert TableTimes(None).measured_ns("2020-01-31 23:15Z") == instant_ns("2020-01-31T23:15:00Z")
    with pytest.raises(InstantError, match="it has no zone: the map must name one"):
        TableTimes(None).measured_ns("2020-01-31 23:15")


@pytest.mark.parametrize(
    ("zone", "skipped"),
    [
        ("America/New_York", "2021-03-14 02:30"),
        ("Europe/Berlin", "2021-03-28 02:00"),
        ("Australia/Lord_Howe", "2021-10-03 02:15"),  # half an hour
        ("Asia/Shanghai", "1991-04-14 02:30"),  # China had summer time then
        ("Pacific/Apia", "2011-12-30 12:00"),  # a whole day
    ],
)
def test_a_local_time_that_the_clocks_skip_is_refused(zone: str, skipped: str) -> None:
    with pytest.raises(InstantError, match=r"does not exist in .*: clocks go forward"):
        TableTimes(zone).measured_ns(skipped)


@pytest.mark.parametrize(
    ("zone", "doubled"),
    [
        ("America/New_York", "2021-11-07 01:30"),
        ("Europe/Berlin", "2021-10-31 02:59:59"),
        ("Australia/Lord_Howe", "2021-04-04 01:45"),
        ("Asia/Shanghai", "1991-09-15 01:30"),
        ("America/Sao_Paulo", "2018-02-17 23:30"),  # clocks go back at midnight
    ],
)
def test_a_local_time_that_the_clocks_show_twice_is_refused(zone: str, doubled: str) -> None:
    with pytest.raises(InstantError, match=r"comes twice in .*, clocks go back: name a fixed offset as zone"):
        TableTimes(zone).measured_ns(doubled)


def test_both_of_a_doubled_hour_can_be_said_with_their_offset() -> None:
    times = TableTimes("America/New_York")
    first, second = (times.measured_ns(f"2021-11-07 01:30{offset}") for offset in ("-04:00", "-05:00"))
    assert second - first == 3_600 * 10**9


@settings(deadline=None, max_examples=300)
@given(
    st.datetimes(datetime(1880, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001
    st.sampled_from(ZONES),
    st.lists(st.integers(0, 40), max_size=6),
)
def test_local_times_lead_back_to_their_instant_or_are_refused(moment: datetime, zone: str, hours: list[int]) -> None:
    """Every hour around it: one offset gives one instant; where two are possible, or none, nothing is guessed."""
    times, tz = TableTimes(zone), zone_of(zone)
    for later in [0, *hours]:
        instant = (moment + timedelta(hours=later)).replace(microsecond=0, tzinfo=UTC)
        local = instant.astimezone(tz).replace(tzinfo=None)
        told = {local.replace(tzinfo=tz, fold=fold).astimezone(UTC) for fold in (0, 1)}
        text = str(local.replace(fold=0))
        if len(told) == 1:
            assert times.measured_ns(text) == int(instant.timestamp()) * 10**9
        else:
            with pytest.raises(InstantError, match="comes twice"):
                times.measured_ns(text)


@given(st.text(max_size=30) | st.text("0123456789-+:., TZ", max_size=30), st.sampled_from([None, "%d/%m/%Y %H:%M"]))
def test_any_text_is_a_time_or_an_instant_error(text: str, form: str | None) -> None:
    with suppress(InstantError):
        assert isinstance(TableTimes("Europe/Berlin", form).measured_ns(text), int)


def test_a_form_is_one_of_strptime() -> None:
    times = TableTimes("+08:00", "%d/%m/%Y %I:%M:%S.%f %p")
    assert times.measured_ns("31/01/2020 11:15:30.25 PM") == instant_ns("2020-01-31T23:15:30.25+08:00")
    with pytest.raises(InstantError, match="is not in the form %d/%m/%Y"):
        times.measured_ns("2020-01-31 23:15:30")


def test_a_form_may_hold_the_offset() -> None:
    times = TableTimes("+08:00", "%d.%m.%Y %H:%M %z")
    assert times.measured_ns("31.01.2020 23:15 -0330") == instant_ns("2020-01-31T23:15:00-03:30")


@pytest.mark.parametrize(
    "name", ["Mars/Phobos", "", "Asia", "../../etc/passwd", "/etc/localtime", "\0", "GMT+99", "é" * 300]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no zone: say a name such as Asia/Shanghai or an offset such as -07:00"):
        zone_of(name)


@pytest.mark.parametrize("name", ["+24:00", "-08:60"])
def test_what_is_no_offset_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no offset from UTC"):
        zone_of(name)


def test_zones_have_names_and_offsets() -> None:
    noon = datetime(2020, 7, 1, 12)  # noqa: DTZ001
    assert zone_of("-07:30").utcoffset(noon) == timedelta(hours=-7, minutes=-30)
    assert zone_of("Europe/Berlin") == ZoneInfo("Europe/Berlin")


def test_what_is_remembered_of_days_is_bounded_and_stays_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.table_times.MOST_DAYS", 3)
    times = TableTimes("Europe/Berlin")
    for day in [*range(1, 31), *range(1, 31)]:
        assert times.measured_ns(f"2021-03-{day:02} 12:00") == instant_ns(
            f"2021-03-{day:02}T12:00:00+0{1 if day < 28 else 2}:00"
        )
        assert len(times._days) <= 3
