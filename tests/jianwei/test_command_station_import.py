"""`jianwei station import`: tables as a bureau fills them in, all or nothing, with every problem by line and column."""

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from alerts.register import SqlRegister
from jianwei.clock import wall_ns
from jianwei.site import read_site
from rules.schema import Station
from tests.jianwei.command_line import Ask

SECRET = "do-not-tell"
CHINESE = f"""站点编号,名称,英文名称,站点类型,类别,水体,经度,纬度,管辖区,企业,排口,上报周期,MN号,协议版本,密码,编码,校验,因子对照,允许地址,校时,备注
SW-03,永宁江断面,,surface_water_section,III,river,121.26,28.65,黄岩区,,,realtime=300;hour=3600,,,,,,,,,
WE-08,某企业总排口,Outlet,wastewater_outlet,,,,,,某企业,DW001,hour=3600；day=86400,88888880000001,2017,{SECRET},gbk,modbus,COD=w01018,10.2.0.0/16;10.3.0.1,correct,
"""
PERMITS = """站点编号,因子,时段,比较,限值,上限,单位,许可证编号,条款,生效日期,失效日期
WE-08,化学需氧量,24h,,50,,mg/L,91330000X,表7,,
WE-08,w01001,1h,,6,9,1,91330000X,表7,2026/1/1,2030年12月31日
"""
Import = Callable[..., Any]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "jianwei.toml").write_text("")
    return tmp_path / "jianwei.toml"


@pytest.fixture
def imported(ask: Ask, config: Path) -> Import:
    """Imports these tables; what is said as JSON, and nothing is wrong."""

    def run(stations: str, permits: str | None = None, *options: str) -> Any:
        said = ask("station", "import", *tables(config, stations, permits), *options, "--json", "-c", config)
        assert (said.code, said.err) == (0, "")
        assert SECRET not in said.out
        return json.loads(said.out)

    return run


@pytest.fixture
def refused(ask: Ask, config: Path) -> Callable[..., str]:
    """Imports these tables, which is refused; what is told."""

    def run(stations: str, permits: str | None = None, *options: str) -> str:
        said = ask("station", "import", *tables(config, stations, permits), *options, "-c", config)
        assert said.code == 1
        assert SECRET not in said.out + said.err
        return said.err

    return run


def tables(config: Path, stations: str, permits: str | None) -> list[object]:
    file, other = config.with_name("stations.csv"), config.with_name("permits.csv")
    file.write_text(stations, encoding="utf-8")
    if permits is None:
        return [file]
    other.write_text(permits, encoding="utf-8")
    return [file, "--permits", other]


def outcomes(said: Mapping[str, Any]) -> dict[str, str]:
    return {one["station"]: one["outcome"] for one in said["stations"]}


def register_of(config: Path) -> SqlRegister:
    return SqlRegister(f"sqlite:///{config.parent / 'data' / 'ledger.sqlite'}", wall_ns)


def stations(config: Path) -> Mapping[str, Station]:
    return read_site(config).stations


def test_a_table_in_chinese_says_everything_that_a_station_file_can(imported: Import, config: Path) -> None:
    assert outcomes(imported(CHINESE, PERMITS)) == {"SW-03": "added", "WE-08": "added"}
    section, outlet = stations(config)["SW-03"], stations(config)["WE-08"]
    assert (section.name.zh, section.name.en, section.class_, section.water_body) == (
        "永宁江断面",
        "永宁江断面",
        "III",
        "river",
    )
    assert section.position is not None
    assert (section.position.lon, section.position.lat, section.jurisdiction) == (121.26, 28.65, "黄岩区")
    assert section.feeds == {"realtime": 300, "hour": 3600}
    assert section.logger is None
    assert (outlet.enterprise, outlet.outlet, outlet.feeds) == ("某企业", "DW001", {"hour": 3600, "day": 86400})
    assert outlet.logger is not None
    assert outlet.logger.model_dump(exclude_defaults=True) == {
        "mn": "88888880000001",
        "edition": "2017",
        "checks": ["modbus"],
        "encoding": "gbk",
        "codes": {"COD": "w01018"},
        "addresses": ["10.2.0.0/16", "10.3.0.1"],
        "clock": "correct",
    }
    oxygen, acidity = outlet.permit
    assert (oxygen.parameter, oxygen.op, oxygen.value, oxygen.valid_from) == ("w01018", "<=", 50.0, None)
    assert (acidity.op, acidity.value) == ("between", [6.0, 9.0])
    assert (acidity.valid_from, acidity.valid_to) == (date(2026, 1, 1), date(2030, 12, 31))
    with closing(register_of(config)) as register:
        assert register.shared()["WE-08"].password == SECRET


