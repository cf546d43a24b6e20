"""`jianwei replay`: what stands in a file arrives at the broker, all of it, and it says so."""

import json
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from ingest.broker import EmbeddedBroker
from ingest.formats.json_v1 import JsonV1
from ingest.table_maps import guessed_map
from jianwei.catalogue_files import read_catalogue
from jianwei.replaying import Replay, Spoken, spoken, told
from jianwei.tables import named
from rules.readings import Kind
from simulators.samples import Outgoing
from simulators.targets import LinesFile
from tests.ingest.json_reading import ReadColumns
from tests.ingest.mqtt_probe import Probe
from tests.jianwei.command_line import Ask, asking

CATALOGUE = cache(read_catalogue)  # read once for all tests
START = datetime(2024, 3, 1, tzinfo=UTC)
TEMPERATURE, OXYGEN = "w01010", "w01009"


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    monkeypatch.setattr(sys.modules["jianwei.commands.replay"], "read_catalogue", CATALOGUE)
    return asking(monkeypatch, capsys)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path / "broker") as running:
        yield running


def table(path: Path, *rows: object, header: str = f"time,{TEMPERATURE}", start: datetime = START) -> Path:
    """A row is what stands behind the time; the rows are an hour apart."""
    lines = [f"{(start + timedelta(hours=at)).isoformat()},{row}" for at, row in enumerate(rows)]
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


def at_ns(hours: float) -> int:
    return int((START + timedelta(hours=hours)).timestamp()) * 10**9


def lines_file(path: Path, count: int) -> list[bytes]:
    """Messages as `jianwei simulate` keeps them, a minute apart; one is no text at all."""
    payloads = [f'{{"n":{n}}}'.encode() for n in range(count - 1)] + [b"\xff\xfe"]
    target = LinesFile(path)
    target.send(
        Outgoing("jianwei/v1/S/minute", payload, at_ns(n / 60), "S", Kind.MINUTE, at_ns(n / 60), ())
        for n, payload in enumerate(payloads)
    )
    target.close()
    return payloads


