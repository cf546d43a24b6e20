"""`jianwei simulate`: a fleet speaks to a broker or into a file, and says what must come of it."""

import json
import time
from pathlib import Path

import pytest
import yaml

from jianwei.simulation import sent
from rules.readings import SECOND_NS
from simulators.fleet import Fleet
from simulators.samples import Outgoing
from simulators.scenario import load_scenario, shipped
from simulators.targets import read_lines
from simulators.truth import Tally
from tests.jianwei.command_line import Ask
from tests.jianwei.lived import serving, settle, until_idle

BROKER = "[broker]\nenabled = true\nport = 0\n"


def test_the_shipped_ones_are_named(ask: Ask) -> None:
    said = ask("simulate", "--list")

    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()] == shipped()
    assert [fact["scenario"] for fact in json.loads(ask("simulate", "--list", "--json").out)] == shipped()


def test_into_a_file_equal_seeds_give_equal_bytes(ask: Ask, tmp_path: Path) -> None:
    one, same, other = (tmp_path / f"{name}.jsonl" for name in ("one", "same", "other"))

    for path, seed in ((one, 3), (same, 3), (other, 4)):
        assert ask("simulate", "quiet", "--to", path, "--seed", seed, "--for", "10m").code == 0

    assert one.read_bytes() == same.read_bytes() != other.read_bytes()


def test_the_account_counts_what_lies_in_the_file(ask: Ask, tmp_path: Path) -> None:
    account = json.loads(ask("simulate", "load", "--to", tmp_path / "load.jsonl", "--json").out)

    messages = list(read_lines(tmp_path / "load.jsonl"))
    assert account["messages"] == account["acknowledged"] == len(messages) > 0
    assert account["faults"] == len(load_scenario("load").faults)
    assert account["stations"] == 8


def test_a_service_holds_exactly_what_the_account_says(ask: Ask, tmp_path: Path) -> None:
    config = settle(tmp_path, BROKER)
    with serving(config) as runtime:
        assert runtime.broker is not None
        said = ask("simulate", "load", "--to", f"mqtt://127.0.0.1:{runtime.broker.port}", "--speed", "max", "--json")
        account = json.loads(said.out)
        until_idle(runtime, messages=account["acknowledged"])

        assert runtime.store.count() == account["expected_stored"] > 0
        assert runtime.quarantine.count() == account["expected_quarantined"]
        assert account["acknowledged"] == account["messages"]


def test_the_register_can_be_written_before_anything_runs(ask: Ask, tmp_path: Path) -> None:
    said = ask("simulate", "city", "--register", tmp_path / "city.yaml")

    stations = yaml.safe_load((tmp_path / "city.yaml").read_text(encoding="utf-8"))["stations"]
    assert said.code == 0
    assert len(stations) == 29


def test_files_are_not_overwritten_unasked(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("precious")

    by_register = ask("simulate", "load", "--register", path)
    by_messages = ask("simulate", "load", "--to", path)

    assert (by_register.code, by_messages.code) == (1, 1)
    assert path.read_text() == "precious"
    assert ask("simulate", "load", "--register", path, "--force").code == 0
    assert path.read_text() != "precious"


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["citty", "--to", "x"], 1, "there is no scenario citty; did you mean city"),
        (["city"], 2, "--to"),
        ([], 2, "which scenario"),
        (["city", "--to", "ftp://host"], 2, "neither mqtt://, kafka:// nor a file"),
        (["city", "--to", "x", "--for", "soon"], 2, "no duration"),
        (["city", "--to", "x", "--for", "0s"], 2, "no time at all"),
        (["city", "--to", "x", "--speed", "fast"], 2, "or max"),
        (["city", "--to", "x", "--speed", "-1"], 2, "above 0"),
        (["city", "--to", "x", "--speed", "nan"], 2, "above 0"),
        (["city", "--to", "x", "--start", "2026-03-01T00:00:00"], 2, "no zone"),
    ],
)
def test_what_cannot_be_simulated_costs_a_sentence(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, what: str
) -> None:
    monkeypatch.chdir(tmp_path)

    said = ask("simulate", *words)

    assert (said.code, said.out) == (code, "")
    assert what in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_scenario_of_ones_own_is_refused_with_every_place(ask: Ask, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("name: {zh: 我, en: mine}\nstart: 2026-03-01T00:00:00+08:00\nlength: 1x\nfleet: quiet\n")

    said = ask("simulate", own, "--to", tmp_path / "out.jsonl")

    assert said.code == 1
    assert "length" in said.err
    assert "Traceback" not in said.err


def test_a_password_is_never_printed(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.publish.PAUSE_S", 0.001)
    for address in ("mqtt://me:very-secret@", "mqtt://me:very-secret/x@host:1883", "mqtt://me:very-secret@host:port"):
        said = ask("simulate", "load", "--to", address)

        assert said.code == 2
        assert "very-secret" not in said.out + said.err


class Noted:
    """Remembers when each message came."""

    def __init__(self) -> None:
        self.came: list[tuple[float, Outgoing]] = []

    def send(self, messages: object) -> None:
        assert isinstance(messages, list)
        self.came += [(time.monotonic(), message) for message in messages]

    def close(self) -> None:
        pass


def test_no_message_leaves_before_its_time(tmp_path: Path) -> None:
    speed = 600.0
    fleet = Fleet(load_scenario("load"), 1)
    messages = fleet.messages(fleet.start_ns, fleet.start_ns + 240 * SECOND_NS)
    target, tally = Noted(), Tally()

    began = time.monotonic()
    numbers = list(sent(messages, target, tally, fleet.start_ns, speed))

    assert [message for _, message in target.came] == messages
    assert sum(numbers) == tally.messages == len(messages)
    early = [at - began - (message.sent_ns - fleet.start_ns) / SECOND_NS / speed for at, message in target.came]
    assert min(early) >= 0
    assert time.monotonic() - began < 10
