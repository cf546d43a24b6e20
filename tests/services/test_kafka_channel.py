"""The Kafka channel against a real Kafka, which is paused, killed and started again."""

import asyncio
import json
import random
import re
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from alerts.channel import DeliveryFailed
from alerts.channels.kafka import KafkaChannel, KafkaChannelSettings
from alerts.delivery import Delivery, Patience
from alerts.events import AlertEvent, compose
from alerts.kafka import KafkaConnection, Producer, Record
from alerts.ledger import SqlLedger
from alerts.notices import CodesAsNames
from alerts.routing import Route
from jianwei.clock import wall_ns
from rules.readings import Transition
from tests.alerts.found import NOON_NS, story
from tests.services.kafka import Kafka
from tests.services.kafka_records import newest_by_key, records_in
from tests.services.kafka_topics import make_topic

pytestmark = pytest.mark.services

TIMEOUT_S = 3.0


def event_of(transition: Transition, number: int = 1) -> AlertEvent:
    return compose(transition, number=number, recorded_ns=NOON_NS, names=CodesAsNames(), instance="test")


def settings_for(kafka: Kafka, *, partitions: int = 3) -> KafkaChannelSettings:
    """Topics of the test's own."""
    name = uuid.uuid4().hex
    topic, state_topic = f"alerts.{name}", f"alert-state.{name}"
    make_topic(kafka.address, topic, partitions)
    make_topic(kafka.address, state_topic, partitions, **{"cleanup.policy": "compact"})
    return KafkaChannelSettings(
        servers=(kafka.address,), topic=topic, state_topic=state_topic, timeout_s=TIMEOUT_S, client_id=name
    )


@pytest.fixture
def settings(kafka: Kafka) -> KafkaChannelSettings:
    return settings_for(kafka)


@pytest.fixture
def channel(settings: KafkaChannelSettings) -> Iterator[KafkaChannel]:
    with closing(KafkaChannel("events", settings)) as channel:
        yield channel


def ids(records: list[Any]) -> list[str]:
    """Of the events among the records."""
    return [dict(record.headers)["ce_id"].decode() for record in records if record.value is not None]


def by_station(records: list[Any]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for record in records:
        found[record.key.decode()] += ids([record])
    return found


def test_events_of_a_station_arrive_whole_and_in_order(channel: KafkaChannel, settings: KafkaChannelSettings) -> None:
    sent = [event_of(t, n) for n, t in enumerate([t for e in range(40) for t in story(e, f"站-{e % 7}")])]
    for event in sent:
        channel.send(event)
    got = records_in(settings.servers[0], settings.topic)
    assert len(got) == len(sent)
    for station in {event.subject for event in sent}:
        assert by_station(got)[station] == [event.id for event in sent if event.subject == station]
    assert {json.dumps(json.loads(r.value)) for r in got} == {json.dumps(e.data.model_dump(mode="json")) for e in sent}


def test_the_compacted_topic_knows_what_is_open_and_nothing_else(
    channel: KafkaChannel, settings: KafkaChannelSettings
) -> None:
    open_now, over = story(1, "A")[:2], story(2, "A")
    for transition in [*open_now, *over]:
        channel.send(event_of(transition))
    states = records_in(settings.servers[0], settings.state_topic)
    left = newest_by_key(states)
    assert list(left) == [open_now[0].episode.encode()]
    assert json.loads(left[open_now[0].episode.encode()])["level"] == "orange"
    (tombstone,) = [record for record in states if record.value is None]
    assert tombstone.key == over[0].episode.encode()
    assert tombstone.headers == ()
    assert ids([r for r in states if r.key == tombstone.key]) == [t.id for t in over], "its end is told before it goes"


def test_a_broker_that_stands_still_is_a_timeout_and_gets_each_event_once(a_kafka: Callable[..., Kafka]) -> None:
    kafka = a_kafka()
    settings = settings_for(kafka)
    opened, worsened, cleared = (event_of(t) for t in story(1, "A"))
    with closing(KafkaChannel("events", settings)) as channel:
        channel.send(opened)
        kafka.pause()
        for _ in range(3):
            began_s = time.monotonic()
            with pytest.raises(DeliveryFailed) as caught:
                channel.send(worsened)
            assert caught.value.reason == "timeout"
            assert TIMEOUT_S <= time.monotonic() - began_s < TIMEOUT_S + 1
        kafka.resume()
        channel.send(worsened)
        channel.send(cleared)
    assert ids(records_in(kafka.address, settings.topic)) == [opened.id, worsened.id, cleared.id]


def test_closing_does_not_wait_for_a_broker_that_stands_still(a_kafka: Callable[..., Kafka]) -> None:
    kafka = a_kafka()
    channel = KafkaChannel("events", settings_for(kafka))
    channel.send(event_of(story(1, "A")[0]))
    kafka.pause()
    with pytest.raises(DeliveryFailed):
        channel.send(event_of(story(1, "A")[1]))
    began_s = time.monotonic()
    channel.close()
    assert time.monotonic() - began_s < 3


def test_a_topic_that_is_not_there_is_told_and_once_made_it_is_used(kafka: Kafka) -> None:
    made = settings_for(kafka)
    settings = made.model_copy(update={"state_topic": f"late.{uuid.uuid4().hex}"})
    with closing(KafkaChannel("events", settings)) as channel:
        with pytest.raises(DeliveryFailed) as caught:
            channel.send(event_of(story(1, "A")[0]))
        assert f"the topic {settings.state_topic} is not there: make it" in caught.value.error
        make_topic(kafka.address, settings.state_topic)
        channel.send(event_of(story(1, "A")[0]))
    assert len(records_in(kafka.address, settings.state_topic)) == 1


def test_what_is_too_large_is_refused_for_good_and_the_next_goes_on(kafka: Kafka) -> None:
    topic = f"small.{uuid.uuid4().hex}"
    make_topic(kafka.address, topic, 1, **{"max.message.bytes": "100000"})
    with closing(Producer("letters", KafkaConnection(servers=(kafka.address,), timeout_s=TIMEOUT_S))) as producer:
        with pytest.raises(DeliveryFailed) as caught:
            producer.send("1", [Record(topic, b"k", b"x" * 100_000)])
        assert (caught.value.reason, caught.value.retry_after_s) == ("client", None)
        assert f"too large for the topic {topic}" in caught.value.error
        for number in range(5):
            producer.send(f"{number}", [Record(topic, b"k", b"x" * 90_000)])
    assert len(records_in(kafka.address, topic)) == 5


def test_the_consumer_on_the_page_about_alerts_knows_what_is_open(
    channel: KafkaChannel, settings: KafkaChannelSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
    (code,) = [code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "AIOKafkaConsumer" in code]
    told: dict[str, Any] = {}
    exec(code.replace("jianwei.alert-state.v1", settings.state_topic), told)  # noqa: S102  # our own page
    for transition in [*story(1, "A")[:2], *story(2, "B")]:
        channel.send(event_of(transition))
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(told["follow"](list(settings.servers)), 5))
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[0] for line in lines) == ["none", "orange", "orange", "yellow", "yellow"]


