"""What a CN is: who says it, what answer it asks for, and over what span its values stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ingest.hj212.times import BEIJING_S
from rules.readings import SECOND_NS, Kind

Answer = Literal["9014", "9013"]
REALTIME, AVERAGE = frozenset({"Rtd"}), frozenset({"Avg", "Data"})


@dataclass(frozen=True, slots=True)
class Command:
    """`answer`: what we say to one that wants an answer, None where it is none of ours to answer.

    `kind`: of its values, None where it has none. `own`: the suffixes whose values are the parameter's own series;
    `converted` those of a parameter whose value is the one converted to the reference oxygen content. Other suffixes
    have series of their own. `grid_s`: periods begin at its multiples in Beijing. `nameless`: may come without MN.
    """

    answer: Answer | None = None
    kind: Kind | None = None
    own: frozenset[str] = frozenset()
    converted: frozenset[str] = frozenset()
    grid_s: int = 0
    nameless: bool = False

    @property
    def grid_ns_at(self) -> int:
        """Where in UTC a grid of Beijing lies."""
        return -BEIJING_S * SECOND_NS % (self.grid_s * SECOND_NS)


def _average(kind: Kind, grid_s: int) -> Command:
    return Command("9014", kind, AVERAGE, frozenset({"ZsAvg"}), grid_s)


# Results of checks, raw cycles and alarms are kept beside the series of what is measured, never in them.
_BESIDE = Command("9014", Kind.REALTIME)
_SILENT = Command()

COMMANDS: Mapping[str, Command] = {
    "2011": Command("9014", Kind.REALTIME, REALTIME, frozenset({"ZsRtd"})),
    "2051": _average(Kind.MINUTE, 60),
    "2061": _average(Kind.HOUR, 3_600),
    "2031": _average(Kind.DAY, 86_400),
    "2052": Command("9014", Kind.REALTIME, frozenset({"Rtd", "Data"})),
    "2111": _average(Kind.MINUTE, 60),
    "2021": _BESIDE,
    "2041": Command("9014", Kind.DAY, grid_s=86_400),
    **dict.fromkeys(("2013", "2062", "2063", "2064", "2065", "2066", "2071", "3019", "3020"), _BESIDE),
    "2081": Command("9014"),
    "2072": Command("9013", Kind.REALTIME),
    "1001": Command("9013", nameless=True),
    "1013": Command("9013"),
    "9015": Command("9013"),
    **dict.fromkeys(("9011", "9012", "9013", "9014"), Command(nameless=True)),
    # Requests of a platform, and what a station says to them beside data.
    **dict.fromkeys(map(str, (1000, 1002, 1011, 1012, 1014, 1015, 1021, 1022, 1031, 1032, 1041, 1042)), _SILENT),
    **dict.fromkeys(map(str, (1061, 1062, 1063, 1064, 1072, 2012, 2022, 9021)), _SILENT),
    **dict.fromkeys(map(str, (*range(3011, 3019), 3021, 3022, 3024, *range(3040, 3047))), _SILENT),
    **dict.fromkeys(map(str, (3056, *range(3080, 3087), 3100)), _SILENT),
}
