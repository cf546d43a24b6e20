"""What an earlier version left behind is read, judged on, and brought up to date; what a later one left is not touched."""

import json
import sqlite3
import tarfile
from contextlib import closing
from math import isnan
from pathlib import Path

import pytest
from alembic.config import Config

from alerts import database
from alerts.ledger import LedgerUnavailable, SqlLedger
from ingest.journal import SqliteJournal
from jianwei.clock import wall_ns
from rules.readings import Transition
from tests.alerts.found import OPENED
from tests.jianwei.lived import OXYGEN, SECOND, block, history, of, record, serving

# The folder of the site of `lived.py`, left by the code of commit ebd8a04: 0.1 before blocks had partition and offsets.
LEFT_BEHIND = Path(__file__).parent / "older_data_0_1.tar.xz"
MIGRATIONS = Path(database.__file__).parent / "migrations"
NEXT = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "next", "0002", None, None


def upgrade():
    op.add_column("outbox", sa.Column("worth", sa.Integer(), nullable=False, server_default="7"))
    {then}
"""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A copy of it."""
    with tarfile.open(LEFT_BEHIND) as packed:
        packed.extractall(tmp_path / "older", filter="data")
    return tmp_path / "older"


def test_the_journal_of_an_earlier_version_is_read_to_the_byte(older: Path) -> None:
    journal = SqliteJournal(older / "data" / "journal")
    assert journal.verify() == []
    blocks = [one for entry in journal.read(0, 1_000) for one in entry.blocks]
    journal.close()
    assert blocks == list(history())
    assert {(one.partition, len(one.offsets)) for one in blocks} == {(-1, 0)}


def test_an_episode_that_an_earlier_version_opened_ends_in_this_one_and_nobody_is_told_twice(older: Path) -> None:
    before = told(older)
    record(older, (block(SECOND.format(h + 1), of("SW-02", h, 7.0, OXYGEN, SECOND)) for h in range(8, 11)))
    with serving(older / "jianwei.toml") as runtime:
        assert runtime.ledger.resume().judged == len(list(history())) + 3
        (episode,) = (e for e in runtime.ledger.episodes(station="SW-02") if e.rule == "surface_water_over")
        assert episode.state == "cleared"
        changes = runtime.ledger.transitions(episode.id)
        assert runtime.journal.verify() == []
        assert runtime.quarantine.count_messages() == 3
        stored = runtime.store.read("SW-02", OXYGEN, None, 0, 2**62)
        assert [reading.value for reading in stored if not isnan(reading.value)] == [2.25, 2.0, 7.0, 7.0, 7.0]
    after = told(older)
    assert changes[0].id in before
    assert changes[-1].id in after[len(before) :]
    assert after[: len(before)] == before
    assert len(set(after)) == len(after)


def told(site: Path) -> list[str]:
    """Ids of the notices that were sent, in their order."""
    files = sorted((site / "data" / "alerts").glob("*.jsonl"))
    return [json.loads(line)["id"] for path in files for line in path.read_text().splitlines()]


# The ledger.


def filled(path: Path) -> Transition:
    """A ledger of the present schema that has found something."""
    found = OPENED
    with closing(SqlLedger(f"sqlite:///{path}", [], wall_ns)) as ledger:
        ledger.record([found], judged=9, stored=8, snapshot=None)
    return found


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the migrations of a later version would stand, with one more than today's."""
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    for path in (*MIGRATIONS.glob("*.py"), *MIGRATIONS.glob("versions/*.py")):
        (tmp_path / "migrations" / path.relative_to(MIGRATIONS)).write_text(path.read_text())

    class Later(Config):
        def set_main_option(self, name: str, value: str) -> None:
            super().set_main_option(name, str(versions.parent) if name == "script_location" else value)

    monkeypatch.setattr(database, "Config", Later)
    return versions / "next.py"


def test_a_ledger_of_the_version_before_is_brought_up_to_date_with_everything_in_it(
    later: Path, tmp_path: Path
) -> None:
    found = filled(tmp_path / "ledger.sqlite")
    later.write_text(NEXT.format(then=""))
    with closing(SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", [], wall_ns)) as ledger:
        assert ledger.transitions(found.episode) == [found]
        assert (ledger.resume().judged, ledger.resume().stored) == (9, 8)
    assert version_and_columns(tmp_path / "ledger.sqlite") == ("next", True)


def test_a_migration_that_breaks_off_leaves_the_ledger_as_it_was(later: Path, tmp_path: Path) -> None:
    found = filled(tmp_path / "ledger.sqlite")
    later.write_text(NEXT.format(then="raise OSError('no space left')"))
    with pytest.raises(OSError, match="no space left"):
        SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", [], wall_ns)
    assert version_and_columns(tmp_path / "ledger.sqlite") == ("0002", False)
    later.unlink()
    with closing(SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", [], wall_ns)) as ledger:
        assert ledger.transitions(found.episode) == [found]


def test_a_ledger_of_a_later_version_is_not_touched_and_told_with_what_to_do(tmp_path: Path) -> None:
    filled(tmp_path / "ledger.sqlite")
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as file:
        file.execute("UPDATE alembic_version SET version_num = 'next'")
    with pytest.raises(LedgerUnavailable, match=r"a later version of this program.*the copy from before the upgrade"):
        SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", [], wall_ns)
    assert version_and_columns(tmp_path / "ledger.sqlite") == ("next", False)


def version_and_columns(path: Path) -> tuple[str, bool]:
    """The revision, and whether the outbox has the new column."""
    with closing(sqlite3.connect(path)) as file:
        columns = {row[1] for row in file.execute("PRAGMA table_info(outbox)")}
        return str(file.execute("SELECT version_num FROM alembic_version").fetchone()[0]), "worth" in columns
