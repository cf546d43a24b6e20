"""Kafka behind a line that breaks: every record is in the journal, and only what the journal holds is committed."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from ingest.records import PartFailed, PossibleLoss
from tests.services.kafka import Kafka
from tests.services.kafka_probe import Probe, until
from tests.services.kafka_topics import committed, make_topic, write
from tests.services.proxy import EVERYTHING_PASSES, Course, Proxy, always, at_random
from tests.services.recording import Recording

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]
PARTITIONS = 3
NUMBERS = count()


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A Kafka that names the proxy as its address, so that nobody finds a way past it."""
    with Proxy(0) as proxy:
        said = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{proxy.own_port}"}
        with Kafka(tmp_path_factory.mktemp("kafka"), settings=said) as broker:
            proxy.port = broker.port
            yield proxy


@pytest.fixture
def proxied(behind: Proxy) -> tuple[Proxy, str, str]:
    """The proxy, its address, and a topic of the test's own."""
    behind.courses = EVERYTHING_PASSES
    behind.passages.clear()
    topic = f"t{next(NUMBERS)}"
    make_topic(f"127.0.0.1:{behind.own_port}", topic, PARTITIONS)
    return behind, f"127.0.0.1:{behind.own_port}", topic


def records(start: int, stop: int) -> list[bytes]:
    return [b"%d:" % n + bytes(200) for n in range(start, stop)]


def recording(folder: Path, address: str, topic: str) -> Recording:
    probe = Probe(address, topic)
    return Recording(folder, probe.source, probe.records)


def offsets(address: str, topic: str) -> int:
    """How many records the group has done with."""
    return sum(offset for (name, _), offset in committed(address, f"of-{topic}").items() if name == topic)


@pytest.mark.parametrize("seed", [1, 2])
def test_random_cuts_lose_nothing_and_what_is_committed_is_in_the_journal(
    proxied: tuple[Proxy, str, str], tmp_path: Path, seed: int
) -> None:
    proxy, address, topic = proxied
    done = 0
    with recording(tmp_path, address, topic) as service:
        service.well()
        for turn in range(8):
            proxy.courses = EVERYTHING_PASSES  # for the one who writes
            write(address, topic, records(500 * turn, 500 * (turn + 1)))
            proxy.courses = at_random(seed * 100 + turn, up_bytes=6_000, down_bytes=200_000, most_delay_s=0.05)
            proxy.cut()
            service.holds(set(records(0, 500 * (turn + 1))), within_s=60)
            proxy.courses = EVERYTHING_PASSES
            held = len(set(service.payloads()))
            assert done <= (done := offsets(address, topic)) <= held
        until(lambda: offsets(address, topic) == 4_000)
        assert set(service.payloads()) == set(records(0, 4_000))
        assert not service.told(PossibleLoss)
        assert not service.told(PartFailed)
        assert len(proxy.passages) > 40


def test_cut_between_the_journal_and_the_commit_the_records_come_again_or_are_committed_later(
    proxied: tuple[Proxy, str, str], tmp_path: Path
) -> None:
    """What goes up is held while the journal takes the records, then the line is cut."""
    proxy, address, topic = proxied
    with recording(tmp_path, address, topic) as service:
        service.well()
        for turn in range(5):
            write(address, topic, records(500 * turn, 500 * (turn + 1)))
            proxy.hold()
            proxy.cut()
            proxy.let_go()
            service.holds(set(records(0, 500 * (turn + 1))), within_s=60)
        until(lambda: offsets(address, topic) == 2_500)
    assert set(service.payloads()) == set(records(0, 2_500))


@pytest.mark.parametrize("course", [Course(delay_s=0.3), Course(piece_bytes=400)], ids=["slow", "in pieces"])
def test_a_slow_line_and_one_in_pieces_bring_the_same_records_once(
    proxied: tuple[Proxy, str, str], tmp_path: Path, course: Course
) -> None:
    proxy, address, topic = proxied
    write(address, topic, records(0, 1_000))
    proxy.courses = always(course, course)
    with recording(tmp_path, address, topic) as service:
        service.holds(set(records(0, 1_000)), within_s=60)
        until(lambda: offsets(address, topic) == 1_000)
        assert sorted(service.payloads()) == sorted(records(0, 1_000))
        assert not service.told(PartFailed)
