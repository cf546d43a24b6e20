"""The ledger: one transaction, ids once, a cursor that never moves back."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from math import inf, isnan
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given, settings

from alerts.bodies import as_text, limit_from, point_from, transition_from
from alerts.database import open_engine, transaction, upgrade
from alerts.ledger import LedgerUnavailable, Resumed, SqlLedger
from alerts.migrations.versions import stations_and_requests
from alerts.routing import Route
from alerts.schema import metadata
from ingest.message import Ledger
from rules.readings import Level, Point, Transition
from tests.alerts.found import HOUR_NS, LAW, NOON_NS, change, changes, story

ALL = [Route(channel="inbox")]


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.sqlite'}"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., SqlLedger]]:
    """Opens the same database as often as it is called."""
    ledgers = []

    def open_it(*routes: Route) -> SqlLedger:
        ledgers.append(SqlLedger(url_of(tmp_path), routes or ALL, lambda: NOON_NS))
        return ledgers[-1]

    yield open_it
    for ledger in ledgers:
        ledger.close()


def test_it_is_the_ledger_that_the_worker_asks_for(opened: Callable[..., SqlLedger]) -> None:
    ledger: Ledger = opened()
    ledger.record([], judged=0, stored=0, snapshot=None)
    assert ledger.resume().snapshot is None


def test_the_migrations_make_what_the_models_say(tmp_path: Path) -> None:
    engine = open_engine(url_of(tmp_path))
    upgrade(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == stations_and_requests.revision
    engine.dispose()


def test_opening_again_changes_nothing(opened: Callable[..., SqlLedger]) -> None:
    first = opened()
    first.record(story(1, "A"), judged=3, stored=2, snapshot=b"s")
    first.close()
    again = opened()
    assert again.resume().judged == 3
    assert len(again.episodes()) == 1


@settings(deadline=None, max_examples=60)
@given(changes)
def test_a_transition_comes_back_from_its_text_whole(transition: Transition) -> None:
    text = as_text(transition)
    assert text is not None
    assert as_text(transition_from(text)) == text
    back = transition_from(text)
    if transition.limit is not None:
        assert limit_from(as_text(transition.limit)) == transition.limit
        assert back.limit == transition.limit
    for before, after in ((transition.first, back.first), (transition.worst, back.worst), (transition.last, back.last)):
        if before is None or not isnan(before.value):
            assert after == before == point_from(as_text(before))
    assert (back.family, back.kind, back.level, back.id) == (
        transition.family,
        transition.kind,
        transition.level,
        transition.id,
    )


def test_an_episode_is_the_fold_of_its_changes(opened: Callable[..., SqlLedger]) -> None:
    ledger = opened()
    opening, worsening, clearing = story(7, "A")
    ledger.record([opening], judged=1, stored=0, snapshot=None)
    (episode,) = ledger.episodes(open_only=True)
    assert (episode.state, episode.level, episode.limit, episode.first) == ("open", Level.YELLOW, LAW, opening.first)
    assert episode.limit is not None
    assert episode.limit.low == -inf
    ledger.record([worsening, clearing], judged=2, stored=0, snapshot=None)
    (episode,) = ledger.episodes(station="A")
    assert (episode.state, episode.worst_level, episode.cleared_ns) == ("cleared", Level.ORANGE, clearing.at_ns)
    assert ledger.episodes(open_only=True) == []
    assert ledger.episodes(station="B") == []
    assert ledger.transitions(episode.id) == [opening, worsening, clearing]


def test_the_newest_episodes_come_first(opened: Callable[..., SqlLedger]) -> None:
    ledger = opened()
    found = [change(episode=f"{n}", since_ns=NOON_NS + n) for n in (2, 0, 1)]
    ledger.record(found, judged=1, stored=0, snapshot=None)
    assert [e.id for e in ledger.episodes(limit=2)] == ["2", "1"]


def test_what_is_known_changes_nothing_and_tells_nobody(opened: Callable[..., SqlLedger]) -> None:
    ledger = opened()
    found = story(1, "A")
    ledger.record(found, judged=1, stored=1, snapshot=None)
    before = ledger.episodes()
    ledger.record([*found[:2], *found[:2]], judged=1, stored=1, snapshot=None)
    assert ledger.episodes() == before
    assert ledger.outbox_lag()[0].due == 3
    assert len(ledger.transitions(found[0].episode)) == 3


def test_the_cursor_never_moves_back(opened: Callable[..., SqlLedger]) -> None:
    ledger = opened()
    ledger.record([], judged=9, stored=5, snapshot=None)
    ledger.record([], judged=7, stored=6, snapshot=None)
    assert ledger.resume() == Resumed(judged=9, stored=6)


def test_snapshots_are_kept_as_long_as_the_stored_cursor_needs_them(opened: Callable[..., SqlLedger]) -> None:
    ledger = opened()
    for judged in (10, 20, 30):
        ledger.record([], judged=judged, stored=0, snapshot=b"after %d" % judged)
    assert ledger.resume() == Resumed(judged=30, stored=0)
    ledger.record([], judged=30, stored=25, snapshot=None)
    assert ledger.resume() == Resumed(30, 25, mark=20, snapshot=b"after 20")
    ledger.record([], judged=40, stored=25, snapshot=b"after 40")
    assert _marks(ledger) == [20, 30, 40]
    ledger.record([], judged=50, stored=50, snapshot=b"after 50")
    assert _marks(ledger) == [50]


def test_a_snapshot_made_again_in_a_catch_up_takes_the_place_of_the_first(opened: Callable[..., SqlLedger]) -> None:
    ledger = opened()
    ledger.record([], judged=10, stored=10, snapshot=b"first")
    ledger.record([], judged=10, stored=10, snapshot=b"again")
    assert ledger.resume().snapshot == b"again"


def _marks(ledger: SqlLedger) -> list[int]:
    with transaction(ledger._engine, writes=False) as connection:
        return list(connection.scalars(sa.text("SELECT mark FROM snapshots ORDER BY mark")))


def test_more_changes_than_a_question_has_room_for(opened: Callable[..., SqlLedger]) -> None:
    ledger = opened()
    many = [change(episode=f"{n}") for n in range(6_000)]
    ledger.record(many, judged=1, stored=0, snapshot=None)
    ledger.record(many, judged=1, stored=0, snapshot=None)
    assert ledger.outbox_lag()[0].due == 6_000


def test_lag_tells_what_waits_and_since_when(opened: Callable[..., SqlLedger]) -> None:
    ledger = opened(Route(channel="a"), Route(channel="b", min_level=Level.ORANGE))
    found = story(1, "A")
    ledger.record(found, judged=1, stored=0, snapshot=None)
    ledger.sent("a", found[0].id)
    ledger.bury("a", found[1].id, "no such page")
    a, b = ledger.outbox_lag()
    assert (a.channel, a.due, a.dead, a.oldest_ns) == ("a", 1, 1, NOON_NS)
    assert (b.due, b.dead) == (2, 0), "who was told that it is orange is told that it is over"


def test_a_postponed_notice_holds_its_station_and_a_clock_set_back_does_not_hold_it_for_ever(
    opened: Callable[..., SqlLedger],
) -> None:
    ledger = opened()
    ledger.record([*story(1, "A"), *story(2, "B")], judged=1, stored=0, snapshot=None)
    head = ledger.due("inbox", NOON_NS, horizon_ns=HOUR_NS, most=10)[0]
    ledger.postpone("inbox", head.transition.id, NOON_NS + HOUR_NS, "down")
    assert {d.transition.station for d in ledger.due("inbox", NOON_NS, horizon_ns=HOUR_NS, most=10)} == {"B"}
    assert len(ledger.due("inbox", NOON_NS + HOUR_NS, horizon_ns=HOUR_NS, most=10)) == 6
    assert len(ledger.due("inbox", NOON_NS - 1, horizon_ns=HOUR_NS, most=10)) == 6


def test_a_locked_database_is_unavailable_and_nothing_is_half_done(
    opened: Callable[..., SqlLedger], tmp_path: Path
) -> None:
    ledger = opened()
    with transaction(ledger._engine, writes=False) as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")  # the pool hands out the same connection again
    with sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="locked"):
            ledger.record(story(1, "A"), judged=1, stored=1, snapshot=b"s")
        assert ledger.resume() == Resumed(), "reading goes on beside a writer"
        other.execute("ROLLBACK")
    other.close()
    ledger.record(story(1, "A"), judged=1, stored=1, snapshot=b"s")
    assert ledger.resume() == Resumed(1, 1, 1, b"s")


def test_a_full_disk_is_unavailable_and_the_same_goes_in_later(opened: Callable[..., SqlLedger]) -> None:
    ledger = opened()
    with transaction(ledger._engine, writes=False) as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(LedgerUnavailable, match="full"):
        ledger.record(story(1, "A"), judged=1, stored=1, snapshot=bytes(100_000))
    assert ledger.resume() == Resumed()
    assert ledger.episodes() == []
    with transaction(ledger._engine, writes=False) as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    ledger.record(story(1, "A"), judged=1, stored=1, snapshot=bytes(100_000))
    assert len(ledger.episodes()) == 1


def test_recording_that_nothing_was_found_is_cheap(opened: Callable[..., SqlLedger]) -> None:
    """The worker does it after every batch: under half a millisecond at its best, here measured as the best of many."""
    ledger = opened()
    best_s = inf
    for entry in range(200):
        began_s = time.perf_counter()
        ledger.record([], judged=entry, stored=entry, snapshot=None)
        best_s = min(best_s, time.perf_counter() - began_s)
    assert best_s < 0.0005


def test_an_episode_that_this_ledger_did_not_know_is_taken_as_it_is(opened: Callable[..., SqlLedger]) -> None:
    ledger = opened()
    clearing = change(what="cleared", level=Level.NONE, last=Point(NOON_NS, 0.5, 3))
    ledger.record([clearing], judged=1, stored=0, snapshot=None)
    (episode,) = ledger.episodes()
    assert (episode.state, episode.last) == ("cleared", clearing.last)
