"""What enforcement staff read never says more than is known."""

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings

from alerts.notices import Bilingual, CodesAsNames, notice_text
from rules.readings import Family, Level, LimitInForce, Point, Transition
from tests.alerts.found import LAW, NOON_NS, OPENED, changes

LAWFUL_ZH = ("标准限值", "许可限值", "超标", "超过", "违")
LAWFUL_EN = ("exceed", "the limit", "permit", "violat", "breach")


class Register(CodesAsNames):
    def station(self, station: str) -> Bilingual:
        return Bilingual(zh="上塘河断面", en="Shangtang River section")

    def parameter(self, parameter: str) -> Bilingual:
        return Bilingual(zh="氨氮", en="Ammonia nitrogen") if parameter else Bilingual(zh="", en="")


def told(transition: Transition) -> tuple[str, str]:
    text = notice_text(transition, Register())
    return text.zh, text.en


def test_a_confirmed_limit_is_named_with_its_standard_and_clause() -> None:
    assert told(OPENED) == (
        "【黄色】上塘河断面：氨氮小时值 2.31 mg/L 超过 GB 3838-2002 表1 标准限值 1 mg/L，超标 1.31 倍（北京时间 2026-03-01 20:00）。",
        "[Yellow] Shangtang River section: Ammonia nitrogen hourly value 2.31 mg/L exceeds the limit of GB 3838-2002 表1, 1 mg/L, over by 1.31 times the limit (2026-03-01 20:00, UTC+8).",
    )


def test_a_permit_limit_is_worded_as_permit() -> None:
    zh, en = told(replace(OPENED, limit=replace(LAW, authority="permit")))
    assert "超过排污许可限值 1 mg/L" in zh
    assert "exceeds the permit limit of 1 mg/L" in en
    assert "标准" not in zh


@pytest.mark.parametrize(
    ("mark", "zh_words", "en_words"),
    [("R", "参考值，待核实", "reference value, to be verified"), ("P", "本系统默认阈值", "project default")],
)
@pytest.mark.parametrize("authority", ["permit", "local", "sector", "general"])
@pytest.mark.parametrize("what", ["opened", "worsened", "cleared"])
def test_an_unconfirmed_limit_is_never_worded_as_law(
    mark: str, zh_words: str, en_words: str, authority: str, what: str
) -> None:
    zh, en = told(replace(OPENED, what=what, limit=replace(LAW, mark=mark, authority=authority)))
    assert zh_words in zh
    assert en_words in en
    assert not [word for word in LAWFUL_ZH if word in zh]
    assert not [word for word in LAWFUL_EN if word in en]
    assert LAW.standard not in zh + en


@pytest.mark.parametrize("family", [Family.EQUIPMENT, Family.DATA_QUALITY])
@pytest.mark.parametrize("what", ["opened", "worsened", "cleared"])
@pytest.mark.parametrize("limit", [None, LAW])
def test_equipment_and_data_quality_never_sound_like_a_violation(
    family: Family, what: str, limit: LimitInForce | None
) -> None:
    zh, en = told(replace(OPENED, family=family, what=what, limit=limit, rule="flat_line"))
    assert not [word for word in LAWFUL_ZH if word in zh]
    assert not [word for word in LAWFUL_EN if word in en]
    assert ("设备状态" if family is Family.EQUIPMENT else "数据质量") in zh


@settings(deadline=None, max_examples=200)
@given(changes)
def test_only_mark_c_is_ever_worded_as_law(transition: Transition) -> None:
    """Whatever the rest of the change is like."""
    transition = replace(transition, unit="mg/L", station="S")
    text = notice_text(transition, CodesAsNames())
    lawful = any(word in text.zh for word in LAWFUL_ZH) or any(word in text.en for word in LAWFUL_EN)
    if lawful:
        assert transition.family is Family.EXCEEDANCE
        assert transition.limit is not None
        assert transition.limit.mark == "C"


@pytest.mark.parametrize(
    ("level", "zh", "en"),
    [
        (Level.BLUE, "蓝色", "Blue"),
        (Level.YELLOW, "黄色", "Yellow"),
        (Level.ORANGE, "橙色", "Orange"),
        (Level.RED, "红色", "Red"),
    ],
)
def test_levels_have_their_colours(level: Level, zh: str, en: str) -> None:
    assert told(replace(OPENED, level=level))[0].startswith(f"【{zh}】")
    assert told(replace(OPENED, level=level, what="worsened"))[1].startswith(f"[Raised to {en}]")


def test_a_value_under_a_range_names_the_lower_end_alone() -> None:
    ph = replace(LAW, low=6.0, high=9.0, unit="", has_multiple=False)
    zh, en = told(replace(OPENED, limit=ph, worst=Point(NOON_NS, 4.5, 1), multiple=None, unit=""))
    assert "4.5 低于 GB 3838-2002 表1 标准限值下限 6（" in zh
    assert "is below the lower limit of GB 3838-2002 表1, 6 (" in en


def test_the_end_tells_the_worst_and_the_whole_range() -> None:
    ph = replace(LAW, low=6.0, high=9.0, unit="", has_multiple=False)
    zh, en = told(replace(OPENED, what="cleared", limit=ph, worst=Point(NOON_NS, 4.5, 1), multiple=None, unit=""))
    assert "已回到 GB 3838-2002 表1 标准限值 6–9 以内，期间最低 4.5" in zh
    assert "is back within the limit of GB 3838-2002 表1, 6–9, lowest was 4.5" in en


def test_a_bound_moved_by_one_ulp_reads_as_it_was_written() -> None:
    zh, _ = told(replace(OPENED, limit=replace(LAW, high=0.9999999999999999, low=-inf)))
    assert "标准限值 1 mg/L" in zh


def test_silence_of_a_station_needs_no_value() -> None:
    silent = replace(
        OPENED, family=Family.DATA_QUALITY, rule="静默", parameter="", limit=None, first=None, worst=None, last=None
    )
    assert told(silent)[0] == "【黄色】上塘河断面：数据质量：静默，小时值（北京时间 2026-03-01 20:00）。"
