"""An acknowledgement is a promise that a message is durable; these tests look for any way to break it."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ingest.acks import AckToken, AckWindow


class AcksOfAnySource(RuleBasedStateMachine):
    """The model knows each message by (epoch, mid); the window only sees mids."""

    def __init__(self) -> None:
        super().__init__()
        self.window = AckWindow(most_messages=20, most_bytes=1_000)
        self.epoch = self.window.connected()
        self.next_mid = 1
        self.arrived: list[tuple[int, int]] = []  # of this epoch, in order
        self.untaken: list[tuple[int, int]] = []
        self.untaken_messages = 0
        self.open: list[tuple[AckToken, list[tuple[int, int]], int]] = []
        self.spent: list[AckToken] = []
        self.durable: set[tuple[int, int]] = set()
        self.acked: list[tuple[int, int]] = []  # of this epoch, in order
        self.held = 0

    @precondition(lambda self: not self.window.full)
    @rule(qos1=st.integers(0, 4), qos0=st.integers(0, 2))
    def messages_arrive(self, qos1: int, qos0: int) -> None:
        mids = [(self.next_mid + n - 1) % 65_535 + 1 for n in range(qos1)]
        self.next_mid += qos1
        self.window.arrived(self.epoch, mids, qos1 + qos0, 10 * (qos1 + qos0))
        messages = [(self.epoch, mid) for mid in mids]
        self.arrived += messages
        self.untaken += messages
        self.untaken_messages += qos1 + qos0
        self.held += qos1 + qos0

    @precondition(lambda self: not self.window.full and len(self.arrived) > len(self.acked))
    @rule(which=st.integers(0, 99))
    def one_is_sent_again_before_it_was_acknowledged(self, which: int) -> None:
        waiting = self.arrived[len(self.acked) :]
        self.window.arrived(self.epoch, [waiting[which % len(waiting)][1]], 1, 10)
        self.untaken_messages += 1
        self.held += 1

    @rule()
    def take(self) -> None:
        token = self.window.take()
        assert (token is None) == (self.untaken_messages == 0)
        if token is not None:
            self.open.append((token, self.untaken, self.untaken_messages))
        self.untaken, self.untaken_messages = [], 0

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9))
    def some_token_becomes_durable(self, which: int) -> None:
        token, messages, count = self.open.pop(which % len(self.open))
        self.durable.update(messages)
        self.held -= count
        self.acked += [(self.epoch, mid) for mid in self.window.durable(token)]
        self.spent.append(token)

    @precondition(lambda self: self.spent)
    @rule(which=st.integers(0, 99))
    def a_token_is_given_twice(self, which: int) -> None:
        assert self.window.durable(self.spent[which % len(self.spent)]) == []

    @rule()
    def reconnect(self) -> None:
        self.epoch = self.window.connected()
        self.next_mid = 1  # the new connection uses the same numbers for other messages
        self.arrived, self.acked = [], []

    @invariant()
    def acknowledged_in_order_without_gaps_on_this_epoch_only(self) -> None:
        assert self.acked == self.arrived[: len(self.acked)]

    @invariant()
    def numbers_in_use_are_known(self) -> None:
        waiting = {mid for _, mid in self.arrived[len(self.acked) :]}
        assert {mid for mid in range(1, self.next_mid + 1) if self.window.awaits(mid)} == waiting

    @invariant()
    def only_durable_is_acknowledged(self) -> None:
        assert self.durable.issuperset(self.acked)

    @invariant()
    def what_may_be_acknowledged_does_not_wait(self) -> None:
        waiting = self.arrived[len(self.acked) :]
        assert not waiting or waiting[0] not in self.durable

    @invariant()
    def room_is_counted_over_all_epochs(self) -> None:
        assert self.window.held == self.held
        assert self.window.full == (self.held >= 20)


AcksOfAnySource.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAcksOfAnySource = AcksOfAnySource.TestCase


def test_bytes_fill_the_window_too() -> None:
    window = AckWindow(most_messages=1_000, most_bytes=100)
    window.arrived(window.connected(), [1], 1, 100)
    assert window.full
    token = window.take()
    assert token is not None
    assert window.durable(token) == [1]
    assert not window.full


def test_what_came_before_a_reconnect_stays_but_is_not_acknowledged() -> None:
    """Taken together with what came after it, on one token: only the new connection's messages are acknowledged."""
    window = AckWindow(most_messages=10, most_bytes=100)
    window.arrived(window.connected(), [1, 2], 2, 2)
    window.arrived(window.connected(), [1], 1, 1)
    token = window.take()
    assert token is not None
    assert window.held == 3
    assert window.durable(token) == [1]
    assert window.held == 0


def test_a_late_word_from_an_old_connection_is_never_acknowledged() -> None:
    window = AckWindow(most_messages=10, most_bytes=100)
    old = window.connected()
    window.connected()
    window.arrived(old, [7], 1, 1)
    token = window.take()
    assert token is not None
    assert window.durable(token) == []


@pytest.mark.parametrize("again", [[1, 1, 2], [2, 3, 3]])
def test_a_number_is_acknowledged_once_however_often_it_came(again: list[int]) -> None:
    window = AckWindow(most_messages=10, most_bytes=100)
    epoch = window.connected()
    window.arrived(epoch, [1, 2], 2, 2)
    first = window.take()
    window.arrived(epoch, again, 3, 3)
    second = window.take()
    assert first is not None
    assert second is not None
    acked = window.durable(first) + window.durable(second)
    assert acked == sorted(set(acked))