class Ear:
    """A Speaker that remembers when it was told what; it acknowledges all at once at the end."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, str]] = []
        self.flushed = False

    def publish(self, topic: str, payload: bytes) -> int:
        self.heard.append((time.monotonic(), json.loads(payload)["station"]))
        return len(self.heard)

    def poll(self) -> None: ...

    def flush(self) -> None:
        self.flushed = True


def test_every_row_arrives_as_a_message_that_says_the_same(ask: Ask, broker: EmbeddedBroker, tmp_path: Path) -> None:
    rows = ["0.1,,N", "-3e-7,12345678.912345,M", "5,6,", *["7,8,"] * 2000]
    river = table(tmp_path / "SW-1.csv", *rows, header=f"time,{TEMPERATURE},{OXYGEN},{OXYGEN}_flag")
    with Probe(broker.port) as probe:
        probe.well()
        said = ask("replay", river, "--to", f"mqtt://127.0.0.1:{broker.port}", "--json")
        assert said.code == 0, said.err
        probe.take_and_acknowledge(len(rows))
    assert json.loads(said.out) | {"took_s": 0} == {
        "messages": 2003,
        "acknowledged": 2003,
        "values": 4006,
        "missing": 1,
        "bad_cells": 0,
        "took_s": 0,
    }
    columns, decoder = ReadColumns(), JsonV1()
    for topic, payload in zip(probe.topics, probe.payloads, strict=True):
        assert not decoder.decode(topic, payload, columns)
    read = columns.taken()
    assert [(r.station, r.parameter, r.value, r.measured_ns, r.flag.name) for r in read[:4]] == [
        ("SW-1", TEMPERATURE, 0.1, at_ns(0), "NORMAL"),
        ("SW-1", OXYGEN, None, at_ns(0), "NORMAL"),
        ("SW-1", TEMPERATURE, -3e-7, at_ns(1), "NORMAL"),
        ("SW-1", OXYGEN, 12345678.912345, at_ns(1), "MAINTENANCE"),
    ]
    assert len(read) == 4006
    assert read[-1].measured_ns == at_ns(2002)


def test_kept_messages_arrive_byte_for_byte(ask: Ask, broker: EmbeddedBroker, tmp_path: Path) -> None:
    payloads = lines_file(tmp_path / "kept.jsonl", 300)
    with Probe(broker.port) as probe:
        probe.well()
        said = ask("replay", tmp_path / "kept.jsonl", "--to", f"mqtt://127.0.0.1:{broker.port}")
        assert said.code == 0, said.err
        assert "300 messages sent, 300 acknowledged" in said.out
        probe.take_and_acknowledge(300)
    assert probe.payloads == payloads
    assert set(probe.topics) == {"jianwei/v1/S/minute"}


def test_the_broker_of_the_settings_file_is_taken_where_none_is_named(
    ask: Ask, broker: EmbeddedBroker, tmp_path: Path
) -> None:
    config = tmp_path / "jianwei.toml"
    config.write_text(f"[broker]\nenabled = true\nport = {broker.port}\n")
    river = table(tmp_path / "river.csv", 5, 6)
    assert "2 acknowledged" in ask("replay", river, "-c", config).out
    config.write_text("[broker]\nenabled = false\n")
    said = ask("replay", river, "-c", config)
    assert said.code == 2
    assert "--to is missing" in said.err


def test_files_speak_together_in_the_order_of_their_times(tmp_path: Path) -> None:
    first = table(tmp_path / "A.csv", *range(5))
    second = table(tmp_path / "B.csv", *range(5), start=START + timedelta(minutes=30))
    table_map = guessed_map(["time", TEMPERATURE])
    maps = {file: named(table_map, file, None) for file in (first, second)}
    replay, ear = Replay(), Ear()
    messages = list(told(spoken(maps, lambda _parameter, _unit, value: value, replay), ear, replay, None))
    assert [station for _, station in ear.heard] == ["A", "B"] * 5
    assert [message.due_ns for message in messages] == [at_ns(half / 2) for half in range(10)]
    assert (replay.messages, replay.values) == (10, 10)
    assert ear.flushed


def test_the_files_own_pace_is_kept_as_many_times_as_asked() -> None:
    messages = [Spoken(at_ns(at), "t", b'{"station":"A"}', Path("A.csv"), at, 1) for at in range(4)]
    ear = Ear()
    for _ in told(messages, ear, Replay(), 36_000):
        pass
    moments = [moment for moment, _ in ear.heard]
    assert all(moment - moments[0] >= at / 10 - 0.01 for at, moment in enumerate(moments))  # never early
    assert moments[-1] - moments[0] < 3


def test_what_cannot_be_read_is_told_and_the_rest_is_sent(ask: Ask, broker: EmbeddedBroker, tmp_path: Path) -> None:
    target = f"mqtt://127.0.0.1:{broker.port}"
    river = table(tmp_path / "river.csv", 5, "five", 7)
    said = ask("replay", river, "--to", target)
    assert said.code == 1
    assert f"{river}: line 3, column {TEMPERATURE}: bad value: 'five'" in said.err
    assert "2 messages sent, 2 acknowledged" in said.out
    assert "could not be read: 1" in said.out
    lines_file(tmp_path / "kept.jsonl", 3)
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes((tmp_path / "kept.jsonl").read_bytes()[:-20])
    said = ask("replay", torn, "--to", target)
    assert said.code == 1
    assert f"{torn}: line 3" in said.err
    assert "2 messages sent, 2 acknowledged" in said.out


@pytest.mark.parametrize("content", [None, b"", b"what,ever\n1,2\n", bytes(range(256)), b"{", b'{"a":1}\n'])
def test_an_odd_file_costs_a_sentence(ask: Ask, broker: EmbeddedBroker, tmp_path: Path, content: bytes | None) -> None:
    odd = tmp_path / "odd.csv"
    if content is not None:
        odd.write_bytes(content)
    said = ask("replay", odd, "--to", f"mqtt://127.0.0.1:{broker.port}")
    assert said.code == 1
    assert "odd.csv" in said.err
    assert "Traceback" not in said.err + said.out


def test_a_broker_that_is_not_there_is_told_with_what_was_taken(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["jianwei.commands.replay"], "PATIENCE_S", 0.3)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    said = ask("replay", table(tmp_path / "river.csv", 5, 6), "--to", f"mqtt://127.0.0.1:{port}")
    assert said.code == 1
    assert f"127.0.0.1:{port}" in said.err
    assert "0 acknowledged" in said.out


def test_a_replay_that_was_stopped_is_not_done(
    ask: Ask, broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> Iterator[Spoken]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(sys.modules["jianwei.commands.replay"], "told", stopped)
    said = ask("replay", table(tmp_path / "river.csv", 5), "--to", f"mqtt://127.0.0.1:{broker.port}")
    assert said.code == 1
    assert "Stopped" in said.err
    assert "0 messages sent" in said.out


@pytest.mark.parametrize(
    "wrong",
    [
        ("--to", "http://127.0.0.1"),
        ("--to", "kept.jsonl"),
        ("--to", "mqtt://"),
        ("--to", "mqtt://127.0.0.1:1", "--speed", "0"),
        ("--to", "mqtt://127.0.0.1:1", "--speed", "fast"),
        ("--to", "mqtt://127.0.0.1:1", "--as", "moon_base"),
    ],
)
def test_wrong_use_is_refused(
    ask: Ask, tmp_path: Path, wrong: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = ask("replay", table(tmp_path / "river.csv", 5), *wrong)
    assert said.code == 2
    assert "Traceback" not in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["river.csv"]
