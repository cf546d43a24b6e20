"""`jianwei judge`: a file is judged as the service would have judged it, and odd files cost a sentence."""

import csv
import gzip
import json
import random
import re
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

import jianwei.judging
from ingest.formats.json_v1 import JsonV1
from ingest.judging import Lane
from ingest.message import Block, Entry
from jianwei.catalogue_files import read_catalogue
from rules.binding import Binding
from rules.engine import Engine
from rules.schema import Name, Station
from tests.jianwei.command_line import Ask, asking

START = datetime(2024, 3, 1, tzinfo=UTC)
CATALOGUE = cache(read_catalogue)  # read once for all tests
TEMPERATURE, OXYGEN = "w01010", "w01009"
SPIKES = """
rules:
  - rule: own_spike
    check: spike
    parameters: {"w01010": {suspect: 1, fail: 5}}
    clear_after: {count: 2}
"""


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    monkeypatch.setattr(sys.modules["jianwei.commands.judge"], "read_catalogue", CATALOGUE)
    return asking(monkeypatch, capsys)


def table(path: Path, *rows: object, header: str = f"time,{TEMPERATURE}", every_min: int = 60) -> Path:
    """A row is what stands behind the time; the rows are an hour apart."""
    lines = [f"{(START + timedelta(minutes=at * every_min)).isoformat()},{row}" for at, row in enumerate(rows)]
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def values(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def told(path: Path, *columns: str) -> list[tuple[str, ...]]:
    return [tuple(row[column] for column in columns) for row in values(path)]


def test_every_value_has_its_flag_and_the_words_of_the_checks(ask: Ask, tmp_path: Path) -> None:
    river = table(tmp_path / "river.csv", 5, 5.1, 9, 5, "", 50, 5.2, 5.1)
    judged = tmp_path / "judged.csv"
    rules = """
rules:
  - {rule: span, check: gross_range, parameters: {"w01010": {suspect: [0, 20], fail: [-2, 40]}}}
  - {rule: own_spike, check: spike, parameters: {"w01010": {suspect: 1, fail: 30}}}
"""
    said = ask("judge", river, "--rules", written(tmp_path / "rules.yaml", rules), "--out", judged)
    assert said.code == 0, said.err
    assert told(judged, "time", "station", "parameter", "value", "flag", "gross_range", "spike")[:4] == [
        ("2024-03-01T00:00:00+00:00", "river", TEMPERATURE, "5.0", "1", "1", "2"),
        ("2024-03-01T01:00:00+00:00", "river", TEMPERATURE, "5.1", "3", "1", "3"),
        ("2024-03-01T02:00:00+00:00", "river", TEMPERATURE, "9.0", "3", "1", "3"),
        ("2024-03-01T03:00:00+00:00", "river", TEMPERATURE, "5.0", "1", "1", "2"),
    ]
    assert told(judged, "value", "flag", "gross_range", "spike")[4:6] == [("", "9", "9", "9"), ("50.0", "4", "4", "2")]


def test_a_word_that_comes_one_reading_later_is_there_however_the_file_is_cut(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(7)
    rows = [f"{5 + 3 * (dice.random() < 0.2):g},{9 + 3 * (dice.random() < 0.2):g}" for _ in range(200)]
    river = table(tmp_path / "river.csv", *rows, header=f"time,{TEMPERATURE},{OXYGEN}")
    rules = written(tmp_path / "rules.yaml", SPIKES.replace('"w01010":', '"w01009": {suspect: 1}, "w01010":'))
    found = []
    for number, chunk in enumerate((4096, 2, 3, 7, 64)):
        monkeypatch.setattr(jianwei.judging, "CHUNK", chunk)
        judged = tmp_path / f"judged{number}.csv"
        assert ask("judge", river, "--rules", rules, "--out", judged).code == 0
        found.append(sorted(told(judged, "time", "parameter", "value", "flag", "spike")))
    assert {flag for _, _, _, flag, _ in found[0]} >= {"3"}
    assert len(found[0]) == 400
    assert all(other == found[0] for other in found[1:])


def test_flags_are_those_of_the_service(ask: Ask, tmp_path: Path) -> None:
    """The same rows as messages, through format, batches and engine as the pipeline has them; the store keeps the last word."""
    dice = random.Random(3)
    rows = []
    for at in range(300):
        temperature = 8 + dice.random() + 20 * (dice.random() < 0.05)
        oxygen = "" if dice.random() < 0.1 else f"{4 + 4 * dice.random():.2f}"
        rows.append(f"{temperature if at % 50 > 20 else 9:.3f},{oxygen},{'M' if 100 <= at < 110 else ''}")
    header = f"time,{TEMPERATURE},{OXYGEN},{OXYGEN}_flag"
    river, judged = table(tmp_path / "SW-1.csv", *rows, header=header), tmp_path / "judged.csv"
    map_file = written(
        tmp_path / "map.yaml",
        f"""
time: {{column: time}}
station: SW-1
kind: hour
columns: [{{name: {TEMPERATURE}, parameter: "{TEMPERATURE}"}}, {{name: {OXYGEN}, parameter: "{OXYGEN}", flag: {OXYGEN}_flag}}]
""",
    )
    said = ask(
        "judge", river, "--as", "surface_water_section", "--class", "III", "--map", map_file, "--out", judged, "--json"
    )
    assert said.code == 0, said.err

    section = Station(id="SW-1", name=Name(zh="断面", en="section"), station_type="surface_water_section", class_="III")
    messages = []
    for line in river.read_text().splitlines()[1:]:
        time, temperature_, oxygen_, letter = line.split(",")
        message = {
            "station": "SW-1",
            "kind": "hour",
            "time": time,
            "values": {TEMPERATURE: float(temperature_), OXYGEN: float(oxygen_) if oxygen_ else None},
        }
        messages.append(json.dumps(message | ({"flags": {OXYGEN: letter}} if letter else {})).encode())
    lane = Lane(Engine(Binding(CATALOGUE(), {"SW-1": section})), 0, lambda: lambda _source, _topic: JsonV1())
    kept: dict[tuple[str, str], tuple[str, str]] = {}
    transitions = []
    for number, start in enumerate(range(0, len(messages), 17), 1):
        portion = messages[start : start + 17]
        received_ns = int(datetime(2024, 6, 1, tzinfo=UTC).timestamp()) * 10**9
        block = Block("test", received_ns, ["jianwei/v1/SW-1/hour"] * len(portion), portion)
        found = lane.judge([Entry(number, received_ns, False, [block])])
        assert not found.problems
        transitions += found.transitions
        for series, at_ns, value, verdict in zip(
            found.rows.series, found.rows.measured_ns, found.rows.value, found.rows.verdict, strict=True
        ):
            time = datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat()
            kept[time, found.keys[series].parameter] = (str(float(value)), str(verdict))
    assert {(time, parameter): (value or "nan", flag) for time, parameter, value, flag in told(
        judged, "time", "parameter", "value", "flag"
    )} == kept  # fmt: skip
    assert {flag for _, flag in kept.values()} == {"1", "2", "3", "4", "9"}
    report = json.loads(said.out)
    assert {episode["id"] for episode in report["episodes"]} == {t.episode for t in transitions if t.check != "silence"}
    assert report["flags"]["4"] == sum(flag == "4" for _, flag in kept.values())


def test_an_episode_is_told_with_its_limit_and_where_it_is_written(ask: Ask, tmp_path: Path) -> None:
    header = f"time,station,{OXYGEN}"
    river = table(tmp_path / "river.csv", *["S-1,8", "S-1,2.5", "S-1,2", "S-1,2.2", "S-1,8", "S-1,8"], header=header)
    text = f"time: {{column: time}}\nstation_column: station\nkind: hour\ncolumns: [{{name: {OXYGEN}, parameter: {OXYGEN}}}]"
    asked = ("judge", river, "--as", "surface_water_section", "--class", "III", "--map", written(tmp_path / "m", text))
    said = ask(*asked)
    assert said.code == 0, said.err
    line = next(line for line in said.out.splitlines() if "surface_water_over" in line)
    for part in (
        "yellow",
        "S-1",
        OXYGEN,
        "2024-03-01 01:00",
        "2024-03-01 05:00",
        "2 mg/L",
        "≥ 5 mg/L",
        "GB 3838",
        "[C]",
    ):
        assert part in line
    episode = next(e for e in json.loads(ask(*asked, "--json").out)["episodes"] if e["rule"] == "surface_water_over")
    assert episode["limit"]["low"] == 5
    assert episode["limit"]["high"] is None
    assert episode["limit"]["mark"] == "C"
    assert episode["multiple"] is None
    assert (episode["worst"], episode["worst_line"]) == (2, 4)


def test_thresholds_hold_for_one_station_or_one_column(ask: Ask, tmp_path: Path) -> None:
    header = f"time,station,{TEMPERATURE},{OXYGEN}"
    river = table(tmp_path / "river.csv", "A,12,12", "B,12,12", "A,3,3", "B,3,3", header=header)
    rules = """
rules:
  - {rule: low_at_a, check: exceedance, stations: [A], parameters: {"w01010": {low: 5}}, levels: {fail: red}}
  - {rule: high, check: gross_range, parameters: {"w01009": {fail: [0, 10]}}}
  - {rule: nowhere, check: gross_range, stations: [C], thresholds: {fail: [0, 10]}}
"""
    judged = tmp_path / "judged.csv"
    said = ask("judge", river, "--rules", written(tmp_path / "rules.yaml", rules), "--out", judged, "--json")
    assert said.code == 0, said.err
    failed = {row[:3] for row in told(judged, "station", "parameter", "value", "flag") if row[3] == "4"}
    assert failed == {("A", TEMPERATURE, "3.0"), ("A", OXYGEN, "12.0"), ("B", OXYGEN, "12.0")}
    assert "nowhere watched nothing" in said.err
    red = next(e for e in json.loads(said.out)["episodes"] if e["level"] == "red")
    assert (red["rule"], red["limit"]["low"], red["limit"]["mark"]) == ("low_at_a", 5, "P")


def test_a_rule_of_ones_own_stands_in_for_the_catalogues(ask: Ask, tmp_path: Path) -> None:
    river = table(tmp_path / "river.csv", 5, 8, 5, 8, 5, 5)
    judged = tmp_path / "judged.csv"
    asked = ("judge", river, "--as", "surface_water_section", "--out", judged)
    assert ask(*asked).code == 0
    assert "3" in {flag for (flag,) in told(judged, "flag")}
    rules = SPIKES.replace("own_spike", "spike_water").replace("suspect: 1, fail: 5", "suspect: 100")
    assert ask(*asked, "--rules", written(tmp_path / "rules.yaml", rules)).code == 0
    assert {flag for (flag,) in told(judged, "flag")} == {"1"}


def test_units_are_turned_into_those_of_the_parameter(ask: Ask, tmp_path: Path) -> None:
    river = table(tmp_path / "river.csv", 500, 600, header="time,oxygen")
    text = f"time: {{column: time}}\nkind: hour\ncolumns: [{{name: oxygen, parameter: {OXYGEN}, unit: μg/L}}]"
    judged = tmp_path / "judged.csv"
    said = ask("judge", river, "--as", "surface_water_section", "--map", written(tmp_path / "m", text), "--out", judged)
    assert said.code == 0, said.err
    assert told(judged, "value") == [("0.5",), ("0.6",)]


def test_a_gap_is_a_silence_only_where_the_rows_are_in_order(ask: Ask, tmp_path: Path) -> None:
    river = table(tmp_path / "river.csv", *[5 + at / 100 for at in range(30)])
    lines = river.read_text().splitlines()
    gap = written(tmp_path / "gap.csv", "\n".join(lines[:6] + lines[20:]))
    rules = written(
        tmp_path / "rules.yaml", "rules: [{rule: hush, check: silence, thresholds: {suspect_after: 4, fail_after: 99}}]"
    )
    episodes = json.loads(ask("judge", gap, "--rules", rules, "--json").out)["episodes"]
    assert [(e["since"], e["until"]) for e in episodes] == [("2024-03-01T04:00:00+00:00", "2024-03-01T19:00:00+00:00")]
    shuffled = written(tmp_path / "back.csv", "\n".join([lines[0], *lines[20:], *lines[1:6]]))
    said = ask("judge", shuffled, "--rules", rules, "--json")
    assert json.loads(said.out)["episodes"] == []
    assert json.loads(said.out)["counts"]["late"] == 5
    assert "not in the order" in said.err


def test_a_rule_that_needs_an_interval_is_left_out_and_told_where_there_is_none(ask: Ask, tmp_path: Path) -> None:
    flat = "rules: [{rule: still, check: flat_line, thresholds: {tolerance: 0.01, suspect_after_s: 240}}]"
    rules = written(tmp_path / "rules.yaml", flat)
    alone = table(tmp_path / "alone.csv", 7, header="time,w01001", every_min=1)
    said = ask("judge", alone, "--rules", rules)
    assert said.code == 0
    assert "left out: still: flat_line needs the nominal interval of the feed" in said.err
    quick = table(tmp_path / "quick.csv", *[7] * 9, header="time,w01001", every_min=1)
    judged = tmp_path / "judged.csv"
    assert ask("judge", quick, "--rules", rules, "--out", judged).code == 0
    assert told(judged, "flat_line") == [("1",)] * 4 + [("3",)] * 5


def test_bad_cells_are_told_with_their_place_and_the_rest_is_judged(ask: Ask, tmp_path: Path) -> None:
    river = table(tmp_path / "river.csv", 5, "five", 5, "5,6", 5)
    said = ask("judge", river, "--as", "surface_water_section", "--json")
    assert said.code == 1
    assert f"{river}: line 3, column {TEMPERATURE}: bad value: 'five'" in said.err
    assert f"{river}: line 5, column (all): 3 cells" in said.err
    report = json.loads(said.out)
    assert report["bad_cells"] == 2
    assert sum(report["flags"].values()) == 3
    many = table(tmp_path / "many.csv", *["x"] * 50, 5)
    assert "30 more such problems" in ask("judge", many, "--as", "surface_water_section").err


def test_every_problem_of_a_rules_file_is_told_with_its_path(ask: Ask, tmp_path: Path) -> None:
    rules = written(
        tmp_path / "rules.yaml",
        """
rules:
  - {rule: one, check: gross_range, parameters: {"w99999": {fail: [0, 1]}, "w01010": {fial: [0, 1]}}}
  - {rule: one, check: spke}
  - {rule: three, check: exceedance, parameters: {"w01010": {}}}
  - {rule: four, check: silence, parameters: ["w01010"], thresholds: {fail_after: 3}}
  - {rule: five, check: spike, thresholds: {fail: .inf}}
""",
    )
    said = ask("judge", table(tmp_path / "river.csv", 5), "--rules", rules)
    assert said.code == 1
    for place in (
        "$.rules[0].parameters.w99999: there is no parameter",
        "$.rules[0].parameters.w01010.fial",
        "$.rules[1].rule: there are two rules one",
        "$.rules[1].check: there is no check spke",
        "$.rules[2].parameters.w01010: Value error, give low, high, or both",
        "$.rules[3].parameters: silence looks at a feed",
        "$.rules[4].thresholds.fail: a threshold is a finite number",
    ):
        assert f"{rules}: {place}" in said.err
    assert "Traceback" not in said.err


ODD = {
    "no file": None,
    "empty": b"",
    "header only": b"time,w01010\n",
    "no known column": b"when,what\n1,2\n",
    "noise": bytes(range(256)) * 20,
    "zeros": b"\x00" * 5000,
    "one line without an end": b"time,w01010,w01010" * 10_000,
    "an open quote": b'time,w01010\n"2024-01-01T00:00:00Z,5\n' * 100,
    "times without a zone": b"time,w01010\n2024-01-01 00:00:00,5\n",
    "numbers beyond all": b"time,w01010\n2024-01-01T00:00:00Z,1e999\n2024-01-01T01:00:00Z,nan\n",
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD.keys())
def test_an_odd_file_costs_a_sentence(ask: Ask, tmp_path: Path, content: bytes | None) -> None:
    odd = tmp_path / "odd.csv"
    if content is not None:
        odd.write_bytes(content)
    said = ask("judge", odd, "--as", "surface_water_section", "--out", tmp_path / "judged.csv")
    assert said.code == 1
    assert "odd.csv" in said.err
    assert "Traceback" not in said.err + said.out


def test_a_damaged_packed_file_is_judged_as_far_as_it_goes(ask: Ask, tmp_path: Path) -> None:
    river = table(tmp_path / "river.csv", *[f"{5 + at % 7}.{at:04}" for at in range(5000)])
    packed = gzip.compress(river.read_bytes())
    (tmp_path / "river.csv.gz").write_bytes(packed[: len(packed) // 2])
    said = ask("judge", tmp_path / "river.csv.gz", "--as", "surface_water_section", "--json")
    assert said.code == 1
    assert "damaged" in said.err
    assert 1000 < json.loads(said.out)["rows"] < 4000


def test_what_cannot_be_opened_costs_a_sentence(ask: Ask, tmp_path: Path) -> None:
    river, asked = table(tmp_path / "river.csv", 5), ("--as", "surface_water_section")
    for wrong in (
        (tmp_path, *asked),
        (river, *asked, "--out", tmp_path / "no" / "such.csv"),
        (river, *asked, "--map", tmp_path / "no.yaml"),
        (river, *asked, "--map", written(tmp_path / "bad.yaml", "time: [")),
        (river, "--rules", tmp_path / "no.yaml"),
        (river, "--rules", written(tmp_path / "list.yaml", "- 1")),
    ):
        said = ask("judge", *wrong)
        assert said.code == 1, wrong
        assert str(tmp_path) in said.err
        assert "Traceback" not in said.err


def test_wrong_use_is_refused_before_anything_is_read(ask: Ask, tmp_path: Path) -> None:
    river = table(tmp_path / "river.csv", 5)
    before = river.read_bytes()
    for wrong in (
        (),
        ("--as", "moon_base"),
        ("--as", "surface_water_section", "--class", "XII"),
        ("--class", "III", "--rules", "rules.yaml"),
        ("--as", "surface_water_section", "--out", river),
    ):
        said = ask("judge", river, *wrong)
        assert said.code == 2, wrong
        assert "Traceback" not in said.err
    assert river.read_bytes() == before


def test_the_examples_of_the_page_work(ask: Ask, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "old_data.md").read_text(encoding="utf-8")
    map_text, rules_text = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    rows = ["2024-03-01 00:00,5,9,", "2024-03-01 00:15,-9999,4,", "2024-03-01 00:30,30,4,M", "2024-03-01 00:45,5,4,"]
    logger = written(tmp_path / "logger.csv", "\n".join(["taken,temp,oxygen,oxygen_flag", *rows]))
    judged = tmp_path / "judged.csv"
    map_file, rules = written(tmp_path / "map.yaml", map_text), written(tmp_path / "rules.yaml", rules_text)
    said = ask("judge", logger, "--map", map_file, "--rules", rules, "--out", judged)
    assert said.code == 0
    assert said.err == ""
    assert told(judged, "time", "station", "value", "equipment", "flag")[2:6] == [
        ("2024-03-01T00:15:00-07:00", "WEIR-1", "", "N", "9"),
        ("2024-03-01T00:15:00-07:00", "WEIR-1", "4.0", "N", "4"),
        ("2024-03-01T00:30:00-07:00", "WEIR-1", "30.0", "N", "3"),
        ("2024-03-01T00:30:00-07:00", "WEIR-1", "4.0", "M", "2"),
    ]
