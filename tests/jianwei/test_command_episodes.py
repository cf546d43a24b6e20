"""`jianwei episodes`: what the rules found, and never more than is known."""

import json
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from alerts.requests import SqlRequests
from jianwei.folders import DataFolder
from rules.readings import SECOND_NS
from tests.jianwei.command_line import Ask
from tests.jianwei.lived import serving


def told(ask: Ask, site: Path, *words: object) -> list[dict[str, Any]]:
    episodes: list[dict[str, Any]] = json.loads(ask("episodes", "-c", site, "--json", *words).out)
    return episodes


def one(ask: Ask, site: Path, station: str, rule: str) -> dict[str, Any]:
    (episode,) = [e for e in told(ask, site) if (e["station"], e["rule"]) == (station, rule)]
    return episode


def test_an_episode_tells_what_a_person_needs(ask: Ask, site: Path) -> None:
    episode = one(ask, site, "SW-01", "surface_water_over")

    assert episode["state"] == "cleared"
    assert (episode["parameter"], episode["kind"], episode["unit"]) == ("w01009", "hour", "mg/L")
    assert (episode["since"], episode["until"]) == ("2026-02-28T17:00:00Z", "2026-02-28T20:00:00Z")
    assert episode["worst"]["value"] == 3.0
    assert episode["limit"] | {"id": ""} == {
        "id": "",
        "low": 5.0,
        "high": None,
        "unit": "mg/L",
        "standard": "GB 3838-2002",
        "edition": "2002",
        "clause": "表1",
        "mark": "C",
        "legal": True,
        "authority": "general",
        "condition": "",
    }


def test_what_was_noted_on_an_episode_stands_with_its_history(ask: Ask, site: Path) -> None:
    episode = one(ask, site, "SW-01", "surface_water_over")["id"]
    with closing(
        SqlRequests(DataFolder(site.parent / "data").ledger_url, lambda: 1_778_558_400 * SECOND_NS)
    ) as requests:
        requests.note(episode, "gap", "已补齐。", "all there [1/2].")

    table = ask("episodes", "-c", site, "--id", episode[:8]).out
    as_json = json.loads(ask("episodes", "-c", site, "--id", episode, "--json").out)

    assert table.rstrip().endswith("2026-05-12 12:00:00 备注 note, gap\n  已补齐。\n  all there [1/2].")
    assert as_json["notes"] == [
        {"noted": "2026-05-12T04:00:00Z", "by": "gap", "zh": "已补齐。", "en": "all there [1/2]."}
    ]


def test_open_ones_alone(ask: Ask, site: Path) -> None:
    everything, still_open = told(ask, site), told(ask, site, "--open")

    assert {e["state"] for e in everything} == {"open", "cleared"}
    assert [e for e in everything if e["state"] == "open"] == still_open
    assert {e["until"] for e in still_open} == {None}
    assert ("SW-02", "surface_water_over") in {(e["station"], e["rule"]) for e in still_open}


def test_one_station_alone_and_not_more_than_asked(ask: Ask, site: Path) -> None:
    assert {e["station"] for e in told(ask, site, "--station", "WE-01")} == {"WE-01"}
    assert len(told(ask, site, "--limit", 1)) == 1


def test_the_table_says_its_zone_limit_standard_and_multiple(ask: Ask, site: Path) -> None:
    said = ask("episodes", "-c", site)

    assert "(北京时间 UTC+8)" in said.out
    assert "≥ 5 mg/L · GB 3838-2002 表1" in said.out
    assert "2026-03-01 01:00" in said.out
    assert "≤ 60 mg/L · 许可证 表1 (+0.5×)" in said.out
    assert "未结 open" in said.out


def test_a_recalled_limit_is_not_worded_as_law(ask: Ask, site: Path) -> None:
    episode = one(ask, site, "VOC-01", "voc_fence_line_over")
    said = ask("episodes", "--station", "VOC-01", "-c", site)
    alone = ask("episodes", "--id", episode["id"], "-c", site)

    assert (episode["limit"]["mark"], episode["limit"]["legal"]) == ("R", False)
    for text in (said.out, alone.out):
        assert "参考值，待核实" in text
        assert "legal limit" not in text
        assert "标准限值" not in text
        assert "×" not in text, "a multiple is defined over a limit of the law"


def test_one_is_told_with_its_history_by_the_beginning_of_its_id(ask: Ask, site: Path) -> None:
    episode = one(ask, site, "SW-01", "surface_water_over")

    said = ask("episodes", "--id", episode["id"][:8], "-c", site)
    history = json.loads(ask("episodes", "--id", episode["id"], "-c", site, "--json").out)["transitions"]

    assert said.code == 0
    assert episode["id"] in said.out
    assert "2026-03-01 02:00:00 opened, 黄色 yellow; found 2026-03-01 03:00:00" in said.out
    assert "低于 GB 3838-2002 表1 标准限值下限" in said.out
    assert [change["what"] for change in history] == ["opened", "cleared"]


def test_an_id_that_nothing_has_or_several_begin_with_is_said_to_be(ask: Ask, site: Path) -> None:
    starts = Counter(episode["id"][0] for episode in told(ask, site))
    ((shared, number),) = starts.most_common(1)

    nothing, several = ask("episodes", "--id", "%", "-c", site), ask("episodes", "--id", shared, "-c", site)

    assert (nothing.code, nothing.out) == (1, "")
    assert "no episode whose id begins with %" in nothing.err
    assert number > 1
    assert several.code == 1
    assert f"several episodes begin with {shared}" in several.err


def test_a_station_that_does_not_exist_is_said_with_what_is_near(ask: Ask, site: Path) -> None:
    said = ask("episodes", "--station", "SW01", "-c", site)

    assert said.code == 1
    assert "there is no station SW01; did you mean SW-01" in said.err


def test_a_damaged_ledger_costs_a_sentence(ask: Ask, site: Path) -> None:
    (site.parent / "data" / "ledger.sqlite").write_bytes(b"no database" * 500)

    said = ask("episodes", "-c", site)

    assert (said.code, said.out) == (1, "")
    assert said.err == "the ledger cannot be used: file is not a database\n"


def test_beside_a_running_service(ask: Ask, site: Path) -> None:
    before = told(ask, site)

    with serving(site):
        beside = told(ask, site)

    assert beside == before
