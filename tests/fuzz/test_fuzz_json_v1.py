"""Broken messages by the hundred thousand: each is read as it was written, or lies in quarantine with its bytes and why."""

import random
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ingest.formats.json_v1 import JsonV1
from ingest.message import position_of
from ingest.quarantine import CLASSES
from rules.readings import Kind
from simulators import wire
from tests.fuzz.endurance import INPUTS, Patience, without_growth
from tests.fuzz.mutations import OF_JSON, enormous, mutated
from tests.ingest.json_reading import MANY, PLAIN, BothWays, Problems, Read, ReadColumns, check, written
from tests.ingest.stepped import MEMORY, Stepped, message

PARTS = 4
TURN = 2_500  # messages that go the whole way together
AN_ENTRY = 500
FLAGGED: dict[str, Any] = {**PLAIN, "values": {"w01001": 7.5, "w01018": 12.25, "x.a": -0.5}, "flags": {"w01018": "M"}}
SEEDS = [
    *[written(one) for one in (PLAIN, MANY, {**FLAGGED, "seq": 12, "v": 1})],
    written(
        {**PLAIN, "time": "2026-05-01T04:00:00.123456789Z", "values": {"w01001": None, "a": 1e22, "b": 12345678.25}}
    ),
    *[
        message(minute, {"p0": 50.0 + minute % 7, "p1": 20.25}, station)[1]
        for minute in range(9)
        for station in ("S1", "S2")
    ],
]
OURS = [wire.topic_of(*named) for named in (("S-01", "hour"), ("S1", "minute"), ("S2", "minute"))]
FREE = "jianwei/elsewhere"  # names no station, so any may be meant
TOPICS = [*OURS, "jianwei/v1", *[FREE] * 16]


def text(said: str) -> str:
    """As a quarantine keeps it: no lone surrogates."""
    return said.encode("utf-8", "backslashreplace").decode()


class Turn:
    """Mutated messages, read one by one and checked, then sent through journal, engine, quarantine and store."""

    def __init__(self, dice: random.Random, patience: Patience) -> None:
        self._dice = dice
        self._patience = patience
        self._both = BothWays()
        self.told = 0  # messages with a problem

    def run(self, folder: Path) -> None:
        house = Stepped(folder, most_messages=AN_ENTRY)
        try:
            expected: dict[tuple[int, str], tuple[str, bytes]] = {}
            read: set[tuple[str, str, Kind, int]] = set()
            for entry in range(1, TURN // AN_ENTRY + 1):
                messages = [self._message() for _ in range(AN_ENTRY)]
                for index, (topic, payload) in enumerate(messages):
                    readings, problems = self._read(topic, payload)
                    for where, reason in problems:
                        expected.setdefault((position_of(entry, index), text(where)), (text(reason), payload))
                    read |= {(r.station, r.parameter, r.kind, r.measured_ns) for r in readings}
                assert house.append(entry, *messages) == entry
                house.settle()
            kept = {(position, where): (reason, payload) for position, where, reason, payload in house.kept()}
            assert kept == expected
            assert set(house.store.rows) == read  # type: ignore[attr-defined]  # the store of the tests
        finally:
            house.drop()

    def _message(self) -> tuple[str, bytes]:
        return self._dice.choice(TOPICS), mutated(self._dice.choice(SEEDS), self._dice, OF_JSON)

    def _read(self, topic: str, payload: bytes) -> tuple[list[Read], Problems]:
        with self._patience:
            readings, problems = self._both.read(payload, topic)
        check(payload, readings, problems)
        for _, reason in problems:
            assert reason.startswith(tuple(CLASSES)), f"{reason!r} is of no known class"
        self.told += bool(problems)
        return readings, problems


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_broken_message_is_read_as_written_or_quarantined_with_its_bytes_and_a_reason(part: int) -> None:
    dice, patience, told = random.Random(f"json_v1 {part}"), Patience(), []

    def a_turn(_number: int) -> None:
        turn = Turn(dice, patience)
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            turn.run(Path(folder))
        told.append(turn.told / TURN)

    without_growth(max(2, INPUTS // PARTS // TURN), a_turn)
    assert all(0.3 < share < 0.95 for share in told), (
        "mutations that break all, or nothing, try only half of the reader"
    )


@pytest.mark.parametrize("size", [20_000, 300_000, 1_000_000, 2_000_000])
def test_an_enormous_message_is_told_soon(size: int) -> None:
    for asks_for, payload in enormous(size).items():
        decoder, columns = JsonV1(), ReadColumns()
        with Patience():
            problems = decoder.decode(FREE, payload, columns)
        assert problems, asks_for
        assert all(reason.startswith(tuple(CLASSES)) for _, reason in problems)
        assert not columns.taken()
