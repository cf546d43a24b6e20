"""The page says what is so: its settings, its register entry, its names of what is wrong, in both languages."""

import re
from pathlib import Path

import pytest

from ingest.hj212.commands import COMMANDS
from ingest.hj212.reasons import FLAWS, REFUSALS
from ingest.hj212.stations import stations_of
from ingest.site import Site
from jianwei.catalogue_files import read_catalogue
from jianwei.settings import read_settings
from rules.register import load_stations
from rules.schema import Logger

PAGE = (Path(__file__).parents[2] / "docs" / "hj212.md").read_text(encoding="utf-8")
# Lines and what stations are asked have tests of their own, see tests/test_docs.py, tests/jianwei/test_request_page.py.
ASKED = re.compile(
    r"^#+ (?:Loggers that connect by TCP|经 TCP 连接的数采仪|Requests to a station|向站点发出请求)\n.*?(?=^#)",
    re.DOTALL | re.MULTILINE,
)
LANGUAGES = ASKED.sub("", PAGE).split("## 中文\n")
FENCE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def rows(text: str) -> list[list[str]]:
    """The names in the first cell of each row of a table."""
    return [re.findall(r"`([a-z0-9_-]+)`", cell) for cell in re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)]


@pytest.mark.parametrize("text", LANGUAGES, ids=["en", "zh"])
def test_every_reason_and_every_key_of_a_logger_stands_on_the_page(text: str) -> None:
    told = {name for row in rows(text) for name in row}
    codec_alone = {"future_datatime"}  # needs a clock, which a format has not
    assert told == {*REFUSALS, *FLAWS, *Logger.model_fields} - codec_alone


@pytest.mark.parametrize("text", LANGUAGES, ids=["en", "zh"])
def test_every_command_with_values_stands_on_the_page(text: str) -> None:
    told = set(re.findall(r"\b(\d{4})\b", " ".join(re.findall(r"^\| (\d{4}[^|]*) \|", text, re.MULTILINE))))
    told |= {"2063", "2064", "2065"}  # "2062 to 2066"
    assert told == {cn for cn, command in COMMANDS.items() if command.kind is not None}


def test_its_settings_and_its_entry_are_taken(tmp_path: Path) -> None:
    fences = dict(FENCE.findall(ASKED.sub("", PAGE)))
    (tmp_path / "jianwei.toml").write_text(fences["toml"])
    assert [route.format for route in read_settings(tmp_path / "jianwei.toml").formats] == ["hj212", "json_v1"]
    catalogue = read_catalogue()
    stations = load_stations({"page.yaml": fences["yaml"]}, catalogue)
    assert stations_of(Site(catalogue, stations)).profile("88888880000001").station == "WE-07"
