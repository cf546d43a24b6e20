"""Events are CloudEvents, say what the published schema says, and are the same bytes for the same change."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings

from alerts.events import AlertEvent, compose, schema_text
from alerts.notices import CodesAsNames, instant
from rules.readings import Transition
from tests.alerts.found import LAW, NOON_NS, OPENED, change, changes

SCHEMA = Path(__file__).parent.parent.parent / "docs" / "schemas" / "alert_event.json"
HOW_TO = "write it again: python -c \"from alerts.events import schema_text; print(schema_text(), end='')\""


def composed(transition: Transition) -> AlertEvent:
    return compose(transition, number=7, recorded_ns=NOON_NS + 1_000, names=CodesAsNames(), instance="test")


def test_the_published_schema_is_that_of_the_code() -> None:
    assert SCHEMA.read_text() == schema_text(), HOW_TO


@settings(deadline=None, max_examples=60)
@given(changes)
def test_every_change_makes_a_valid_event_and_always_the_same_bytes(transition: Transition) -> None:
    body = composed(transition).to_bytes()
    assert body == composed(transition).to_bytes()
    jsonschema.validate(json.loads(body), json.loads(schema_text()))
    assert AlertEvent.model_validate_json(body).to_bytes() == body


def test_the_library_reads_the_attributes() -> None:
    event = JSONFormat().read(CloudEvent, composed(OPENED).to_bytes())
    assert event.get_attributes() | {"datacontenttype": ""} == {
        "specversion": "1.0",
        "id": OPENED.id,
        "source": "/jianwei/test",
        "type": "cn.jianwei.episode.opened.v1",
        "subject": "S-01",
        "time": instant(NOON_NS),
        "datacontenttype": "",
        "partitionkey": "S-01",
        "recordedtime": "2026-03-01T12:00:00.000001Z",
        "sequence": "00000000000000000007",
        "severity": "yellow",
        "historical": False,
    }


def test_the_data_hold_what_a_person_needs() -> None:
    data = json.loads(composed(OPENED).to_bytes())["data"]
    assert data["value"] == 2.31
    assert data["multiple"] == 1.31
    assert data["limit"] == {
        "id": "L1",
        "low": None,
        "high": 1.0,
        "unit": "mg/L",
        "standard": LAW.standard,
        "edition": "2002",
        "clause": "表1",
        "mark": "C",
        "legal": True,
        "authority": "general",
        "condition": "",
    }
    assert data["first"] == {"time": "2026-03-01T11:00:00Z", "value": 1.5, "position": 1 << 20}
    assert data["since"] == "2026-03-01T11:00:00Z"
    assert "超过" in data["text"]["zh"]


def test_back_filled_changes_say_so() -> None:
    assert composed(change(at_ns=NOON_NS - 2 * 86_400 * 10**9)).historical
    assert not composed(OPENED).historical


@pytest.mark.parametrize(("mark", "multiple"), [("C", 1.31), ("R", None), ("P", None)])
def test_a_multiple_is_told_of_legal_limits_alone(mark: str, multiple: float | None) -> None:
    event = compose(
        change(limit=replace(LAW, mark=mark)), number=1, recorded_ns=NOON_NS, names=CodesAsNames(), instance="t"
    )
    assert event.data.multiple == multiple
