"""The whole service: from a message on a broker to a reading, an episode and a notice; stopped, started, and pressed."""

import os
import random
import signal
import sqlite3
import threading
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from alerts.channels.file import FileChannelSettings
from alerts.routing import Route
from ingest.broker import HOST, EmbeddedBroker
from ingest.formats.json_v1 import JsonV1
from ingest.partitions import DAY_NS, name_of
from ingest.sources.mqtt import MqttSourceSettings
from jianwei.folders import DataFolder
from jianwei.format_routes import chooser
from jianwei.lock import DataInUse
from jianwei.runtime import placed, routes_of
from jianwei.settings import BrokerSettings, FormatRoute, HealthSettings, HttpSettings, JournalSettings
from rules.readings import Kind, Level
from simulators.publish import Publisher
from tests.ingest.mqtt_probe import until
from tests.jianwei.serving import HOUR_NS, LATEST_HOUR_NS, NITROGEN_DIOXIDE, OZONE, Service, settings_for, told

CLEAN, OVER = {NITROGEN_DIOXIDE: 40.0, OZONE: 60.0}, {NITROGEN_DIOXIDE: 450.0, OZONE: 60.0}


def test_a_message_becomes_a_reading_an_episode_and_a_notice_and_a_bad_one_is_kept(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        service.publish(told(2, CLEAN), ("jianwei/v1/A-1/hour", b"{broken"), told(1, OVER), told(0, OVER))
        service.took(4)

        stored = service.runtime.store.read("A-1", NITROGEN_DIOXIDE, Kind.HOUR, 0, 2**62)
        assert [reading.value for reading in stored] == [40.0, 450.0, 450.0]
        assert stored[-1].measured_ns == LATEST_HOUR_NS
        assert service.count() == 6
        (kept,) = service.runtime.quarantine.entries()
        assert kept.problem.payload == b"{broken"
        (episode,) = (e for e in service.runtime.ledger.episodes() if e.rule == "city_air_over")
        assert (episode.station, episode.parameter) == ("A-1", NITROGEN_DIOXIDE)
        until(lambda: any(n["data"]["rule"] == "city_air_over" for n in service.notices()))
        notice = next(n for n in service.notices() if n["data"]["rule"] == "city_air_over")
        assert "一号站" in notice["data"]["text"]["zh"]
        assert service.ready() == (200, {})


def test_the_metrics_of_a_service_at_work_are_set(tmp_path: Path) -> None:
    with Service(tmp_path, journal=JournalSettings(tick_s=3_600, sync=False)) as service:  # no tick comes between
        service.publish(told(1, CLEAN), told(0, OVER), ("jianwei/v1/A-1/hour", b"{broken"))
        service.took(3)
        until(service.notices)
        value = service.metric
        assert value("ingest_connections_total", source="embedded", result="connected") == 1
        age_s = value("mqtt_last_packet_age_seconds", source="embedded")
        assert age_s is not None
        assert 0 < age_s < 60
        assert value("ingest_messages_total", result="journaled") == 3
        assert value("ingest_messages_total", result="judged") == 3
        assert value("ingest_rejected_total", reason="not_json") == 1
        lag_s = value("ingest_ack_lag_seconds_sum")
        assert lag_s is not None
        assert 0 < lag_s < 30
        assert value("store_points_total", result="stored") == 4
        assert (value("spool_entries"), value("spool_oldest_seconds"), value("watermark_delay_seconds")) == (0, 0, 0)
        assert value("ingest_unacked") == 0
        assert (value("spool_bytes") or 0) > 0
        assert (value("rule_eval_seconds_count") or 0) > 0
        assert (value("store_write_seconds_count") or 0) > 0
        until(lambda: value("notify_attempts_total", channel="file", reason="sent") == len(service.notices()))
        opened = [episode.level for episode in service.runtime.ledger.episodes(open_only=True)]
        for level in Level:
            if level:
                assert value("alerts_open", severity=level.name.lower()) == opened.count(level)
        assert value("part_well", part="store") == value("part_well", part="source:embedded") == 1


def test_a_clean_stop_leaves_no_thread_and_the_next_start_goes_on_where_it_was(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with Service(tmp_path) as first:
        first.publish(told(3, CLEAN), told(2, OVER))
        first.took(2)
    assert not set(threading.enumerate()) - before
    sent = [notice["id"] for notice in first.notices()]
    assert sent

    with Service(tmp_path) as second:
        assert second.metric("alerts_open", severity="orange") == 1
        second.publish(told(1, CLEAN), told(0, CLEAN))
        second.took(2)
        assert second.metric("ingest_messages_total", result="judged") == 2, "nothing is judged again"
        assert second.count() == 8
        until(lambda: any(n["data"]["what"] == "cleared" for n in second.notices()))
        ids = [notice["id"] for notice in second.notices()]
    assert ids[: len(sent)] == sent
    assert len(set(ids)) == len(ids), "nobody is told twice"


def test_what_was_published_just_before_a_stop_is_there_after_the_next_start(tmp_path: Path) -> None:
    with Service(tmp_path) as first:
        first.publish(*[told(hour, CLEAN) for hour in range(100, 0, -1)])
    with Service(tmp_path, broker=BrokerSettings(enabled=True, port=first.broker_port)) as second:
        until(lambda: second.runtime.is_idle and second.count() == 200)


def test_an_embedded_broker_that_dies_is_started_again_and_messages_go_on(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        service.publish(told(2, CLEAN))
        service.took(1)
        port = service.broker_port
        assert service.runtime.broker is not None
        os.kill(service.runtime.broker.pid or 0, signal.SIGKILL)
        until(lambda: "the embedded broker ended by itself" in service.log.getvalue())
        service.publish(told(1, CLEAN))
        service.took(2)
        assert service.broker_port == port
        until(lambda: service.ready()[0] == 200)


def test_a_clock_that_is_set_back_is_red_with_words(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        service.runtime.journal.append([], service.runtime.journal.append([], 0, tick=True) + 2**62, tick=True)
        until(lambda: "clock was set back" in service.ready()[1].get("time", ""))


def test_two_services_do_not_work_on_one_folder(tmp_path: Path) -> None:
    with Service(tmp_path) as first:
        with pytest.raises(DataInUse), Service(tmp_path):
            raise AssertionError("two run")
        first.publish(told(0, CLEAN))
        first.took(1)


def test_a_start_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with Service(tmp_path / "one") as first:
        assert first.runtime.port is not None
        taken = HttpSettings(port=first.runtime.port.port)
        beside = set(threading.enumerate())
        with pytest.raises(OSError, match="operator's port"), Service(tmp_path / "other", http=taken):
            raise AssertionError("it runs without its port")
        assert set(threading.enumerate()) == beside
    assert set(threading.enumerate()) == before
    with Service(tmp_path / "other") as other:
        other.publish(told(0, CLEAN))
        other.took(1)


def test_a_full_disk_is_red_with_words_and_nothing_is_lost_when_there_is_room_again(tmp_path: Path) -> None:
    with Service(tmp_path, journal=JournalSettings(tick_s=3_600, sync=False)) as service:
        service.publish(told(40, CLEAN))
        service.took(1)
        service.runtime.journal.most_pages = 1  # no larger than it is; nobody appends at this moment
        noise = [("jianwei/v1/A-1/hour", random.Random(n).randbytes(3_000)) for n in range(20)]
        service.publish(*noise, told(0, CLEAN))
        until(lambda: "journal" in service.ready()[1], 20.0)
        status, words = service.ready()
        assert status == 503
        assert "takes no entry" in words["journal"]
        assert "nothing is acknowledged until there is room" in words["journal"]
        assert service.page("/health/live")[0] == 200, "a restart would not help"
        assert (service.metric("journal_refused_total") or 0) > 0
        assert service.metric("part_well", part="journal") == 0

        service.runtime.journal._most_pages = None  # read when the file is opened again
        until(lambda: service.count() == 4 and service.runtime.is_idle, 60.0)
        assert service.runtime.quarantine.count_messages() == 20
        assert service.ready() == (200, {})


def test_a_store_that_is_held_is_red_with_words_and_alerts_do_not_wait_for_it(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        service.publish(told(2, CLEAN))
        service.took(1)
        day = next(p for p in (tmp_path / "store").glob("2*.sqlite"))
        with (
            closing(sqlite3.connect(tmp_path / "store" / "series.sqlite", isolation_level=None)) as series,
            closing(sqlite3.connect(day, isolation_level=None)) as held,
        ):
            series.execute("BEGIN IMMEDIATE")
            held.execute("BEGIN IMMEDIATE")
            service.publish(told(1, OVER), told(0, {**OVER, "a21026": 12.0}))
            until(lambda: "store" in service.ready()[1], 20.0)
            status, words = service.ready()
            assert status == 503
            assert "locked" in words["store"]
            assert "rows wait" in words["store"]
            until(lambda: any(n["data"]["rule"] == "city_air_over" for n in service.notices()))
            assert (service.metric("spool_entries") or 0) > 0
            assert (service.metric("spool_oldest_seconds") or 0) > 0
            assert (service.metric("store_busy_total") or 0) > 0
        service.took(3)
        assert service.count() == 7
        assert service.ready() == (200, {})


def test_a_stop_while_the_store_is_away_leaves_its_rows_to_the_next_start(tmp_path: Path) -> None:
    with ExitStack() as held, Service(tmp_path) as first:
        first.publish(told(2, CLEAN))
        first.took(1)
        for day in {(LATEST_HOUR_NS - hours * HOUR_NS) // DAY_NS for hours in range(2)}:  # two, soon after midnight
            holder = sqlite3.connect(tmp_path / "store" / f"{name_of(day)}.sqlite", isolation_level=None)
            held.callback(holder.close)
            holder.execute("BEGIN IMMEDIATE")
        first.publish(told(1, OVER), told(0, CLEAN))
        until(lambda: first.runtime.recorder.messages == 3 and first.runtime.worker.judged >= 3)
    assert first.count() == 2
    with Service(tmp_path) as second:
        until(lambda: second.runtime.is_idle and second.count() == 6)
        assert len([e for e in second.runtime.ledger.episodes() if e.rule == "city_air_over"]) == 1


def test_when_nothing_flows_it_is_red_with_words(tmp_path: Path) -> None:
    with Service(tmp_path, health=HealthSettings(silent_s=0.5, least_free_mb=0)) as service:
        until(lambda: "flow" in service.ready()[1])
        status, words = service.ready()
        assert status == 503
        assert "look at the broker" in words["flow"]
        service.publish(told(0, CLEAN))
        service.took(1)
        assert "flow" not in service.ready()[1]


def test_a_disk_with_too_little_room_is_red_before_it_is_full(tmp_path: Path) -> None:
    with Service(tmp_path, health=HealthSettings(silent_s=0, least_free_mb=10**9)) as service:
        status, words = service.ready()
        assert status == 503
        assert "make room" in words["disk"]


def test_a_broker_elsewhere_is_a_source_and_its_absence_is_red(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "broker")
    broker.start()
    source = MqttSourceSettings(
        name="north", port=broker.port, client_id="c", reconnect_min_s=0.05, reconnect_max_s=0.2, resend_after_s=1.25
    )
    with Service(tmp_path / "data", broker=BrokerSettings(), sources=[source]) as service:
        until(lambda: service.ready()[0] == 200)
        with Publisher(HOST, broker.port) as station:
            station.publish(*told(0, CLEAN))
            station.flush()
        service.took(1)
        broker.stop()
        until(lambda: "source:north" in service.ready()[1])
        assert (service.metric("ingest_connections_total", source="north", result="lost") or 0) >= 1
        broker.start()
        until(lambda: service.ready()[0] == 200)
    broker.stop()
    assert DataFolder(tmp_path / "data").session("north").is_file()


def test_without_routes_every_channel_is_told_everything(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    assert routes_of(settings) == [Route(channel="file")]
    own = [Route(channel="file", min_level=Level.RED)]
    assert routes_of(settings.model_copy(update={"routes": own})) == own


def test_the_first_filter_that_matches_chooses_the_format() -> None:
    choose = chooser([FormatRoute(topic="site/+/hour"), FormatRoute(topic="jianwei/v1/#")])
    assert isinstance(choose("mqtt", "jianwei/v1/A-1/hour"), JsonV1)
    assert choose("mqtt", "site/A/hour") is not choose("mqtt", "jianwei/v1/A/hour")
    assert choose("mqtt", "site/A/minute") is None
    assert choose("mqtt", "site/A/hour") is choose("other", "site/B/hour")


def test_a_file_channel_lies_under_the_data_folder_unless_it_is_absolute(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    for said, meant in ((Path("alerts"), tmp_path / "alerts"), (Path("/var/alerts"), Path("/var/alerts"))):
        there = placed(FileChannelSettings(folder=said), folder)
        assert isinstance(there, FileChannelSettings)
        assert there.folder == meant
