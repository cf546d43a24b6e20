"""From bytes to columns: json_v1 beside a pydantic model that is as strict as pydantic can be.

It is strict about types, names, unknown keys and zones, as ours is; a key that stands twice, and digits that a float64
does not hold, it cannot see.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ingest.batching import BatchBuilder
from ingest.formats.json_v1 import KINDS, JsonV1
from rules.readings import SECOND_NS, SeriesKey
from tests.bench.messages import messages
from tests.bench.table import Effort, Row

PORTION = 1_000  # messages that become one batch

Decode = Callable[[str, bytes, BatchBuilder], None]


class Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    v: Literal[1] = 1
    station: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    kind: Literal["realtime", "minute", "hour", "day"]
    time: AwareDatetime
    seq: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
    values: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")], float | None]


class Places:
    """Gives numbers to series, as the engine does."""

    def __init__(self) -> None:
        self._known: dict[SeriesKey, int] = {}

    def __call__(self, key: SeriesKey) -> int:
        return self._known.setdefault(key, len(self._known))


def nanoseconds(when: datetime) -> int:
    return round(when.timestamp()) * SECOND_NS + when.microsecond * 1_000


def with_pydantic(topic: str, payload: bytes, columns: BatchBuilder) -> None:
    message = Message.model_validate_json(payload)
    if topic != f"jianwei/v1/{message.station}/{message.kind}":
        raise ValueError(topic)
    kind = KINDS[message.kind]
    places = [columns.place(SeriesKey(message.station, code, kind)) for code in message.values]
    values = [np.nan if value is None else value for value in message.values.values()]
    columns.extend(places, nanoseconds(message.time), values, None)


def ours() -> Decode:
    json_v1 = JsonV1()

    def decode(topic: str, payload: bytes, columns: BatchBuilder) -> None:
        assert not json_v1.decode(topic, payload, columns)

    return decode


def decode_us(decode: Decode, columns: BatchBuilder, sent: list[tuple[str, bytes]]) -> float:
    """CPU microseconds a message."""
    began = time.process_time()
    for start in range(0, len(sent), PORTION):
        portion = sent[start : start + PORTION]
        for topic, payload in portion:
            decode(topic, payload, columns)
            columns.end_message()
        each = np.zeros(len(portion), np.int64)
        columns.build(each, each)
    return (time.process_time() - began) / len(sent) * 1e6


def rows(effort: Effort) -> list[Row]:
    sent = messages(effort.of(40_000, 10_000))
    our_way, our_columns, other_columns = ours(), BatchBuilder(Places()), BatchBuilder(Places())
    decode_us(our_way, our_columns, sent[:2_000])  # every layout is met
    decode_us(with_pydantic, other_columns, sent[:2_000])
    mine, other = effort.medians(
        lambda: decode_us(our_way, our_columns, sent), lambda: decode_us(with_pydantic, other_columns, sent), repeats=5
    )
    return [Row("decode json_v1 into columns", mine, "us a message", "pydantic, a loop over values", other)]
