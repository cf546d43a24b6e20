"""The file of events: whole lines, a file a day, nothing lost when the disk is full."""

import json
from pathlib import Path

import pytest

from alerts.channel import DeliveryFailed
from alerts.channels.file import FileChannel, FileChannelSettings
from alerts.events import compose
from alerts.notices import CodesAsNames
from tests.alerts.found import NOON_NS, OPENED

EVENT = compose(OPENED, number=1, recorded_ns=NOON_NS, names=CodesAsNames(), instance="test")
DAY_NS = 86_400 * 10**9


def test_one_event_a_line_and_one_file_a_day(tmp_path: Path) -> None:
    now_ns = [NOON_NS]
    channel = FileChannel("file", FileChannelSettings(folder=tmp_path / "new"), lambda: now_ns[0])
    channel.send(EVENT)
    channel.send(EVENT)
    now_ns[0] += DAY_NS
    channel.send(EVENT)
    channel.close()
    files = {path.name: path.read_bytes().splitlines() for path in (tmp_path / "new").iterdir()}
    assert files == {
        "alerts-2026-03-01.jsonl": [EVENT.to_bytes()] * 2,
        "alerts-2026-03-02.jsonl": [EVENT.to_bytes()],
    }


def test_a_torn_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "alerts-2026-03-01.jsonl"
    path.write_bytes(EVENT.to_bytes()[:40])
    FileChannel("file", FileChannelSettings(folder=tmp_path), lambda: NOON_NS).send(EVENT)
    torn, whole = path.read_bytes().splitlines()
    assert torn == EVENT.to_bytes()[:40]
    assert json.loads(whole)["id"] == OPENED.id


def test_a_folder_that_is_none_is_told_and_may_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DeliveryFailed) as caught:
        FileChannel("file", FileChannelSettings(folder=tmp_path / "taken"), lambda: NOON_NS).send(EVENT)
    assert (caught.value.reason, caught.value.retry_after_s) == ("unreachable", 0.0)
    assert f"{tmp_path / 'taken'}/alerts-2026-03-01.jsonl cannot be written: File exists" in caught.value.error