def test_the_same_tables_a_second_time_change_nothing(imported: Import, config: Path) -> None:
    imported(CHINESE, PERMITS)
    with closing(register_of(config)) as register:
        before = register.version()
        assert outcomes(imported(CHINESE, PERMITS)) == {"SW-03": "unchanged", "WE-08": "unchanged"}
        assert register.version() == before


def test_a_dry_run_tells_and_enters_nothing(imported: Import, config: Path) -> None:
    assert outcomes(imported(CHINESE, PERMITS, "--dry-run")) == {"SW-03": "added", "WE-08": "added"}
    assert stations(config) == {}


def test_what_changes_is_told_field_by_field_a_password_only_by_name(imported: Import, config: Path) -> None:
    imported(CHINESE, PERMITS)
    changed = CHINESE.replace(",III,", ",II,").replace(SECRET, f"{SECRET}-2")
    said = imported(changed, PERMITS.replace(",50,", ",40,"))
    fields = {one["station"]: [tuple(field.values()) for field in one["fields"]] for one in said["stations"]}
    assert fields["SW-03"] == [("class", "III", "II")]
    assert fields["WE-08"] == [("permit[0].value", "50.0", "40.0"), ("password", "set", "set anew")]
    with closing(register_of(config)) as register:
        assert [one.what for one in register.history("WE-08")] == ["added", "changed"]


def test_a_password_alone_makes_no_version(imported: Import, config: Path) -> None:
    imported(CHINESE)
    assert outcomes(imported(CHINESE.replace(SECRET, f"{SECRET}-2")))["WE-08"] == "changed"
    with closing(register_of(config)) as register:
        assert len(register.history("WE-08")) == 1
        assert register.shared()["WE-08"].password == f"{SECRET}-2"


def test_a_column_that_is_missing_leaves_its_field_and_an_empty_cell_takes_it_out(
    imported: Import, config: Path
) -> None:
    imported(CHINESE, PERMITS)
    imported("id,note\nWE-08,雨季停运\nSW-03,\n")
    outlet = stations(config)["WE-08"]
    assert (outlet.note, outlet.enterprise, len(outlet.permit)) == ("雨季停运", "某企业", 2)
    imported("id,note,enterprise,lon,lat\nWE-08,,,,\nSW-03,,,,\n")
    assert (stations(config)["WE-08"].note, stations(config)["WE-08"].enterprise) == (None, None)
    assert stations(config)["SW-03"].position is None


