"""A lane judges entries in their order; how they are cut into portions changes nothing."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import judging
from ingest.judging import Lane
from ingest.message import Columns, Entry, Format, position_of
from rules.engine import Engine
from rules.readings import Kind
from tests.ingest.stepped import STATIONS, block, json_formats, message, watches
from tests.rules.watching import MINUTE_NS, START_NS, Handmade


def lane() -> Lane:
    return Lane(Engine(Handmade(watches(), [(station, Kind.MINUTE) for station in STATIONS])), 0, json_formats)


def entry(number: int, *minutes: int, tick: bool = False, values: Sequence[float] = (50.0,)) -> Entry:
    """One block a minute, with a message a value in it."""
    blocks = [block(minute, *[message(minute, {"p0": value}) for value in values]) for minute in minutes]
    return Entry(number, START_NS + (max(minutes, default=0) + 1) * MINUTE_NS, tick, blocks)


def test_positions_count_through_the_blocks_of_an_entry_and_begin_anew_in_the_next() -> None:
    entries = [
        Entry(7, START_NS, False, [block(1, ("x", b"a"), ("x", b"b")), block(2, ("x", b"c"))]),
        Entry(8, START_NS, False, [block(3, ("x", b"d"))]),
    ]
    found = lane().judge(entries)
    assert [(p.position, p.payload) for p in found.problems] == [
        (position_of(7, 0), b"a"),
        (position_of(7, 1), b"b"),
        (position_of(7, 2), b"c"),
        (position_of(8, 0), b"d"),
    ]
    assert {p.reason for p in found.problems} == {judging.NO_FORMAT}
    assert (found.entry, found.messages, found.newest_received_ns) == (8, 4, block(3).received_ns)


def test_evidence_points_at_the_message_in_the_journal() -> None:
    blocks = [block(1, message(1, {"p0": 50.0})), block(2, message(2, {"p0": 95.0}))]
    found = lane().judge([Entry(3, START_NS, False, blocks)])
    opened = next(t for t in found.transitions if t.rule == "gross_range")
    assert opened.first is not None
    assert opened.first.position == position_of(3, 1)


def test_an_entry_of_time_alone_gives_what_time_gives() -> None:
    judged = lane()
    judged.judge([entry(1, 0)])
    found = judged.judge([Entry(2, START_NS + 60 * MINUTE_NS, True, [])])
    assert {t.rule for t in found.transitions} == {"silence"}
    assert (found.messages, len(found.rows), found.newest_received_ns) == (0, 0, 0)
    assert found.written_ns == START_NS + 60 * MINUTE_NS


def outcome(judged: Lane, portions: Sequence[Sequence[Entry]]) -> tuple[Any, ...]:
    transitions, rows, problems = [], [], []
    for portion in portions:
        found = judged.judge(portion)
        transitions += found.transitions
        problems += found.problems
        rows += list(
            zip(
                [tuple(found.keys[place]) for place in found.rows.series.tolist()],
                found.rows.measured_ns.tolist(),
                map(repr, found.rows.value.tolist()),
                found.rows.verdict.tolist(),
                found.rows.raised.tolist(),
                strict=True,
            )
        )
    # Of rows with one key the last one holds; a word that came later may still be in the same portion, or the next.
    return transitions, {row[:2]: row[2:] for row in rows}, problems


stories = st.lists(
    st.tuples(st.lists(st.integers(0, 30), max_size=3), st.booleans(), st.sampled_from([50.0, 62.0, 95.0, 2.0])),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(stories, st.data())
def test_portions_cut_anywhere_give_the_same(story: Any, data: st.DataObject) -> None:
    entries, minute = [], 0
    for number, (minutes, tick, value) in enumerate(story, 1):
        minute += max(minutes, default=1) + 1
        entries.append(entry(number, *[minute - back for back in minutes], tick=tick, values=[value, value + 1]))
        entries[-1].written_ns = START_NS + (minute + 1) * MINUTE_NS
    cuts = sorted(data.draw(st.sets(st.integers(1, len(entries)))) | {0, len(entries)})
    portions = [entries[start:stop] for start, stop in pairwise(cuts)]
    assert outcome(lane(), portions) == outcome(lane(), [entries])


class Noted:
    """A format that notes what it is given."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def decode(self, topic: str, payload: bytes, columns: Columns) -> Sequence[tuple[str, str]]:
        self.seen.append(topic)
        return ()


def test_the_format_of_a_topic_is_chosen_once_by_source_and_topic() -> None:
    asked: list[tuple[str, str]] = []
    noted = Noted()

    def choose(source: str, topic: str) -> Format | None:
        asked.append((source, topic))
        return noted if topic != "dark" else None

    judged = Lane(Engine(Handmade([])), 0, lambda: choose)
    for number in range(1, 4):
        found = judged.judge([Entry(number, START_NS, False, [block(0, ("a", b""), ("dark", b""), ("a", b""))])])
        assert len(found.problems) == 1
    assert asked == [("mqtt", "a"), ("mqtt", "dark")]
    assert noted.seen == ["a"] * 6


def test_a_flood_of_topics_does_not_fill_the_memory() -> None:
    judged = Lane(Engine(Handmade([])), 0, json_formats)
    topics = [(f"t/{n}", b"") for n in range(judging.MOST_TOPICS + 10)]
    found = judged.judge([Entry(1, START_NS, False, [block(0, *topics)])])
    assert len(found.problems) == len(topics)
    assert len(judged._formats) <= judging.MOST_TOPICS


def test_messages_without_readings_give_empty_columns_of_the_right_kind() -> None:
    found = lane().judge([Entry(1, START_NS, False, [block(0, ("x", b""))])])
    assert [found.rows.series.dtype.name, found.rows.raised.dtype.name] == ["int64", "uint64"]
