"""Dead letters: the message as it was, what was wrong with it, once or more, and nobody waits for them."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ingest.dead_letters import (
    MOST_TEXT,
    MOST_TOLD,
    PAGE,
    PORTION_BYTES,
    DeadLetter,
    DeadLetters,
    LetterBoxUnavailable,
    LetterRefused,
)
from ingest.journal import SqliteJournal
from ingest.message import Block, Problem, position_of
from ingest.quarantine import TABLE, Quarantine
from ingest.records import DeadLetterRefused, DeadLettersDelayed, DeadLettersPublished, Record
from rules.readings import SECOND_NS

NOON_NS = 1_772_366_400 * SECOND_NS
AWAY = LetterBoxUnavailable("no broker answers")


class Box:
    """Keeps what it gets; raises what its script says, by turns, first; refuses values that are too large for good."""

    def __init__(self) -> None:
        self.got: list[DeadLetter] = []
        self.names: list[str] = []
        self.script: list[Exception] = []
        self.most_bytes = 10 * PORTION_BYTES

    def put(self, name: str, letters: Sequence[DeadLetter]) -> None:
        self.names.append(name)
        if self.script:
            raise self.script.pop(0)
        if any(len(letter.value) > self.most_bytes for letter in letters):
            raise LetterRefused("too large")
        self.got += letters

    @property
    def values(self) -> list[bytes]:
        return [letter.value for letter in self.got]


@dataclass
class Site:
    """A journal, a quarantine, and where letters go."""

    journal: SqliteJournal
    quarantine: Quarantine
    box: Box = field(default_factory=Box)
    records: list[Record] = field(default_factory=list)

    def letters(self) -> DeadLetters:
        return DeadLetters(
            self.quarantine, self.journal, self.box, self.records.append, connector="jianwei-main", dice=lambda: 1.0
        )

    def came(self, payloads: list[bytes], **said: object) -> int:
        """Journaled; the number of the entry."""
        topics = ["a/b"] * len(payloads)
        block = Block("gateway", NOON_NS, topics, payloads, **said)  # type: ignore[arg-type]
        return self.journal.append([block], NOON_NS, tick=False)

    def is_bad(self, position: int, payload: bytes, *reasons: str) -> None:
        self.quarantine.keep(
            [
                Problem(position, f"$[{n}]", reason, payload, "gateway", "a/b", NOON_NS)
                for n, reason in enumerate(reasons or ("not JSON",))
            ]
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with (
        closing(SqliteJournal(tmp_path / "journal")) as journal,
        closing(Quarantine(tmp_path / "quarantine.sqlite")) as quarantine,
    ):
        yield Site(journal, quarantine)


def publish_all(letters: DeadLetters) -> None:
    for _ in range(100):
        if letters.step():
            return
    raise AssertionError("it goes on and on")


def test_a_message_is_one_letter_as_it_came_whatever_its_problems(site: Site) -> None:
    entry = site.came(
        [b"good", b"b\xffd"],
        keys=[b"S1", b"S2"],
        headers=[[], [("trace", b"\x00\x01"), ("trace", b"2")]],
        partition=3,
        offsets=[41, 42],
    )
    site.is_bad(position_of(entry, 1), b"b\xffd", "bad value: no number", "bad time: none", "bad value: too long")
    publish_all(site.letters())
    (letter,) = site.box.got
    assert (letter.key, letter.value) == (b"S2", b"b\xffd")
    assert letter.headers[:2] == [("trace", b"\x00\x01"), ("trace", b"2")]
    assert dict(letter.headers[2:]) == {
        "__connect.errors.topic": b"a/b",
        "__connect.errors.partition": b"3",
        "__connect.errors.offset": b"42",
        "__connect.errors.connector.name": b"jianwei-main",
        "__connect.errors.stage": b"VALUE_CONVERTER",
        "__connect.errors.exception.class.name": b"bad_value",
        "__connect.errors.exception.message": b"$[0]: bad value: no number; $[1]: bad time: none; $[2]: bad value: too long",
        "x-attempts": b"1",
        "x-first-seen": b"2026-03-01T12:00:00Z",
        "x-reason": b"bad_value,bad_time",
        "x-source": b"gateway",
        "x-journal-position": str(position_of(entry, 1)).encode(),
    }
    assert site.records == [DeadLettersPublished(1)]


def test_what_came_by_mqtt_has_no_key_and_lay_nowhere_in_kafka(site: Site) -> None:
    site.is_bad(position_of(site.came([b"x"]), 0), b"x")
    publish_all(site.letters())
    assert site.box.got[0].key is None
    assert "__connect.errors.offset" not in dict(site.box.got[0].headers)


def test_the_right_message_is_found_behind_other_blocks(site: Site) -> None:
    blocks = [Block("gateway", NOON_NS, ["t"] * 3, [b"%d" % (3 * n + m) for m in range(3)]) for n in range(4)]
    entry = site.journal.append(blocks, NOON_NS, tick=False)
    for index in (0, 2, 3, 7, 11):
        site.is_bad(position_of(entry, index), b"as quarantine has it")
    publish_all(site.letters())
    assert site.box.values == [b"0", b"2", b"3", b"7", b"11"]


def test_a_message_that_the_journal_dropped_is_told_from_quarantine(site: Site) -> None:
    site.came([b"another"])
    site.is_bad(position_of(77, 0), b"gone")
    publish_all(site.letters())
    assert (site.box.got[0].key, site.box.got[0].value) == (None, b"gone")


def test_a_message_that_was_a_dead_letter_before_counts_on(site: Site) -> None:
    before = [("x-attempts", b"4"), ("x-first-seen", b"2020-01-01T00:00:00Z")]
    wild = [("x-attempts", b"\xff"), ("x-first-seen", b"\xff" * 10_000)]
    often = [("x-attempts", b"999999999")]
    entry = site.came([b"1", b"2", b"3"], keys=[None] * 3, headers=[before, wild, often])
    for index in range(3):
        site.is_bad(position_of(entry, index), b"")
    publish_all(site.letters())
    told = [(said["x-attempts"], said["x-first-seen"]) for said in (dict(letter.headers) for letter in site.box.got)]
    first_seen = b"2026-03-01T12:00:00Z"
    assert told == [(b"5", b"2020-01-01T00:00:00Z"), (b"1", first_seen), (b"999999999", first_seen)]


def test_a_dead_letter_that_comes_again_has_our_headers_once_and_its_own_as_they_were(site: Site) -> None:
    own = [("trace", b"\x00"), ("trace", b"2"), ("x-attempt", b"7")]
    headers = own
    for attempt in range(1, 4):
        entry = site.came([b"x"], headers=[headers], **({"partition": 3, "offsets": [41]} if attempt == 1 else {}))
        site.is_bad(position_of(entry, 0), b"x")
        publish_all(site.letters())
        headers = site.box.got[-1].headers
        names = [name for name, _ in headers if name != "trace"]
        assert headers[:3] == own
        assert len(set(names)) == len(names)
        assert dict(headers)["x-attempts"] == b"%d" % attempt
        assert ("__connect.errors.offset" in names) == (attempt == 1), (
            "where an earlier one lay is no place of this one"
        )


def test_what_is_told_of_a_message_is_bounded(site: Site) -> None:
    position = position_of(site.came([b"x"]), 0)
    site.is_bad(position, b"x", *[f"bad value: {n}" for n in range(49)])
    site.is_bad(position_of(site.came([b"y"]), 0), b"y", "bad value: " + "y" * 5_000)
    publish_all(site.letters())
    first, second = (dict(letter.headers)["__connect.errors.exception.message"].decode() for letter in site.box.got)
    assert first.count(";") == MOST_TOLD
    assert first.endswith("and 39 more")
    assert len(second) == MOST_TEXT


def test_a_row_that_the_store_refused_is_no_message(site: Site) -> None:
    site.is_bad(position_of(site.came([b"x"]), 0), b'{"station": "S1"}', "refused by the store: no")
    publish_all(site.letters())
    assert site.box.got == []
    assert site.quarantine.published() == 1, "it is passed over for good"


def test_pages_cut_no_message_in_two(site: Site) -> None:
    entry = site.came([b"%d" % n for n in range(60)])
    for index in range(60):
        site.is_bad(position_of(entry, index), b"", *(f"bad value: {n}" for n in range(1 + index % 49)))
    assert site.quarantine.count() > 2 * PAGE
    publish_all(site.letters())
    assert site.box.values == [b"%d" % n for n in range(60)]
    assert [r for r in site.records if not isinstance(r, DeadLettersPublished)] == []


def test_little_is_held_in_memory(site: Site) -> None:
    large = b"x" * (PORTION_BYTES // 2 + 1)
    entry = site.came([large] * 7)
    for index in range(7):
        site.is_bad(position_of(entry, index), large)
    letters = site.letters()
    letters.step()
    assert len(site.box.got) == 2
    publish_all(letters)
    assert len(site.box.got) == 7


def test_a_restart_goes_on_behind_what_was_taken(site: Site) -> None:
    site.is_bad(position_of(site.came([b"1"]), 0), b"1")
    publish_all(site.letters())
    site.is_bad(position_of(site.came([b"2"]), 0), b"2")
    publish_all(site.letters())
    assert site.box.values == [b"1", b"2"]


def test_a_crash_between_publishing_and_the_cursor_publishes_again(site: Site) -> None:
    site.is_bad(position_of(site.came([b"1"]), 0), b"1")

    class Killed(BaseException):
        """The process is gone."""

    class Dies(Box):
        def put(self, name: str, letters: Sequence[DeadLetter]) -> None:
            super().put(name, letters)
            raise Killed

    before, site.box = Dies(), Box()
    dying = DeadLetters(site.quarantine, site.journal, before, site.records.append, connector="c")
    with pytest.raises(Killed):
        dying.step()
    publish_all(site.letters())
    assert before.values == site.box.values == [b"1"]


def test_a_topic_that_is_away_is_asked_ever_less_often_and_gets_the_same_under_the_same_name(site: Site) -> None:
    site.is_bad(position_of(site.came([b"1"]), 0), b"1")
    letters = site.letters()
    site.box.script = [AWAY] * 9
    pauses = [letters.step() for _ in range(5)]
    site.is_bad(position_of(site.came([b"2"]), 0), b"2")
    pauses += [letters.step() for _ in range(4)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert not letters.health(0).ok
    assert "no broker answers" in letters.health(0).why
    assert len(set(site.box.names)) == 1
    publish_all(letters)
    publish_all(letters)
    assert site.box.values == [b"1", b"2"]
    assert letters.health(0).ok
    assert [type(record) for record in site.records] == [DeadLettersDelayed] * 9 + [DeadLettersPublished] * 2


def test_a_letter_that_is_refused_costs_only_itself(site: Site) -> None:
    entry = site.came([b"1", b"x" * 100, b"3"])
    for index in range(3):
        site.is_bad(position_of(entry, index), b"")
    site.box.most_bytes = 50
    publish_all(site.letters())
    assert site.box.values == [b"1", b"3"]
    assert site.records == [DeadLetterRefused("too large", 100), DeadLettersPublished(2)]
    assert site.quarantine.published() == 3


def test_a_quarantine_that_cannot_be_used_makes_it_wait(site: Site, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "quarantine.sqlite")) as other:
        other.execute("DROP TABLE problems")
    letters = site.letters()
    assert letters.step() == 1
    assert not letters.health(0).ok


def test_a_quarantine_of_an_older_version_is_opened(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "q.sqlite")) as old:
        old.execute(TABLE)
    with closing(Quarantine(tmp_path / "q.sqlite")) as quarantine:
        assert quarantine.published() == 0
