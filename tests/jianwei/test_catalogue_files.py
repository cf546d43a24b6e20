"""The catalogue that comes with the program is read whole, and registers from where the settings say."""

from pathlib import Path

import pytest

from jianwei.catalogue_files import read_catalogue, read_stations
from rules.index import CatalogueProblems

CATALOGUE = read_catalogue()
ROOT = Path(__file__).parents[2]
STATION = "{{id: {id}, name: {{zh: 站, en: Station}}, station_type: {type}}}"


def register(path: Path, *stations: tuple[str, str]) -> Path:
    lines = [f"- {STATION.format(id=name, type=kind)}" for name, kind in stations]
    path.write_text("\n".join(["stations:", *lines, ""]), encoding="utf-8")
    return path


def test_every_file_of_the_catalogue_is_in_it() -> None:
    folder = ROOT / "rules" / "catalogue"
    assert CATALOGUE.rules.keys() == {p.stem for p in (folder / "rules").glob("*.yaml") if ".cases" not in p.name}
    assert CATALOGUE.station_types.keys() == {p.stem for p in (folder / "station_types").glob("*.yaml")}
    assert len(CATALOGUE.standards) >= len(list((folder / "standards").glob("*.yaml")))


def test_several_registers_are_one(tmp_path: Path) -> None:
    one = register(tmp_path / "one.yaml", ("A", "city_air"))
    other = register(tmp_path / "other.yaml", ("B", "stack_gas"))
    assert read_stations([one, other], CATALOGUE).keys() == {"A", "B"}
    assert read_stations([], CATALOGUE) == {}


def test_problems_name_the_file_as_the_settings_do(tmp_path: Path) -> None:
    one = register(tmp_path / "one.yaml", ("A", "city_air"))
    other = register(tmp_path / "other.yaml", ("A", "moon_base"))
    with pytest.raises(CatalogueProblems) as found:
        read_stations([one, other], CATALOGUE)
    told = [str(problem) for problem in found.value.problems]
    assert len(told) == 2
    assert all(line.startswith(str(other)) for line in told)


def test_a_register_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_stations([tmp_path / "none.yaml"], CATALOGUE)


def test_a_register_in_another_encoding_is_told_with_its_line(tmp_path: Path) -> None:
    one = register(tmp_path / "one.yaml", ("A", "city_air"))
    one.write_bytes(one.read_text(encoding="utf-8").replace("站", "监测站").encode("gbk"))
    other = register(tmp_path / "other.yaml", ("B", "moon_base"))
    with pytest.raises(CatalogueProblems) as found:
        read_stations([one, other], CATALOGUE)
    assert [(problem.file, problem.what) for problem in found.value.problems] == [
        (str(one), "line 2: this is not UTF-8; save the file as UTF-8"),
        (str(other), "there is no station type moon_base"),
    ]


def test_a_register_with_the_mark_that_editors_put_before_utf_8_is_read(tmp_path: Path) -> None:
    one = register(tmp_path / "one.yaml", ("A", "city_air"))
    one.write_text(one.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert read_stations([one], CATALOGUE).keys() == {"A"}
