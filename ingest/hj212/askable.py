"""What a station may be asked, and how the request is written in each edition.

Commands that hand over a secret (1072, 1014) or change what a logger is (1002) are not here: what is asked is kept
for everybody to see.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from ingest.hj212.answers import BIT, framed, sendable
from ingest.hj212.segment import ANSWER, EDITION_SHIFT, Head
from ingest.hj212.times import time_ns, written_time
from rules.readings import Kind

Ends = Literal["result", "data", "notice"]
NOW = "SystemTime"  # where it is left out, the time of sending
FROM, TO = "BeginTime", "EndTime"
HISTORY = frozenset({"2031", "2041", "2051", "2061"})
# By which command the past of a kind is asked for. There is none for real-time data.
PAST: Mapping[Kind, str] = {Kind.MINUTE: "2051", Kind.HOUR: "2061", Kind.DAY: "2031"}
ENCRYPTED = "2"  # commands 2000 to 2999 are, where a station of 2025 has a key


@dataclass(frozen=True, slots=True)
class Askable:
    """`needs` and `may`: its fields. `ends` with a result (9012), the first data (others follow), or, a notice, with 9013."""

    words: str
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    ends: Ends = "result"


ASKABLE: Mapping[str, Askable] = {
    "1000": Askable("set the time-out and the number of repetitions", ("OverTime", "ReCount")),
    "1011": Askable("read the clock", may=("PolId",)),
    "1012": Askable("set the clock", may=("PolId", NOW)),
    "1061": Askable("read the interval of real-time data"),
    "1062": Askable("set the interval of real-time data", ("RtdInterval",)),
    "1063": Askable("read the interval of minute data"),
    "1064": Askable("set the interval of minute data", ("MinInterval",)),
    "2011": Askable("begin to send real-time data", ends="data"),
    "2012": Askable("stop sending real-time data", ends="notice"),
    "2021": Askable("begin to send the state of equipment", ends="data"),
    "2022": Askable("stop sending the state of equipment", ends="notice"),
    "2031": Askable("send day data of the past", (FROM, TO)),
    "2041": Askable("send running hours of the past", (FROM, TO)),
    "2051": Askable("send minute data of the past", (FROM, TO)),
    "2061": Askable("send hour data of the past", (FROM, TO)),
    "3011": Askable("check zero and span", ("PolId",)),
    "3012": Askable("take a sample now", ("PolId",)),
    "3013": Askable("clean, or blow back", ("PolId",)),
    "3014": Askable("take a sample for comparison", ("PolId",)),
    "3015": Askable("keep a sample"),
    "3016": Askable("set the cycle of sampling", ("PolId", "CstartTime", "Ctime")),
    "3017": Askable("read the cycle of sampling", ("PolId",)),
    "3018": Askable("read how long a sample takes", ("PolId",)),
    "3019": Askable("read the serial number of a device", ("PolId",)),
    "3020": Askable("read information of the site", ("PolId", "InfoId"), (FROM, TO)),
}

MINUTES = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)
Rule = tuple[str, Callable[[str], bool]]


def _whole(low: int, high: int) -> Rule:
    def holds(text: str) -> bool:
        return re.fullmatch(r"\d{1,5}", text, re.ASCII) is not None and low <= int(text) <= high

    return f"a whole number from {low} to {high}", holds


TIME: Rule = ("a time such as 20260301080000, in Beijing", lambda text: len(text) == 14 and time_ns(text) is not None)
CODE: Rule = (
    "a code of letters and digits",
    lambda text: re.fullmatch(r"[A-Za-z0-9]{1,20}", text, re.ASCII) is not None,
)
RULES: Mapping[str, Rule] = {
    "OverTime": _whole(1, 99_999),
    "ReCount": _whole(0, 99),
    "RtdInterval": _whole(30, 3_600),
    "MinInterval": (
        f"one of {', '.join(map(str, MINUTES))}",
        lambda text: text in map(str, MINUTES),
    ),
    NOW: TIME,
    FROM: TIME,
    TO: TIME,
    "PolId": CODE,
    "InfoId": CODE,
    "CstartTime": ("a time of day such as 080000", lambda text: re.fullmatch(r"\d{6}", text, re.ASCII) is not None),
    "Ctime": _whole(1, 999),
}


def problems(cn: str, fields: Mapping[str, str]) -> list[str]:
    """Why this may not be asked, a sentence each."""
    asked = ASKABLE.get(cn)
    if asked is None:
        return [f"{cn} is no command that a station is asked; there are {', '.join(ASKABLE)}"]
    found = [f"{cn} needs {name}: {RULES[name][0]}" for name in asked.needs if name not in fields]
    for name, text in fields.items():
        if name not in (*asked.needs, *asked.may):
            found.append(f"{cn} has no field {name}")
        elif not RULES[name][1](text):
            found.append(f"{name} is {RULES[name][0]}, not {text!r}")
    if not found and FROM in fields and fields[FROM] > fields.get(TO, fields[FROM]):
        found.append(f"{FROM} lies after {TO}")
    return found


def written(head: Head, qn: str, cn: str, fields: Mapping[str, str], now_ns: int, key: bytes | None = None) -> bytes:
    """The request as a frame for the station that spoke with `head`: its system, its password, its edition.

    A request has the system of the station; 91 is that of answers. With the `key` of a station of 2025 data commands
    are encrypted, as that edition wants it.
    """
    if cn == "1012":
        fields = {**fields, NOW: fields.get(NOW) or written_time(now_ns)}
    asked = ASKABLE[cn]
    body = ";".join(f"{name}={fields[name]}" for name in (*asked.needs, *asked.may) if name in fields)
    body = body.replace(f";{TO}=", f",{TO}=")  # the standard writes the two ends of a span as fields of one item
    password = f"PW={sendable(head.pw)};" if head.pw else ""
    flag = BIT[head.edition] << EDITION_SHIFT | ANSWER
    segment = f"QN={qn};ST={head.st};CN={cn};{password}MN={head.mn};Flag={flag};CP=&&{body}&&"
    return framed(segment, key if head.edition == "2025" and cn.startswith(ENCRYPTED) else None)
