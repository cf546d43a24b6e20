"""A member whose client behaves as the real one will not when asked: a scripted one in its place."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, GroupAuthorizationFailedError, IllegalStateError

from ingest.message import Block
from ingest.records import PartFailed, Rebalanced, Record
from ingest.sources.kafka import KafkaSourceSettings
from ingest.sources.kafka.inbox import Inbox, InboxToken
from ingest.sources.kafka.member import Member

ONE, OTHER = TopicPartition("t", 0), TopicPartition("t", 1)


class ScriptedClient:
    """Commits what it is told, or raises what the script has next."""

    def __init__(self, script: Iterator[Exception]) -> None:
        self.mine = {ONE, OTHER}
        self.commits: list[dict[TopicPartition, int]] = []
        self._script = script

    def assignment(self) -> set[TopicPartition]:
        return self.mine

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.commits.append(offsets)
        if (error := next(self._script, None)) is not None:
            raise error


class Scene:
    def __init__(self, *script: Exception, revoke_wait_s: float = 1.0) -> None:
        said: dict[str, Any] = {
            "client_id": "c",
            "topics": ["t"],
            "revoke_wait_s": revoke_wait_s,
            "commit_every_s": 0.01,
        }
        self.settings = KafkaSourceSettings(**said)
        self.records: list[Record] = []
        self.inbox = Inbox(100, 10_000)
        self.client = ScriptedClient(iter(script))

    def run(self, story: Callable[[Member], Any]) -> None:
        async def told() -> None:
            member = Member(self.settings, self.inbox, lambda: 0, self.records.append)
            await member._consumer.stop()
            member._consumer = self.client
            await story(member)

        asyncio.run(told())

    def comes(self, place: TopicPartition, *offsets: int) -> None:
        payloads = [b"x"] * len(offsets)
        block = Block("kafka", 0, [place.topic] * len(offsets), payloads, [], [], place.partition, list(offsets))
        self.inbox.put([block], {place: offsets[-1] + 1})

    def take(self) -> InboxToken:
        taken = self.inbox.take()
        assert taken is not None
        assert isinstance(taken.token, InboxToken)
        return taken.token

    def told(self, kind: type[Record]) -> list[Any]:
        return [record for record in self.records if isinstance(record, kind)]


def test_an_error_while_partitions_are_given_away_is_told_and_they_are_given_away() -> None:
    """The client logs what its listener raises, and goes on as if all had been committed."""
    scene = Scene(ZeroDivisionError("of nobody's making"))
    scene.comes(ONE, 0)
    scene.inbox.acknowledge(scene.take())
    scene.run(lambda member: member.on_partitions_revoked({ONE, OTHER}))
    (failed,) = scene.told(PartFailed)
    assert "ZeroDivisionError" in failed.error
    assert scene.inbox.due() == {}
    assert scene.told(Rebalanced) == [Rebalanced("kafka", 0, 0)]


def test_a_commit_that_comes_too_late_is_no_failure_of_ours() -> None:
    scene = Scene(CommitFailedError("rebalanced"))
    scene.comes(ONE, 0)
    scene.inbox.acknowledge(scene.take())
    scene.run(lambda member: member.on_partitions_revoked({ONE, OTHER}))
    assert not scene.told(PartFailed)
    assert scene.inbox.due() == {}


def test_while_partitions_are_given_away_exactly_what_is_durable_is_committed() -> None:
    scene = Scene(revoke_wait_s=0.2)
    scene.comes(ONE, 0, 1)
    scene.inbox.acknowledge(scene.take())
    scene.comes(ONE, 2)
    scene.comes(OTHER, 7)
    scene.take()  # never durable
    began_s = time.monotonic()
    scene.run(lambda member: member.on_partitions_revoked({ONE, OTHER}))
    assert 0.2 <= time.monotonic() - began_s < 2
    assert scene.client.commits == [{ONE: 2}]
    assert scene.told(Rebalanced) == [Rebalanced("kafka", 0, 2)]


def test_a_new_member_that_has_nothing_to_give_away_waits_for_nothing() -> None:
    scene = Scene(revoke_wait_s=30)
    scene.comes(ONE, 0)
    began_s = time.monotonic()
    scene.run(lambda member: member.on_partitions_revoked(set()))
    assert time.monotonic() - began_s < 1


def test_offsets_of_partitions_that_are_not_ours_are_not_sent() -> None:
    """The client raises for the whole commit, and ours would stay uncommitted with it."""
    scene = Scene()
    scene.client.mine = {ONE}
    scene.comes(ONE, 0)
    scene.comes(OTHER, 0)
    scene.inbox.acknowledge(scene.take())
    scene.run(lambda member: member._commit_due())
    assert scene.client.commits == [{ONE: 1}]


@pytest.mark.parametrize("error", [CommitFailedError("moved on"), IllegalStateError("not assigned"), TimeoutError()])
def test_a_refused_commit_stays_due_and_is_tried_again(error: Exception) -> None:
    scene = Scene(error, error, ConsumerStoppedError())
    scene.comes(ONE, 0)
    scene.inbox.acknowledge(scene.take())
    with pytest.raises(ConsumerStoppedError):
        scene.run(lambda member: member._commit())
    assert scene.client.commits == [{ONE: 1}] * 3
    assert scene.inbox.due() == {ONE: 1}


def test_a_commit_that_will_never_be_allowed_ends_the_life_of_the_member() -> None:
    scene = Scene(GroupAuthorizationFailedError("g"))
    scene.comes(ONE, 0)
    scene.inbox.acknowledge(scene.take())
    with pytest.raises(GroupAuthorizationFailedError):
        scene.run(lambda member: member._commit())
