"""Delivery: at least once, a station's notices in order, a channel that is down delays nobody else."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.channel import Channel, DeliveryFailed
from alerts.delivery import MOST_AT_ONCE, MOST_STEP_S, Delivery, Patience
from alerts.events import AlertEvent
from alerts.ledger import SqlLedger
from alerts.records import LedgerRefused, NoticeDead, NoticeFailed, NoticeSent, Record
from alerts.routing import Route
from rules.readings import SECOND_NS, Transition
from tests.alerts.found import NOON_NS, Inbox, change, story

PATIENCE = Patience(first_s=1, most_s=8, most_asked_s=100, max_age_s=3600, idle_s=0.25)


class Scripted(Inbox):
    """Raises what its script says for an event, by turns; then takes it."""

    def __init__(self, *script: Exception, only: str = "") -> None:
        super().__init__()
        self.script = list(script)
        self.only = only

    def send(self, event: AlertEvent) -> None:
        if self.script and self.only in event.subject:
            raise self.script.pop(0)
        super().send(event)


def failed(reason: str = "server", retry_after_s: float | None = 0.0) -> DeliveryFailed:
    return DeliveryFailed("a", reason, "as told", retry_after_s=retry_after_s)  # type: ignore[arg-type]  # tests name reasons in data


@dataclass
class World:
    """One ledger, a clock that a test moves, and what was told about it."""

    folder: Path
    now_s: float = 0.0
    records: list[Record] = field(default_factory=list)

    def clock(self) -> int:
        return NOON_NS + int(self.now_s * SECOND_NS)

    def ledger(self, *channels: str) -> SqlLedger:
        url = f"sqlite:///{self.folder / 'ledger.sqlite'}"
        return SqlLedger(url, [Route(channel=name) for name in channels or ("a",)], self.clock)

    def delivery(self, ledger: SqlLedger, channel: Channel, name: str = "a") -> Delivery:
        return Delivery(
            ledger,
            name,
            channel,
            self.clock,
            self.records.append,
            patience=PATIENCE,
            monotonic=lambda: self.now_s,
            dice=random.Random(1),
        )

    def of(self, kind: type[Record]) -> list[Record]:
        return [record for record in self.records if isinstance(record, kind)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def ledger(world: World) -> Iterator[SqlLedger]:
    ledger = world.ledger()
    yield ledger
    ledger.close()


def record(ledger: SqlLedger, *found: Transition) -> None:
    ledger.record(found, judged=1, stored=1, snapshot=None)


def run(world: World, delivery: Delivery, for_s: float) -> None:
    """Calls `step` as its thread would."""
    until_s = world.now_s + for_s
    while world.now_s < until_s:
        world.now_s += max(delivery.step(), 0.001)


def test_everything_is_told_in_order_and_once(world: World, ledger: SqlLedger) -> None:
    inbox = Inbox()
    found = [t for n in range(80) for t in story(n, f"S{n % 7}")]
    record(ledger, *found)
    delivery = world.delivery(ledger, inbox)
    assert delivery.step() == 0.0, "there is more than one step sends"
    assert len(inbox.ids) == MOST_AT_ONCE
    run(world, delivery, 2)
    assert inbox.ids == [t.id for t in found]
    assert delivery.step() == PATIENCE.idle_s
    assert len(world.of(NoticeSent)) == len(found)
    assert ledger.outbox_lag()[0].due == 0


def test_a_failed_notice_holds_its_own_station_only(world: World, ledger: SqlLedger) -> None:
    channel = Scripted(failed(), only="A")
    bad, good = story(1, "A"), story(2, "B")
    record(ledger, *bad, *good)
    delivery = world.delivery(ledger, channel)
    delivery.step()
    assert channel.ids == [t.id for t in good]
    run(world, delivery, 3)
    assert channel.ids == [t.id for t in good + bad]


@pytest.mark.parametrize("reason", ["auth", "rate_limited", "timeout", "unreachable"])
def test_what_every_notice_would_meet_pauses_the_channel(world: World, ledger: SqlLedger, reason: str) -> None:
    channel = Scripted(failed(reason))
    record(ledger, *story(1, "A"), *story(2, "B"))
    delivery = world.delivery(ledger, channel)
    pause_s = delivery.step()
    assert channel.ids == []
    assert 0.5 <= pause_s <= 1
    assert delivery.step() == pytest.approx(pause_s), "it sleeps"
    run(world, delivery, 3)
    assert len(channel.ids) == 6


def test_a_receiver_that_refuses_everything_is_not_asked_by_every_station(world: World, ledger: SqlLedger) -> None:
    channel = Scripted(*[failed()] * 1000)
    record(ledger, *(t for n in range(50) for t in story(n, f"S{n}")))
    world.delivery(ledger, channel).step()
    assert len(world.of(NoticeFailed)) == 3


def test_failures_that_are_not_in_a_row_do_not_pause_the_channel(world: World, ledger: SqlLedger) -> None:
    class EverySecond(Inbox):
        """Refuses one of two stations."""

        def send(self, event: AlertEvent) -> None:
            if int(event.subject[1:]) % 2:
                raise failed()
            super().send(event)

    channel = EverySecond()
    record(ledger, *(change(station=f"S{n}", episode=f"{n}") for n in range(20)))
    world.delivery(ledger, channel).step()
    assert len(channel.ids) == 10


def test_pauses_grow_and_have_an_end(world: World, ledger: SqlLedger) -> None:
    channel = Scripted(*[failed("unreachable")] * 12)
    record(ledger, change())
    run(world, world.delivery(ledger, channel), 120)
    pauses = [record.retry_after_s for record in world.of(NoticeFailed) if isinstance(record, NoticeFailed)]
    assert len(pauses) == 12
    for n, pause_s in enumerate(pauses):
        whole_s = min(8, 2**n)
        assert whole_s / 2 < pause_s <= whole_s
    assert len(channel.ids) == 1


@settings(deadline=None)
@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_positive_and_bounded(failures: int, chance: float) -> None:
    assert 0 < PATIENCE.pause_s(failures, chance) <= PATIENCE.most_s


def test_a_receiver_may_ask_for_more_patience_but_not_for_ever(world: World, ledger: SqlLedger) -> None:
    record(ledger, change())
    delivery = world.delivery(ledger, Scripted(failed("rate_limited", 60), failed("rate_limited", 1e9)))
    assert delivery.step() == 60
    world.now_s += 60
    assert delivery.step() == PATIENCE.most_asked_s


def test_what_is_refused_for_good_is_dead_kept_and_shown_and_the_next_goes_on(world: World, ledger: SqlLedger) -> None:
    channel = Scripted(failed("client", None))
    opening, worsening, clearing = story(1, "A")
    record(ledger, opening, worsening, clearing)
    run(world, world.delivery(ledger, channel), 1)
    assert channel.ids == [worsening.id, clearing.id]
    assert ledger.outbox_lag()[0].dead == 1
    (dead,) = world.of(NoticeDead)
    assert isinstance(dead, NoticeDead)
    assert dead.transition == opening.id
    assert len(ledger.transitions(opening.episode)) == 3


def test_what_nobody_takes_dies_of_age_and_not_before(world: World, ledger: SqlLedger) -> None:
    channel = Scripted(*[failed("unreachable")] * 100_000)
    record(ledger, change())
    delivery = world.delivery(ledger, channel)
    run(world, delivery, PATIENCE.max_age_s - 10)
    assert ledger.outbox_lag()[0].due == 1
    run(world, delivery, 30)
    assert ledger.outbox_lag()[0].dead == 1
    world.now_s += 10 * PATIENCE.max_age_s
    record(ledger, *story(2, "B"))
    channel.script.clear()
    run(world, delivery, 1)
    assert len(channel.ids) == 3, "age alone kills nothing"


def test_an_unforeseen_error_of_a_channel_is_a_failure_like_others(world: World, ledger: SqlLedger) -> None:
    channel = Scripted(RuntimeError("a mistake"))
    record(ledger, change())
    delivery = world.delivery(ledger, channel)
    delivery.step()
    (told,) = world.of(NoticeFailed)
    assert isinstance(told, NoticeFailed)
    assert "a mistake" in told.error
    run(world, delivery, 2)
    assert len(channel.ids) == 1


class Killed(BaseException):
    """The process is gone."""


class DiesAfter(Inbox):
    def send(self, event: AlertEvent) -> None:
        super().send(event)
        raise Killed


def test_a_crash_between_send_and_mark_sends_the_same_bytes_again(world: World) -> None:
    before, after = DiesAfter(), Inbox()
    first = world.ledger()
    record(first, change())
    with pytest.raises(Killed):
        world.delivery(first, before).step()
    first.close()
    world.now_s += 100
    second = world.ledger()
    world.delivery(second, after).step()
    second.close()
    assert [event.to_bytes() for event in before.events] == [event.to_bytes() for event in after.events]


def test_a_restart_goes_on_where_it_was(world: World) -> None:
    found = story(1, "A")
    first = world.ledger()
    record(first, *found)
    channel = Scripted(failed("unreachable"))
    world.delivery(first, channel).step()
    first.close()
    second = world.ledger()
    run(world, world.delivery(second, channel), 3)
    record(second, *found)
    run(world, world.delivery(second, channel), 3)
    second.close()
    assert channel.ids == [t.id for t in found]


def test_a_thousand_changes_reach_the_others_while_one_channel_is_down(world: World) -> None:
    ledger = world.ledger("down", "up", "also up")
    down = Scripted(*[failed("timeout")] * 10_000)
    up, also_up = Inbox(), Inbox()
    found = [t for n in range(334) for t in story(n, f"S{n % 20}")][:1000]
    record(ledger, *found)
    deliveries = [
        world.delivery(ledger, channel, name) for name, channel in (("down", down), ("up", up), ("also up", also_up))
    ]
    while ledger.outbox_lag()[0].due or ledger.outbox_lag()[2].due:
        for delivery in deliveries:
            delivery.step()
    assert up.ids == also_up.ids == [t.id for t in found]
    assert world.now_s == 0, "nobody waited"
    assert len(world.of(NoticeFailed)) == 1
    assert [(lag.channel, lag.due) for lag in ledger.outbox_lag()] == [("also up", 0), ("down", 1000), ("up", 0)]
    ledger.close()


def test_a_ledger_that_cannot_be_used_makes_delivery_wait(world: World, ledger: SqlLedger) -> None:
    record(ledger, change())
    inbox = Inbox()
    delivery = world.delivery(ledger, inbox)
    path = world.folder / "ledger.sqlite"
    ledger.close()
    kept = path.read_bytes()
    path.write_bytes(b"")
    assert delivery.step() == PATIENCE.first_s
    assert len(world.of(LedgerRefused)) == 1
    ledger.close()
    path.write_bytes(kept)
    run(world, delivery, 3)
    assert len(inbox.ids) == 1


def test_records_tell_when_it_happened_when_it_was_found_and_when_it_was_sent(world: World, ledger: SqlLedger) -> None:
    world.now_s = 9
    record(ledger, change())
    world.delivery(ledger, Inbox()).step()
    assert world.records == [NoticeSent("a", 0.0, NOON_NS, NOON_NS + 5 * SECOND_NS, NOON_NS + 9 * SECOND_NS)]


def test_closing_closes_the_channel(world: World, ledger: SqlLedger) -> None:
    class Closes(Inbox):
        closed = False

        def close(self) -> None:
            self.closed = True

    channel = Closes()
    closing: Callable[[], None] = world.delivery(ledger, channel).close
    closing()
    assert channel.closed


def test_a_step_ends_soon_although_a_slow_receiver_has_many_to_get(world: World, ledger: SqlLedger) -> None:
    class Slow(Inbox):
        """Takes a while for each."""

        def send(self, event: AlertEvent) -> None:
            world.now_s += 0.3
            super().send(event)

    channel = Slow()
    record(ledger, *(change(station=f"S{n}", episode=f"{n}") for n in range(20)))
    delivery = world.delivery(ledger, channel)
    assert delivery.step() == 0.0, "there is more"
    assert world.now_s < MOST_STEP_S + 0.5
    run(world, delivery, 10)
    assert len(channel.ids) == 20
