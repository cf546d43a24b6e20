"""What docs/hj212.md says of requests to stations is so, in both languages."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from alerts.requests import FINAL
from ingest.hj212.askable import ASKABLE
from ingest.hj212.requests import Pace, Patience
from jianwei.phrases import NotAskable, request_in
from jianwei.request_settings import OnConnection, RequestSettings
from jianwei.settings import read_settings
from rules.readings import SECOND_NS

PAGE = (Path(__file__).parents[2] / "docs" / "hj212.md").read_text(encoding="utf-8")
ASKED = re.compile(r"^#+ (?:Requests to a station|向站点发出请求)\n.*?(?=^#)", re.DOTALL | re.MULTILINE)
SECTIONS = ASKED.findall(PAGE)
SPAN_NS = (1_772_323_200 * SECOND_NS, 1_772_330_400 * SECOND_NS)
both = pytest.mark.parametrize("text", SECTIONS, ids=["en", "zh"])


def test_there_is_a_section_in_each_language() -> None:
    assert len(SECTIONS) == 2


@both
def test_every_setting_stands_there_with_its_default(text: str) -> None:
    told: dict[str, str] = {}
    for names, default in re.findall(r"^\| ((?:`\w+`[,、 ]*)+) \| ([^|]+) \| [^|]+ \|$", text, re.MULTILINE):
        told |= dict.fromkeys(re.findall(r"`(\w+)`", names), default)
    assert told == {**defaults(RequestSettings), **defaults(OnConnection)}


def defaults(settings: type[BaseModel]) -> dict[str, str]:
    fields = {name: field.default for name, field in settings.model_fields.items() if name != "on_connection"}
    return {name: f"{value:g}" if type(value) in {int, float} else str(value).lower() for name, value in fields.items()}


@both
def test_what_can_be_typed_is_what_the_page_says(text: str) -> None:
    told: dict[str, str] = {}
    for typed, commands in re.findall(r"^\| [^`|]+ \| (`[^|]+`) \| ([\d,、 ]+) \|$", text, re.MULTILINE):
        pairs = zip(re.findall(r"`([^`]+)`", typed), re.findall(r"\d{4}", commands), strict=True)
        told |= {words: cn for words, cn in pairs if words != "history"}
    for words, cn in told.items():
        assert (
            request_in(words.split(), *(SPAN_NS if cn in {"2051", "2061", "2031", "2041"} else (None, None)))[0] == cn
        )
    assert set(told.values()) == {cn for cn in ASKABLE if cn < "3000"}
    assert "3011" in text
    with pytest.raises(NotAskable):
        request_in(["1072"], None, None)


@both
def test_every_state_is_explained(text: str) -> None:
    assert set(re.findall(r"^\| ([a-z]+) \|", text, re.MULTILINE)) - {"state"} == {*FINAL, "due", "sent", "accepted"}


def test_the_numbers_are_those_of_the_program() -> None:
    assert Patience() == Patience(answer_s=10, again=3, work_s=60, whole_s=15 * 60, most_waiting=16)
    pace = Pace()
    assert [pace.take(tenth * SECOND_NS // 10) for tenth in range(5)] == [True, False, True, False, True]


def test_its_settings_are_taken(tmp_path: Path) -> None:
    (code,) = re.findall(r"```toml\n(.*?)```", SECTIONS[0], re.DOTALL)
    (tmp_path / "jianwei.toml").write_text(code)
    said = read_settings(tmp_path / "jianwei.toml").requests
    assert said.on_connection.set_clock
    assert list(said.on_connection.asked()) == [("1012", {})]


def test_time_out_and_repeats_are_given_together() -> None:
    with pytest.raises(ValueError, match="give both, or none"):
        OnConnection(time_out_s=10)
    assert list(OnConnection(time_out_s=10, repeats=3).asked()) == [("1000", {"OverTime": "10", "ReCount": "3"})]
