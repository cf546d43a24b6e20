"""The InfluxDB store against a real InfluxDB: the contract of stores, and what the server refuses."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from ingest.message import Busy, Refused, Stored
from ingest.partitions import DAY_NS
from ingest.stores.influxdb import InfluxdbStore, InfluxdbStoreSettings
from ingest.stores.sqlite import SqliteStore
from jianwei.clock import wall_ns
from rules.readings import Kind, SeriesKey
from tests.ingest.store_contract import (
    ALWAYS,
    CONTRACT,
    KEYS,
    NOON_NS,
    Opened,
    Row,
    everything,
    judged,
    rows_at,
    told,
    walked,
    what_shall_stand,
)
from tests.services.influxdb import Influxdb

pytestmark = pytest.mark.services

MEDIA = {"p1": "water"}  # the other is in no catalogue
numbers = count()
times = st.one_of(
    st.sampled_from([NOON_NS, NOON_NS + 1, NOON_NS + DAY_NS, 0, -1, -(2**63) + 2, 2**63 - 2]),
    st.integers(NOON_NS - 3 * DAY_NS, NOON_NS + 3 * DAY_NS),
)


def settings_for(database: Influxdb, *, keep_s: int = 0, **said: object) -> InfluxdbStoreSettings:
    """With buckets of their own."""
    buckets = {kind: f"store-{next(numbers)}-{kind}" for kind in ("raw", "hour", "day")}
    for name in buckets.values():
        database.make_bucket(name, keep_s=keep_s)
    given = {"url": database.url, "org": database.org, "token": database.token, **buckets, **said}
    return InfluxdbStoreSettings.model_validate(given)


@pytest.fixture
def opened(influxdb: Influxdb) -> Iterator[Callable[..., InfluxdbStore]]:
    """Opens the same new buckets as often as it is called."""
    with ExitStack() as ending:
        said = settings_for(influxdb)

        def open_it(**other: object) -> InfluxdbStore:
            store = InfluxdbStore(said.model_copy(update=other), MEDIA.get)
            ending.callback(store.close)
            return store

        yield open_it


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
def test_the_contract_of_stores(promise: Callable[[Opened], None], opened: Opened) -> None:
    promise(opened)


@pytest.fixture(scope="module")
def shared(influxdb: Influxdb) -> Iterator[InfluxdbStore]:
    store = InfluxdbStore(settings_for(influxdb), MEDIA.get)
    yield store
    store.close()


@settings(deadline=None, max_examples=60)
@given(st.lists(rows_at(times), max_size=4))
def test_the_store_agrees_with_a_dictionary(shared: InfluxdbStore, batches: list[list[Row]]) -> None:
    """Each example has stations of its own."""
    example = next(numbers)
    keys = [key._replace(station=f"{key.station}, {example}=") for key in KEYS]
    for batch in batches:
        assert shared.write(judged(*batch), keys) == Stored()
    found = [told(r) for name in {key.station for key in keys} for r in shared.read(name, None, None, *ALWAYS)]
    assert sorted(found) == what_shall_stand(batches, keys)


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@settings(deadline=None, max_examples=100)
@given(station=names, parameter=names)
def test_any_name_that_is_taken_comes_back(shared: InfluxdbStore, station: str, parameter: str) -> None:
    key = SeriesKey(station, parameter, Kind.DAY)
    answer = shared.write(judged(Row()), [key])
    found = [told(reading)[0] for reading in shared.read(station, parameter, Kind.DAY, *ALWAYS)]
    assert found == ([] if isinstance(answer, Refused) else [key])
    if isinstance(answer, Refused):
        assert "backslash" in answer.reasons[0] or "column of the store" in answer.reasons[0]


def test_a_bad_line_among_5000_stores_the_others(opened: Callable[..., InfluxdbStore]) -> None:
    """A name longer than InfluxDB's keys: nothing of the body is stored until the line is found."""
    store = opened()
    keys = [KEYS[0], SeriesKey("long" * 20_000, "p1", Kind.HOUR)]
    rows = judged(*(Row(series=int(n == 3_210), measured_ns=NOON_NS + n * 1_000_000) for n in range(5_000)))
    answer = store.write(rows, keys)
    assert isinstance(answer, Refused)
    assert answer.rows == [3_210]
    assert "unable to parse" in answer.reasons[0]
    assert "max key length" in answer.reasons[0]
    assert len(answer.reasons[0]) < 400
    assert store.count() == 4_999


