"""`jianwei export`: stored readings as a program can read them again, exactly."""

import csv
from io import StringIO
from pathlib import Path

import pytest

from ingest.message import Block
from tests.jianwei.command_line import Ask
from tests.jianwei.lived import of, record, serving, settle


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text)))


def test_every_reading_with_flag_verdict_and_the_checks_that_raised(ask: Ask, site: Path) -> None:
    said = ask("export", "-c", site, "--station", "SW-01", "--parameter", "w01009")

    assert said.code == 0
    assert said.err == "6 readings\n"
    assert rows(said.out)[1] == {
        "station": "SW-01",
        "parameter": "w01009",
        "kind": "hour",
        "time": "2026-02-28T17:00:00Z",
        "value": "3.2",
        "flag": "N",
        "verdict": "4",
        "raised_by": "spike rate_of_change exceedance",
    }
    assert [row["value"] for row in rows(said.out)] == ["7.5", "3.2", "3.0", "7.0", "7.1", "7.2"]


def test_a_missing_value_is_empty_and_an_equipment_flag_is_its_letter(ask: Ask, site: Path) -> None:
    found = rows(ask("export", "-c", site, "--from", "2026-03-02").out)

    assert [(r["value"], r["verdict"]) for r in found if r["station"] == "SW-02"][-1] == ("", "9")
    assert [(r["value"], r["flag"]) for r in found if r["station"] == "WE-01"] == [("90.0", "N"), ("500.0", "C")]


def test_a_span_begins_with_its_first_moment_and_ends_before_its_last(ask: Ask, site: Path) -> None:
    words = ("export", "-c", site, "--station", "SW-01", "--parameter", "w01009")
    span = ("--from", "2026-03-01T01:00:00+08:00", "--until", "2026-02-28T19:00:00Z")

    assert [row["value"] for row in rows(ask(*words, *span).out)] == ["3.2", "3.0"]


def test_lines_are_in_the_order_of_time(ask: Ask, site: Path) -> None:
    found = rows(ask("export", "-c", site).out)

    keys = [(r["time"], r["station"], r["parameter"], r["kind"]) for r in found]
    assert keys == sorted(keys)
    assert len(found) == 19


def test_times_in_the_zone_that_is_asked_for_are_the_same_moments(ask: Ask, site: Path) -> None:
    utc = rows(ask("export", "-c", site).out)
    local = rows(ask("export", "-c", site, "--zone", "+08:00").out)

    assert local[0]["time"] == "2026-03-01T00:00:00+08:00"
    assert utc[0]["time"] == "2026-02-28T16:00:00Z"


def test_into_a_file(ask: Ask, site: Path, tmp_path: Path) -> None:
    said = ask("export", "-c", site, "--kind", "hour", "--out", tmp_path / "all.csv")

    assert said.out == ""
    assert len(rows((tmp_path / "all.csv").read_text(encoding="utf-8"))) == 19


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--from", "yesterday"], "2026-03-01"),
        (["--until", "2026-03-01T08:00:00"], "no zone"),
        (["--kind", "hourly"], "did you mean hour"),
        (["--zone", "CST"], "is no zone"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(ask: Ask, site: Path, words: list[str], what: str) -> None:
    said = ask("export", "-c", site, *words)

    assert (said.code, said.out) == (2, "")
    assert what in said.err


def test_a_station_without_readings_costs_a_sentence_and_no_file(ask: Ask, site: Path, tmp_path: Path) -> None:
    said = ask("export", "-c", site, "--station", "SW-1", "--out", tmp_path / "out.csv")

    assert said.code == 1
    assert "did you mean SW-01" in said.err
    assert not (tmp_path / "out.csv").exists()


def test_a_damaged_store_costs_a_sentence(ask: Ask, site: Path) -> None:
    (site.parent / "data" / "store" / "2026-03-01.sqlite").write_bytes(b"no database" * 500)

    said = ask("export", "-c", site)

    assert said.code == 1
    assert "cannot be read" in said.err
    assert "Traceback" not in said.err


def test_odd_times_come_last(ask: Ask, tmp_path: Path) -> None:
    """A station with a wild clock has its readings in one file, from before 2000 and after 2099."""
    config = settle(tmp_path)
    wild = [of("SW-01", hour, float(hour), "w01009", day) for hour, day in enumerate(WILD)]
    record(tmp_path, iter([Block("gateway", 1, [topic for topic, _ in wild], [payload for _, payload in wild])]))
    with serving(config):
        pass

    assert [row["value"] for row in rows(ask("export", "-c", config).out)] == ["2.0", "0.0", "1.0"]
    assert [row["value"] for row in rows(ask("export", "-c", config, "--from", "2000-01-01").out)] == ["2.0", "0.0"]


WILD = ("2140-01-01T{:02}:00:00Z", "1999-01-01T{:02}:00:00Z", "2026-03-01T{:02}:00:00Z")


def test_beside_a_running_service(ask: Ask, site: Path) -> None:
    with serving(site):
        said = ask("export", "-c", site)

    assert said.code == 0
    assert len(rows(said.out)) == 19
