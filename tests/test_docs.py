"""The documents say what is so: links lead somewhere, commands and settings exist, both languages tell the same."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from alerts.channels.file import FileChannelSettings
from alerts.channels.kafka import KafkaChannelSettings
from alerts.channels.mqtt import MqttChannelSettings
from alerts.channels.terminal import TerminalChannelSettings
from alerts.channels.webhook import WebhookSettings, signature
from ingest.batching import BatchBuilder
from ingest.formats.json_v1 import JsonV1
from ingest.sources.hj212_tcp import Hj212TcpSourceSettings
from ingest.sources.kafka import KafkaSourceSettings
from ingest.sources.mqtt import MqttSourceSettings
from jianwei.catalogue_files import read_catalogue
from jianwei.commands import COMMANDS, GROUPS
from jianwei.runtime import Runtime
from jianwei.settings import read_settings
from jianwei.station_fields import FIELDS
from jianwei.station_tables import PERMIT_FIELDS, read_tables
from jianwei.wellbeing import Wellbeing
from rules.index import Problem
from rules.register import Entry, agreed, load_stations
from rules.schema import Station

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
FENCE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"\bjianwei ([a-z]+)\b")
TARGET = re.compile(r"\bmake ([a-z][a-z-]*)\b")


def names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_commands_and_targets_exist(page: Path) -> None:
    """Where a page shows what to type, it can be typed."""
    text = page.read_text()
    shown = [code for _, code in FENCE.findall(text)] + re.findall(r"`([^`\n]+)`", text)
    known = {*COMMANDS, *GROUPS}
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for code in shown:
        assert set(COMMAND.findall(code)) <= known, code
        if code.startswith("make ") or "\nmake " in code:
            assert set(TARGET.findall(code)) <= targets, code


@pytest.mark.parametrize("page", ["README", "docs/operations"])
def test_both_languages_tell_the_same(page: str) -> None:
    """As many headings and rows, equal code but for comments, the same links and commands, the same words in code."""
    english, chinese = ((ROOT / f"{page}{ending}").read_text() for ending in (".md", ".zh.md"))
    each_other = f"{Path(page).name}."

    def told(text: str) -> dict[str, object]:
        fences = [(language, re.sub(r"(?m)(?:^| +)#.*", "", code)) for language, code in FENCE.findall(text)]
        prose = FENCE.sub("", text)
        return {
            "headings": len(re.findall(r"^#+ ", prose, re.MULTILINE)),
            "rows": [row.count(" | ") for row in re.findall(r"^\|.*", prose, re.MULTILINE)],
            "code": [fence for fence in fences if fence[0]],
            "commands": re.findall(r"`((?:make |jianwei |http)[^`]*)`", text),
            "links": sorted(link for link in LINK.findall(text) if not link.startswith(each_other)),
            "words": sorted(word for word in re.findall(r"`([^`\n]+)`", prose) if word.isascii() and "<" not in word),
            "numbers": re.findall(r"│ (?:Messages in|Readings stored|Faults found) .*", text),
        }

    assert told(english) == told(chinese)


def test_the_page_about_operations_names_every_part_that_can_be_red() -> None:
    source = inspect.getsource(Runtime._parts) + inspect.getsource(Wellbeing.report)
    parts = {name + ":NAME" * bool(of) for name, of in re.findall(r'f?"([a-z_]+)(:\{[a-z.]+\})?":', source)}
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page[page.index("## What red means") : page.index("## Copies")]
    first = "".join(re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE))
    assert parts
    assert set(re.findall(r"`([^`]+)`", first)) == parts


def test_what_is_lost_is_shown_by_tests_that_exist() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    shown = re.findall(r"`([\w/]+\.py)::(\w+)`", page[page.index("## What is lost") :])
    assert len(shown) > 20
    missing = [name for path, name in shown if f"def {name}(" not in (ROOT / "tests" / path).read_text()]
    assert missing == []


@pytest.mark.parametrize("page", ["README.md", "README.zh.md"])
def test_the_message_in_the_readme_is_read(page: str) -> None:
    messages = [code for language, code in FENCE.findall((ROOT / page).read_text()) if language == "json"]
    assert len(messages) == 1
    content = json.loads(messages[0])
    topic = f"jianwei/v1/{content['station']}/{content['kind']}"
    builder = BatchBuilder(lambda _key: 0)
    assert list(JsonV1().decode(topic, messages[0].encode(), builder)) == []
    assert len(builder) == len(content["values"])


def test_every_dependency_has_its_line() -> None:
    """docs/dependencies.md tells what each is for, and names none that is gone."""
    project = (ROOT / "pyproject.toml").read_text()
    named = re.findall(r'^  "([A-Za-z0-9-]+)(?:\[[a-z]+\])?[><=]', project, re.MULTILINE)
    page = (ROOT / "docs" / "dependencies.md").read_text()
    listed = {name.strip() for row in re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE) for name in row.split(",")}
    embedded = re.findall(r'^embedded = \["([A-Za-z0-9-]+)', project, re.MULTILINE)
    assert {*named, *embedded} - {"jianwei"} == listed - {"library", "---"}


def test_a_receiver_can_check_a_webhook_as_the_page_says() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text()
    code = next(code for language, code in FENCE.findall(page) if language == "python")
    told: dict[str, Any] = {}
    exec(compile(code, "docs/alerts.md", "exec"), told)  # noqa: S102  # our own page
    body, sent_s, secret = b'{"id": "1"}', 1_772_323_200, "a shared secret"
    header = signature(secret, sent_s, body)
    assert told["is_genuine"](header, body, secret, sent_s + 10)
    assert not told["is_genuine"](header, body + b" ", secret, sent_s + 10)
    assert not told["is_genuine"](header, body, "another secret", sent_s + 10)
    assert not told["is_genuine"](header, body, secret, sent_s + 301)


@pytest.mark.parametrize("page", ["docs/alerts.md", "docs/kafka.md", "docs/mqtt.md"])
def test_settings_on_a_page_are_taken(page: str, tmp_path: Path) -> None:
    for language, code in FENCE.findall((ROOT / page).read_text()):
        if language == "toml":
            (tmp_path / "jianwei.toml").write_text(code)
            said = read_settings(tmp_path / "jianwei.toml")
            assert said.channels or said.sources or said.dead_letters.enabled


def test_the_register_on_its_page_is_a_register() -> None:
    catalogue = read_catalogue()
    text = (ROOT / "docs" / "register.md").read_text()
    entries = [code for language, code in FENCE.findall(text) if language == "yaml"]
    assert len(load_stations({"register.md": entries[0]}, catalogue)) == 2
    assert set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)))) <= {
        field.alias or name for name, field in Station.model_fields.items()
    }


def test_the_tables_on_the_page_about_the_register_are_taken(tmp_path: Path) -> None:
    """And every heading of them is told there, in both languages."""
    catalogue = read_catalogue()
    text = (ROOT / "docs" / "register.md").read_text()
    tables = [code for language, code in FENCE.findall(text) if language == "csv"]
    for name, table in zip(("stations.csv", "permits.csv"), tables, strict=True):
        (tmp_path / name).write_text(table)
    problems: list[Problem] = []
    found = read_tables(tmp_path / "stations.csv", tmp_path / "permits.csv", {}, catalogue, problems)
    problems += [problem for said in found for problem in said.problems]
    entries = [Entry(said.id, "", said.station) for said in found if said.station]
    assert len(agreed(entries, catalogue, problems)["WE-08"].permit) == 2
    assert problems == []
    rows = re.findall(r"^\| ([^|`*]+ \| `[^|]+) \|", text, re.MULTILINE)
    told = {word.strip("` ") for row in rows for word in re.split("[、,|]", row)}
    assert {heading for field in (*FIELDS, *PERMIT_FIELDS) for heading in (field.name, *field.headings)} <= told


@pytest.mark.parametrize(
    ("page", "settings"),
    [("kafka.md", KafkaSourceSettings), ("mqtt.md", MqttSourceSettings), ("hj212.md", Hj212TcpSourceSettings)],
)
def test_the_page_about_a_source_names_every_setting_of_it(page: str, settings: type[BaseModel]) -> None:
    text = (ROOT / "docs" / page).read_text()
    missing = {name for name in settings.model_fields if f"`{name}`" not in text}
    assert missing <= {"name"}


def test_both_languages_name_every_setting_of_the_port_for_loggers_with_its_default() -> None:
    """As the program has them, in the table of each."""
    english, chinese = (ROOT / "docs" / "hj212.md").read_text().split("\n## 中文")
    for text in (english, chinese):
        told: dict[str, str] = {}
        for names_, defaults in re.findall(r"^\| (`[^|]+) \| ([^|]*) \| [^|]+ \|$", text, re.MULTILINE):
            found = re.findall(r"`(\w+)`", names_)
            values = re.split(r", (?=[\d`])|、", defaults)
            told |= dict(zip(found, (value.strip("` ") for value in values), strict=False))
        for name, field in Hj212TcpSourceSettings.model_fields.items():
            if name not in {"type", "tls"}:
                assert _plain(told[name]) == _as_told(field.default), name


def test_a_port_for_loggers_opens_with_the_settings_of_its_page(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "hj212.md").read_text()
    section = page[page.index("## Loggers that connect by TCP") :]
    (tmp_path / "jianwei.toml").write_text(FENCE.findall(section)[0][1])
    (source,) = read_settings(tmp_path / "jianwei.toml").sources
    assert isinstance(source, Hj212TcpSourceSettings)


def _plain(told: str) -> str:
    number, _, unit = told.replace(",", "").partition(" ")
    return str(int(number) * {"KiB": 1 << 10, "MiB": 1 << 20}[unit]) if unit else number


@pytest.mark.parametrize(
    "settings",
    [FileChannelSettings, KafkaChannelSettings, MqttChannelSettings, TerminalChannelSettings, WebhookSettings],
)
def test_the_page_about_alerts_names_every_setting_of_a_channel_with_its_default(settings: type[BaseModel]) -> None:
    """Credentials stand in one row, or in words; a default is told as a person would write it."""
    channel = settings.model_fields["type"].default
    text = (ROOT / "docs" / "alerts.md").read_text()
    told: dict[str, str] = {}
    if channel == "kafka":
        rows = [("kafka", *row) for row in re.findall(r"^\| (`[^|]+) \| ([^|]+) \| [^|]+ \|$", text, re.MULTILINE)]
    else:
        rows = re.findall(r"^\| ?(?:`(\w+)` )?\| (`[^|]+) \| ?([^|]*?) ?\| [^|]+ \|$", text, re.MULTILINE)
    now = ""
    for name, setting, default in rows:
        now = name or now
        if now == channel:
            told |= {one: default.strip("` ") for one in re.findall(r"`(\w+)`", setting)}
    expected = {
        name: "" if field.is_required() else _as_told(field.default)
        for name, field in settings.model_fields.items()
        if name != "type"
    }
    in_words = {"username", "password", "password_file"} if channel == "kafka" else set()
    assert told == {name: default for name, default in expected.items() if name not in in_words}


def _as_told(default: object) -> str:
    match default:
        case None:
            return "none"
        case bool():
            return str(default).lower()
        case float():
            return f"{default:g}"
        case (str(only),):
            return only
    return str(default)


def test_pages_that_the_sample_names_exist() -> None:
    sample = (ROOT / "jianwei" / "sample.toml").read_text()
    assert [page for page in re.findall(r"docs/\w+\.md", sample) if not (ROOT / page).exists()] == []
