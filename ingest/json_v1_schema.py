"""The JSON Schema of `json_v1`, made from the decoder's own names and bounds. Published as `docs/schemas/json_v1.json`.

A schema sees a message that is parsed already, so it cannot say all that the decoder asks for. `NOT_SAID` names what is
left; everything else is said.
"""

import json
from collections.abc import Mapping
from typing import Any

from ingest.formats.json_v1 import CODE, KINDS, MOST_SEQ, STATION, Bounds
from ingest.instants import FIRST_YEAR, LAST_YEAR
from rules.readings import FLAG_LETTERS, EquipmentFlag

JsonSchema = dict[str, Any]

FLAG_MEANINGS: Mapping[EquipmentFlag, str] = {
    EquipmentFlag.NORMAL: "正常 normal",
    EquipmentFlag.STOPPED: "停运 stopped: the source or the unit does not run",
    EquipmentFlag.MAINTENANCE: "维护 under maintenance",
    EquipmentFlag.SET_BY_HAND: "手工输入 set by hand",
    EquipmentFlag.FAULT: "故障 instrument fault",
    EquipmentFlag.CALIBRATION: "校准 under calibration",
    EquipmentFlag.ABOVE_RANGE: "超上限 above the measuring range",
    EquipmentFlag.NO_CONTACT: "通信异常 no contact between instrument and logger",
}
# RFC 3339 with a zone. Of the calendar it leaves out only how long each month is.
TIME = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
NOT_SAID = (
    "the bytes are UTF-8 without NaN or Infinity",
    "no key stands twice in an object",
    "a number is, to its last digit, the one that the nearest float64 prints",
    "v and seq are written without point or exponent",
    f"the day is one of the calendar, from {FIRST_YEAR} to {LAST_YEAR}",
    "values and flags of a sample are counted together",
    "station and kind are those of the topic",
)


def schema(bounds: Bounds | None = None) -> JsonSchema:
    """What a message of json_v1 may be, as JSON Schema; only with keywords that draft 7 knows too."""
    bounds = bounds or Bounds()
    sample = _sample(bounds)
    samples = {
        "description": "Several samples, best the oldest first; instead of time, values, flags and seq beside the station.",
        "type": "array",
        "minItems": 1,
        "maxItems": bounds.most_samples,
        "items": sample,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "json_v1",
        "description": f"What a station says: one kind, one sample or many. At most {bounds.most_bytes} bytes."
        f" Asked for as well, and not said here: {'; '.join(NOT_SAID)}.",
        "type": "object",
        "required": ["station", "kind"],
        "oneOf": [
            {"required": sample["required"], "not": {"required": ["samples"]}},
            {"required": ["samples"], "not": {"anyOf": [{"required": [key]} for key in sample["properties"]]}},
        ],
        "additionalProperties": False,
        "properties": {
            "v": {"description": "Version of the format; may be left out.", "const": 1},
            "station": {
                "description": "The station's id, as in the register and in the topic.",
                "type": "string",
                "pattern": _whole(STATION.pattern),
            },
            "kind": {"description": "Over what span a value stands.", "enum": list(KINDS)},
            **sample["properties"],
            "samples": samples,
        },
    }


def schema_text() -> str:
    """The content of `docs/schemas/json_v1.json`."""
    return json.dumps(schema(), ensure_ascii=False, indent=2) + "\n"


def _sample(bounds: Bounds) -> JsonSchema:
    by_code = {
        "type": "object",
        "propertyNames": {"pattern": _whole(CODE.pattern)},
        "maxProperties": bounds.most_values,
    }
    meanings = "; ".join(f"{letter} {FLAG_MEANINGS[flag]}" for letter, flag in FLAG_LETTERS.items())
    return {
        "type": "object",
        "required": ["time", "values"],
        "additionalProperties": False,
        "properties": {
            "time": {
                "description": "When it was measured, in local time with its zone, or in UTC with Z.",
                "type": "string",
                "format": "date-time",
                "pattern": TIME,
            },
            "values": {
                "description": "A number by parameter code, in the unit of this parameter; null: the value is missing.",
                **by_code,
                "additionalProperties": {"type": ["number", "null"]},
            },
            "flags": {
                "description": f"The equipment's word by parameter code. {meanings}. No word is N.",
                **by_code,
                "type": ["object", "null"],
                "additionalProperties": {"enum": list(FLAG_LETTERS)},
            },
            "seq": {
                "description": "The station's own count of its samples; may be left out.",
                "type": ["integer", "null"],
                "minimum": 0,
                "maximum": MOST_SEQ,
            },
        },
    }


def _whole(pattern: str) -> str:
    return f"^{pattern}$"
