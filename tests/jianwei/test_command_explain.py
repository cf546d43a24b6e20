"""`jianwei explain`: which limit, by what right, and why the others lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.jianwei.command_line import Ask


def explained(ask: Ask, *words: object) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(ask("explain", *words, "--json").out)
    return told


def standing(told: dict[str, Any], kind: str) -> dict[str, Any]:
    (one,) = [s for s in told["standings"] if s["kind"] == kind]
    return dict(one)


def test_a_station_of_the_register_is_explained_in_both_languages(ask: Ask, site: Path) -> None:
    said = ask("explain", "SW-01", "w01009", "-c", site, "--at", "2026-03-01")

    assert said.code == 0
    assert "SW-01 上游断面 Upstream · 地表水自动监测断面 Surface-water section" in said.out
    assert "w01009 溶解氧 Dissolved oxygen in mg/L, on 2026-03-01 (UTC+8)" in said.out
    assert "Limit: ≥ 5 mg/L · GB 3838-2002 表1 (class III, edition 2002, instant)" in said.out
    assert "[C] legal limit; valid from 2002-06-01" in said.out
    assert "compared with by: surface_water_over" in said.out
    assert "not: ≥ 6 mg/L · GB 3838-2002 表1 (class II, edition 2002, instant): it is for class II" in said.out
    assert "Rule spike_water (edition 1, hourly value): 水质突跳 Water quality spike" in said.out
    assert "spike: suspect 2, fail 4, method average" in said.out


def test_what_is_watched_of_the_station_itself_is_told_too(ask: Ask, site: Path) -> None:
    around = explained(ask, "SW-01", "w01009", "-c", site)["around"]

    of_the_feed = {("silence", "hour"), ("impossible_time", "hour")}
    assert {(one["check"], one["kind"]) for one in around} == {*of_the_feed, ("equipment_flag", None)}
    assert "站点 The station itself" in ask("explain", "SW-01", "w01009", "-c", site).out


def test_a_permit_goes_before_the_standards(ask: Ask, site: Path) -> None:
    told = standing(explained(ask, "WE-01", "w01018", "-c", site, "--at", "2026-03-01"), "hour")

    assert (told["limit"]["standard"], told["limit"]["high"], told["limit"]["authority"]) == ("许可证", 60.0, "permit")
    assert told["why"] == "it is a permit limit, which goes before every standard"
    assert {lost["limit"]["authority"] for lost in told["lost"]} <= {"local", "sector", "general"}
    assert all(lost["reason"] for lost in told["lost"])


def test_a_recalled_limit_is_a_reference_value(ask: Ask, site: Path) -> None:
    said = ask("explain", "VOC-01", "a31001", "-c", site, "--at", "2026-03-01")

    assert "[R] reference value, recalled and not confirmed in the text" in said.out
    assert "[R] legal" not in said.out


def test_before_a_standard_was_in_force_no_limit_is(ask: Ask) -> None:
    words = ("--as", "surface_water_section", "--class", "III", "w01009")

    before, after = explained(ask, *words, "--at", "2002-05-31"), explained(ask, *words, "--at", "2002-06-01")

    assert standing(before, "hour")["limit"] is None
    assert "it is not yet valid" in {lost["reason"] for lost in standing(before, "hour")["lost"]}
    assert standing(after, "hour")["limit"]["low"] == 5.0


def test_without_a_limit_nothing_is_said_to_comply(ask: Ask) -> None:
    said = ask("explain", "--as", "surface_water_section", "w01009", "--at", "2026-03-01")

    assert "which is not compliance" in said.out
    assert "legal limit" not in said.out.replace("[C] legal", "")


def test_a_type_and_a_class_stand_for_a_station_without_a_register(ask: Ask, tmp_path: Path) -> None:
    told = explained(
        ask, "--as", "surface_water_section", "--class", "II", "w01009", "--at", "2026-03-01", "-c", tmp_path / "none"
    )

    assert standing(told, "hour")["limit"]["low"] == 6.0


@pytest.mark.parametrize("name", ["溶解氧", "dissolved oxygen", "W01009"])
def test_a_parameter_is_known_by_its_names(ask: Ask, name: str) -> None:
    assert explained(ask, "--as", "surface_water_section", name)["parameter"] == "w01009"


def test_kinds_that_the_station_is_not_expected_to_send_are_told_when_asked(ask: Ask) -> None:
    words = ("explain", "--as", "surface_water_section", "--class", "III", "w01009")

    assert "分钟值 minute value" not in ask(*words).out
    assert "分钟值 minute value" in ask(*words, "--every-kind").out


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["SW-1", "w01009"], 1, "there is no station SW-1; did you mean SW-01"),
        (["SW-01", "w0100"], 1, "there is no parameter w0100; did you mean w01"),
        (["--as", "surface_water", "w01009"], 1, "did you mean surface_water_section"),
        (["--as", "surface_water_section", "--class", "VII", "w01009"], 1, "no standard of surface_water_section has"),
        (["SW-01", "w01009", "--at", "31.12.2025"], 2, "is no day"),
        (["SW-01", "w01009", "--class", "II"], 2, "--class goes with --as"),
        (["SW-01"], 2, "a station and a parameter"),
        (["--as", "surface_water_section", "SW-01", "w01009"], 2, "a parameter alone"),
    ],
)
def test_what_cannot_be_explained_costs_a_sentence(
    ask: Ask, site: Path, words: list[str], code: int, what: str
) -> None:
    said = ask("explain", *words, "-c", site)

    assert (said.code, said.out) == (code, "")
    assert what in said.err
    assert "Traceback" not in said.err


def test_without_settings_it_says_what_to_do(ask: Ask, tmp_path: Path) -> None:
    said = ask("explain", "SW-01", "w01009", "-c", tmp_path / "jianwei.toml")

    assert said.code == 1
    assert "jianwei init" in said.err
