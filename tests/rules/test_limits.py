"""Which limit holds: authority before strictness, the class and the conditions of the station, the day, the period."""

import math
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import groupby, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.index import Catalogue
from rules.limits import (
    ALWAYS_NS,
    AUTHORITIES,
    MOST_LIMITS,
    NEVER_NS,
    Candidate,
    TooManyLimits,
    candidates,
    day_ns,
    in_force,
    precedence,
)
from rules.readings import Kind, LimitInForce
from rules.schema import Station
from tests.rules.small_catalogue import small

CHINA = timezone(timedelta(hours=8))
TODAY = date(2026, 5, 1)
NEW, OLD, TOWN, TYPE = "standards/new.yaml", "standards/old.yaml", "standards/town.yaml", "station_types/brook.yaml"
IN_THE_PARK: dict[str, Any] = {"classes": {"Town": "park"}, "conditions": ["warm"]}


def station(**told: Any) -> Station:
    return Station.model_validate({"id": "S", "name": {"zh": "站", "en": "S"}, "station_type": "brook", **told})


def permit(value: object, op: str = "<=", **more: Any) -> dict[str, Any]:
    told = {"parameter": "w21003", "period": "instant", "unit": "mg/L", "permit": "P-1", "clause": "7"}
    return {**told, "op": op, "value": value, **more}


def spans(catalogue: Catalogue, parameter: str = "w21003", kind: Kind = Kind.HOUR, **told: Any) -> list[LimitInForce]:
    return in_force(candidates(catalogue, station(**told), parameter, kind))


def holding(
    catalogue: Catalogue, parameter: str = "w21003", kind: Kind = Kind.HOUR, on: date = TODAY, **told: Any
) -> LimitInForce | None:
    """The limit that holds at noon of a day."""
    noon = day_ns(on) + 12 * 3600 * 10**9
    found = [
        limit
        for limit in spans(catalogue, parameter, kind, **told)
        if limit.valid_from_ns <= noon < limit.valid_until_ns
    ]
    assert len(found) <= 1
    return found[0] if found else None


def name_of(limit: LimitInForce | None) -> str:
    return limit.limit_id if limit else "none"


class TestAuthority:
    """Permit, local, sector, general; only then the strictest."""

    @pytest.mark.parametrize(
        ("authority", "winner"),
        [("local", "C1"), ("sector", "C1"), ("general", "B1")],
    )
    def test_the_higher_authority_wins_though_it_is_milder(self, authority: str, winner: str) -> None:
        catalogue = small((TOWN, "authority: local", f"authority: {authority}"))
        assert name_of(holding(catalogue, **IN_THE_PARK)) == winner

    @pytest.mark.parametrize(("higher", "lower"), list(pairwise(AUTHORITIES[1:])))
    def test_each_authority_goes_before_the_next(self, higher: str, lower: str) -> None:
        catalogue = small(
            (TOWN, "authority: local", f"authority: {higher}"), (NEW, "authority: general", f"authority: {lower}")
        )
        assert name_of(holding(catalogue, **IN_THE_PARK)) == "C1"

    def test_the_permit_goes_before_all_also_where_it_is_milder(self) -> None:
        limit = holding(small(), permit=[permit(3.0)], **IN_THE_PARK)
        assert limit is not None
        assert (limit.limit_id, limit.high, limit.authority, limit.standard, limit.clause) == (
            "permit-1", 3.0, "permit", "P-1", "7",
        )  # fmt: skip

    def test_of_two_permit_limits_the_stricter_one_holds(self) -> None:
        assert name_of(holding(small(), permit=[permit(3.0), permit(2.0)])) == "permit-2"

    def test_a_permit_limit_of_other_days_leaves_the_standard_in_force(self) -> None:
        told: dict[str, Any] = {"permit": [permit(3.0, valid_from=date(2026, 5, 2), valid_to=date(2026, 5, 3))]}
        names = [name_of(holding(small(), on=date(2026, 5, day), **told)) for day in (1, 2, 3, 4)]
        assert names == ["B1", "permit-1", "permit-1", "B1"]

    def test_a_higher_lower_end_is_stricter(self) -> None:
        oxygen = permit(4.0, ">=", parameter="w01009"), permit(4.5, ">=", parameter="w01009")
        assert name_of(holding(small(), "w01009", permit=list(oxygen))) == "permit-2"

    def test_a_narrower_range_is_stricter(self) -> None:
        acid = [
            permit([5, 9], "between", parameter="w01001", unit="1"),
            permit([6, 9], "between", parameter="w01001", unit="1"),
        ]
        assert name_of(holding(small(), "w01001", permit=acid)) == "permit-2"


