"""How much `json_v1` remembers of the messages it has met."""

import tracemalloc

import pytest

from ingest.formats.json_v1 import JsonV1
from tests.ingest.json_reading import PLAIN, ReadColumns, written


def test_what_is_remembered_is_bounded_by_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few messages suffice to fill a memory that is bounded by number: with many codes each, or a long topic."""
    monkeypatch.setattr("ingest.formats.json_v1.MOST_CACHED_BYTES", 1_000_000)
    decoder, columns = JsonV1(), ReadColumns()
    tracemalloc.start()
    for number in range(100):
        codes = ",".join(f'"c{(number + code) % 1_000}-{"x" * 30}":1.5' for code in range(1_000))
        message = f'{{"station":"A","kind":"hour","time":"2026-05-01T12:00:00+08:00","values":{{{codes}}}}}'.encode()
        assert decoder.decode("t", message, columns) == ()
    columns.taken()
    assert len(decoder._layouts) < 20
    for number in range(100):
        topic = f"{number}/{'x' * 60_000}"
        assert decoder.decode(topic, written(PLAIN), columns) == ()
    assert sum(len(layout[0]) for layout in decoder._layouts) < 1_100_000
    assert sum(map(len, decoder._topics)) < 1_100_000
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 4_000_000
