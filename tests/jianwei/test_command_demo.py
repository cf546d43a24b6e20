"""The demo is the service: what was done to the city is found, nothing is lost, and equal seeds say the same."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.jianwei.command_line import Ask


def test_the_whole_night_is_found_out_and_nothing_is_lost(ask: Ask, tmp_path: Path) -> None:
    kept = tmp_path / "city"
    said = ask("demo", "--fast", "--json", "--keep", kept)
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert (told["lost"], told["score"]["missed"], told["score"]["false"]) == (0, 0, 0)
    assert told["score"]["found"] > 20
    assert told["stations"] >= 24
    assert told["notices_sent"] == 2 * told["transitions"] > 0
    assert ask("journal", "verify", "-c", kept / "jianwei.toml").code == 0
    assert ask("check", "-c", kept / "jianwei.toml").code == 0
    opened = json.loads(ask("episodes", "-c", kept / "jianwei.toml", "--limit", 1000, "--json").out)
    assert len({episode["id"] for episode in opened}) == len(opened) > 20


def test_equal_seeds_give_equal_summaries_and_another_seed_another(ask: Ask) -> None:
    first, again, other = (ask("demo", "--fast", "--for", "10s", "--seed", seed, "--json").out for seed in (3, 3, 4))
    assert first == again
    assert json.loads(first)["stored"] > 0
    assert first != other


def test_lines_tell_what_happens_where_there_is_no_screen(ask: Ask) -> None:
    said = ask("demo", "--fast", "--for", "5s")
    assert said.code == 0
    assert "[Yellow] Yong'an Stream section: Data quality" in said.out
    assert "【黄色】永安溪断面自动站" in said.out
    assert "Lost" in said.out


@pytest.mark.parametrize("lasts", ["0s", "soon", "-1m", ""])
def test_a_span_that_is_none_is_refused(ask: Ask, lasts: str) -> None:
    assert ask("demo", "--fast", "--for", lasts).code == 2


def test_a_folder_with_something_in_it_is_left_alone(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    said = ask("demo", "--fast", "--keep", tmp_path)
    assert said.code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_demo_that_is_told_to_end_gives_its_account_and_leaves_nothing(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "jianwei", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert running.stdout is not None
    first = running.stdout.readline()
    while "Yong'an" not in first:
        assert first, "it ended before anything happened"
        first = running.stdout.readline()
    time.sleep(0.2)
    running.send_signal(signal.SIGTERM)
    rest, _ = running.communicate(timeout=60)
    assert "this is the account so far" in rest
    assert "Readings stored" in rest
    assert list(tmp_path.iterdir()) == []
