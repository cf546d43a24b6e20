"""What was missed while a station was silent: which of its past to ask for, what is there by now, and what to note."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from alerts.requests import Requested
from ingest.hj212.askable import FROM, PAST, TO
from ingest.hj212.times import BEIJING_S, time_ns, written_time
from ingest.message import StoredReading, StoreUnreadable
from jianwei.moments import shown
from rules.binding import expected_feeds
from rules.index import Catalogue
from rules.readings import SECOND_NS, Kind, Transition
from rules.schema import Station

KIND_OF = {cn: kind for kind, cn in PAST.items()}
CAME = "not asked: the data had come by themselves"
KINDS_ZH = {Kind.MINUTE: "分钟", Kind.HOUR: "小时", Kind.DAY: "日"}


class Readable(Protocol):
    """Of a store, what is needed here."""

    def read(
        self, station: str, parameter: str | None, kind: Kind | None, from_ns: int, until_ns: int
    ) -> list[StoredReading]: ...


@dataclass(frozen=True, slots=True)
class Gap:
    """Periods of one kind that a station did not send: the starts of the first and of the last, and how far apart they are."""

    station: str
    kind: Kind
    interval_ns: int
    first_ns: int
    last_ns: int

    @property
    def periods(self) -> int:
        return (self.last_ns - self.first_ns) // self.interval_ns + 1

    def pieces(self, most_periods: int) -> Iterator[Mapping[str, str]]:
        """The gap as fields of requests, the oldest first."""
        step_ns = most_periods * self.interval_ns
        for at_ns in range(self.first_ns, self.last_ns + 1, step_ns):
            end_ns = min(at_ns + step_ns - self.interval_ns, self.last_ns)
            yield {FROM: written_time(at_ns), TO: written_time(end_ns)}

    def missing(self, store: Readable) -> int | None:
        """Periods of which no reading is in the store; None while it cannot be read."""
        try:
            found = store.read(self.station, None, self.kind, self.first_ns, self.last_ns + 1)
        except StoreUnreadable:
            return None
        there = {reading.measured_ns for reading in found}
        return sum(at_ns not in there for at_ns in range(self.first_ns, self.last_ns + 1, self.interval_ns))


def gap_of(ended: Transition, station: Station, catalogue: Catalogue, longest_ns: int) -> Gap | None:
    """What to ask for after a silence has ended; None where a logger keeps nothing of it.

    Loggers keep no real-time values. What was missed of them is asked for as minute data, where the station sends such.
    The silence is one of arrivals, and what came last is of the period before: so from the period before it on, to
    the last that was over at its end.
    """
    intervals_s = expected_feeds(catalogue, station)
    kind = Kind.MINUTE if ended.kind is Kind.REALTIME else ended.kind
    if kind not in PAST or kind not in intervals_s:
        return None
    interval_ns = intervals_s[kind] * SECOND_NS
    last_ns = _start(ended.at_ns, interval_ns) - interval_ns
    first_ns = max(_start(ended.since_ns, interval_ns) - interval_ns, _start(last_ns - longest_ns, interval_ns))
    return Gap(station.id, kind, interval_ns, first_ns, last_ns) if first_ns <= last_ns else None


def gap_in(request: Requested, station: Station | None, catalogue: Catalogue) -> Gap | None:
    """What a request asks for; None where nobody knows any more how often the station sends it."""
    begin_ns, end_ns = time_ns(request.fields.get(FROM, "")), time_ns(request.fields.get(TO, ""))
    kind = KIND_OF.get(request.cn)
    interval_s = expected_feeds(catalogue, station).get(kind) if station is not None and kind is not None else None
    if kind is None or interval_s is None or begin_ns is None or end_ns is None:
        return None
    return Gap(request.station, kind, interval_s * SECOND_NS, begin_ns, end_ns)


def note_on(asked: Sequence[Requested], gaps: Sequence[Gap | None], store: Readable) -> tuple[str, str]:
    """What came for a gap, in Chinese and English. `asked`: all of its requests, in order; `gaps`: what each asked for."""
    kind, missing = KIND_OF[asked[0].cn], _still_missing(gaps, store)
    begin = shown(min(time_ns(each.fields[FROM]) or 0 for each in asked))
    end = shown(max(time_ns(each.fields[TO]) or 0 for each in asked))
    zh, en = (
        f"{begin} 至 {end}（北京时间）的{KINDS_ZH[kind]}数据",
        f"{kind.name.lower()} data of {begin} to {end} (UTC+8)",
    )
    sent = [each for each in asked if each.said != CAME]
    if not sent:
        told_zh, told_en = [f"{zh}已由数采仪自行补传，未作请求"], [f"The {en} came by themselves: nothing was asked"]
    else:
        frames, readings = sum(each.frames for each in sent), sum(each.readings for each in sent)
        told_zh = [f"向数采仪请求补传 {zh}：{len(sent)} 次请求，收到 {frames} 帧、{readings} 个数值"]
        counts = f"{_many(len(sent), 'request')}, {_many(frames, 'frame')} with {_many(readings, 'reading')} came"
        told_en = [f"Asked the logger for the {en}: {counts}"]
    failed = [each for each in sent if each.state != "done"]
    if failed:
        told_zh.append(f"{len(failed)} 次请求未成功")
        told_en.append(f"{_many(len(failed), 'request')} did not succeed ({failed[-1].said or failed[-1].state})")
    return "；".join([*told_zh, missing[0]]) + "。", "; ".join([*told_en, missing[1]]) + "."


def _still_missing(gaps: Sequence[Gap | None], store: Readable) -> tuple[str, str]:
    """A piece that was asked for twice counts once."""
    periods = missing = 0
    for gap in dict.fromkeys(gaps):
        absent = None if gap is None else gap.missing(store)
        if gap is None or absent is None:
            return "尚缺多少无法统计", "what is still missing could not be counted"
        periods += gap.periods
        missing += absent
    if missing:
        return f"{periods} 个时段中仍缺 {missing} 个", f"{missing} of {periods} periods are still missing"
    return f"{periods} 个时段均已有数据", f"all {periods} periods are there"


def _start(at_ns: int, interval_ns: int) -> int:
    """The start of the period in which a time lies; periods begin at multiples of their length in Beijing."""
    beijing_ns = BEIJING_S * SECOND_NS
    return (at_ns + beijing_ns) // interval_ns * interval_ns - beijing_ns


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