def test_permits_of_stations_that_are_registered_already_may_come_alone(imported: Import, config: Path) -> None:
    imported(CHINESE, PERMITS)
    imported("id\nSW-03\n", "\n".join(PERMITS.splitlines()[:2]) + "\n")
    assert [bound.parameter for bound in stations(config)["WE-08"].permit] == ["w01018"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk"])
@pytest.mark.parametrize(("between", "end"), [(",", "\n"), (";", "\r\n"), ("\t", "\r\n")])
def test_tables_are_taken_as_spreadsheets_save_them(
    ask: Ask, config: Path, encoding: str, between: str, end: str
) -> None:
    rows = [
        ["站点编号", "名称", "Type", "类别", "water_body", "", ""],
        ["　SW-03 ", "永宁江断面", "surface_water_section", "III", "river", "", ""],
        [""] * 7,
    ]
    file = config.with_name("stations.csv")
    file.write_bytes(end.join(between.join(row) for row in rows).encode(encoding))
    assert ask("station", "import", file, "-c", config).code == 0
    assert stations(config)["SW-03"].name.zh == "永宁江断面"


def test_every_problem_of_both_tables_is_told_at_once_by_line_and_heading(
    refused: Callable[..., str], config: Path
) -> None:
    wrong = (
        CHINESE.replace("surface_water_section", "surface_water_sektion")
        .replace("121.26", "east")
        .replace("88888880000001,2017", "8.8E+13,2018")
        .replace("10.3.0.1", "10.3.0.1/8")
        + "WE-08,再来一次,,wastewater_outlet,,,,,,,,,,,,,,,,,\n,没有编号,,,,,,,,,,,,,,,,,,,\n"
    )
    limits = PERMITS.replace("2026/1/1", "2026/13/1") + "WE-99,w01018,24h,,50,,mg/L,P,表7,,\n"
    said = refused(wrong, limits)
    file, other = config.with_name("stations.csv"), config.with_name("permits.csv")
    for told in (
        f"{file}: line 2, column 经度: 'east' is no number",
        f"{file}: line 4, column 站点编号: station WE-08 stands in line 3, too",
        f"{file}: line 5, column 站点编号: is empty",
        f"{other}: line 3, column 生效日期: '2026/13/1' is no day; write it such as 2026-01-31",
        f"{other}: line 4, column 站点编号: there is no station WE-99",
        "nothing was entered",
    ):
        assert told in said
    assert stations(config) == {}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("121.26", "221.26"), "line 2, column 经度: "),
        (("88888880000001", "8.8888E+13"), "line 3, column MN号: "),
        ((",2017,", ",2018,"), "line 3, column 协议版本: "),
        (("10.3.0.1", "10.3.0.1/8"), "line 3, column 允许地址: "),
        (("surface_water_section", "surface"), "line 2, column 站点类型: there is no station type surface"),
        ((",III,", ",IX,"), "line 2, column 类别: no standard of surface_water_section has a class IX"),
        (("hour=3600；", "day=3600；"), "line 3, column 上报周期: day is said twice"),
        (("hour=3600；", "hour；"), "line 3, column 上报周期: 'hour' is no pair"),
        (("hour=3600；", "hour=soon；"), "line 3, column 上报周期: 'soon' is no number of seconds"),
        (("永宁江断面", ""), "line 2, column 名称: is not given, and has to be"),
    ],
)
def test_what_is_wrong_in_a_cell_is_told_by_its_line_and_heading(
    refused: Callable[..., str], change: tuple[str, str], told: str
) -> None:
    assert told in refused(CHINESE.replace(*change), PERMITS)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("化学需氧量", "化学需氧"), "permits.csv: line 2, column 因子: "),
        ((",24h,", ",25h,"), "permits.csv: line 2, column 时段: "),
        ((",mg/L,", ",mg/l,"), "permits.csv: line 2, column 单位: "),
        ((",50,", ",,"), "permits.csv: line 2, column 限值: is not given, and has to be"),
        ((",6,9,", ",9,6,"), "permits.csv: line 3, column (all): between needs value: [low, high]"),
        (("2026/1/1", "2031/1/1"), "permits.csv: line 3, column 失效日期: ends before it begins"),
    ],
)
def test_what_is_wrong_with_a_limit_is_told_by_its_line_and_heading(
    refused: Callable[..., str], change: tuple[str, str], told: str
) -> None:
    assert told in refused(CHINESE, PERMITS.replace(*change))


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("名称\n断面\n", "line 1: there is no column id or 站点编号"),
        ("id,nmae_zh\nA,b\n", "line 1, column nmae_zh: nobody knows this heading; did you mean name_zh"),
        ("id,name_zh,名称\nA,b,c\n", "line 1, column 名称: says name_zh a second time"),
        ("id,name_zh\nA,b,c\n", "line 2: has 3 cells, and there are 2 headings"),
        ("", "there is no column id"),
        ('id\n"a\n' + "x" * 140_000, "is no CSV: "),
    ],
)
def test_a_table_that_is_none_is_told(refused: Callable[..., str], table: str, told: str) -> None:
    assert told in refused(table)


