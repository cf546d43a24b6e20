"""The register in the ledger: every version is kept, secrets are not shown, and many may write at once."""

import json
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.database import open_engine, transaction
from alerts.ledger import SqlLedger
from alerts.loggers import MOST_WAITING, Heard
from alerts.register import Change, RegisterMoved, Shared, SqlRegister, What
from tests.alerts.found import NOON_NS, OPENED

MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108  # only temporary folders are made there
SECRET = "do-not-tell"


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.sqlite'}"


@pytest.fixture
def register(tmp_path: Path) -> Iterator[SqlRegister]:
    with closing(SqlRegister(url_of(tmp_path), lambda: NOON_NS)) as register:
        yield register


def body(station: str, **fields: object) -> str:
    return json.dumps({"id": station, **fields})


def enter(register: SqlRegister, *changes: Change, **more: object) -> None:
    register.enter(changes, "Li Ming", seen=register.version(), **more)  # type: ignore[arg-type]


def add(register: SqlRegister, station: str, **fields: object) -> None:
    enter(register, Change(station, "added", body(station, **fields)))


# Entries.


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 3)), max_size=20))
def test_history_replayed_gives_what_is_present_in_every_version(story: list[tuple[str, int]]) -> None:
    """0 stands for a removal."""
    with (
        tempfile.TemporaryDirectory(dir=MEMORY) as folder,
        closing(SqlRegister(url_of(Path(folder)), lambda: NOON_NS)) as register,
    ):
        expected: list[dict[str, str]] = [{}]
        for station, value in story:
            present = expected[-1]
            what: What = "removed" if not value else "changed" if station in present else "added"
            enter(register, Change(station, what, body(station, note=value) if value else ""))
            others = {name: text for name, text in present.items() if name != station}
            expected.append({**others, **({station: body(station, note=value)} if value else {})})

        replayed: dict[str, str] = {}
        for version in register.history():
            replayed.pop(version.station, None)
            if version.body:
                replayed[version.station] = version.body
            assert register.present(version.number) == replayed == expected[version.number]
        assert register.present() == expected[-1]
        assert register.number() == len(story)
        for station in "ABC":
            assert register.history(station) == [one for one in register.history() if one.station == station]


def test_a_version_tells_when_and_by_whom(register: SqlRegister) -> None:
    add(register, "A")
    (version,) = register.history("A")
    assert (version.what, version.entered_ns, version.entered_by) == ("added", NOON_NS, "Li Ming")


def test_who_looked_before_somebody_else_entered_is_told_so_and_nothing_is_done(register: SqlRegister) -> None:
    seen = register.version()
    add(register, "A")
    with pytest.raises(RegisterMoved):
        register.enter([Change("B", "added", body("B"))], "me", seen=seen, shared={"B": Shared(SECRET)})
    assert register.present().keys() == {"A"}
    assert register.shared() == {}


def test_the_version_rises_with_entries_and_with_secrets_also_while_the_clock_stands(register: SqlRegister) -> None:
    seen = [register.version()]

    def has_risen() -> None:
        assert register.version() > seen[-1]
        assert register.version() == register.version()
        seen.append(register.version())

    add(register, "A")
    has_risen()
    for _ in range(2):
        enter(register, shared={"A": Shared(SECRET)})
        has_risen()
    enter(register, forget=["A"])
    has_risen()
    enter(register, Change("A", "removed", ""))
    has_risen()


# Secrets.


def test_a_secret_is_kept_beside_what_is_not_named_and_forgotten_with_its_station(register: SqlRegister) -> None:
    add(register, "A")
    enter(register, shared={"A": Shared(SECRET)})
    enter(register, shared={"A": Shared(sm4_key=b"k" * 16)})
    assert register.shared() == {"A": Shared(SECRET, b"k" * 16)}
    assert register.has_shared() == {"A": (True, True)}
    assert register.differs({"A": Shared(SECRET)}) == set()
    assert register.differs({"A": Shared("other"), "B": Shared(SECRET)}) == {"A", "B"}
    enter(register, Change("A", "removed", ""))
    add(register, "A")
    assert register.shared() == {}
    assert register.has_shared() == {"A": (False, False)}


def test_a_secret_shows_nowhere_when_it_is_printed(register: SqlRegister) -> None:
    add(register, "A")
    enter(register, shared={"A": Shared(SECRET, b"k" * 16)})
    told = repr((register.shared(), register.history(), register.present(), register.has_shared(), register.loggers()))
    assert SECRET not in told
    assert "kkkk" not in told


# Several at once.

WRITER = """
import sys, time
from alerts.register import Change, RegisterMoved, SqlRegister
register = SqlRegister(sys.argv[1], time.time_ns)
for number in range(15):
    station = f"{sys.argv[2]}-{number}"
    while True:
        try:
            register.enter([Change(station, "added", '{"id": "%s"}' % station)], "me", seen=register.version())
            break
        except RegisterMoved:
            continue
"""


