"""Members of one group come and go: nothing deadlocks, nothing is lost, and what was given away is not committed."""

import time
from itertools import count
from typing import Any

import pytest

from ingest.message import Taken
from ingest.records import ConnectionLost, PartFailed, Rebalanced
from tests.services.kafka import Kafka
from tests.services.kafka_probe import Probe, until
from tests.services.kafka_topics import Written, committed, make_topic, write

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]
NUMBERS = count()


@pytest.fixture
def topic(kafka: Kafka) -> str:
    """A topic of four partitions that nobody else uses."""
    name = f"group.{next(NUMBERS)}"
    make_topic(kafka.address, name, 4)
    return name


def spread(many: int, begin: int = 0) -> list[Written]:
    return [Written(b"%d" % n, partition=n % 4) for n in range(begin, begin + many)]


def has(probe: Probe, partitions: int) -> bool:
    dealt = probe.told(Rebalanced)
    return bool(dealt) and dealt[-1].partitions == partitions


def dealt_to(*probes: Probe) -> bool:
    """Two partitions each, to two."""
    return all(has(probe, 2) for probe in probes)


def test_a_second_member_gets_half_and_nothing_comes_twice_when_the_journal_is_quick(kafka: Kafka, topic: str) -> None:
    write(kafka.address, topic, spread(1_000))
    with Probe(kafka.address, topic) as one:
        one.take_and_acknowledge(1_000)
        with Probe(kafka.address, topic) as other:
            until(lambda: dealt_to(one, other))
            write(kafka.address, topic, spread(1_000, begin=1_000))

            def everything() -> bool:
                for probe in (one, other):
                    probe.take_and_acknowledge(0)
                return len(one.payloads) + len(other.payloads) >= 2_000

            until(everything)
            time.sleep(0.5)
            assert not one.take_now()
            assert not other.take_now()
        assert len(other.payloads) == 500
        assert sorted(one.places + other.places) == [(p, offset) for p in range(4) for offset in range(500)]
        assert all(dealt.left == 0 for dealt in one.told(Rebalanced))
        until(lambda: has(one, 4))  # the other left in good order: nobody waits for its session to end


def test_what_is_on_its_way_to_the_journal_is_waited_for_and_committed(kafka: Kafka, topic: str) -> None:
    write(kafka.address, topic, spread(400))
    with Probe(kafka.address, topic, revoke_wait_s=10, commit_every_s=60) as one:
        tokens = one.take(400)
        with Probe(kafka.address, topic) as other:
            time.sleep(2)
            assert has(one, 4), "it does not let go while its journal is at work"
            one.acknowledge(tokens)
            until(lambda: dealt_to(one, other))
            assert committed(kafka.address, one.settings.group) == {(topic, p): 100 for p in range(4)}
            assert other.nothing_comes(for_s=1)


def test_a_journal_that_stands_still_holds_up_the_group_for_a_bounded_time_only(kafka: Kafka, topic: str) -> None:
    """What it did not write comes again, and a late word about it moves nothing."""
    write(kafka.address, topic, spread(400))
    with Probe(kafka.address, topic, revoke_wait_s=1, window_messages=200) as one:
        first = one.take(200)  # never durable, as far as anybody knows in time
        with Probe(kafka.address, topic) as other:
            until(lambda: dealt_to(one, other), within_s=15)
            assert [dealt.left for dealt in one.told(Rebalanced) if not dealt.partitions] == [200]
            one.acknowledge(first)
            time.sleep(0.6)
            assert committed(kafka.address, one.settings.group) == {}

            def everything() -> bool:
                for probe in (one, other):
                    probe.take_and_acknowledge(0)
                return len(one.payloads) + len(other.payloads) >= 600

            until(everything)
            until(lambda: committed(kafka.address, one.settings.group) == {(topic, p): 100 for p in range(4)})
    assert set(one.places + other.places) == {(p, offset) for p in range(4) for offset in range(100)}
    assert not one.told(PartFailed)


def test_a_member_without_a_partition_is_well(kafka: Kafka) -> None:
    topic = f"reserve.{next(NUMBERS)}"
    make_topic(kafka.address, topic, 1)
    with Probe(kafka.address, topic) as one, Probe(kafka.address, topic) as other:
        until(lambda: one.health.ok and other.health.ok and has(one, 1) != has(other, 1))
        reserve = other if has(one, 1) else one
        time.sleep(6)  # longer than silence_s
        assert reserve.health.ok, reserve.health


def test_two_processes_with_one_instance_id_are_told(kafka: Kafka, topic: str) -> None:
    """Each puts the other out of the group at its next heartbeat, for ever."""
    write(kafka.address, topic, spread(100))
    same: dict[str, Any] = {"group_instance_id": "the-same"}
    with Probe(kafka.address, topic, **same) as one, Probe(kafka.address, topic, **same) as other:

        def told() -> bool:
            for probe in (one, other):
                probe.take_and_acknowledge(0)
            return any("another process has the group_instance_id 'the-same'" in p.health.why for p in (one, other))

        until(told, within_s=60)


def test_a_member_with_an_instance_id_gets_its_partitions_back_after_a_restart(kafka: Kafka, topic: str) -> None:
    with Probe(kafka.address, topic, group_instance_id="b", session_timeout_s=30) as other:
        with Probe(kafka.address, topic, group_instance_id="a", session_timeout_s=30) as one:
            until(lambda: dealt_to(one, other))
        before = len(other.told(Rebalanced))
        with Probe(kafka.address, topic, group_instance_id="a", session_timeout_s=30) as again:
            until(lambda: has(again, 2))
            time.sleep(4)
            assert len(other.told(Rebalanced)) == before, "the other was not disturbed"


def test_a_loop_that_stood_still_is_told_and_the_member_recovers(kafka: Kafka, topic: str) -> None:
    """Longer than its session: for the group it was dead."""
    write(kafka.address, topic, spread(400))
    with Probe(kafka.address, topic, silence_s=30) as one:
        one.take_and_acknowledge(400)
        one.well()
        assert one.source._loop.call(time.sleep, 9)
        until(lambda: "the loop of the client had no time" in one.health.why, within_s=8)
        until(lambda: one.health.ok, within_s=30)
        write(kafka.address, topic, spread(400, begin=400))
        one.take_and_acknowledge(800)
        until(lambda: committed(kafka.address, one.settings.group) == {(topic, p): 200 for p in range(4)})
        assert len([dealt for dealt in one.told(Rebalanced) if not dealt.partitions]) <= 1
        assert not one.told(ConnectionLost)


def test_a_token_of_another_source_is_refused(kafka: Kafka, topic: str) -> None:
    with Probe(kafka.address, topic) as one, pytest.raises(TypeError):
        one.source.acknowledge(Taken([], None))
