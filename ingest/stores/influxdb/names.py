"""How a reading lies in InfluxDB: the names of measurements, tags and fields, and the word beside each value.

    surface_water,kind=hour,station=SW-01 w01018=35.2,w01018_word=1i 1772366400000

A measurement is a medium. A parameter has two fields: its value, and `_word`, what is said of it: our verdict in the
last digit, the equipment's flag before it (1: good and normal; 4: failed; 54: calibration, failed). Where the verdict is
3 or 4, `_raised` has the bits of the checks that said so.

A field that was written cannot be taken back, only overwritten. So the word is written with every reading, and says
which of the other two fields are in force: no value at verdict 9, no `_raised` but at 3 and 4. A word of 10,000 or more
says that it is otherwise, which the engine never makes.
"""

from math import nan

import numpy as np

from ingest.message import StoredReading
from rules.readings import Int64s, Judged, Kind, SeriesKey, Verdict

STATION, KIND, WORD, RAISED = "station", "kind", "_word", "_raised"
KINDS = {kind.name.lower(): kind for kind in Kind}
NO_MEDIUM = "unknown"  # the measurement of parameters that the catalogue does not know
EARLIEST_NS, LATEST_NS = -(2**63) + 2, 2**63 - 2  # what the server takes
FLAG_DIGIT, ODD_DIGIT = 10, 10_000
RAISED_ANYWAY, MISSING_OTHERWISE = 1, 2
_BAD = (Verdict.SUSPECT, Verdict.FAIL)


def words_of(rows: Judged) -> Int64s:
    """The word of each row."""
    bad = (rows.verdict == Verdict.SUSPECT) | (rows.verdict == Verdict.FAIL)
    odd = ((rows.raised != 0) & ~bad) * RAISED_ANYWAY
    odd = odd + (np.isnan(rows.value) != (rows.verdict == Verdict.MISSING)) * MISSING_OTHERWISE
    word: Int64s = rows.verdict + rows.flag.astype(np.int64) * FLAG_DIGIT + odd * ODD_DIGIT
    return word


def has_raised(word: int) -> bool:
    """Whether the `_raised` beside this word is in force."""
    return word % FLAG_DIGIT in _BAD or bool(word // ODD_DIGIT & RAISED_ANYWAY)


def has_value(word: int) -> bool:
    """Whether the value beside this word is in force."""
    return (word % FLAG_DIGIT == Verdict.MISSING) == bool(word // ODD_DIGIT & MISSING_OTHERWISE)


def reading_of(key: SeriesKey, measured_ns: int, word: int, value: float | None, raised: int | None) -> StoredReading:
    """The reading whose fields lie in InfluxDB so."""
    return StoredReading(
        station=key.station,
        parameter=key.parameter,
        kind=key.kind,
        measured_ns=measured_ns,
        value=float(value) if has_value(word) and value is not None else nan,
        flag=word % ODD_DIGIT // FLAG_DIGIT,
        verdict=word % FLAG_DIGIT,
        raised=(raised or 0) if has_raised(word) else 0,
    )


def problem_of(key: SeriesKey) -> str:
    """Why no line can carry this name; empty where one can."""
    for what, name in ((STATION, key.station), ("parameter", key.parameter)):
        if not name:
            return f"the {what} has no name"
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            return "a name in its key is not text"
        if any(letter < " " or letter == "\x7f" for letter in name):
            return f"the name of the {what} holds a control character, which line protocol cannot carry"
        if name.endswith("\\") or any(f"\\{letter}" in name for letter in ",= \\"):
            return f"the name of the {what} holds a backslash where line protocol cannot carry it"
    if key.parameter in {"time", STATION, KIND} or key.parameter.endswith((WORD, RAISED)):
        return "the name of the parameter is that of a column of the store"
    return ""
