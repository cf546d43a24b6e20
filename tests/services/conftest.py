"""The services. Shared ones live as long as the run: kill none of them, and use topics and buckets of your own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.services.influxdb import Influxdb
from tests.services.kafka import Kafka
from tests.services.mosquitto import Mosquitto

# A call of aiokafka that is cut short while it connects forgets its connection and its tasks, which end when they are
# collected, in whatever test runs then. Nobody but the library can end them sooner.
FORGOTTEN_BY_AIOKAFKA = ("ignore:[Uu]nclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("services") is not None:
            for forgotten in FORGOTTEN_BY_AIOKAFKA:
                item.add_marker(pytest.mark.filterwarnings(forgotten))


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with Kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxdb]:
    with Influxdb(tmp_path_factory.mktemp("influxdb")) as database:
        yield database


@pytest.fixture
def a_mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """`a_mosquitto(**what Mosquitto takes)`: one of the test's own, started; killed when the test is over."""
    with ExitStack() as ending:

        def started(folder: str = "mosquitto", **said: object) -> Mosquitto:
            broker = Mosquitto(tmp_path / folder, **said)  # type: ignore[arg-type]
            ending.callback(broker.kill)
            broker.start()
            return broker

        yield started


@pytest.fixture
def a_kafka(tmp_path: Path) -> Iterator[Callable[..., Kafka]]:
    """`a_kafka(**what Kafka takes)`: one of the test's own, started; killed when the test is over."""
    with ExitStack() as ending:

        def started(folder: str = "kafka", **said: object) -> Kafka:
            broker = Kafka(tmp_path / folder, **said)  # type: ignore[arg-type]
            ending.callback(broker.kill)
            broker.start()
            return broker

        yield started


@pytest.fixture
def an_influxdb(tmp_path: Path) -> Iterator[Callable[..., Influxdb]]:
    """`an_influxdb(**what Influxdb takes)`: one of the test's own, started; killed when the test is over."""
    with ExitStack() as ending:

        def started(folder: str = "influxdb", **said: object) -> Influxdb:
            database = Influxdb(tmp_path / folder, **said)  # type: ignore[arg-type]
            ending.callback(database.kill)
            database.start()
            return database

        yield started
