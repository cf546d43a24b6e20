"""`jianwei station`: the register of the ledger by hand."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from alerts.loggers import Heard
from alerts.register import SqlRegister
from jianwei.catalogue_files import read_catalogue
from jianwei.clock import wall_ns
from jianwei.site import read_site
from rules.readings import SECOND_NS
from rules.register import load_stations
from tests.jianwei.command_line import Ask
from tests.jianwei.lived import STATIONS, serving

NEW = ("SW-09", "name_zh=新断面", "type=surface_water_section", "class=III", "water_body=river")
SECRET, KEY = "do-not-tell", "0123456789abcdef0123456789ABCDEF"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A site where nothing has run yet, with a station file."""
    (tmp_path / "stations.yaml").write_text(STATIONS, encoding="utf-8")
    (tmp_path / "jianwei.toml").write_text('stations = ["stations.yaml"]\n')
    return tmp_path / "jianwei.toml"


@pytest.fixture
def station(ask: Ask, config: Path) -> Callable[..., str]:
    """Runs `jianwei station …` on the site; what it says, and it must be well."""

    def run(*words: object) -> str:
        said = ask("station", *words, "-c", config)
        assert (said.code, said.err) == (0, "")
        return said.out

    return run


def opened(config: Path) -> SqlRegister:
    folder = config.parent / "data"
    folder.mkdir(exist_ok=True)
    return SqlRegister(f"sqlite:///{folder / 'ledger.sqlite'}", wall_ns)


def heard(config: Path, *loggers: Heard) -> None:
    with closing(opened(config)) as register:
        register.note_loggers(loggers)


def logger(mn: str, station: str = "", **more: object) -> Heard:
    told = {"source": "tcp", "state": "waiting", "address": "10.0.0.7", "edition": "2017", "at_ns": wall_ns()}
    return Heard(**{"mn": mn, "station": station, **told, **more})  # type: ignore[arg-type]


def test_looking_makes_no_ledger(ask: Ask, config: Path) -> None:
    for words in (["list"], ["list", "--waiting"], ["list", "--json"], ["show", "SW-01"], ["export"]):
        assert ask("station", *words, "-c", config).code == 0
    assert ask("check", "-c", config).code == 0
    assert not (config.parent / "data").exists()


def test_a_station_is_added_changed_shown_and_removed(station: Callable[..., str], config: Path) -> None:
    assert "added SW-09" in station("add", *NEW, "--by", "Li Ming")
    said = station("change", "SW-09", "类别=II", "lon=121.5", "lat=28.5", "jurisdiction=黄岩区", "--by", "Wang Fang")
    assert "class: III -> II" in said
    assert read_site(config).stations["SW-09"].class_ == "II"

    shown = json.loads(station("show", "SW-09", "--json"))
    assert (shown["in"], shown["class"], shown["password"]) == ("ledger", "II", "not set")
    assert [(one["what"], one["by"]) for one in shown["history"]] == [("added", "Li Ming"), ("changed", "Wang Fang")]
    assert {"field": "class", "before": "III", "after": "II"} in shown["history"][1]["fields"]
    told = station("show", "SW-09")
    assert "class: III -> II" in told
    assert "changed by Wang Fang" in told

    assert "class: II -> -" in station("change", "SW-09", "class=")
    assert "removed SW-09" in station("remove", "SW-09")
    assert "SW-09" not in read_site(config).stations
    assert json.loads(station("show", "SW-09", "--json"))["history"][-1]["what"] == "removed"
    station("add", *NEW)


def test_every_problem_of_a_station_is_told_by_field_and_nothing_is_entered(ask: Ask, config: Path) -> None:
    said = ask("station", "add", "SW-09", "type=surface_water_sektion", "lon=200", "edition=2018", "-c", config)
    assert said.code == 1
    assert "station SW-09: name_zh: is not given, and has to be" in said.err
    assert "station SW-09: lon:" in said.err
    assert "station SW-09: edition:" in said.err
    said = ask("station", "add", "SW-09", "name_zh=新", "type=surface_water_sektion", "-c", config)
    assert "station SW-09: station_type: there is no station type surface_water_sektion" in said.err
    with closing(opened(config)) as register:
        assert register.history() == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["add", "X", "class"], "write FIELD=VALUE"),
        (["add", "X", "klass=III"], "did you mean class"),
        (["add", "X", "class=III", "类别=II"], "class is said twice"),
        (["add", "X", f"password={SECRET}"], "password is no argument"),
        (["add", "X", f"密码={SECRET}"], "password is no argument"),
        (["add", "X", f"sm4_key={SECRET}"], "--sm4-key asks for it"),
    ],
)
def test_a_wrong_command_line_is_told(ask: Ask, config: Path, words: list[str], why: str) -> None:
    said = ask("station", *words, "-c", config)
    assert said.code == 2
    assert why in " ".join(said.err.replace("│", " ").split())
    assert SECRET not in said.out + said.err


