"""The Kafka source on the real Kafka: what comes, what is committed, and what happens when nobody acknowledges."""

import time
from itertools import count

import pytest

from ingest.records import ConnectionLost, PossibleLoss, Rebalanced, SourceLag
from tests.services.kafka import Kafka
from tests.services.kafka_probe import Probe, until
from tests.services.kafka_topics import Written, committed, drop_before, make_topic, write, write_transactions

pytestmark = pytest.mark.services
NUMBERS = count()


@pytest.fixture
def topic(kafka: Kafka) -> str:
    """A topic of three partitions that nobody else uses."""
    name = f"source.{next(NUMBERS)}"
    make_topic(kafka.address, name, 3)
    return name


def numbered(many: int, partition: int | None = None, begin: int = 0) -> list[Written]:
    return [Written(b"%d" % n, b"k%d" % (n % 7), partition=partition) for n in range(begin, begin + many)]


def test_records_come_as_they_are_with_key_headers_partition_and_offset(kafka: Kafka, topic: str) -> None:
    sent = [
        Written(b"one", b"S1", [("trace", b"\xff\x00"), ("trace", b"again")], 1),
        Written(b"two", None, [], 1),
        Written(None, b"S1", [], 1),  # a tombstone
        Written(b"", b"", [], 1),
    ]
    write(kafka.address, topic, sent)
    with Probe(kafka.address, topic) as probe:
        probe.take(4)
    assert probe.payloads == [b"one", b"two", b"", b""]
    assert [key for block in probe.blocks for key in block.keys] == [b"S1", None, b"S1", b""]
    assert next(each for block in probe.blocks for each in block.headers) == sent[0].headers
    assert probe.places == [(1, 0), (1, 1), (1, 2), (1, 3)]
    assert {topic_ for block in probe.blocks for topic_ in block.topics} == {topic}


def test_where_no_record_has_key_or_header_none_is_stored(kafka: Kafka, topic: str) -> None:
    write(kafka.address, topic, [b"plain"])
    with Probe(kafka.address, topic) as probe:
        probe.take(1)
    assert (probe.blocks[0].keys, probe.blocks[0].headers) == ([], [])


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_topics_are_read(kafka: Kafka, topic: str, compression: str) -> None:
    write(kafka.address, topic, [b"%d " % n * 50 for n in range(500)], compression_type=compression)
    with Probe(kafka.address, topic) as probe:
        probe.take(500)
    assert sorted(probe.payloads) == sorted(b"%d " % n * 50 for n in range(500))


def test_what_was_there_before_the_group_is_read_from_the_first_record(kafka: Kafka, topic: str) -> None:
    write(kafka.address, topic, numbered(300))
    with Probe(kafka.address, topic) as probe:
        probe.take(300)
    assert len(set(probe.places)) == 300


def test_only_what_was_acknowledged_is_committed_and_the_rest_comes_again(kafka: Kafka, topic: str) -> None:
    """Also over the end of a member that stops in good order: nothing commits by itself."""
    write(kafka.address, topic, numbered(40, partition=0))
    with Probe(kafka.address, topic, window_messages=10) as probe:
        first = probe.take(10)
        probe.acknowledge(first)
        probe.take(20)
        time.sleep(0.5)
        assert committed(kafka.address, probe.settings.group) == {(topic, 0): 10}
    assert committed(kafka.address, probe.settings.group) == {(topic, 0): 10}
    with Probe(kafka.address, topic) as again:
        again.take(30)
    assert again.places == [(0, offset) for offset in range(10, 40)]


def test_what_is_acknowledged_at_the_last_moment_is_committed_by_the_stop(kafka: Kafka, topic: str) -> None:
    write(kafka.address, topic, numbered(5, partition=2))
    with Probe(kafka.address, topic, commit_every_s=60) as probe:
        probe.acknowledge(probe.take(5))
    assert committed(kafka.address, probe.settings.group) == {(topic, 2): 5}


def test_a_full_window_stops_reading_and_the_member_stays_in_the_group(kafka: Kafka, topic: str) -> None:
    """It polls on, so neither the session nor the client's own watch on idle members ends."""
    write(kafka.address, topic, numbered(2_000))
    with Probe(kafka.address, topic, window_messages=100, max_poll_interval_s=10, silence_s=2) as probe:
        tokens = probe.take(100)
        until(lambda: not probe.health.ok, within_s=10)
        assert probe.health.why.startswith("stopped reading ")
        assert probe.nothing_comes(for_s=14)
        assert len(probe.payloads) <= 100 + 1
        assert not probe.told(ConnectionLost)
        probe.acknowledge(tokens)
        probe.take_and_acknowledge(2_000)
        assert [dealt.partitions for dealt in probe.told(Rebalanced)] == [3], "the partitions stayed ours"
        assert len(probe.places) == len(set(probe.places))
        probe.well()


