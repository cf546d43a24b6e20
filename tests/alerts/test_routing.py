"""Who is told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from alerts.routing import HISTORICAL_NS, Route, channels_for
from rules.readings import Family, Level, Transition
from tests.alerts.found import NOON_NS, OPENED, change, changes

routes = st.builds(
    Route,
    channel=st.sampled_from(["a", "b", "c"]),
    min_level=st.sampled_from(Level),
    families=st.frozensets(st.sampled_from(Family)),
    whats=st.frozensets(st.sampled_from(["opened", "worsened", "cleared"])),
    stations=st.sampled_from(["*", "S-*", "上*"]),
    historical=st.booleans(),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(routes, max_size=6), changes)
def test_a_channel_is_told_once_and_only_if_a_route_of_its_own_takes_the_change(
    of: list[Route], transition: Transition
) -> None:
    told = channels_for(of, transition, transition.level)
    assert told == channels_for(of, transition, transition.level)
    assert len(told) == len(set(told))
    assert set(told) == {route.channel for route in of if route.takes(transition, transition.level)}


def test_an_open_route_takes_everything() -> None:
    assert channels_for([Route(channel="a")], OPENED, Level.NONE) == ["a"]


@pytest.mark.parametrize(
    "route",
    [
        {"min_level": "red"},
        {"families": ["equipment"]},
        {"whats": ["cleared"]},
        {"stations": "s-*"},
    ],
)
def test_each_condition_keeps_a_change_out(route: dict[str, object]) -> None:
    assert channels_for([Route.model_validate({"channel": "a", **route})], OPENED, OPENED.level) == []


def test_who_was_told_that_it_is_red_is_told_that_it_is_over() -> None:
    over = change(what="cleared", level=Level.NONE)
    assert channels_for([Route(channel="a", min_level=Level.RED)], over, Level.RED) == ["a"]
    assert channels_for([Route(channel="a", min_level=Level.RED)], over, Level.ORANGE) == []


def test_back_filled_history_can_be_kept_from_people() -> None:
    old = change(at_ns=NOON_NS, found_ns=NOON_NS + HISTORICAL_NS + 1)
    assert channels_for([Route(channel="archive"), Route(channel="phone", historical=False)], old, Level.RED) == [
        "archive"
    ]


@pytest.mark.parametrize(
    "wrong", [{"min_level": "purple"}, {"families": ["weather"]}, {"whats": ["exploded"]}, {"stationz": "*"}]
)
def test_a_mistyped_route_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Route.model_validate({"channel": "a", **wrong})
