"""The notation of a case says what arrives, when, and under which flag."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.notation import MOST_SLOTS, NotationError, Written, expand, seconds
from rules.readings import EquipmentFlag


def values(text: str) -> list[float]:
    return [w.value for w in expand(text, 60)[0]]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("7", [7.0]),
        ("7x3", [7.0, 7.0, 7.0]),
        ("7+0.5x4", [7.0, 7.5, 8.0, 8.5]),
        ("8-1x3", [8.0, 7.0, 6.0]),
        ("-3+1x3", [-3.0, -2.0, -1.0]),
        ("0.1+0.1x3", [0.1, 0.2, 0.3]),  # where a sum of floats would end with 0.30000000000000004
        ("1_0", None),
        ("", []),
    ],
)
def test_values_repeats_and_ramps(text: str, told: list[float] | None) -> None:
    if told is None:
        with pytest.raises(NotationError, match="cannot read '1_0'"):
            expand(text, 60)
    else:
        assert values(text) == told


def test_gaps_take_slots_and_say_nothing() -> None:
    written, slots = expand("7 _ _x3 8", 3600)
    assert slots == 6
    assert [(w.slot_s, w.value) for w in written] == [(0, 7.0), (5 * 3600, 8.0)]


def test_missing_is_a_value_that_the_station_sends() -> None:
    [written], slots = expand("nan", 60)
    assert math.isnan(written.value)
    assert slots == 1


def test_shift_and_flag_stand_behind_the_repeat() -> None:
    assert expand("7x2@-30min!M", 3600)[0] == [
        Written(0, -1800, 7.0, EquipmentFlag.MAINTENANCE),
        Written(3600, 1800, 7.0, EquipmentFlag.MAINTENANCE),
    ]
    assert expand("7@+1d!D", 60)[0] == [Written(0, 86400, 7.0, EquipmentFlag.FAULT)]


@pytest.mark.parametrize(
    "token", ["seven", "7x", "x3", "7!Q", "7!M@+2h", "7@2h", "7@+2w", "1e3", "inf", "7,5", "٣", "__"]
)
def test_what_cannot_be_read_is_refused_by_name(token: str) -> None:
    with pytest.raises(NotationError) as refused:
        expand(f"1 {token} 2", 60)
    assert repr(token) in str(refused.value)


@pytest.mark.parametrize("text", ["7x9999 7x2", "_x9999 _x2", "7x9999 _x2", "_x9999 7x2"])
def test_a_series_has_an_end(text: str) -> None:
    with pytest.raises(NotationError, match=f"more than {MOST_SLOTS} slots"):
        expand(text, 60)


@pytest.mark.parametrize(
    ("said", "told"), [("90s", 90), ("10min", 600), ("+3h", 10_800), ("-1d", -86_400), ("0s", 0), ("999999d", 86_399_913_600)]
)  # fmt: skip
def test_durations(said: str, told: int) -> None:
    assert seconds(said) == told


@given(
    first=st.decimals(-1000, 1000, places=2), rise=st.decimals(0, 10, places=3), times=st.integers(1, 50), falls=st.booleans()
)  # fmt: skip
def test_a_ramp_is_exact_in_decimals(first: object, rise: object, times: int, falls: bool) -> None:
    sign = -1 if falls else 1
    token = f"{first}{'-' if falls else '+'}{rise}x{times}"
    expected = [float(first + sign * number * rise) for number in range(times)]  # type: ignore[operator]
    assert values(token) == expected


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        written, slots = expand(text, 60)
    except NotationError:
        return
    assert slots >= len(written)