class TestClass:
    def test_the_class_of_the_station_decides(self) -> None:
        assert name_of(holding(small(), class_="I")) == "B2"
        assert name_of(holding(small(), class_="II")) == "B1"

    def test_without_a_class_that_of_the_type_holds(self) -> None:
        assert name_of(holding(small())) == "B1"

    def test_classes_go_before_class(self) -> None:
        assert name_of(holding(small(), class_="I", classes={"River": "II"})) == "B1"

    def test_a_standard_in_which_the_station_has_no_class_does_not_apply_not_even_what_it_says_for_all(self) -> None:
        catalogue = small((TYPE, '{family: River, class: "II"}', "{family: River}"))
        assert holding(catalogue, "w01001") is None
        assert name_of(holding(catalogue, "w01001", class_="I")) == "B4"

    def test_a_family_that_the_type_does_not_name_applies_to_a_station_that_does(self) -> None:
        catalogue = small((TYPE, "  - {family: Town}\n", ""))
        assert name_of(holding(catalogue, **IN_THE_PARK)) == "C1"

    def test_also_adds_a_class_to_that_of_the_station(self) -> None:
        catalogue = small((TYPE, 'class: "II"}', 'class: "II", also: ["I"]}'))
        assert name_of(holding(catalogue, class_="II")) == "B2"  # both hold, the stricter one judges


class TestConditions:
    @pytest.mark.parametrize(
        ("claimed", "winner"),
        [(None, "B1"), ([], "B1"), (["warm"], "C1"), (["warm", "river"], "C1"), (["river"], "B1")],
    )
    def test_a_limit_with_conditions_judges_only_who_claims_all_of_them(
        self, claimed: list[str] | None, winner: str
    ) -> None:
        assert name_of(holding(small(), classes={"Town": "park"}, conditions=claimed)) == winner

    def test_one_of_two_conditions_is_not_enough(self) -> None:
        catalogue = small((TOWN, "[warm]", "[warm, lake_reservoir]"))
        assert name_of(holding(catalogue, **IN_THE_PARK)) == "B1"
        assert name_of(holding(catalogue, water_body="lake_reservoir", **IN_THE_PARK)) == "C1"

    def test_what_the_type_claims_holds_until_the_station_says_otherwise_even_nothing(self) -> None:
        catalogue = small((TYPE, "water_body: river", "water_body: river\nconditions: [warm]"))
        claimed: list[list[str] | None] = [None, [], ["river"]]
        found = [name_of(holding(catalogue, classes={"Town": "park"}, conditions=said)) for said in claimed]
        assert found == ["C1", "B1", "B1"]

    def test_the_water_body_is_a_condition_that_the_type_claims_and_a_station_may_change(self) -> None:
        catalogue = small((TOWN, "conditions: [warm]", "conditions: [river]"))
        assert name_of(holding(catalogue, classes={"Town": "park"})) == "C1"
        assert name_of(holding(catalogue, classes={"Town": "park"}, water_body="lake_reservoir")) == "B1"


