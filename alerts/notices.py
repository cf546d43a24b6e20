"""What enforcement staff read: one sentence about a change, in Chinese and English.

A notice must not say more than is known. Only a limit that was confirmed in its source (mark C) is worded as a limit
of a standard or of a permit; one that was recalled (R) is a reference value to be verified, and one that the project
chose (P) is its default. Notices on equipment and on data quality speak of the instrument, never of the emitter.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from math import isfinite, isnan
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict

from rules.readings import Family, Kind, Level, LimitInForce, Point, Transition

CHINA = timezone(timedelta(hours=8))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Bilingual(BaseModel):
    """The same in Chinese and in English."""

    model_config = ConfigDict(frozen=True)

    zh: str
    en: str


NOTHING = Bilingual(zh="", en="")
RECOVERED = Bilingual(zh="，已恢复", en=", back to normal")
# A change of register or rules ended the episode; what is measured may be as bad as before.
UNWATCHED = Bilingual(
    zh="，规则或登记已变更，不再监视（不表示已恢复）",
    en=", no longer watched since rules or register changed; it need not be back to normal",
)


class Names(Protocol):
    """What things are called. An unknown one is called by its code."""

    def station(self, station: str) -> Bilingual: ...

    def parameter(self, parameter: str) -> Bilingual: ...

    def rule(self, rule: str) -> Bilingual: ...


class CodesAsNames:
    """Names where no register is at hand."""

    def station(self, station: str) -> Bilingual:
        return Bilingual(zh=station, en=station)

    def parameter(self, parameter: str) -> Bilingual:
        return Bilingual(zh=parameter, en=parameter)

    def rule(self, rule: str) -> Bilingual:
        return Bilingual(zh=rule, en=rule)


LEVELS = {
    Level.NONE: Bilingual(zh="提示", en="Note"),
    Level.BLUE: Bilingual(zh="蓝色", en="Blue"),
    Level.YELLOW: Bilingual(zh="黄色", en="Yellow"),
    Level.ORANGE: Bilingual(zh="橙色", en="Orange"),
    Level.RED: Bilingual(zh="红色", en="Red"),
}
KINDS = {
    Kind.REALTIME: Bilingual(zh="实时值", en="real-time value"),
    Kind.MINUTE: Bilingual(zh="分钟值", en="minute value"),
    Kind.HOUR: Bilingual(zh="小时值", en="hourly value"),
    Kind.DAY: Bilingual(zh="日值", en="daily value"),
}
FAMILIES = {
    Family.EXCEEDANCE: Bilingual(zh="监测值", en="Measured value"),
    Family.DATA_QUALITY: Bilingual(zh="数据质量", en="Data quality"),
    Family.EQUIPMENT: Bilingual(zh="设备状态", en="Equipment state"),
}


class Wording(NamedTuple):
    """How one sort of limit may be spoken of. `{law}`: standard and clause; `{limit}`: its numbers and unit."""

    over: Bilingual
    under: Bilingual
    within: Bilingual


LAW = Wording(
    Bilingual(zh="超过{law}标准限值{limit}", en="exceeds the limit of {law}, {limit}"),
    Bilingual(zh="低于{law}标准限值下限{limit}", en="is below the lower limit of {law}, {limit}"),
    Bilingual(zh="{law}标准限值{limit}", en="the limit of {law}, {limit}"),
)
PERMIT = Wording(
    Bilingual(zh="超过排污许可限值{limit}", en="exceeds the permit limit of {limit}"),
    Bilingual(zh="低于排污许可限值下限{limit}", en="is below the lower permit limit of {limit}"),
    Bilingual(zh="排污许可限值{limit}", en="the permit limit of {limit}"),
)
REFERENCE = Wording(
    Bilingual(zh="高于{limit}（参考值，待核实）", en="is above {limit} (reference value, to be verified)"),
    Bilingual(zh="低于{limit}（参考值，待核实）", en="is below {limit} (reference value, to be verified)"),
    Bilingual(zh="{limit}（参考值，待核实）", en="{limit} (reference value, to be verified)"),
)
DEFAULT = Wording(
    Bilingual(zh="高于{limit}（本系统默认阈值）", en="is above {limit} (project default)"),
    Bilingual(zh="低于{limit}（本系统默认阈值）", en="is below {limit} (project default)"),
    Bilingual(zh="{limit}（本系统默认阈值）", en="{limit} (project default)"),
)


def is_legal(limit: LimitInForce) -> bool:
    """Whether it may be worded as law."""
    return limit.mark == "C"


def legal_multiple(multiple: float | None, limit: LimitInForce | None) -> float | None:
    """By how many times over, where the limit may be worded as law; to be asked by whoever tells a multiple."""
    return multiple if limit is not None and is_legal(limit) else None


def wording_of(limit: LimitInForce) -> Wording:
    if is_legal(limit):
        return PERMIT if limit.authority == "permit" else LAW
    return DEFAULT if limit.mark == "P" else REFERENCE


def instant(ns: int) -> datetime:
    """UTC; cut to microseconds."""
    return EPOCH + timedelta(microseconds=ns // 1000)


def notice_text(transition: Transition, names: Names) -> Bilingual:
    """One sentence in each language. The same transition and names give the same text."""
    clause = _limit_clause(transition) if transition.limit and transition.family is Family.EXCEEDANCE else None
    tell = (
        _about_limit(transition, names, clause) if clause and not transition.reason else _about_rule(transition, names)
    )
    level = LEVELS[transition.level]
    head = {
        "opened": level,
        "worsened": Bilingual(zh=f"升级为{level.zh}", en=f"Raised to {level.en}"),
        "cleared": Bilingual(zh="解除", en="Cleared"),
    }[transition.what]
    at = f"{instant(transition.at_ns).astimezone(CHINA):%Y-%m-%d %H:%M}"
    place = names.station(transition.station)
    return Bilingual(
        zh=f"【{head.zh}】{place.zh}：{tell.zh}（北京时间 {at}）。",
        en=f"[{head.en}] {place.en}: {tell.en} ({at}, UTC+8).",
    )


@dataclass(frozen=True, slots=True)
class LimitClause:
    """How the evidence stands to the limit."""

    limit: LimitInForce
    point: Point | None  # what the sentence shows: the worst reading
    below: bool
    breach: Bilingual
    within: Bilingual


def _limit_clause(transition: Transition) -> LimitClause | None:
    limit = transition.limit
    if limit is None:
        return None
    point = transition.worst or transition.last or transition.first
    below = point is not None and point.value < limit.low
    wording = wording_of(limit)
    breach = wording.under if below else wording.over
    ends = [limit.low] if below else [limit.high]
    return LimitClause(
        limit, point, below, _filled(breach, limit, ends), _filled(wording.within, limit, [limit.low, limit.high])
    )


def _about_limit(transition: Transition, names: Names, clause: LimitClause) -> Bilingual:
    what = _subject(transition, names)
    shown = _value(clause.point, transition.unit)
    if transition.what == "cleared":
        extreme = Bilingual(zh="最低", en="lowest") if clause.below else Bilingual(zh="最高", en="highest")
        peak = Bilingual(zh=f"，期间{extreme.zh} {shown}", en=f", {extreme.en} was {shown}")
        if not shown:
            peak = Bilingual(zh="", en="")
        return Bilingual(
            zh=f"{what.zh}已回到{clause.within.zh} 以内{peak.zh}",
            en=f"{what.en} is back within {clause.within.en}{peak.en}",
        )
    times = Bilingual(zh="", en="")
    multiple = legal_multiple(transition.multiple, clause.limit)
    if multiple is not None:
        times = Bilingual(
            zh=f"，超标 {_number(multiple, 3)} 倍",
            en=f", over by {_number(multiple, 3)} times the limit",
        )
    return Bilingual(
        zh=f"{what.zh} {shown} {clause.breach.zh}{times.zh}",
        en=f"{what.en} {shown} {clause.breach.en}{times.en}",
    )


def _about_rule(transition: Transition, names: Names) -> Bilingual:
    """For what has no limit: which rule speaks, of what, and what it last saw."""
    family, rule = FAMILIES[transition.family], names.rule(transition.rule)
    if transition.what == "cleared":
        ended = UNWATCHED if transition.reason else RECOVERED
        shown = NOTHING
    else:
        ended = NOTHING
        shown = _evidence(transition)
    subject = _subject(transition, names) if transition.parameter or transition.kind is not None else None
    about = Bilingual(zh=f"，{subject.zh}{shown.zh}", en=f", {subject.en}{shown.en}") if subject else NOTHING
    return Bilingual(
        zh=f"{family.zh}：{rule.zh}{about.zh}{ended.zh}",
        en=f"{family.en}: {rule.en}{about.en}{ended.en}",
    )


def _evidence(transition: Transition) -> Bilingual:
    """The last value; where a whole feed is meant, the time that its message carried."""
    point = transition.last or transition.worst or transition.first
    if point is not None and not transition.parameter and transition.kind is not None:
        at = f"{instant(point.measured_ns).astimezone(CHINA):%Y-%m-%d %H:%M}"
        return Bilingual(zh=f"，数据时间 {at}", en=f" dated {at}")
    shown = _value(point, transition.unit)
    return Bilingual(zh=f" {shown}", en=f" {shown}") if shown else NOTHING


def _subject(transition: Transition, names: Names) -> Bilingual:
    kind = KINDS[transition.kind] if transition.kind is not None else Bilingual(zh="", en="")
    if not transition.parameter:
        return kind
    name = names.parameter(transition.parameter)
    return Bilingual(zh=f"{name.zh}{kind.zh}", en=f"{name.en} {kind.en}".strip())


def _value(point: Point | None, unit: str) -> str:
    return "" if point is None or isnan(point.value) else measured(_number(point.value), unit)


def measured(number: str, unit: str) -> str:
    """A pure number (pH) is shown without its unit, which is 1."""
    return number if unit in {"", "1"} else f"{number} {unit}"


def _number(number: float, digits: int = 8) -> str:
    """Short: a bound that was moved by one ulp reads as it was written."""
    return f"{number:.{digits}g}"


def _filled(template: Bilingual, limit: LimitInForce, ends: list[float]) -> Bilingual:
    law = f"{limit.standard} {limit.clause}".strip()
    numbers = "–".join(_number(end) for end in ends if isfinite(end))
    shown = measured(numbers, limit.unit)
    return Bilingual(
        zh=template.zh.format(law=f" {law} ", limit=f" {shown}"),
        en=template.en.format(law=law, limit=shown),
    )
