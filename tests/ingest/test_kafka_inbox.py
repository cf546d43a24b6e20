"""What may be committed to Kafka: in order, only what is durable, nothing of partitions that were given away."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.strategies import data, integers, sampled_from

from ingest.message import Block
from ingest.sources.kafka.inbox import Inbox, InboxToken, Partition

ONE, OTHER = ("t", 0), ("t", 1)


def block(place: Partition, *offsets: int) -> Block:
    topic, partition = place
    payloads = [b"%d" % offset for offset in offsets]
    return Block("kafka", 0, [topic] * len(offsets), payloads, [], [], partition, list(offsets))


def put(inbox: Inbox, place: Partition, *offsets: int) -> None:
    inbox.put([block(place, *offsets)], {place: offsets[-1] + 1})


def token_of(inbox: Inbox) -> InboxToken:
    taken = inbox.take()
    assert taken is not None
    assert isinstance(taken.token, InboxToken)
    return taken.token


def test_an_offset_is_due_when_its_message_is_durable_and_not_before() -> None:
    inbox = Inbox(100, 1_000)
    put(inbox, ONE, 4, 5)
    assert inbox.due() == {}
    token = token_of(inbox)
    assert inbox.due() == {}
    inbox.acknowledge(token)
    assert inbox.due() == {ONE: 6}
    inbox.committed({ONE: 6})
    assert inbox.due() == {}


def test_what_became_durable_while_a_commit_was_under_way_stays_due() -> None:
    inbox = Inbox(100, 1_000)
    put(inbox, ONE, 0)
    inbox.acknowledge(token_of(inbox))
    sent = inbox.due()
    put(inbox, ONE, 1)
    inbox.acknowledge(token_of(inbox))
    inbox.committed(sent)
    assert inbox.due() == {ONE: 2}


def test_nothing_overtakes_what_came_before_it() -> None:
    inbox = Inbox(100, 1_000)
    put(inbox, ONE, 0)
    first = token_of(inbox)
    put(inbox, ONE, 1)
    second = token_of(inbox)
    inbox.acknowledge(second)
    assert inbox.due() == {}
    inbox.acknowledge(first)
    assert inbox.due() == {ONE: 2}


def test_acknowledgements_for_partitions_that_were_given_away_are_dropped() -> None:
    """Whoever has them now reads from where we committed last; it is not for us to move that."""
    inbox = Inbox(100, 1_000)
    put(inbox, ONE, 0)
    taken_before = token_of(inbox)
    put(inbox, ONE, 1, 2)
    assert inbox.give_away() == 3
    put(inbox, OTHER, 7)
    inbox.acknowledge(taken_before)
    assert inbox.due() == {}
    inbox.acknowledge(token_of(inbox))  # 1 and 2 of ONE, 7 of OTHER
    assert inbox.due() == {OTHER: 8}
    assert inbox.held == 0


def test_what_is_given_away_still_fills_the_window_until_it_is_durable() -> None:
    inbox = Inbox(3, 1_000)
    put(inbox, ONE, 0, 1, 2)
    token = token_of(inbox)
    inbox.give_away()
    assert inbox.room() == 0
    inbox.acknowledge(token)
    assert inbox.room() == 3


def test_bytes_fill_the_window_as_well_as_messages() -> None:
    inbox = Inbox(100, 4)
    put(inbox, ONE, 0, 1)
    assert inbox.room() == 3, "as many as fit, by the size of the last, and one more"
    put(inbox, ONE, 10)
    assert inbox.room() == 0


def test_keys_and_headers_fill_it_too() -> None:
    inbox = Inbox(100, 2_000)
    inbox.put([Block("k", 0, ["t"], [b"x"], [b"k" * 1_000], [[("name", b"v" * 1_000)]])], {ONE: 1})
    assert inbox.room() == 0


def test_a_token_counts_once() -> None:
    inbox = Inbox(100, 1_000)
    put(inbox, ONE, 0)
    token = token_of(inbox)
    inbox.acknowledge(token)
    with pytest.raises(ValueError, match="before"):
        inbox.acknowledge(token)


class Stories(RuleBasedStateMachine):
    """A member against the simplest model: two partitions, a journal that is a set, and Kafka's memory of the group."""

    @initialize()
    def begin(self) -> None:
        self.inbox = Inbox(1_000, 100_000)
        self.next = {ONE: 0, OTHER: 0}
        self.tokens: list[tuple[InboxToken, list[tuple[Partition, int]]]] = []
        self.journal: set[tuple[Partition, int]] = set()
        self.in_kafka = {ONE: 0, OTHER: 0}

    @rule(place=sampled_from([ONE, OTHER]), many=integers(1, 3))
    def comes(self, place: Partition, many: int) -> None:
        put(self.inbox, place, *range(self.next[place], self.next[place] + many))
        self.next[place] += many

    @rule()
    def is_taken(self) -> None:
        taken = self.inbox.take()
        if taken is not None:
            assert isinstance(taken.token, InboxToken)
            places: list[tuple[Partition, int]] = [
                ((b.topics[0], b.partition), offset) for b in taken.blocks for offset in b.offsets
            ]
            self.tokens.append((taken.token, places))

    @precondition(lambda self: self.tokens)
    @rule(choice=data())
    def is_durable(self, choice: Any) -> None:
        token, places = self.tokens.pop(choice.draw(integers(0, len(self.tokens) - 1)))
        self.journal |= set(places)
        self.inbox.acknowledge(token)

    @rule()
    def is_committed(self) -> None:
        due = self.inbox.due()
        self.in_kafka |= due
        self.inbox.committed(due)

    @rule()
    def is_dealt_anew(self) -> None:
        """To us again, from where the group is."""
        self.inbox.give_away()
        self.next = dict(self.in_kafka)

    @invariant()
    def everything_before_a_committed_offset_is_in_the_journal(self) -> None:
        for place, offset in self.in_kafka.items():
            assert {(place, earlier) for earlier in range(offset)} <= self.journal

    @invariant()
    def a_commit_never_goes_back(self) -> None:
        for place, offset in self.inbox.due().items():
            assert offset > self.in_kafka[place]


Stories.TestCase.settings = settings(max_examples=200, deadline=None)
TestStories = Stories.TestCase