class TestValidity:
    def test_editions_change_at_midnight_in_shanghai(self) -> None:
        old, new = spans(small())
        midnight = int(datetime(2019, 12, 31, 16, tzinfo=UTC).timestamp()) * 10**9
        assert (old.limit_id, old.valid_until_ns) == ("A1", midnight)
        assert (new.limit_id, new.valid_from_ns) == ("B1", midnight)

    @pytest.mark.parametrize(
        ("day", "name"),
        [
            ("1999-12-31", "none"),
            ("2000-01-01", "A1"),
            ("2019-12-31", "A1"),
            ("2020-01-01", "B1"),
            ("2199-01-01", "B1"),
        ],
    )
    def test_both_ends_of_an_interval_belong_to_it(self, day: str, name: str) -> None:
        assert name_of(holding(small(), on=date.fromisoformat(day))) == name

    def test_a_limit_is_narrowed_by_its_own_days_and_never_widened(self) -> None:
        catalogue = small(
            (
                NEW,
                'id: B1, parameter: "w21003",',
                'id: B1, valid_from: 2010-01-01, valid_to: 2026-04-30, parameter: "w21003",',
            )
        )
        days = (date(2019, 12, 31), date(2020, 1, 1), date(2026, 4, 30), date(2026, 5, 1))
        assert [name_of(holding(catalogue, on=day)) for day in days] == ["A1", "B1", "B1", "none"]

    def test_a_limit_does_not_outlive_its_standard(self) -> None:
        catalogue = small((OLD, "mark: C}", "mark: C, valid_from: 1990-01-01, valid_to: 2025-12-31}"))
        days = (date(1999, 12, 31), date(2000, 1, 1), date(2019, 12, 31), date(2020, 1, 1))
        assert [name_of(holding(catalogue, on=day)) for day in days] == ["none", "A1", "A1", "B1"]
        old = next(c for c in candidates(catalogue, station(), "w21003", Kind.HOUR) if c.limit.limit_id == "A1")
        assert old.limit.valid_until_ns == day_ns(date(2020, 1, 1))

    def test_what_has_no_days_holds_always(self) -> None:
        [limit] = spans(small(), permit=[permit(3.0)])
        assert (limit.valid_from_ns, limit.valid_until_ns) == (ALWAYS_NS, NEVER_NS)

    @given(st.dates(date(1992, 1, 1), date(2200, 1, 1)))
    def test_a_day_begins_eight_hours_before_it_does_in_greenwich(self, day: date) -> None:
        begins = datetime(day.year, day.month, day.day, tzinfo=CHINA)
        assert day_ns(day) == int(begins.timestamp()) * 10**9


class TestPeriod:
    """A limit judges values of its own averaging period."""

    @pytest.mark.parametrize(
        ("period", "kinds"),
        [("1h", {Kind.HOUR}), ("24h", {Kind.DAY}), ("instant", {Kind.REALTIME, Kind.MINUTE, Kind.HOUR})],
    )
    def test_only_values_of_the_period_are_judged(self, period: str, kinds: set[Kind]) -> None:
        told: dict[str, Any] = {"permit": [permit(3.0, period=period)], "class_": "I", "classes": {"River": "I"}}
        judged = {kind for kind in Kind if name_of(holding(small(), kind=kind, **told)) == "permit-1"}
        assert judged == kinds

    def test_the_other_periods_are_told_with_the_reason(self) -> None:
        [daily] = candidates(small(), station(), "w20115", Kind.HOUR)
        assert daily.excluded == "its period 24h does not judge hour values"


