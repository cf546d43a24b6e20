"""One process for one data folder, however the last one ended."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jianwei.lock import DataInUse, DataLock, is_held

HOLD = """
import sys
from pathlib import Path
from jianwei.lock import DataLock
with DataLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""
ROOT = Path(__file__).parents[2]


def test_a_second_one_is_told_who_holds_the_folder_and_what_to_do(tmp_path: Path) -> None:
    with (
        DataLock(tmp_path / "data"),
        pytest.raises(DataInUse, match=rf"data is used by process {os.getpid()}: .*data_dir"),
        DataLock(tmp_path / "data"),
    ):
        raise AssertionError("two hold it")


def test_it_can_be_had_again_afterwards_and_other_folders_all_the_time(tmp_path: Path) -> None:
    with DataLock(tmp_path / "one"), DataLock(tmp_path / "other"):
        pass
    with DataLock(tmp_path / "one"):
        assert (tmp_path / "one" / "lock").read_text() == f"{os.getpid()}\n"


def test_a_process_that_is_killed_holds_nothing_any_more(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataInUse, match=str(holder.pid)), DataLock(tmp_path):
            raise AssertionError("two processes hold it")
        holder.kill()
        holder.wait()
        with DataLock(tmp_path):
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_whether_somebody_works_there_can_be_asked(tmp_path: Path) -> None:
    assert not is_held(tmp_path), "nobody ever has"
    with DataLock(tmp_path):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)