def test_who_stands_in_a_file_is_changed_and_removed_there(ask: Ask, config: Path) -> None:
    for words in (["change", "SW-01", "class=II"], ["remove", "SW-01"]):
        said = ask("station", *words, "-c", config)
        assert said.code == 1
        assert "stands in a file that `stations`" in said.err
    assert "is registered already" in ask("station", "add", "SW-01", "-c", config).err
    assert "did you mean SW-0" in ask("station", "remove", "SW-00", "-c", config).err
    assert "did you mean SW-0" in ask("station", "show", "SW-00", "-c", config).err


def test_a_station_in_file_and_ledger_is_a_problem_with_both_places_and_what_to_do(
    ask: Ask, station: Callable[..., str], config: Path
) -> None:
    station("add", *NEW, "mn=ABC1")
    entry = "- {id: SW-09, name: {zh: 新, en: New}, station_type: surface_water_section}\n"
    config.with_name("stations.yaml").write_text(f"{STATIONS.rstrip()}\n  {entry}")
    said = ask("check", "-c", config)
    assert said.code == 1
    assert "ledger.sqlite: SW-09.id: station SW-09 is registered twice: it stands in" in said.err
    assert (
        "stations.yaml: $.stations[4], too; take it out of the file, or let `jianwei station remove SW-09`" in said.err
    )
    assert ask("run", "-c", config).code == 1

    other = "- {id: SW-10, name: {zh: 新, en: New}, station_type: surface_water_section, logger: {mn: abc1}}\n"
    config.with_name("stations.yaml").write_text(f"{STATIONS.rstrip()}\n  {other}")
    assert "MN ABC1 is the logger of two stations: also of SW-10 in" in ask("station", "list", "-c", config).err


def test_an_mn_that_another_station_has_is_refused(ask: Ask, station: Callable[..., str], config: Path) -> None:
    station("add", *NEW, "mn=ABC1")
    said = ask("station", "add", "SW-10", *NEW[1:], "mn=abc1", "-c", config)
    assert said.code == 1
    assert "station SW-10: mn: MN abc1 is the logger of two stations: also of SW-09" in said.err


def test_a_logger_that_waits_is_admitted_with_its_mn_and_edition(
    ask: Ask, station: Callable[..., str], config: Path
) -> None:
    heard(config, logger("88888880000001", why="nobody has registered it"), logger("\x1b[2J", edition=""))
    waiting = json.loads(station("list", "--waiting", "--json"))
    assert [one["edition"] for one in waiting if one["mn"] == "88888880000001"] == ["2017"]
    assert "\x1b" not in station("list", "--waiting")
    assert "did you mean 88888880000001" in ask("station", "admit", "88888880000002", "-c", config).err

    station("admit", "88888880000001", "id=WE-09", "name_zh=排口", "type=wastewater_outlet")
    entry = read_site(config).stations["WE-09"].logger
    assert entry is not None
    assert (entry.mn, entry.edition) == ("88888880000001", "2017")
    shown = json.loads(station("show", "WE-09", "--json"))
    assert shown["history"][0]["what"] == "admitted"
    assert shown["heard"][0]["state"] == "gone"
    assert "88888880000001" not in station("list", "--waiting")


def test_a_list_tells_who_is_connected_since_when_and_how_wrong_the_clock_is(
    station: Callable[..., str], config: Path
) -> None:
    heard(config, logger("MN1", "SW-01", state="connected", offset_ns=-90 * SECOND_NS))
    told = next(line for line in station("list").splitlines() if "SW-01" in line)
    assert "connected" in told
    assert "-90.0 s" in told
    (one,) = (one for one in json.loads(station("list", "--json")) if one["id"] == "SW-01")
    assert one["heard"][0]["clock_offset_s"] == -90.0
    assert one["in"] == "file"
    assert "its clock is -90.0 s" in station("show", "SW-01")


