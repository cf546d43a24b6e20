"""Any sequence of recording, crashing, replaying, restarting and delivering keeps the ledger's promises."""

import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import event

from alerts.channel import DeliveryFailed
from alerts.delivery import Delivery, Patience
from alerts.events import AlertEvent
from alerts.ledger import SqlLedger
from alerts.routing import Route
from rules.readings import SECOND_NS
from tests.alerts.found import NOON_NS, Inbox, story

POOL = [transition for n in range(6) for transition in story(n, f"S{n % 2}")]


class Crash(BaseException):
    """The process is gone."""


class Receiver(Inbox):
    """Fails and dies as it is told, before or after it has the event."""

    def __init__(self) -> None:
        super().__init__()
        self.mood = "well"

    def send(self, event: AlertEvent) -> None:
        mood, self.mood = self.mood, "well"
        if mood == "fails":
            raise DeliveryFailed("inbox", "server", "HTTP 500")
        super().send(event)
        if mood == "dies":
            raise Crash


class LedgerStates(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.url = f"sqlite:///{Path(self.folder.name) / 'ledger.sqlite'}"
        self.now_ns = NOON_NS
        self.receiver = Receiver()
        self.recorded: set[str] = set()
        self.judged = self.stored = 0
        self.snapshots: set[int] = set()
        self.open()

    def open(self) -> None:
        self.ledger = SqlLedger(self.url, [Route(channel="inbox")], lambda: self.now_ns)
        self.delivery = Delivery(
            self.ledger,
            "inbox",
            self.receiver,
            lambda: self.now_ns,
            lambda _record: None,
            patience=Patience(first_s=1, most_s=8),
            monotonic=lambda: self.now_ns / SECOND_NS,
            dice=random.Random(1),
        )

    @rule()
    def restart(self) -> None:
        self.ledger.close()
        self.open()

    @rule(
        first=st.integers(0, len(POOL)),
        many=st.integers(0, 5),
        judged=st.integers(0, 50),
        lag=st.integers(0, 20),
        snapshot=st.booleans(),
    )
    def record(self, first: int, many: int, judged: int, lag: int, snapshot: bool) -> None:
        """New ones and known ones, forwards and backwards."""
        self._record(first, many, judged, lag, snapshot)
        self.recorded |= {transition.id for transition in POOL[first : first + many]}
        self.judged = max(self.judged, judged)
        self.stored = max(self.stored, judged - lag)
        if snapshot:
            self.snapshots.add(judged)

    @rule(
        first=st.integers(0, len(POOL)), many=st.integers(0, 5), judged=st.integers(0, 50), statement=st.integers(1, 8)
    )
    def crash_while_recording(self, first: int, many: int, judged: int, statement: int) -> None:
        """After that many statements the process is gone, and nothing of the record holds."""
        done = 0

        def count(*_: Any) -> None:
            nonlocal done
            done += 1
            if done > statement:
                raise Crash

        event.listen(self.ledger._engine, "before_cursor_execute", count)
        try:
            self._record(first, many, judged, 0, snapshot=True)
        except Crash:
            pass
        else:
            self.recorded |= {transition.id for transition in POOL[first : first + many]}
            self.judged, self.stored = max(self.judged, judged), max(self.stored, judged)
            self.snapshots.add(judged)
        event.remove(self.ledger._engine, "before_cursor_execute", count)
        self.restart()

    def _record(self, first: int, many: int, judged: int, lag: int, snapshot: bool) -> None:
        found = POOL[first : first + many]
        self.ledger.record(found, judged=judged, stored=judged - lag, snapshot=b"%d" % judged if snapshot else None)

    @rule(mood=st.sampled_from(["well", "fails", "dies"]), passes_s=st.integers(0, 10))
    def deliver(self, mood: str, passes_s: int) -> None:
        self.now_ns += passes_s * SECOND_NS
        self.receiver.mood = mood
        try:
            self.delivery.step()
        except Crash:
            self.restart()

    @invariant()
    def the_cursor_is_the_highest_told_and_its_snapshot_is_there(self) -> None:
        resumed = self.ledger.resume()
        assert (resumed.judged, resumed.stored) == (self.judged, max(0, self.stored))
        mark = max((mark for mark in self.snapshots if mark <= resumed.stored), default=0)
        assert resumed.mark == mark
        assert resumed.snapshot == (b"%d" % mark if mark in self.snapshots else None)

    @invariant()
    def every_change_is_kept_once_and_only_kept_ones_are_told(self) -> None:
        kept = Counter(t.id for episode in self.ledger.episodes() for t in self.ledger.transitions(episode.id))
        assert set(kept) == self.recorded
        assert set(kept.values()) <= {1}
        assert set(self.receiver.ids) <= self.recorded

    def teardown(self) -> None:
        """When the receiver is well again everything has been told, once the episodes' order is looked at."""
        self.receiver.mood = "well"  # a mood for which nothing was due still waits
        for _ in range(60):
            self.now_ns += 10 * SECOND_NS
            self.delivery.step()
        assert set(self.receiver.ids) == self.recorded
        assert all(lag.due == lag.dead == 0 for lag in self.ledger.outbox_lag())
        for station in {told.subject for told in self.receiver.events}:
            first_told = list(dict.fromkeys(e.sequence for e in self.receiver.events if e.subject == station))
            assert first_told == sorted(first_told)
        self.ledger.close()
        self.folder.cleanup()


LedgerStates.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
TestLedgerStates = LedgerStates.TestCase
