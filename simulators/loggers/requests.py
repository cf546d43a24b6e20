"""What a data logger does when its platform asks, and what it answers: 9011, the data, 9012."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from rules.readings import SECOND_NS, Kind
from simulators.hj212 import BEIJING, VERSION, Logger, Upload, beijing, framed, packets, wire
from simulators.loggers.heard import Heard
from simulators.loggers.speech import upload_of
from simulators.samples import Said

REMEMBERED = 20_000  # samples of a kind: a year of hours, a fortnight of minutes
READY, WRONG_PASSWORD, WRONG_MN, NO_QN, UNKNOWN_COMMAND, WRONG_WORDS = 1, 3, 4, 7, 8, 2
DONE, NO_DATA = 1, 100
HISTORY: Mapping[str, Kind | None] = {"2051": Kind.MINUTE, "2061": Kind.HOUR, "2031": Kind.DAY, "2041": None}
MOST_S = 99_999


@dataclass(slots=True)
class Memory:
    """What the logger can be asked for later: its samples by kind, the newest ones."""

    samples: dict[Kind, deque[Said]] = field(default_factory=dict)

    def keep(self, said: Said) -> None:
        """As it was measured: what harms it on the way does not reach the memory."""
        self.samples.setdefault(said.sample.kind, deque(maxlen=REMEMBERED)).append(replace(said, harm="", held=False))

    def between(self, kind: Kind | None, begin_ns: int, end_ns: int) -> list[Said]:
        """One sample a time, in order of time: the first and the last moment are among those asked for."""
        if kind is None:
            return []
        found = {s.sample.measured_ns: s for s in self.samples.get(kind, ())}
        return [found[at_ns] for at_ns in sorted(found) if begin_ns <= at_ns <= end_ns]


@dataclass(slots=True)
class Setup:
    """What a platform may set. `set_ns`: by how much it has set the clock; `realtime`: it wants real-time data."""

    timeout_s: float
    retries: int
    rtd_interval_s: int = 60
    min_interval: int = 10
    realtime: bool = True
    set_ns: int = 0


class Ears:
    """Answers requests. `clock`: what the logger's clock shows, in ns."""

    def __init__(self, voice: Logger, setup: Setup, memory: Memory, clock: Callable[[], int]) -> None:
        self._voice = replace(voice, answers=False)
        self._setup = setup
        self._memory = memory
        self._clock = clock

    def replies(self, request: Heard) -> Iterator[bytes]:
        """The frames to say, in order. What it is told to do is done when they are said."""
        refusal = self._refusal(request)
        if request.cn == "2012" and refusal == READY:
            self._setup.realtime = False
            yield self._word(request, "9013")
            return
        yield self._word(request, "9011", QnRtn=refusal)
        if refusal != READY:
            return
        said = list(self._said(request))
        yield from said
        nothing = request.cn in HISTORY and not said
        yield self._word(request, "9012", ExeRtn=NO_DATA if nothing else DONE)

    def _refusal(self, request: Heard) -> int:
        """QnRtn."""
        if not request.qn:
            return NO_QN
        if request.head.get("PW", self._voice.password) != self._voice.password:
            return WRONG_PASSWORD
        if request.head.get("MN", self._voice.mn).upper() != self._voice.mn.upper():
            return WRONG_MN
        if request.cn not in {"1000", "1011", "1012", "1061", "1062", "1063", "1064", "2011", "2012", *HISTORY}:
            return UNKNOWN_COMMAND
        return READY if self._makes_sense(request) else WRONG_WORDS

    def _makes_sense(self, request: Heard) -> bool:
        params = request.params
        needed: Mapping[str, Iterable[str]] = {
            "1000": ("OverTime", "ReCount"),
            "1062": ("RtdInterval",),
            "1064": ("MinInterval",),
        }
        numbers = all(_number(params.get(name, "")) is not None for name in needed.get(request.cn, ()))
        times = {"1012": ("SystemTime",), **dict.fromkeys(HISTORY, ("BeginTime", "EndTime"))}
        return numbers and all(time_ns(params.get(name, "")) is not None for name in times.get(request.cn, ()))

    def _said(self, request: Heard) -> Iterator[bytes]:
        setup, params = self._setup, request.params
        match request.cn:
            case "1000":
                setup.timeout_s, setup.retries = _number(params["OverTime"]) or 1, _number(params["ReCount"]) or 0
            case "1011":
                yield self._told(request, "SystemTime", beijing(self._clock()))
            case "1012":
                setup.set_ns += (time_ns(params["SystemTime"]) or 0) - self._clock()
            case "1061":
                yield self._told(request, "RtdInterval", str(setup.rtd_interval_s))
            case "1062":
                setup.rtd_interval_s = _number(params["RtdInterval"]) or setup.rtd_interval_s
            case "1063":
                yield self._told(request, "MinInterval", str(setup.min_interval))
            case "1064":
                setup.min_interval = _number(params["MinInterval"]) or setup.min_interval
            case "2011":
                setup.realtime = True
            case _:
                begin_ns, end_ns = (time_ns(params[name]) or 0 for name in ("BeginTime", "EndTime"))
                for said in self._memory.between(HISTORY[request.cn], begin_ns, end_ns):
                    upload = upload_of(self._voice, said, self._clock(), again=True, qn=request.qn)
                    yield from packets(self._voice, upload)

    def _told(self, request: Heard, name: str, value: str) -> bytes:
        return framed(self._voice, Upload(request.cn, 0, params=[(name, value)], qn=request.qn))

    def _word(self, request: Heard, cn: str, **said: int) -> bytes:
        """9011, 9012 or 9013 about a request. In 2005 its QN stands among the parameters."""
        words = [f"{name}={value}" for name, value in said.items()]
        if self._voice.edition == "2005":
            return wire(f"ST=91;CN={cn};CP=&&{';'.join([f'QN={request.qn}', *words])}&&".encode())
        flag = VERSION[self._voice.edition] << 2
        head = f"QN={request.qn};ST=91;CN={cn};PW={self._voice.password};MN={self._voice.mn};Flag={flag};"
        return wire(f"{head}CP=&&{';'.join(words)}&&".encode())


def time_ns(text: str) -> int | None:
    """YYYYMMDDhhmmss in Beijing, in ns since 1970 UTC; None for anything else."""
    if len(text) != 14 or not text.isdigit():
        return None
    try:
        moment = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC) - BEIJING
    except ValueError:
        return None
    return int(moment.timestamp()) * SECOND_NS


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) <= MOST_S else None