def test_what_is_exported_is_a_station_file_that_says_the_same(station: Callable[..., str], config: Path) -> None:
    station("add", *NEW, "edition=2017", "mn=0012", "feeds=hour=3600")
    site = read_site(config)
    assert load_stations({"export": station("export")}, read_catalogue()) == site.stations
    only = yaml.safe_load(station("export", "--ledger"))
    assert [one["id"] for one in only["stations"]] == ["SW-09"]


def test_passwords_and_keys_come_from_files_or_unseen_and_are_told_nowhere(
    ask: Ask, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password, key = config.with_name("password.txt"), config.with_name("key.txt")
    password.write_text(f"{SECRET}\n")
    key.write_text(KEY)
    said = []

    def run(*words: object) -> None:
        answer = ask(*words, "-c", config)
        said.append(answer.out + answer.err)
        assert answer.code == 0, answer

    run("station", "add", *NEW, "mn=M1", "--password-file", password, "--sm4-key-file", key)
    with closing(opened(config)) as register:
        assert (register.shared()["SW-09"].password, register.shared()["SW-09"].sm4_key) == (SECRET, bytes.fromhex(KEY))
    monkeypatch.setattr("getpass.getpass", lambda *_args, **_more: f"{SECRET}-2")
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _prompt: f"{SECRET}-2")
    run("station", "change", "SW-09", "--password")
    with closing(opened(config)) as register:
        assert register.shared()["SW-09"].password == f"{SECRET}-2"
        assert register.number() == 1
    for words in (["list"], ["show", "SW-09"], ["export"]):
        run("station", *words)
    for words in (["list", "--json"], ["show", "SW-09", "--json"]):
        run("station", *words)
    run("check")
    run("explain", "SW-09", "w01009")
    with serving(config):
        pass
    run("episodes")
    run("station", "change", "SW-09", "--forget-secrets")
    run("station", "remove", "SW-09")
    for told in said:
        assert SECRET not in told
        assert KEY.lower() not in told.lower()
    assert "password: set" in "".join(said)


@pytest.mark.parametrize("content", ["", "two\nlines\n", "\n"])
def test_a_password_file_that_holds_something_else_is_refused_without_a_word_of_it(
    ask: Ask, config: Path, content: str
) -> None:
    path = config.with_name("password.txt")
    path.write_text(content)
    said = ask("station", "add", *NEW, "--password-file", path, "-c", config)
    assert said.code == 1
    assert "one line is asked for" in said.err
    assert "lines" not in said.err


@pytest.mark.parametrize("content", ["too short", "0123456789abcdef0"])
def test_a_key_that_is_none_is_refused_without_a_word_of_it(ask: Ask, config: Path, content: str) -> None:
    path = config.with_name("key.txt")
    path.write_text(content)
    said = ask("station", "add", *NEW, "--sm4-key-file", path, "-c", config)
    assert said.code == 1
    assert "is no key of SM4" in said.err
    assert content not in said.err


def test_stations_of_the_ledger_are_judged_and_explained_like_others(
    ask: Ask, station: Callable[..., str], config: Path
) -> None:
    station("add", *NEW)
    assert "III" in ask("explain", "SW-09", "w01009", "-c", config).out
    said = ask("check", "-c", config)
    assert "5 stations in the register, 1 of them in the ledger" in said.out
    with serving(config) as runtime:
        assert "SW-09" in runtime.stations


def test_people_who_enter_at_once_all_get_their_stations_in_and_one_mn_only_one_of_them(config: Path) -> None:
    def add(name: str, mn: str) -> "subprocess.Popen[str]":
        words = ["station", "add", name, *NEW[1:], f"mn={mn}", "-c", str(config)]
        return subprocess.Popen([sys.executable, "-m", "jianwei", *words], stderr=subprocess.PIPE, text=True)

    people = [add(f"X-{number}", f"M{number // 2}") for number in range(4)]
    codes = [(person.communicate(timeout=60), person.returncode)[1] for person in people]
    assert sorted(codes) == [0, 0, 1, 1]
    site = read_site(config)
    assert len([name for name in site.stations if name.startswith("X-")]) == 2
