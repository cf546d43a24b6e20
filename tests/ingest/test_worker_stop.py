"""A clean stop keeps the engine, and the next start goes on from exactly there."""

import json
from pathlib import Path

import pytest

from alerts.ledger import SqlLedger
from ingest.formats.json_v1 import JsonV1
from ingest.journal import SqliteJournal
from ingest.judging import Choose
from ingest.message import Block
from ingest.pipeline import Worker
from ingest.quarantine import Quarantine
from ingest.stores.sqlite import SqliteStore
from ingest.uploader import Uploader
from rules.engine import Engine
from rules.readings import SECOND_NS, Kind, SeriesKey
from tests.rules.watching import START_NS, Handmade, watch

WATCHLIST = Handmade([watch("rate_of_change", {"suspect": 1.0}, series=SeriesKey("S1", "p0", Kind.MINUTE))])


class Service:
    """The parts that stand behind the journal, on one folder."""

    def __init__(self, folder: Path) -> None:
        self.journal = SqliteJournal(folder / "journal", sync=False)
        self.ledger = SqlLedger(f"sqlite:///{folder / 'ledger.sqlite'}", [], lambda: START_NS)
        self.store = SqliteStore(folder / "store", sync=False)
        self.quarantine = Quarantine(folder / "quarantine.sqlite")
        self.uploader = Uploader(self.store, self.quarantine, lambda _record: None)
        self.worker = Worker(
            self.journal,
            lambda snapshot, _version: Engine(WATCHLIST) if snapshot is None else Engine.restore(snapshot, WATCHLIST),
            lambda _version: json_v1(),
            self.quarantine,
            self.uploader,
            self.ledger,
            lambda: START_NS,
            lambda _record: None,
            most_messages=1,
        )

    def close(self) -> None:
        for part in (self.journal, self.ledger, self.store, self.quarantine):
            part.close()


def json_v1() -> Choose:
    a_format = JsonV1()
    return lambda _source, _topic: a_format


def message(number: int, value: float) -> list[Block]:
    content = {"station": "S1", "kind": "minute", "time": f"2025-06-15T15:{number:02}:00Z", "values": {"p0": value}}
    return [Block("mqtt", START_NS, ["jianwei/v1/S1/minute"], [json.dumps(content).encode()])]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_stop_on_the_way_to_what_was_judged_before_keeps_the_engine_where_it_is(tmp_path: Path, steps: int) -> None:
    first = Service(tmp_path)
    for number, value in enumerate([1.0, 1.0, 1.0]):
        first.journal.append(message(number, value), START_NS + number * SECOND_NS, tick=False)
    while first.worker.step():
        pass
    assert first.worker.judged == 3
    first.close()  # no snapshot, nothing stored: as after a kill

    second = Service(tmp_path)
    for _ in range(steps):
        second.worker.step()
        second.uploader.step()
    second.worker.finish()
    at = second.ledger.resume()
    second.close()

    assert (at.judged, at.stored, at.mark) == (3, steps, steps)
