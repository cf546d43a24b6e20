"""What docs/operations.md says about copies: its own lines are run, beside a service at work, and what they leave is started."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from ingest.journal import SqliteJournal
from tests.ingest.mqtt_probe import until
from tests.jianwei.copying import changes, lines_of_the_page, readings, run, told_ids
from tests.jianwei.lived import OXYGEN, block, of, record
from tests.jianwei.serving import NITROGEN_DIOXIDE, OZONE, Service, told

SLOWLY = "trap 'sleep 0.1' DEBUG\n"  # so that between two lines much happens
CLEAN, OVER = 40.0, 450.0
OLD_HOURS = range(1, 9)  # of two days long past, which the service seals


@contextmanager
def talking(service: Service) -> Iterator[None]:
    """A station that reports ever older hours, clean and over the limit in turn, all the time."""
    stop = threading.Event()

    def talk() -> None:
        for hour in count(1_000):
            if stop.wait(0.01):
                return
            service.publish(told(hour, {NITROGEN_DIOXIDE: CLEAN, OZONE: 60.0}))

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def past(folder: Path) -> None:
    """Two closed days in the journal."""
    for day in ("2026-03-01T{:02}:00:00+08:00", "2026-03-03T{:02}:00:00+08:00"):
        record(folder, (block(day.format(h + 9), of("A-1", h, 7.0, OXYGEN, day)) for h in OLD_HOURS))


def some(service: Service) -> None:
    """Episodes that opened and ended, and something that cannot be read."""
    values = [CLEAN, OVER, OVER, CLEAN, CLEAN, OVER]
    messages = [told(10 - n, {NITROGEN_DIOXIDE: value, OZONE: 60.0}) for n, value in enumerate(values)]
    service.publish(*messages, ("jianwei/v1/A-1/hour", b"{broken"))
    until(lambda: service.runtime.recorder.messages >= 7 and service.runtime.is_idle)
    until(lambda: len(service.notices()) == len(changes(service)))


def test_a_copy_made_while_messages_come_starts_elsewhere_and_lacks_nothing_from_before_it(tmp_path: Path) -> None:
    data, copy, restored = tmp_path / "data", tmp_path / "copy", tmp_path / "restored"
    past(tmp_path)
    with Service(data) as service:
        some(service)
        with talking(service):
            until(lambda: service.runtime.recorder.messages > 20)
            until(lambda: sum(day.sealed for day in service.runtime.journal.days()) == 2)
            known, entries = changes(service), service.runtime.journal.read(0, 10**9)
            run(SLOWLY + lines_of_the_page("a copy of DATA in TO"), DATA=data, TO=copy)
        until(lambda: service.runtime.is_idle)
        found, values = changes(service), readings(service)

    run(lines_of_the_page("the copy in TO becomes DATA"), DATA=restored, TO=copy)
    journal = SqliteJournal(restored / "journal")
    assert journal.verify() == []
    kept = journal.read(0, 10**9)
    journal.close()
    assert kept[: len(entries)] == entries
    assert len(kept) > len(entries), "messages came meanwhile"
    with Service(restored) as service:
        until(lambda: service.runtime.is_idle)
        assert service.runtime.quarantine.count_messages() == 1
        assert set(known) <= set(changes(service)) <= set(found)
        assert readings(service).items() <= values.items()
        messages = sum(len(one) for entry in kept for one in entry.blocks)
        assert len(readings(service)) == 2 * (messages - 1) - 2 * len(OLD_HOURS)
        service.publish(told(0, {NITROGEN_DIOXIDE: CLEAN}))
        service.took(1)


def test_a_store_that_is_lost_is_filled_again_and_nobody_is_told_anything(tmp_path: Path) -> None:
    past(tmp_path)
    with Service(tmp_path / "data") as service:
        some(service)
        found, values, notices = changes(service), readings(service), service.notices()
    shutil.rmtree(tmp_path / "data" / "store")
    run(lines_of_the_page("every entry of the journal is stored again"), DATA=tmp_path / "data")
    with Service(tmp_path / "data") as service:
        until(lambda: service.runtime.is_idle)
        assert readings(service) == values
        assert changes(service) == found
        assert service.runtime.quarantine.count_messages() == 1
    assert service.notices() == notices


def test_an_older_ledger_put_back_alone_finds_the_same_again(tmp_path: Path) -> None:
    ledger = tmp_path / "data" / "ledger.sqlite"
    with Service(tmp_path / "data") as service:
        service.publish(told(20, {NITROGEN_DIOXIDE: OVER}))
        service.took(1)
    shutil.copy(ledger, tmp_path / "ledger.sqlite")
    with Service(tmp_path / "data") as service:
        some(service)
        found, values, ids = changes(service), readings(service), told_ids(service)
    ledger.unlink()
    shutil.copy(tmp_path / "ledger.sqlite", ledger)
    with Service(tmp_path / "data") as service:
        until(lambda: service.runtime.is_idle)
        assert changes(service) == found
        assert readings(service) == values
        until(lambda: len(service.notices()) > len(ids))
    assert set(told_ids(service)) == set(ids)


def test_a_closed_day_that_was_damaged_is_mended_by_its_copy(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    past(tmp_path)
    with Service(data) as service:
        until(lambda: sum(day.sealed for day in service.runtime.journal.days()) == 2)
        run(lines_of_the_page("a copy of DATA in TO"), DATA=data, TO=copy)
    day = data / "journal" / "2026-03-03.sqlite"
    content = bytearray(day.read_bytes())
    content[len(content) // 2] ^= 1
    day.write_bytes(content)
    assert SqliteJournal(data / "journal").verify() != []
    shutil.copy(copy / "journal" / day.name, day)
    assert SqliteJournal(data / "journal").verify() == []
