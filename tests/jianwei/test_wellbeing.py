"""How the service is, said by its parts, by what flows, and by the room on the disk; asking never fails."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from ingest.journal import SqliteJournal
from ingest.message import Block
from jianwei.clock import wall_ns
from jianwei.settings import BrokerSettings, HealthSettings, JournalSettings
from rules.readings import SECOND_NS
from tests.ingest.mqtt_probe import until
from tests.jianwei.serving import NITROGEN_DIOXIDE, Service, told


def quiet(folder: Path, **changes: Any) -> Service:
    """A service that nobody speaks to."""
    return Service(folder, broker=BrokerSettings(), **changes)


def test_every_part_has_its_word_and_a_gauge_of_the_same_name(tmp_path: Path) -> None:
    with quiet(tmp_path) as service:
        report = service.runtime.wellbeing.report()
        assert set(report) == {
            "recorder",
            "journal",
            "worker",
            "judging",
            "uploader",
            "store",
            "time",
            "register",
            "stations",
            "delivery:file",
            "flow",
            "disk",
        }
        assert all(part.ok and not part.why for part in report.values())
        assert all(service.metric("part_well", part=name) == 1 for name in report)


def test_a_service_that_stands_still_says_so_by_each_thread(tmp_path: Path) -> None:
    with quiet(tmp_path) as service:
        pass
    report = service.runtime.wellbeing.report()
    ill = {name for name, part in report.items() if not part.ok}
    assert ill == {"recorder", "worker", "uploader", "delivery:file", "register"}
    assert "does not run" in report["worker"].why


def test_silence_counts_from_the_start_even_when_nobody_asked_before(tmp_path: Path) -> None:
    with quiet(tmp_path, health=HealthSettings(silent_s=0.3, least_free_mb=0)) as service:
        time.sleep(0.4)
        assert "flow" in service.ready()[1]


def test_ticks_are_no_flow(tmp_path: Path) -> None:
    changes = {
        "health": HealthSettings(silent_s=0.5, least_free_mb=0),
        "journal": JournalSettings(tick_s=0.05, sync=False),
    }
    with quiet(tmp_path, **changes) as service:
        until(lambda: service.runtime.journal.last() >= 3)
        until(lambda: "flow" in service.ready()[1], 3.0)


def test_a_data_folder_that_is_gone_is_told_and_the_port_still_answers(tmp_path: Path) -> None:
    with quiet(tmp_path / "data", journal=JournalSettings(tick_s=3_600, sync=False)) as service:
        (tmp_path / "data").rename(tmp_path / "gone")
        status, words = service.ready()
        assert status == 503
        assert "cannot be looked at" in words["disk"]
        assert service.page("/metrics")[0] == 200


def test_a_damaged_journal_is_told_by_the_worker_and_the_port_still_answers(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal", sync=False)
    for _ in range(2):
        journal.append([Block("mqtt", 1, ["t"], [b"x"])], wall_ns(), tick=False)
    journal.close()
    with closing(sqlite3.connect(next((tmp_path / "journal").glob("*.sqlite")), isolation_level=None)) as file:
        file.execute("UPDATE entries SET body = x'00' WHERE number = 2")

    with quiet(tmp_path, journal=JournalSettings(tick_s=3_600, sync=False)) as service:
        until(lambda: "worker" in service.ready()[1], 10.0)
        assert "entry 2 cannot be read" in service.ready()[1]["worker"]
        assert service.page("/metrics")[0] == 200
        assert service.metric("spool_entries") == 2
    assert not service.runtime.wellbeing.report()["worker"].ok, "and it could be stopped"


def test_an_age_is_never_negative_when_the_clock_is_set_back(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        service.publish(told(0, {NITROGEN_DIOXIDE: 40.0}))
        service.took(1)
        wellbeing = service.runtime.wellbeing
        wellbeing._clock = lambda: 1_000 * SECOND_NS  # 1970
        wellbeing.report()
        age_s = service.telemetry.meters.registry.get_sample_value(
            "mqtt_last_packet_age_seconds", {"source": "embedded"}
        )
        assert age_s == 0
