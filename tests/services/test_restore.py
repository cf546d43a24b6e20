"""What docs/operations.md says of an empty InfluxDB, and of Kafka after a copy was put back: its own lines are run."""

import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.sources.kafka import KafkaSourceSettings
from ingest.stores.influxdb import InfluxdbStoreSettings
from jianwei.clock import wall_ns
from jianwei.settings import BrokerSettings, FormatRoute
from tests.ingest.mqtt_probe import until
from tests.jianwei.copying import changes, lines_of_the_page, readings, run
from tests.jianwei.serving import NITROGEN_DIOXIDE, OZONE, Service, told
from tests.services.influxdb import Influxdb
from tests.services.kafka import Kafka, java
from tests.services.kafka_topics import Written, make_topic, write

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]
TOPIC = GROUP = "restore"
TOOL = "/opt/kafka/bin/kafka-consumer-groups.sh"
CLEAN, OVER = 40.0, 450.0


def in_influxdb(database: Influxdb, name: str) -> InfluxdbStoreSettings:
    """A store with three empty buckets."""
    buckets = {kind: f"{name}-{kind}" for kind in ("raw", "hour", "day")}
    for bucket in buckets.values():
        database.make_bucket(bucket)
    given = {"url": database.url, "org": database.org, "token": database.token, **buckets}
    return InfluxdbStoreSettings.model_validate(given)


def test_an_empty_influxdb_is_filled_again_and_nobody_is_told_anything(influxdb: Influxdb, tmp_path: Path) -> None:
    with Service(tmp_path, store=in_influxdb(influxdb, "before")) as service:
        values = [CLEAN, OVER, OVER, CLEAN, OVER]
        service.publish(*[told(9 - n, {NITROGEN_DIOXIDE: value, OZONE: 60.0}) for n, value in enumerate(values)])
        service.took(5)
        until(lambda: len(service.notices()) == len(changes(service)))
        found, stored, notices = changes(service), readings(service), service.notices()
    assert len(stored) == 10
    assert notices
    run(lines_of_the_page("every entry of the journal is stored again"), DATA=tmp_path)
    with Service(tmp_path, store=in_influxdb(influxdb, "after")) as service:
        until(lambda: service.runtime.is_idle)
        assert readings(service) == stored
        assert changes(service) == found
    assert service.notices() == notices


def test_what_came_after_the_copy_comes_from_kafka_again(kafka: Kafka, tmp_path: Path) -> None:
    make_topic(kafka.address, TOPIC, 2)
    on_kafka = {
        "broker": BrokerSettings(),
        "sources": [
            KafkaSourceSettings(name="bus", client_id="restore", servers=(kafka.address,), topics=(TOPIC,), group=GROUP)
        ],
        "formats": [FormatRoute(topic=TOPIC)],
    }
    since = datetime.fromtimestamp(wall_ns() / 1e9 - 60, UTC)
    records = [Written(told(hour, {NITROGEN_DIOXIDE: CLEAN, OZONE: 60.0})[1], b"A-1") for hour in range(40, 0, -1)]
    with Service(tmp_path / "data", **on_kafka) as service:
        write(kafka.address, TOPIC, records[:20])
        service.took(20)
        run(lines_of_the_page("a copy of DATA in TO"), DATA=tmp_path / "data", TO=tmp_path / "copy")
        write(kafka.address, TOPIC, records[20:])
        service.took(40)
        found, stored = changes(service), readings(service)
    assert len(stored) == 80

    run(lines_of_the_page("the copy in TO becomes DATA"), DATA=tmp_path / "other", TO=tmp_path / "copy")
    script = lines_of_the_page("the group reads again").replace(
        TOOL, shlex.join(java("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"))
    )
    run(script, KAFKA=kafka.address, GROUP=GROUP, SINCE=f"{since:%Y-%m-%dT%H:%M:%S}.000")
    with Service(tmp_path / "other", **on_kafka) as service:
        until(lambda: len(readings(service)) == 80 and service.runtime.is_idle, 60)
        assert readings(service) == stored
        assert changes(service) == found
