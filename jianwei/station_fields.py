"""The fields of a register entry as a spreadsheet or a command line says them: one text each, by a heading in either language."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError

from alerts.register import Shared
from rules.schema import Station

KEY_BYTES = 16
SEPARATOR = re.compile(r"[;；\n]")
DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
DIGITS = re.compile(r"[-+]?\d+(\.\d+)?")
WORDS = {"missing": "is not given, and has to be"}
SECRET = ("password", "sm4_key")  # never told back


class FieldError(ValueError):
    """What is wrong with a text, without the text where it may be a secret."""


@dataclass(frozen=True, slots=True)
class Field:
    """`path`: where the field stands in an entry; none: it is no part of it. `read` raises FieldError."""

    name: str
    headings: tuple[str, ...]
    path: tuple[str, ...]
    read: Callable[[str], Any]
    form: str = "text"


def _text(said: str) -> str:
    return said


def number(said: str) -> float:
    if not DIGITS.fullmatch(said):
        raise FieldError(f"{said!r} is no number; write it such as 50 or 0.05")
    return float(said)


def day(said: str) -> str:
    found = DAY.fullmatch(said)
    try:
        return date(*map(int, found.groups())).isoformat() if found else date.fromisoformat(said).isoformat()
    except ValueError:
        raise FieldError(f"{said!r} is no day; write it such as 2026-01-31") from None


def _list(said: str) -> list[str]:
    return [word.strip() for word in SEPARATOR.split(said) if word.strip()]


def _pairs(said: str) -> dict[str, str]:
    pairs = {}
    for word in _list(said):
        name, between, value = word.partition("=")
        if not between or not name.strip() or not value.strip():
            raise FieldError(f"{word!r} is no pair; write NAME=VALUE, and ; between two of them")
        if name.strip() in pairs:
            raise FieldError(f"{name.strip()} is said twice")
        pairs[name.strip()] = value.strip()
    return pairs


def _seconds(said: str) -> dict[str, int]:
    pairs = _pairs(said)
    wrong = [value for value in pairs.values() if not re.fullmatch(r"\d{1,9}", value)]
    if wrong:
        raise FieldError(f"{wrong[0]!r} is no number of seconds; write such as realtime=60;hour=3600")
    return {name: int(value) for name, value in pairs.items()}


def sm4_key(said: str) -> bytes:
    """16 bytes: 32 hexadecimal digits, or a text of 16 bytes."""
    if re.fullmatch(r"[0-9A-Fa-f]{32}", said):
        return bytes.fromhex(said)
    key = said.encode()
    if len(key) != KEY_BYTES:
        raise FieldError("is no key of SM4: 32 hexadecimal digits or a text of 16 bytes is asked for")
    return key


LIST, PAIRS = "a;b", "a=b;c=d"
FIELDS = (
    Field("id", ("站点编号", "编号", "station"), ("id",), _text),
    Field("name_zh", ("名称", "中文名称", "站点名称", "name"), ("name", "zh"), _text),
    Field("name_en", ("英文名称",), ("name", "en"), _text, "text; the Chinese name where nothing is said"),
    Field("station_type", ("站点类型", "类型", "type"), ("station_type",), _text),
    Field("class", ("类别", "执行类别"), ("class",), _text),
    Field("classes", ("分标准类别",), ("classes",), _pairs, PAIRS),
    Field("conditions", ("条件", "工况条件"), ("conditions",), _list, LIST),
    Field("water_body", ("水体", "水体类型"), ("water_body",), _text),
    Field("lon", ("经度",), ("position", "lon"), number, "degrees"),
    Field("lat", ("纬度",), ("position", "lat"), number, "degrees"),
    Field("jurisdiction", ("管辖", "管辖区", "行政区"), ("jurisdiction",), _text),
    Field("enterprise", ("企业", "企业名称"), ("enterprise",), _text),
    Field("outlet", ("排口", "排口编号"), ("outlet",), _text),
    Field("feeds", ("上报周期",), ("feeds",), _seconds, "realtime=60;hour=3600"),
    Field("note", ("备注",), ("note",), _text),
    Field("mn", ("MN号", "设备编号"), ("logger", "mn"), _text),
    Field("edition", ("协议版本", "版本"), ("logger", "edition"), _text, "2005, 2017, 2025 or surface_water"),
    Field("checks", ("校验", "校验方式"), ("logger", "checks"), _list, LIST),
    Field("encoding", ("编码", "字符编码"), ("logger", "encoding"), _text, "utf-8 or gbk"),
    Field("flags", ("数据标记",), ("logger", "flags"), _pairs, PAIRS),
    Field("codes", ("因子对照", "编码对照"), ("logger", "codes"), _pairs, PAIRS),
    Field("units", ("上传单位",), ("logger", "units"), _pairs, PAIRS),
    Field("addresses", ("允许地址",), ("logger", "addresses"), _list, LIST),
    Field("clock", ("校时",), ("logger", "clock"), _text, "report or correct"),
    Field("password", ("密码", "访问密码"), (), _text),
    Field("sm4_key", ("SM4密钥", "密钥"), (), sm4_key),
)


def by_heading(fields: tuple[Field, ...]) -> Mapping[str, Field]:
    """Whatever a field may be called, in small letters."""
    return {heading.lower(): field for field in fields for heading in (field.name, *field.headings)}


def plain(said: str) -> str:
    """A cell without what spreadsheets put around it."""
    return said.replace("\u3000", " ").replace("\xa0", " ").strip()


def said_in(cells: Mapping[str, str], fields: Mapping[str, Field], problems: list[tuple[str, str]]) -> dict[str, Any]:
    """The values of cells by name of the field, None for an empty one; problems are added as (name, what)."""
    said: dict[str, Any] = {}
    for name, cell in cells.items():
        text = plain(cell)
        try:
            said[name] = fields[name].read(text) if text else None
        except FieldError as error:
            problems.append((name, str(error)))
    return said


def laid_over(fact: Mapping[str, Any], said: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
    """An entry as plain data with these values in place of its own; None takes one out."""
    laid = json.loads(json.dumps(fact))
    for name, value in said.items():
        *parents, last = fields[name].path or ("",)
        if not last:
            continue
        part = laid
        for parent in parents:
            part = part.setdefault(parent, {})
        if value is None:
            part.pop(last, None)
        else:
            part[last] = value
    called = laid.get("name", {})
    if "zh" in called:
        called.setdefault("en", called["zh"])
    return {key: value for key, value in laid.items() if value != {}}


def shared_in(said: Mapping[str, Any]) -> Shared | None:
    """What a row shares; an empty cell leaves it as it is."""
    shared = Shared(said.get("password"), said.get("sm4_key"))
    return shared if shared != Shared() else None


def station_of(fact: Mapping[str, Any], problems: list[tuple[str, str]]) -> Station | None:
    """The entry in its shape; None, and problems added as (path in the entry, what)."""
    try:
        return Station.model_validate_json(json.dumps(fact))
    except ValidationError as error:
        problems += [
            (_path(detail["loc"]), WORDS.get(detail["type"], detail["msg"].removeprefix("Value error, ")))
            for detail in error.errors(include_url=False, include_input=False)
        ]
        return None


def field_at(path: str, fields: tuple[Field, ...]) -> Field | None:
    """The field that says what stands at this path of an entry, such as `logger.units.w01018`."""
    paths = {".".join(field.path): field for field in fields if field.path}
    whole = next((paths[start] for start in _starts(path) if start in paths), None)
    return whole or next((field for name, field in paths.items() if path and name.startswith(f"{path}.")), None)


def _starts(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path[: max(path.rfind("."), path.rfind("["), 0)]


def _path(place: tuple[int | str, ...]) -> str:
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in place]
    return "".join(steps).removeprefix(".")
