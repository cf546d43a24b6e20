"""The documents say what is so: links lead somewhere, commands and settings exist, both READMEs tell the same."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from alerts.channels.webhook import signature
from ingest.batching import BatchBuilder
from ingest.formats.json_v1 import JsonV1
from ingest.sources.kafka import KafkaSourceSettings
from ingest.sources.mqtt import MqttSourceSettings
from jianwei.catalogue_files import read_catalogue
from jianwei.commands import COMMANDS, GROUPS
from jianwei.settings import read_settings
from rules.register import load_stations
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


def test_both_readmes_tell_the_same() -> None:
    """As many headings, equal code but for comments, the same links and commands."""
    english, chinese = (ROOT / "README.md").read_text(), (ROOT / "README.zh.md").read_text()

    def told(text: str) -> dict[str, object]:
        fences = [(language, re.sub(r" +#.*", "", code)) for language, code in FENCE.findall(text)]
        return {
            "headings": len(re.findall(r"^#+ ", text, re.MULTILINE)),
            "code": [fence for fence in fences if fence[0]],
            "commands": re.findall(r"`((?:make |jianwei |http)[^`]*)`", text),
            "links": [link for link in LINK.findall(text) if not link.startswith("README")],
            "numbers": re.findall(r"│ (?:Messages in|Readings stored|Faults found) .*", text),
        }

    assert told(english) == told(chinese)


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
            assert said.channels or said.sources


def test_the_register_on_its_page_is_a_register() -> None:
    catalogue = read_catalogue()
    text = (ROOT / "docs" / "register.md").read_text()
    entries = [code for language, code in FENCE.findall(text) if language == "yaml"]
    assert len(load_stations({"register.md": entries[0]}, catalogue)) == 2
    assert set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)))) <= {
        field.alias or name for name, field in Station.model_fields.items()
    }


@pytest.mark.parametrize(("page", "settings"), [("kafka.md", KafkaSourceSettings), ("mqtt.md", MqttSourceSettings)])
def test_the_page_about_a_source_names_every_setting_of_it(page: str, settings: type[BaseModel]) -> None:
    text = (ROOT / "docs" / page).read_text()
    missing = {name for name in settings.model_fields if f"`{name}`" not in text}
    assert missing <= {"name"}


def test_pages_that_the_sample_names_exist() -> None:
    sample = (ROOT / "jianwei" / "sample.toml").read_text()
    assert [page for page in re.findall(r"docs/\w+\.md", sample) if not (ROOT / page).exists()] == []
