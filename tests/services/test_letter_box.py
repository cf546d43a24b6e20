"""A running service publishes what it could not read to a topic of the real Kafka, which goes and comes back."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from ingest.broker import EmbeddedBroker
from ingest.quarantine import Quarantine
from rules.readings import SECOND_NS
from simulators import wire
from simulators.load import Load, Plan
from simulators.publish import Publisher
from tests.kill.service import SETTINGS, SOURCE, Service, wait_until
from tests.services.kafka import Kafka
from tests.services.kafka_records import records_in
from tests.services.kafka_topics import Written, make_topic, write

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]

STATIONS = Load(Plan("load", 1, 3, 0, SECOND_NS)).stations
LETTERS = """
[[sources]]
type = "kafka"
name = "province"
servers = ["{kafka}"]
topics = ["{readings}"]
[[formats]]
topic = "#"
format = "json_v1"
[dead_letters]
enabled = true
servers = ["{kafka}"]
topic = "{letters}"
timeout_s = 2.0
"""


class Place:
    """A service with a source of MQTT and one of Kafka; `letters` is its topic of dead letters."""

    def __init__(self, folder: Path, kafka: Kafka, exits: ExitStack) -> None:
        name = uuid.uuid4().hex
        self.kafka, self.readings, self.letters = kafka, f"readings.{name}", f"letters.{name}"
        make_topic(kafka.address, self.readings, 1)
        make_topic(kafka.address, self.letters, 3, **{"max.message.bytes": "100000"})
        self.broker = exits.enter_context(EmbeddedBroker(folder / "broker"))
        settings = SETTINGS.format(source=SOURCE, port=self.broker.port, resend_after_s=5.0).replace("kill", name)
        settings += LETTERS.format(kafka=kafka.address, readings=self.readings, letters=self.letters)
        self.service = exits.enter_context(closing(Service(folder / "site", settings, STATIONS)))
        self.service.start_and_subscribe()

    def publish(self, *payloads: bytes, topic: str = wire.topic_of(STATIONS[0].id, "realtime")) -> None:
        with Publisher("127.0.0.1", self.broker.port) as publisher:
            for payload in payloads:
                publisher.publish(topic, payload)
            publisher.flush()

    def await_problems(self, count: int) -> None:
        """So many messages went to quarantine."""
        with closing(Quarantine(self.service.data.quarantine)) as kept:
            assert wait_until(lambda: kept.count_messages() >= count, timeout_s=60), self.service.last_words()

    def await_cursor(self, problems: int) -> None:
        """So many problems are done with."""
        with closing(Quarantine(self.service.data.quarantine)) as kept:
            assert wait_until(lambda: kept.published() >= problems, timeout_s=60), self.service.last_words()

    def await_letters(self, count: int, *, timeout_s: float = 60) -> list[Any]:
        found: list[Any] = []

        def are_there() -> bool:
            found[:] = records_in(self.kafka.address, self.letters)
            return len(found) >= count

        assert wait_until(are_there, timeout_s=timeout_s), (len(found), self.service.last_words())
        return found

    def await_published(self, *values: bytes) -> list[bytes]:
        """All letters, when these are among them. Those beside one that is refused may come twice."""
        found: list[bytes] = []

        def are_there() -> bool:
            found[:] = [record.value for record in records_in(self.kafka.address, self.letters)]
            return set(found) == set(values)

        assert wait_until(are_there, timeout_s=60), (found, self.service.last_words())
        return found


@pytest.fixture
def place(tmp_path: Path, kafka: Kafka) -> Iterator[Place]:
    with ExitStack() as exits:
        yield Place(tmp_path, kafka, exits)


def test_messages_of_every_source_are_published_as_they_came(place: Place) -> None:
    headers = [("trace", b"\x00\xff"), ("trace", b"again")]
    write(place.kafka.address, place.readings, [Written(b"\xff\x00 no JSON", b"\x01key", headers)])
    place.publish(b'{"station": 7}')
    by_source = {dict(r.headers)["x-source"]: r for r in place.await_letters(2)}
    from_kafka, from_mqtt = by_source[b"province"], by_source[SOURCE.encode()]
    assert (from_kafka.key, from_kafka.value) == (b"\x01key", b"\xff\x00 no JSON")
    assert list(from_kafka.headers[:2]) == headers
    said = dict(from_kafka.headers[2:])
    assert said["__connect.errors.topic"] == place.readings.encode()
    assert (said["__connect.errors.partition"], said["__connect.errors.offset"]) == (b"0", b"0")
    assert said["x-reason"] == b"not_json"
    assert (from_mqtt.key, from_mqtt.value) == (None, b'{"station": 7}')


def test_a_restart_publishes_nothing_again_and_one_letter_that_is_too_large_holds_up_nothing(place: Place) -> None:
    place.publish(b"1", b"[" + b"x" * 150_000, b"3")
    place.await_cursor(3)
    first = place.await_published(b"1", b"3")
    assert place.service.stop() == 0
    place.service.start()
    place.publish(b"4")
    place.await_cursor(4)
    second = place.await_published(b"1", b"3", b"4")
    assert len(second) == len(first) + 1


def test_a_topic_that_is_away_holds_up_no_judging_and_gets_all_of_them_later(
    a_kafka: Callable[..., Kafka], tmp_path: Path
) -> None:
    kafka = a_kafka()
    with ExitStack() as exits:
        place = Place(tmp_path, kafka, exits)
        place.publish(b"before")
        place.await_letters(1)
        kafka.kill()
        bad = [b"bad %d" % n for n in range(2_000)]
        place.publish(*bad)
        place.await_problems(len(bad) + 1)
        assert place.service.stop() == 0
        place.service.start()
        place.publish(b"while it is away")
        place.await_problems(len(bad) + 2)
        kafka.start()
        found = [r.value for r in place.await_letters(len(bad) + 2, timeout_s=120)]
        assert set(found) == {b"before", *bad, b"while it is away"}
        assert len(found) <= len(set(found)) + 500, "a portion may come twice"
