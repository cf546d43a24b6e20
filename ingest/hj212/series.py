"""Where a value belongs: its series, its time, its flag, its unit.

A parameter's own series holds the values that its kind is about: the instant of 2011, the mean of 2051, 2061 and 2031.
Whatever else is said of a parameter (least, greatest, quantity, converted value, results of checks) has a series of
its own, named by code and suffix: `w01018.Max`. So nothing that is a number is lost, no series mixes two quantities,
and no limit judges a maximum as if it were a mean.
"""

import re
from fractions import Fraction
from math import isfinite, nan

from ingest.hj212.commands import COMMANDS, Command
from ingest.hj212.profiles import Profile, Stations
from ingest.hj212.segment import Frame
from ingest.hj212.times import time_ns
from ingest.hj212.tokens import FLAG
from ingest.message import Columns
from rules.readings import SECOND_NS, EquipmentFlag, SeriesKey

NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
LONGEST_NUMBER = 24
SUBJECT = re.compile(r"[A-Za-z0-9_.]{1,19}", re.ASCII)
# Words of a vendor or about a sample; text by nature, and no readings.
TEXTS = frozenset({FLAG, "EFlag", "SampleType", "SN"})
TIMES = frozenset({"SampleTime", "CompleteTime"})  # kept as seconds since 1970 UTC
INFO = "Info"
NOZZLE = "i41019"  # vapour recovery: what the other items of the frame are about

Found = list[tuple[str, str]]


def parameter_of(code: str, suffix: str, command: Command, profile: Profile) -> str:
    """The parameter whose series takes the value, for today's `code`."""
    own = command.converted if code in profile.converted else command.own
    return code if suffix in own else f"{code}.{suffix}"


def put(frame: Frame, stations: Stations, columns: Columns) -> Found:
    """The readings of a frame into `columns`; what cannot be read comes back as (where, name of the reason)."""
    found: Found = list(frame.flaws)
    command = COMMANDS[frame.head.cn]
    if command.kind is None or frame.measured_ns is None:
        return found
    profile = stations.profile(frame.head.mn)
    flags = profile.flags_of(frame.head.edition, frame.head.st)
    subject = _subject(frame)
    readings: dict[str, tuple[float, int]] = {}
    for sent, fields in frame.items.items():
        code = stations.code(sent, profile)
        flag = flags.get(fields[FLAG]) if FLAG in fields else EquipmentFlag.NORMAL
        if flag is None:
            found.append((f"{sent}-{FLAG}", "unknown_flag"))
            flag = EquipmentFlag.UNKNOWN
        for suffix, text in fields.items():
            if suffix in TEXTS or text.startswith("//"):
                continue
            number, name = _number(suffix, text, flag)
            if name:
                found.append((f"{sent}-{suffix}", name))
                continue
            if code in profile.factors and suffix not in TIMES and suffix != "Cou" and isfinite(number):
                number = float(Fraction(text) * profile.factors[code])
            parameter = f"{subject}{code}" if suffix == INFO else parameter_of(code, suffix, command, profile)
            if readings.setdefault(parameter, (number, int(flag))) != (number, int(flag)):
                found.append((f"{sent}-{suffix}", "duplicate_conflict"))  # under an old and a new code
        if command.own and fields.keys() <= TEXTS and flag not in {EquipmentFlag.NORMAL, EquipmentFlag.UNKNOWN}:
            readings.setdefault(code, (nan, int(flag)))  # the flag says why there is no value
    if readings:
        station = stations.id_of(frame.head.mn, profile)
        places = [columns.place(SeriesKey(station, parameter, command.kind)) for parameter in readings]
        flagged = [flag for _, flag in readings.values()]
        numbers = [number for number, _ in readings.values()]
        columns.extend(places, frame.measured_ns, numbers, flagged if any(flagged) else None)
    return found


def _number(suffix: str, text: str, flag: EquipmentFlag) -> tuple[float, str]:
    """The value, or the name of what is wrong with it. Nothing under a flag means: there is none."""
    if not text:
        return nan, "" if flag is not EquipmentFlag.NORMAL else "missing_value"
    if suffix in TIMES:
        at_ns = time_ns(text)
        return (nan, "invalid_value") if at_ns is None else (at_ns / SECOND_NS, "")
    if len(text) > LONGEST_NUMBER or not NUMBER.fullmatch(text):
        return nan, "invalid_value"
    number = float(text)
    return (number, "") if isfinite(number) else (nan, "invalid_value")


def _subject(frame: Frame) -> str:
    """What device information is about, as the beginning of its name: the analyser of a parameter, or a nozzle."""
    named = frame.items.get(NOZZLE, {}).get(INFO) or frame.params.get("PolId", "")
    return f"{named}." if SUBJECT.fullmatch(named) else ""