class TestBounds:
    """What passes: low <= value <= high, where an end that does not pass itself is moved by one ulp."""

    @pytest.mark.parametrize(
        ("op", "value", "low", "high"),
        [
            ("<=", 3.0, -math.inf, 3.0),
            ("<", 3.0, -math.inf, math.nextafter(3.0, 0)),
            (">=", 3.0, 3.0, math.inf),
            (">", 3.0, math.nextafter(3.0, 4), math.inf),
            ("between", [1, 3], 1.0, 3.0),
            ("<", 0.0, -math.inf, -5e-324),
        ],
    )
    def test_ends(self, op: str, value: object, low: float, high: float) -> None:
        limit = holding(small(), permit=[permit(value, op)])
        assert limit is not None
        assert (limit.low, limit.high) == (low, high)

    def test_bounds_are_told_in_the_unit_of_the_series_without_a_rounding_of_their_own(self) -> None:
        limit = holding(small(), "w20115", Kind.DAY)
        assert limit is not None
        assert (limit.high, limit.unit, limit.mark) == (5.0, "ug/L", "R")

    def test_a_second_code_of_the_quantity_has_the_same_limit(self) -> None:
        assert name_of(holding(small(), "w20143", Kind.DAY)) == "B5"

    @pytest.mark.parametrize(
        ("parameter", "op", "has"),
        [("w21003", "<=", True), ("w21003", "<", True), ("w21003", ">=", False), ("w01009", "<=", False), ("w01009", ">=", False)],
    )  # fmt: skip
    def test_a_multiple_exists_above_an_upper_end_of_what_the_law_gives_one(
        self, parameter: str, op: str, has: bool
    ) -> None:
        limit = holding(small(), parameter, permit=[permit(3.0, op, parameter=parameter)])
        assert limit is not None
        assert limit.has_multiple is has

    def test_nor_has_an_upper_end_of_a_standard_on_what_the_law_gives_none(self) -> None:
        limit = holding(small((NEW, 'op: ">=", value: 5', 'op: "<=", value: 5')), "w01009")
        assert limit is not None
        assert (limit.high, limit.has_multiple) == (5.0, False)

    def test_a_limit_without_a_value_or_on_an_emission_rate_judges_nothing(self) -> None:
        for old, new, reason in (
            ('class: "II", period: instant, op: "<=", value: 1.0', 'class: "II", period: instant, op: "<=", value: null', "it has no value yet"),
            ('class: "II", period: instant, op: "<=", value: 1.0', 'class: "II", of: emission_rate, period: instant, op: "<=", value: 1.0', "it limits the emission rate, which is not reported"),
        ):  # fmt: skip
            catalogue = small((NEW, old, new))
            assert holding(catalogue) is None
            told = {c.limit.limit_id: c.excluded for c in candidates(catalogue, station(), "w21003", Kind.HOUR)}
            assert told["B1"] == reason


def test_what_nobody_knows_has_no_limit() -> None:
    assert candidates(small(), station(), "w99999", Kind.HOUR) == []


moments = st.integers(0, 12)
limits = st.builds(
    lambda number, authority, low, high, start, length: LimitInForce(
        limit_id=f"L{number}", standard="", edition="", clause="", mark="C", authority=authority, low=low, high=high,
        unit="", valid_from_ns=start, valid_until_ns=start + length, has_multiple=True,
    ),
    st.integers(0, 99), st.sampled_from(AUTHORITIES), st.sampled_from([-math.inf, 1.0, 2.0]),
    st.sampled_from([3.0, 4.0, math.inf]), moments, st.integers(1, 12),
)  # fmt: skip
sets = st.lists(limits, max_size=5, unique_by=lambda limit: limit.limit_id)


@given(sets, st.sets(st.integers(0, 4)))
def test_at_every_moment_the_first_by_precedence_of_those_that_stand_holds(
    known: list[LimitInForce], excluded: set[int]
) -> None:
    possible = [Candidate(limit, "", "", "no" if at in excluded else "") for at, limit in enumerate(known)]
    firsts = [min((c.limit for c in possible if stands(c, at)), key=precedence, default=None) for at in range(26)]
    follow_each_other = [first for first, _ in groupby(map(name_of, firsts)) if first != "none"]
    if len(follow_each_other) > MOST_LIMITS:
        with pytest.raises(TooManyLimits, match=f"more than {MOST_LIMITS} limits follow each other"):
            in_force(possible)
        return
    found = in_force(possible)
    assert [limit.limit_id for limit in found] == follow_each_other
    for at, first in enumerate(firsts):
        now = [limit.limit_id for limit in found if limit.valid_from_ns <= at < limit.valid_until_ns]
        assert now == ([first.limit_id] if first else [])


def stands(candidate: Candidate, at_ns: int) -> bool:
    return not candidate.excluded and candidate.limit.valid_from_ns <= at_ns < candidate.limit.valid_until_ns


@given(sets.filter(bool))
def test_nothing_of_a_lower_authority_and_nothing_milder_goes_first(known: list[LimitInForce]) -> None:
    first = min(known, key=precedence)
    rank = AUTHORITIES.index
    assert all(rank(first.authority) <= rank(limit.authority) for limit in known)
    assert all(first.high <= limit.high for limit in known if limit.authority == first.authority)
