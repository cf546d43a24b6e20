"""Everything a service must not forget lies under one folder."""

from pathlib import Path

import sqlalchemy as sa

from jianwei.folders import DataFolder


def test_everything_lies_under_the_one_folder_and_nothing_twice(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    database = sa.make_url(folder.ledger_url).database
    assert database is not None
    places = [folder.journal, folder.store, folder.quarantine, folder.broker, folder.session("mqtt"), Path(database)]
    assert all(place.is_relative_to(folder.root) for place in places)
    assert len(set(places)) == len(places)
    assert folder.session("a") != folder.session("b")


def test_a_folder_has_state_once_a_service_ran_there(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert not folder.has_state
    folder.journal.mkdir()
    assert folder.has_state


def test_asking_makes_nothing(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    assert not folder.has_state
    assert not folder.root.exists()