def test_bytes_that_are_no_text_are_told_with_their_line(ask: Ask, config: Path) -> None:
    file = config.with_name("stations.csv")
    file.write_bytes(b"id,name_zh\nA,b\nC,\xff\xff\xff\n")
    said = ask("station", "import", file, "-c", config)
    assert "stations.csv: line 3: is neither UTF-8 nor GBK" in said.err


def test_those_that_are_right_are_entered_though_others_are_wrong_when_told_so(
    refused: Callable[..., str], config: Path
) -> None:
    wrong = CHINESE.replace(",III,", ",IX,")
    said = refused(wrong, PERMITS, "--skip-wrong")
    assert "line 2, column 类别: " in said
    assert stations(config).keys() == {"WE-08"}


def test_an_mn_of_two_lines_is_refused_and_skipped_only_with_both_or_the_later(
    refused: Callable[..., str], config: Path
) -> None:
    twice = CHINESE.replace("hour=3600,,,,", "hour=3600,88888880000001,,,", 1)
    assert "line 3, column MN号: MN 88888880000001 is the logger of two stations: also of SW-03" in refused(twice)
    assert stations(config) == {}


def test_a_key_in_a_table_is_taken_and_one_that_is_none_is_not_told_back(
    ask: Ask, imported: Import, refused: Callable[..., str], config: Path
) -> None:
    head = "id,name_zh,type,SM4密钥\n"
    imported(f"{head}A,一,city_air,0123456789abcdef0123456789abcdef\nB,二,city_air,sixteen letters!\n")
    with closing(register_of(config)) as register:
        assert register.shared()["A"].sm4_key == bytes.fromhex("0123456789abcdef" * 2)
        assert register.shared()["B"].sm4_key == b"sixteen letters!"
    assert "line 2, column SM4密钥: is no key of SM4" in refused(f"{head}A,一,city_air,{SECRET}\n")


def test_a_station_file_is_imported_too_and_a_second_time_changes_nothing(ask: Ask, config: Path) -> None:
    file = config.with_name("stations.yaml")
    file.write_text("stations:\n- {id: A, name: {zh: 一, en: One}, station_type: city_air}\n", encoding="utf-8")
    assert "added A" in ask("station", "import", file, "-c", config).out
    assert ask("station", "import", file, "-c", config).out == "1 unchanged\n"
    exported = config.with_name("exported.yaml")
    exported.write_text(ask("station", "export", "-c", config).out, encoding="utf-8")
    assert ask("station", "import", exported, "-c", config).out == "1 unchanged\n"
    file.write_text(file.read_text().replace("city_air", "city_heir"))
    said = ask("station", "import", file, "-c", config)
    assert "stations.yaml: $.stations[0].station_type: there is no station type city_heir" in said.err
    assert ask("station", "import", file, "--permits", file, "-c", config).code == 2


def test_a_file_that_stations_names_is_not_imported_besides(ask: Ask, config: Path) -> None:
    file = config.with_name("stations.yaml")
    file.write_text("stations:\n- {id: A, name: {zh: 一, en: One}, station_type: city_air}\n", encoding="utf-8")
    config.write_text('stations = ["stations.yaml"]\n')
    said = ask("station", "import", file, "-c", config)
    assert said.code == 1
    assert "station A is registered twice: it stands in `stations` of the settings: A, too" in said.err


def test_a_file_that_is_not_there_is_told(ask: Ask, config: Path) -> None:
    said = ask("station", "import", config.with_name("none.csv"), "-c", config)
    assert said.code == 1
    assert "none.csv" in said.err