def test_a_conflict_of_types_costs_only_the_reading_that_has_it(
    opened: Callable[..., InfluxdbStore], influxdb: Influxdb
) -> None:
    """Somebody else has written whole numbers into the field: 422, and nine other readings of the message are good."""
    store = opened()
    keys = [SeriesKey("A", f"q{n}", Kind.HOUR) for n in range(10)]
    strange = f"unknown,kind=hour,station=A q7=1i {NOON_NS}"
    where = {"org": influxdb.org, "bucket": store._settings.hour}
    head = {"Authorization": f"Token {influxdb.token}"}
    httpx.post(f"{influxdb.url}/api/v2/write", params=where, headers=head, content=strange).raise_for_status()
    rows = judged(*(Row(series=n % 10, measured_ns=NOON_NS + n // 10 * 1_000_000_000) for n in range(1_000)))
    answer = store.write(rows, keys)
    assert isinstance(answer, Refused)
    assert list(answer.rows) == list(range(7, 1_000, 10))
    assert all("field type conflict" in reason for reason in answer.reasons)
    assert len(store.read("A", None, None, *ALWAYS)) == 900


def test_what_is_older_than_the_bucket_keeps_is_refused(influxdb: Influxdb) -> None:
    store = InfluxdbStore(settings_for(influxdb, keep_s=86_400), MEDIA.get)
    now_ns = wall_ns()
    rows = [Row(series=0, measured_ns=now_ns - n * 3_600_000_000_000) for n in range(1, 48)]
    answer = store.write(judged(*rows), KEYS)
    assert isinstance(answer, Refused)
    assert min(answer.rows) in {22, 23}
    assert list(answer.rows) == list(range(min(answer.rows), 47))
    assert all("retention" in reason for reason in answer.reasons)
    assert store.count() == min(answer.rows)
    store.close()


def test_a_token_that_is_wrong_is_said_and_a_new_file_is_used_at_once(
    opened: Callable[..., InfluxdbStore], influxdb: Influxdb, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("not-this-one\n")
    store = opened(token=None, token_file=token)
    answer = store.write(judged(Row()), KEYS)
    assert isinstance(answer, Busy)
    assert answer.retry_after_s >= 30
    assert "401" in answer.why
    assert "give a token" in answer.why
    assert "not-this-one" not in answer.why
    assert not store.health(NOON_NS).ok
    token.write_text(influxdb.token)
    assert store.write(judged(Row()), KEYS) == Stored()
    assert store.health(NOON_NS).ok


def test_a_token_without_a_right_to_the_bucket_is_said(
    opened: Callable[..., InfluxdbStore], influxdb: Influxdb
) -> None:
    """What a site gives us is good for the site's buckets alone, and these are others."""
    other = opened(token=SecretStr(influxdb.service_token))
    for late in (False, True):
        answer = other.write(judged(Row(late=late)), KEYS)
        assert isinstance(answer, Busy)
        assert "token" in answer.why


def test_the_token_of_a_site_suffices(influxdb: Influxdb) -> None:
    """It reads and writes the site's buckets, and may do nothing else."""
    said = {"url": influxdb.url, "org": influxdb.org, "token_file": influxdb.service_token_file}
    store = InfluxdbStore(InfluxdbStoreSettings.model_validate(said), MEDIA.get)
    row = Row(measured_ns=wall_ns())
    assert store.write(judged(row), KEYS) == Stored()
    assert store.write(judged(Row(measured_ns=row.measured_ns, verdict=4, late=True)), KEYS) == Stored()
    assert [r.verdict for r in store.read(KEYS[0].station, None, None, row.measured_ns, row.measured_ns + 1)] == [1]
    store.close()


@pytest.mark.parametrize("late", [False, True])
def test_missing_buckets_are_made_where_that_is_wanted(opened: Callable[..., InfluxdbStore], late: bool) -> None:
    names = {kind: f"made-{next(numbers)}" for kind in ("raw", "hour", "day")}
    unwilling = opened(**names, make_buckets=False)
    answer = unwilling.write(judged(Row(late=late)), KEYS)
    assert isinstance(answer, Busy)
    assert names["hour"] in answer.why
    store = opened(**names)
    answer = store.write(judged(Row(late=late)), KEYS)
    assert isinstance(answer, Busy)
    assert "made now" in answer.why
    assert answer.retry_after_s <= 1
    assert store.write(judged(Row(late=late)), KEYS) == Stored()
    assert [r.value for r in everything(store)] == [1.0]


def test_an_organization_that_is_not_there_is_said(opened: Callable[..., InfluxdbStore]) -> None:
    answer = opened(org="nobody").write(judged(Row()), KEYS)
    assert isinstance(answer, Busy)
    assert "organization name" in answer.why
    assert "see whether url, org" in answer.why


def test_both_stores_are_walked_through_alike(opened: Callable[..., InfluxdbStore], tmp_path: Path) -> None:
    embedded, store = SqliteStore(tmp_path, sync=False), opened()
    rows = judged(
        *(
            Row(n % 4, NOON_NS + n // 4 * 7_000_000_000, n / 7, n % 8, (1, 2, 3, 4)[n % 5 % 4], n % 3)
            for n in range(20_000)
        )
    )
    for each in (embedded, store):
        assert each.write(rows, KEYS) == Stored()
    assert walked(store) == walked(embedded)
    assert store.count() == embedded.count() == 20_000
    embedded.close()