@pytest.mark.timeout(300)
def test_kills_of_the_broker_cost_no_event_and_no_state_is_older_than_one_before(
    a_kafka: Callable[..., Kafka], tmp_path: Path
) -> None:
    """The way of delivery: outbox, attempts, pauses; the broker is killed three times on the way."""
    kafka = a_kafka()
    settings = settings_for(kafka)
    found = [t for n in range(300) for t in story(n, f"S{n % 20}")]
    found = [t for t in found if int(t.episode) % 3 or t.what != "cleared"]  # a third stays open
    ledger = SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", [Route(channel="events")], wall_ns)
    ledger.record(found, judged=1, stored=1, snapshot=None)
    delivery = Delivery(
        ledger,
        "events",
        KafkaChannel("events", settings),
        wall_ns,
        lambda _record: None,
        patience=Patience(first_s=0.2, most_s=1.0),
    )
    dice = random.Random(1)
    kills = sorted(dice.sample(range(50, len(found) - 50), 3))
    end_s = time.monotonic() + 240
    with closing(ledger), closing(delivery):
        while (due := ledger.outbox_lag()[0].due) and time.monotonic() < end_s:
            time.sleep(min(delivery.step(), 0.2))
            if kills and len(found) - due >= kills[0]:
                kills.pop(0)
                kafka.kill()
                delivery.step()
                kafka.start()
        assert not due
    assert not kills
    changes = records_in(kafka.address, settings.topic)
    assert set(ids(changes)) == {t.id for t in found}
    assert len(changes) < len(found) + 40, "a few may have been written twice, under the same id"
    for station, told in by_station(changes).items():
        assert list(dict.fromkeys(told)) == [t.id for t in found if t.station == station]
    states = records_in(kafka.address, settings.state_topic)
    sequence: dict[bytes, bytes] = {}
    for record in states:
        if record.value is not None:
            now = dict(record.headers)["ce_sequence"]
            assert now >= sequence.get(record.key, b""), "an older state came after a newer one"
            sequence[record.key] = now
    left = {json.loads(value)["episode"] for value in newest_by_key(states).values()}
    assert left == {t.episode for t in found} - {t.episode for t in found if t.what == "cleared"}
