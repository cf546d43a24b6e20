"""InfluxDB behind a line that breaks: what is told as stored is stored, and everything is, once, in the end."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count

import pytest

from ingest.message import Busy, Stored
from ingest.stores.influxdb import InfluxdbStore, InfluxdbStoreSettings
from rules.readings import Kind, SeriesKey
from tests.ingest.store_contract import NOON_NS, Row, everything, judged
from tests.services.influxdb import Influxdb
from tests.services.proxy import Course, Courses, Proxy, always, at_first, at_random

pytestmark = pytest.mark.services
KEYS = [SeriesKey(f"S{n}", "p1", Kind.HOUR) for n in range(100)]
HOUR_NS = 3_600_000_000_000
TIMEOUT_S = 1.0
numbers = count()


def batch(number: int) -> list[Row]:
    """A value of its own for each of a hundred stations, at one time."""
    return [Row(n, NOON_NS + number * HOUR_NS, number + n / 100) for n in range(len(KEYS))]


@contextmanager
def through(database: Influxdb, courses: Courses) -> Iterator[tuple[Proxy, InfluxdbStore, InfluxdbStore]]:
    """A store that goes through a proxy, and one that looks at the same buckets past it."""
    buckets = {kind: f"proxy-{next(numbers)}-{kind}" for kind in ("raw", "hour", "day")}
    for name in buckets.values():
        database.make_bucket(name)
    given = {"org": database.org, "token": database.token, "timeout_s": TIMEOUT_S, **buckets}
    said = InfluxdbStoreSettings.model_validate(given)
    with Proxy(database.port, courses) as proxy:
        store, witness = (
            InfluxdbStore(said.model_copy(update={"url": f"http://127.0.0.1:{port}"}), {"p1": "water"}.get)
            for port in (proxy.own_port, database.port)
        )
        with closing(store), closing(witness):
            yield proxy, store, witness


def values(store: InfluxdbStore) -> list[tuple[str, int, float]]:
    return sorted((r.station, r.measured_ns, r.value) for r in everything(store))


def expected(batches: Sequence[int]) -> list[tuple[str, int, float]]:
    return sorted((KEYS[row.series].station, row.measured_ns, row.value) for n in batches for row in batch(n))


def sizes(database: Influxdb) -> tuple[int, int]:
    """Of the request that writes a batch, and of its answer."""
    with through(database, always()) as (proxy, store, _):
        assert store.write(judged(*batch(0)), KEYS) == Stored()
        return len(proxy.passages[0].up), len(proxy.passages[0].down)


@pytest.mark.parametrize("part", [0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_cut_in_the_middle_of_the_request_nothing_is_told_as_stored(influxdb: Influxdb, part: float) -> None:
    cut = Course(cut_after_bytes=int(part * sizes(influxdb)[0]))
    with through(influxdb, at_first(up=cut)) as (proxy, store, witness):
        assert isinstance(store.write(judged(*batch(1)), KEYS), Busy)
        assert not store.health(0).ok
        assert values(witness) == []
        assert store.write(judged(*batch(1)), KEYS) == Stored()
        assert store.health(0).ok
        assert values(witness) == expected([1])
        assert len(proxy.passages) == 2


@pytest.mark.parametrize("part", [0, 0.05, 0.5, 0.95])
def test_cut_in_the_middle_of_the_answer_is_asked_again_and_stands_once(influxdb: Influxdb, part: float) -> None:
    """InfluxDB has the rows already, and we may not know it."""
    cut = Course(cut_after_bytes=int(part * sizes(influxdb)[1]))
    with through(influxdb, at_first(down=cut)) as (_, store, witness):
        assert isinstance(store.write(judged(*batch(1)), KEYS), Busy)
        assert values(witness) == expected([1])
        assert store.write(judged(*batch(1)), KEYS) == Stored()
        assert values(witness) == expected([1])


@pytest.mark.parametrize("way", ["up", "down"])
def test_an_answer_that_comes_after_the_timeout_is_no_answer(influxdb: Influxdb, way: str) -> None:
    slow = Course(delay_s=2 * TIMEOUT_S)
    with through(influxdb, at_first(up=slow) if way == "up" else at_first(down=slow)) as (_, store, witness):
        answer = store.write(judged(*batch(1)), KEYS)
        assert isinstance(answer, Busy)
        assert "timed out" in answer.why or "no answer" in answer.why
        assert store.write(judged(*batch(2)), KEYS) == Stored()
        assert store.write(judged(*batch(1)), KEYS) == Stored()
        assert values(witness) == expected([1, 2])


def test_a_request_in_pieces_is_the_same_request(influxdb: Influxdb) -> None:
    course = Course(piece_bytes=30)  # of some two thousand bytes: far from the timeout
    with through(influxdb, always(course, course)) as (_, store, witness):
        assert store.write(judged(*batch(1)), KEYS) == Stored()
        assert values(witness) == expected([1])


@pytest.mark.parametrize("seed", range(3))
def test_random_cuts_lose_and_double_nothing(influxdb: Influxdb, seed: int) -> None:
    """Every batch is written until it is told as stored, as the uploader does."""
    up, down = sizes(influxdb)
    courses = at_random(seed, up_bytes=4 * up, down_bytes=6 * down, most_delay_s=0.02)
    busy = 0
    with through(influxdb, courses) as (proxy, store, witness):
        for number in range(60):
            for _attempt in range(50):
                answer = store.write(judged(*batch(number)), KEYS)
                if answer == Stored():
                    break
                assert isinstance(answer, Busy)
                busy += 1
            else:
                pytest.fail(f"batch {number} was never told as stored")
        assert values(witness) == expected(range(60))
        assert len(proxy.passages) > 20
    assert busy
