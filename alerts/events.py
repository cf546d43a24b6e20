"""What leaves on the alerts topic and the webhook: a CloudEvent 1.0 for each change of an episode.

The event is a function of what the ledger keeps, so that a notice sent twice is the same bytes twice; consumers tell
repetitions by `id`. Published as `docs/schemas/alert_event.json`.
"""

import json
from math import isfinite, isnan
from typing import Literal

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from alerts.notices import Bilingual, Names, instant, is_legal, legal_multiple, notice_text
from alerts.routing import is_historical
from rules.readings import LimitInForce, Point, Transition

CONTENT_TYPE = "application/cloudevents+json"


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StationInfo(_Fact):
    id: str
    name: Bilingual


class ParameterInfo(_Fact):
    code: str
    name: Bilingual


class Evidence(_Fact):
    time: AwareDatetime = Field(description="When the station measured it, UTC.")
    value: float | None = Field(description="In `unit`; null where the station reported a missing value.")
    position: int = Field(description="Where its message lies in the journal: entry << 20 | index.")


class LimitInfo(_Fact):
    id: str
    low: float | None = Field(description="A value below it does not pass; null: no lower end.")
    high: float | None = Field(description="A value above it does not pass; null: no upper end.")
    unit: str
    standard: str
    edition: str
    clause: str
    mark: str = Field(description="C confirmed in a source, R recalled (to be verified), P project default.")
    legal: bool = Field(description="Whether it may be called a legal limit: only mark C.")
    authority: str = Field(description="permit | local | sector | general")
    condition: str


class AlertData(_Fact):
    """What a person needs to judge the change."""

    episode: str
    what: Literal["opened", "worsened", "cleared"]
    level: Literal["none", "blue", "yellow", "orange", "red"]
    family: Literal["exceedance", "data_quality", "equipment"]
    station: StationInfo
    parameter: ParameterInfo | None = Field(description="null: it concerns the station or its feed as a whole.")
    kind: Literal["realtime", "minute", "hour", "day"] | None
    value: float | None = Field(description="The worst value so far; null where the rule looks at no value.")
    unit: str
    limit: LimitInfo | None
    multiple: float | None = Field(description="(worst value - limit) / limit, where a legal limit defines it.")
    since: AwareDatetime
    at: AwareDatetime
    found: AwareDatetime = Field(description="When the message, or the passing of time, that shows it was received.")
    first: Evidence | None
    worst: Evidence | None
    last: Evidence | None
    rule: str
    rule_name: Bilingual
    edition: int = Field(description="Edition of the rule.")
    check: str
    reason: str
    text: Bilingual


class AlertEvent(_Fact):
    """A CloudEvent in structured mode."""

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(description="A function of what was found: finding it again gives the same id.")
    source: str = Field(description="/jianwei/{instance}")
    type: Literal["cn.jianwei.episode.opened.v1", "cn.jianwei.episode.worsened.v1", "cn.jianwei.episode.cleared.v1"]
    subject: str = Field(description="The station's id.")
    time: AwareDatetime = Field(description="When it happened at the station.")
    datacontenttype: Literal["application/json"] = "application/json"
    partitionkey: str = Field(description="The station's id: events of one station stay in order.")
    recordedtime: AwareDatetime = Field(description="When the source recorded it.")
    sequence: str = Field(description="Order of recording at the source, 20 digits.")
    severity: Literal["none", "blue", "yellow", "orange", "red"]
    historical: bool = Field(description="It happened more than a day before it could be found (back-filled data).")
    data: AlertData

    def to_bytes(self) -> bytes:
        """The event in structured JSON, as the CloudEvents library writes it. Equal events give equal bytes."""
        attributes = self.model_dump(exclude={"data"})
        return JSONFormat().write(CloudEvent(attributes, self.data.model_dump(mode="json")))


def compose(transition: Transition, *, number: int, recorded_ns: int, names: Names, instance: str) -> AlertEvent:
    """`number` and `recorded_ns` are the ledger's; `instance` names this installation."""
    worst = transition.worst or transition.last or transition.first
    return AlertEvent.model_validate(
        {
            "id": transition.id,
            "source": f"/jianwei/{instance}",
            "type": f"cn.jianwei.episode.{transition.what}.v1",
            "subject": transition.station,
            "time": instant(transition.at_ns),
            "partitionkey": transition.station,
            "recordedtime": instant(recorded_ns),
            "sequence": f"{number:020}",
            "severity": transition.level.name.lower(),
            "historical": is_historical(transition),
            "data": {
                "episode": transition.episode,
                "what": transition.what,
                "level": transition.level.name.lower(),
                "family": transition.family.name.lower(),
                "station": StationInfo(id=transition.station, name=names.station(transition.station)),
                "parameter": _parameter(transition, names),
                "kind": None if transition.kind is None else transition.kind.name.lower(),
                "value": None if worst is None or isnan(worst.value) else worst.value,
                "unit": transition.unit,
                "limit": _limit(transition.limit),
                "multiple": legal_multiple(transition.multiple, transition.limit),
                "since": instant(transition.since_ns),
                "at": instant(transition.at_ns),
                "found": instant(transition.found_ns),
                "first": _evidence(transition.first),
                "worst": _evidence(transition.worst),
                "last": _evidence(transition.last),
                "rule": transition.rule,
                "rule_name": names.rule(transition.rule),
                "edition": transition.edition,
                "check": transition.check,
                "reason": transition.reason,
                "text": notice_text(transition, names),
            },
        }
    )


def schema_text() -> str:
    """The content of `docs/schemas/alert_event.json`."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **AlertEvent.model_json_schema(mode="serialization"),
    }
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def _parameter(transition: Transition, names: Names) -> ParameterInfo | None:
    code = transition.parameter
    return ParameterInfo(code=code, name=names.parameter(code)) if code else None


def _evidence(point: Point | None) -> Evidence | None:
    if point is None:
        return None
    value = None if isnan(point.value) else point.value
    return Evidence(time=instant(point.measured_ns), value=value, position=point.position)


def _limit(limit: LimitInForce | None) -> LimitInfo | None:
    if limit is None:
        return None
    return LimitInfo(
        id=limit.limit_id,
        low=limit.low if isfinite(limit.low) else None,
        high=limit.high if isfinite(limit.high) else None,
        unit=limit.unit,
        standard=limit.standard,
        edition=limit.edition,
        clause=limit.clause,
        mark=limit.mark,
        legal=is_legal(limit),
        authority=limit.authority,
        condition=limit.condition,
    )
