"""A service that keeps its readings in InfluxDB: killed in between, exported, and asked as a site would ask."""

import csv
import re
import threading
from collections.abc import Callable
from io import StringIO
from itertools import count
from pathlib import Path

import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient

from ingest.message import Busy, Stored
from ingest.stores.influxdb import InfluxdbStore, InfluxdbStoreSettings
from tests.ingest.mqtt_probe import until
from tests.ingest.store_contract import ALWAYS, KEYS, NOON_NS, Row, everything, judged
from tests.jianwei.command_line import Ask, asking
from tests.jianwei.lived import history, record, serving, settle
from tests.jianwei.serving import NITROGEN_DIOXIDE, Service, told
from tests.services.influxdb import Influxdb

pytestmark = pytest.mark.services

PAGE = Path(__file__).parents[2] / "docs" / "influxdb.md"
numbers = count()


def settings_for(database: Influxdb, **said: object) -> InfluxdbStoreSettings:
    buckets = {kind: f"life-{next(numbers)}-{kind}" for kind in ("raw", "hour", "day")}
    for name in buckets.values():
        database.make_bucket(name)
    given = {"url": database.url, "org": database.org, "token": database.token, "timeout_s": 3, **buckets, **said}
    return InfluxdbStoreSettings.model_validate(given)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    monkeypatch.setenv("COLUMNS", "220")
    return asking(monkeypatch, capsys)


def lived_in(folder: Path, more: str) -> Path:
    folder.mkdir()
    config = settle(folder, more)
    record(folder, history())
    with serving(config):
        pass
    return config


def store_table(said: InfluxdbStoreSettings, token_file: Path) -> str:
    told = said.model_dump(include={"type", "url", "org", "raw", "hour", "day"})
    return (
        "[store]\n"
        + "".join(f'{name} = "{value}"\n' for name, value in told.items())
        + f'token_file = "{token_file}"\n'
    )


def test_export_writes_the_same_from_either_store(ask: Ask, influxdb: Influxdb, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(influxdb.token)
    embedded = lived_in(tmp_path / "embedded", "")
    other = lived_in(tmp_path / "other", store_table(settings_for(influxdb), token))
    for words in ([], ["--station", "SW-01"], ["--parameter", "w01018", "--from", "2026-03-02"], ["--kind", "day"]):
        mine, theirs = ask("export", "-c", other, *words), ask("export", "-c", embedded, *words)
        assert mine == theirs
        assert mine.code == 0
    assert len(list(csv.DictReader(StringIO(ask("export", "-c", other).out)))) == 19
    assert not list((tmp_path / "other" / "data").glob("store/*.sqlite"))
    missing = ask("export", "-c", other, "--station", "SW-1")
    assert (missing.code, "did you mean SW-01" in missing.err) == (1, True)


def test_export_says_that_influxdb_cannot_be_asked(ask: Ask, influxdb: Influxdb, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(influxdb.token)
    config = lived_in(tmp_path / "site", store_table(settings_for(influxdb), token))
    token.write_text("another")
    said = ask("export", "-c", config)
    assert said.code == 1
    assert "401" in said.err
    assert "give a token" in said.err
    assert "Traceback" not in said.err


def test_the_flux_of_the_page_finds_the_good_values(influxdb: Influxdb, tmp_path: Path) -> None:
    said = settings_for(influxdb)
    token = tmp_path / "token"
    token.write_text(influxdb.token)
    lived_in(tmp_path / "site", store_table(said, token))
    (flux,) = re.findall(r"```flux\n(.*?)```", PAGE.read_text(), re.DOTALL)
    with InfluxDBClient(influxdb.url, influxdb.token, org=influxdb.org) as client:
        tables = client.query_api().query(flux.replace('"hour")\n', f'"{said.hour}")\n', 1))
    store = InfluxdbStore(said, lambda _: None)
    expected = [r.value for r in store.read("SW-01", "w01009", None, *ALWAYS) if (r.verdict, r.flag) == (1, 0)]
    assert [record["w01009"] for table in tables for record in table.records] == expected
    assert 0 < len(expected) < 7


def test_a_server_that_is_killed_between_and_during_writes_has_everything_in_the_end(
    an_influxdb: Callable[..., Influxdb],
) -> None:
    database = an_influxdb()
    store = InfluxdbStore(settings_for(database), {"p1": "water"}.get)
    killed = threading.Timer(0.3, database.kill)
    killed.start()
    batches, busy, again = [], 0, 0
    for batch in range(60):
        rows = judged(*(Row(n % 4, NOON_NS + (batch * 500 + n // 4) * 1_000_000, float(n)) for n in range(2_000)))
        batches.append(rows)
        while isinstance(answer := store.write(rows, KEYS), Busy):
            busy += 1
            assert busy < 20
            if not database.running:
                killed.join()
                database.start()
                again += 1
        assert answer == Stored()
    assert (again, busy >= 1) == (1, True)
    assert store.count() == 60 * 2_000
    assert len(everything(store)) == 60 * 2_000
    store.close()


@pytest.mark.timeout(180)
def test_a_service_goes_on_without_influxdb_and_catches_up(
    an_influxdb: Callable[..., Influxdb], tmp_path: Path
) -> None:
    database = an_influxdb()
    said = settings_for(database)
    with Service(tmp_path, store=said) as service:
        service.publish(told(3, {NITROGEN_DIOXIDE: 40.0}))
        service.took(1)
        database.kill()
        service.publish(told(2, {NITROGEN_DIOXIDE: 900.0}))
        until(lambda: "store" in service.ready()[1], 20)
        assert "cannot be reached" in service.ready()[1]["store"]
        until(lambda: bool(service.notices()), 20)
        assert service.runtime.uploader.waiting == 1
        database.start()
        service.took(2)
        assert service.ready() == (200, {})
        assert [r.value for r in service.runtime.store.read("A-1", None, None, *ALWAYS)] == [40.0, 900.0]
        assert service.count() == 2
