"""Service and broker are killed under load, and nothing that was acknowledged is lost, doubled or told otherwise."""

import random
import time
from contextlib import closing
from math import isnan
from pathlib import Path

import pytest

from ingest.broker import EmbeddedBroker
from ingest.journal import SqliteJournal
from ingest.stores.sqlite import SqliteStore
from simulators.load import Load, Report, numbers_of
from tests.kill.service import PLAN, Found, Publishing, Service, wait_until

RATE = 2_000
KILLS = 20
BROKER_KILLS = 5
SEED = 20261102
AT_WORK = 0.8  # of the kills strike when messages flow again, the others while the service starts
READINGS = 10  # a message

pytestmark = [pytest.mark.kill, pytest.mark.timeout(400)]


def test_twenty_kills_of_the_service_and_five_of_the_broker_cost_nothing(tmp_path: Path) -> None:
    """Two thousand messages a second from the first kill to the last."""
    dice = random.Random(SEED)
    with (
        EmbeddedBroker(tmp_path / "broker") as broker,
        closing(Service.on_embedded_broker(tmp_path / "site", broker.port)) as service,
    ):
        service.start_and_subscribe()
        with closing(Publishing(tmp_path, broker.port, rate=RATE, count=RATE * 600)) as load:
            broker_dies = set(dice.sample(range(KILLS), BROKER_KILLS))
            for kill in range(KILLS):
                if dice.random() < AT_WORK:
                    assert wait_until(service.has_written, timeout_s=60), service.last_words()
                time.sleep(dice.uniform(0.0, 1.5))
                if kill in broker_dies:
                    broker.kill()
                    time.sleep(dice.uniform(0.0, 0.5))
                    broker.start()
                service.kill()
                service.start()
            assert not load.is_over
            load.end()
            report = load.report()
        expected = sum(1 for _ in numbers_of(report.acknowledged)) * READINGS
        settled = wait_until(lambda: service.stored() >= expected, timeout_s=120)
        assert settled, f"{service.stored()} of {expected} readings are stored"
        time.sleep(3.0)  # for notices, and for anything that comes although it must not
        assert service.stop() == 0
        check_store(service, report)
        disturbed = service.found()
        assert SqliteJournal(service.data.journal).verify() == []
    assert report.published >= RATE * 20
    assert disturbed == undisturbed(tmp_path / "calm", report.published)


def check_store(service: Service, report: Report) -> None:
    """Every acknowledged reading once, with its value; and nothing else."""
    load = Load(PLAN)
    store = SqliteStore(service.data.store)
    stored = {
        (r.station, r.parameter, r.measured_ns): r.value
        for station in store.stations()
        for r in store.read(station, None, None, 0, 2**63 - 1)
    }
    assert store.count() == len(stored)
    sent = 0
    for station, measured_ns, values in map(load.readings, numbers_of(report.acknowledged)):
        for parameter, value in values.items():
            kept = stored[station, parameter, measured_ns]
            assert isnan(kept) if value is None else kept == value
            sent += 1
    assert sent == len(stored)


def undisturbed(folder: Path, messages: int) -> list[Found]:
    """What a service finds in the same messages when nobody is killed."""
    with (
        EmbeddedBroker(folder / "broker") as broker,
        closing(Service.on_embedded_broker(folder / "site", broker.port)) as service,
    ):
        service.start_and_subscribe()
        with closing(Publishing(folder, broker.port, rate=20_000, count=messages)) as load:
            report = load.report()
        assert report.acknowledged == [[0, messages - 1]]
        assert wait_until(lambda: service.stored() >= messages * READINGS, timeout_s=120), service.last_words()
        time.sleep(2.0)
        assert service.stop() == 0
        return service.found()