def test_two_processes_and_a_thread_enter_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    url = url_of(tmp_path)
    command = [sys.executable, "-c", textwrap.dedent(WRITER), url]
    writers = [subprocess.Popen([*command, name]) for name in ("one", "two")]
    with closing(SqlRegister(url, lambda: NOON_NS)) as register:
        listening = [Thread(target=_note, args=(register, number)) for number in range(2)]
        for thread in listening:
            thread.start()
        for thread in listening:
            thread.join()
        assert [writer.wait(60) for writer in writers] == [0, 0]
        assert len(register.present()) == register.number() == 30
        assert len(register.waiting()) == 40


def _note(register: SqlRegister, number: int) -> None:
    for turn in range(20):
        register.note_loggers([heard(f"{number}-{turn}", at_ns=turn)])


# Whoever only looks.


def test_who_only_looks_neither_makes_nor_changes_a_ledger_and_finds_nothing_in_one_of_before(tmp_path: Path) -> None:
    with closing(SqlLedger(url_of(tmp_path), [], lambda: NOON_NS)) as ledger:
        ledger.record([OPENED], judged=1, stored=1, snapshot=None)
    engine = open_engine(url_of(tmp_path))
    with transaction(engine, writes=True) as connection:
        for table in ("stations", "station_secrets", "loggers", "requests", "notes", "turns"):
            connection.execute(sa.text(f"DROP TABLE {table}"))  # the test's own words
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    with closing(SqlRegister(url_of(tmp_path), lambda: NOON_NS, upgrades=False)) as reader:
        assert (reader.version(), reader.number(), reader.present(), reader.history()) == (0, 0, {}, [])
        assert (reader.shared(), reader.has_shared(), reader.loggers(), reader.waiting()) == ({}, {}, [], [])
        with transaction(engine, writes=False) as connection:
            assert not sa.inspect(connection).has_table("stations")
        with closing(SqlRegister(url_of(tmp_path), lambda: NOON_NS)) as register:
            add(register, "A")
        assert reader.present().keys() == {"A"}
    engine.dispose()


# Loggers.


def heard(mn: str, station: str = "", **more: object) -> Heard:
    told = {"source": "tcp", "state": "connected" if station else "waiting", "address": "10.0.0.1", "edition": "2017"}
    return Heard(**{"mn": mn, "station": station, "at_ns": NOON_NS, **told, **more})  # type: ignore[arg-type]


def test_what_is_heard_is_added_up_and_what_is_not_said_stays(register: SqlRegister) -> None:
    register.note_loggers([heard("mn1", "A", at_ns=5, offset_ns=7), heard("MN1", "A", at_ns=9, edition="", times=0)])
    register.note_loggers([heard("MN1", "A", state="gone", at_ns=11, address="")])
    (known,) = register.loggers()
    assert (known.mn, known.state, known.edition, known.address) == ("mn1", "gone", "2017", "10.0.0.1")
    assert (known.first_ns, known.last_ns, known.times, known.offset_ns) == (5, 11, 2, 7)


def test_what_comes_late_changes_nothing_but_the_count(register: SqlRegister) -> None:
    register.note_loggers([heard("MN1", "A", at_ns=9)])
    register.note_loggers([heard("MN1", "A", state="gone", at_ns=3)])
    (known,) = register.loggers()
    assert (known.state, known.first_ns, known.last_ns, known.times) == ("connected", 3, 9, 2)


def test_of_made_up_names_the_newest_are_kept_and_registered_ones_stay(register: SqlRegister) -> None:
    register.note_loggers([heard("MN1", "A", at_ns=0)])
    for start in range(0, 2 * MOST_WAITING, 400):
        register.note_loggers(
            [heard(f"made-up-{number}" + "x" * 90, at_ns=number) for number in range(start, start + 400)]
        )
    waiting = register.waiting()
    assert len(waiting) == MOST_WAITING
    assert [waiting[0].last_ns, waiting[-1].last_ns] == [2 * MOST_WAITING - 1, MOST_WAITING]
    assert all(len(one.mn) == 32 for one in waiting)
    assert [one.mn for one in register.loggers()] == ["MN1"]


def test_who_waited_and_is_entered_waits_no_longer_and_a_removed_station_has_no_logger(register: SqlRegister) -> None:
    register.note_loggers([heard("mn1", why="nobody knows it"), heard("mn2"), heard("id-a")])
    add(register, "A", logger={"mn": "MN1"})
    assert [one.mn for one in register.waiting()] == ["id-a", "mn2"]
    (known,) = register.loggers()
    assert (known.station, known.state, known.why) == ("A", "gone", "")
    enter(register, Change("A", "changed", body("A", logger={"mn": "MN2"})))
    assert [one.mn for one in register.loggers()] == ["mn2"]
    enter(register, Change("A", "removed", ""))
    assert register.loggers() == []
    add(register, "ID-A")
    assert [one.mn for one in register.loggers()] == ["id-a"]


def test_after_a_kill_nobody_is_connected(register: SqlRegister) -> None:
    register.note_loggers([heard("MN1", "A"), heard("MN2", "B", state="refused", why="password")])
    register.nobody_is_connected()
    assert [one.state for one in register.loggers()] == ["gone", "refused"]