def test_bytes_fill_the_window_too(kafka: Kafka, topic: str) -> None:
    write(kafka.address, topic, [Written(b"x" * 100_000, partition=0) for _ in range(40)])
    with Probe(kafka.address, topic, window_bytes=1_000_000, most_partition_bytes=100_000) as probe:
        probe.take(10)
        assert probe.nothing_comes(for_s=1) or len(probe.payloads) < 25


def test_a_record_larger_than_what_is_fetched_at_once_comes_whole(kafka: Kafka) -> None:
    topic = f"large.{next(NUMBERS)}"
    make_topic(kafka.address, topic, 1, **{"max.message.bytes": str(8 << 20)})
    large = bytes(5 << 20)
    write(kafka.address, topic, [b"before", large, b"after"], max_request_size=8 << 20)
    with Probe(
        kafka.address, topic, most_message_bytes=8 << 20, most_partition_bytes=10_000, most_fetch_bytes=10_000
    ) as probe:
        probe.take_and_acknowledge(3)
    assert probe.payloads == [b"before", large, b"after"]


def test_topics_by_pattern_and_one_that_is_made_later(kafka: Kafka) -> None:
    stem = f"city{next(NUMBERS)}"
    for name in (f"{stem}.air", f"other.{stem}.air"):
        make_topic(kafka.address, name)
        write(kafka.address, name, [name.encode()])
    with Probe(kafka.address, "unused", topics=[], pattern=rf"{stem}\..*", metadata_max_age_s=1) as probe:
        probe.take_and_acknowledge(1)
        make_topic(kafka.address, f"{stem}.water")
        write(kafka.address, f"{stem}.water", [b"late"])
        probe.take_and_acknowledge(2)
    assert probe.payloads == [f"{stem}.air".encode(), b"late"]


def test_lag_is_told(kafka: Kafka, topic: str) -> None:
    write(kafka.address, topic, numbered(500))
    with Probe(kafka.address, topic, window_messages=100) as probe:
        tokens = probe.take(100)
        until(lambda: 300 <= probe.told(SourceLag)[-1].messages <= 400 if probe.told(SourceLag) else False)
        probe.acknowledge(tokens)
        probe.take_and_acknowledge(500)
        until(lambda: probe.told(SourceLag)[-1].messages == 0)


def test_records_that_retention_dropped_before_they_were_read_are_told_as_possible_loss(
    kafka: Kafka, topic: str
) -> None:
    write(kafka.address, topic, numbered(100, partition=0))
    with Probe(kafka.address, topic, window_messages=20) as probe:
        probe.acknowledge(probe.take(20))
    drop_before(kafka.address, topic, 0, 70)
    with Probe(kafka.address, topic) as probe:
        probe.take_and_acknowledge(30)
        until(lambda: probe.told(PossibleLoss))
    assert probe.places == [(0, offset) for offset in range(70, 100)]
    assert f"{topic}, partition 0: offsets 20 to 69 were dropped" in probe.told(PossibleLoss)[0].why


def test_gaps_that_a_transaction_leaves_are_no_loss(kafka: Kafka, topic: str) -> None:
    """Each transaction ends with a record of its own, which nobody sees."""

    write_transactions(kafka.address, topic, [([b"a", b"b"], True), ([b"given up"], False), ([b"c"], True)])
    with Probe(kafka.address, topic) as probe:
        probe.take_and_acknowledge(3)
        looks = len(probe.told(SourceLag))
        until(lambda: len(probe.told(SourceLag)) > looks + 1)
        assert not probe.told(PossibleLoss)
    assert sorted(probe.payloads) == [b"a", b"b", b"c"]


def test_what_transactions_leave_behind_is_no_lag(kafka: Kafka, topic: str) -> None:
    write_transactions(kafka.address, topic, [([b"a"], True), ([b"given up"] * 300, False)])
    with Probe(kafka.address, topic) as probe:
        probe.take_and_acknowledge(1)
        looks = len(probe.told(SourceLag))
        until(lambda: len(probe.told(SourceLag)) > looks + 2)
        assert probe.told(SourceLag)[-1].messages == 0


def test_of_an_enormous_record_the_beginning_is_kept_and_what_follows_comes(kafka: Kafka, topic: str) -> None:
    sent = [
        Written(b"v" * 300_000, b"k" * 5_000, [("first", b"1"), ("large", b"h" * 5_000)], 1),
        Written(b"next", b"k", [("h", b"1")], 1),
    ]
    write(kafka.address, topic, sent, compression_type="zstd")
    with Probe(kafka.address, topic, most_message_bytes=1_000) as probe:
        probe.take_and_acknowledge(2)
    assert probe.payloads == [b"v" * 1_000, b"next"]
    assert [key for block in probe.blocks for key in block.keys] == [b"k" * 1_000, b"k"]
    assert [each for block in probe.blocks for each in block.headers] == [
        [("first", b"1"), ("jianwei.headers-cut", b"2")],
        [("h", b"1")],
    ]
