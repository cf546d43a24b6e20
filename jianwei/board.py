"""What a person watches while the service runs: rates and lags, stations with their state, open episodes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from alerts.episodes import Episode
from alerts.notices import CHINA, KINDS, LEVELS, Names, instant, legal_multiple, measured
from rules.readings import Level, LimitInForce, Point
from rules.schema import Station

STYLES = {Level.NONE: "dim", Level.BLUE: "blue", Level.YELLOW: "yellow", Level.ORANGE: "dark_orange", Level.RED: "red"}
MOST_EPISODES = 14
STATION_WIDTH = 34  # characters; as many side by side as the screen has room for
ID_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Pulse:
    """The numbers of one moment.

    `now_ns`: the service's clock; `rate`: messages a second of wall time; `journal_lag`: entries not yet judged;
    `store_lag`: entries not yet stored; `notices_due`: not yet delivered.
    """

    now_ns: int
    rate: float
    messages: int
    quarantined: int
    stored: int
    journal_lag: int
    store_lag: int
    notices_due: int
    ill: Sequence[str] = ()


def board(
    title: str, pulse: Pulse, stations: Mapping[str, Station], episodes: Sequence[Episode], names: Names
) -> Group:
    """The whole picture; `episodes` are the open ones."""
    parts: list[RenderableType] = [
        _head(title, pulse),
        _stations(stations, episodes),
        episode_table(_loudest(episodes), names, title=f"未结事件 Open episodes: {len(episodes)}"),
    ]
    if len(episodes) > MOST_EPISODES:
        parts.append(Text(f"… {len(episodes) - MOST_EPISODES}", style="dim"))
    return Group(*parts)


def episode_table(episodes: Sequence[Episode], names: Names, *, title: str, history: bool = False) -> Table:
    """Level, station, parameter, value against limit with standard and clause, since when; times in UTC+8.

    `history`: also the year, when it ended, and the beginning of its id.
    """
    table = Table(title=title, title_justify="left", expand=True, header_style="bold", pad_edge=False)
    since = "自 Since / 至 until" if history else "自 Since"
    for heading in ("级别 Level", "站点 Station", "因子 Parameter", "值 Value", "依据 Against", since):
        table.add_column(heading, overflow="fold", no_wrap=heading == since)
    for episode in episodes:
        cells = [
            Text(
                LEVELS[episode.worst_level].zh + " " + episode.worst_level.name.lower(),
                style=STYLES[episode.worst_level],
            ),
            Text(f"{names.station(episode.station).zh} {episode.station}"),
            Text(_subject(episode, names)),
            Text(_value(episode.worst or episode.last, episode.unit)),
            Text(against(episode, names)),
            Text(clock(episode.since_ns, year=history)),
        ]
        if history:
            ended = clock(episode.cleared_ns, year=True) if episode.cleared_ns is not None else "未结 open"
            cells[0].append(f"\n{episode.id[:ID_SHOWN]}", style="default")
            cells[-1].append(f"\n{ended}")
        table.add_row(*cells)
    return table


def against(episode: Episode, names: Names) -> str:
    """What the episode stands on: the limit with its standard and clause, worded as its mark allows, or the rule."""
    if episode.limit is None:
        rule = names.rule(episode.rule)
        return f"{rule.zh} {rule.en}"
    limit = episode.limit
    multiple = legal_multiple(episode.multiple, limit)
    over = "" if multiple is None else f" (+{multiple:.3g}×)"
    return f"{bounds(limit)} · {limit.standard} {limit.clause}{over} · {_sureness(limit)}"


def bounds(limit: LimitInForce) -> str:
    """A limit's numbers as people write them."""
    low, high = f"{limit.low:.8g}", f"{limit.high:.8g}"
    if limit.low > float("-inf") and limit.high < float("inf"):
        return measured(f"{low}–{high}", limit.unit)
    return measured(f"≥ {low}" if limit.low > float("-inf") else f"≤ {high}", limit.unit)


def clock(at_ns: int, *, year: bool = False) -> str:
    at = instant(at_ns).astimezone(CHINA)
    return f"{at:%Y-%m-%d %H:%M}" if year else f"{at:%m-%d %H:%M}"


def _sureness(limit: LimitInForce) -> str:
    if limit.mark == "C":
        return "许可限值 permit" if limit.authority == "permit" else "标准限值 legal limit"
    return "项目默认 project default" if limit.mark == "P" else "参考值，待核实 reference, to be verified"


def _subject(episode: Episode, names: Names) -> str:
    kind = KINDS[episode.kind].zh if episode.kind is not None else ""
    name = names.parameter(episode.parameter).zh if episode.parameter else ""
    return f"{name} {kind}".strip() or "—"


def _value(point: Point | None, unit: str) -> str:
    return "—" if point is None or isnan(point.value) else measured(f"{point.value:.6g}", unit)


def _loudest(episodes: Sequence[Episode]) -> list[Episode]:
    return sorted(episodes, key=lambda e: (-e.worst_level, -e.since_ns))[:MOST_EPISODES]


def _head(title: str, pulse: Pulse) -> Panel:
    numbers = [
        f"时刻 Time {clock(pulse.now_ns, year=True)} (UTC+8)",
        f"消息 Messages {pulse.messages:,} ({pulse.rate:,.0f}/s)",
        f"入库 Stored {pulse.stored:,}",
        f"隔离 Quarantined {pulse.quarantined:,}",
    ]
    lags = [
        f"待判 Journal lag {pulse.journal_lag}",
        f"待存 Store lag {pulse.store_lag}",
        f"待发 Notices due {pulse.notices_due}",
    ]
    body = Text("    ".join(numbers) + "\n" + "    ".join(lags))
    for why in pulse.ill:
        body.append(f"\n{why}", style="bold red")
    return Panel(body, title=title, title_align="left", border_style="red" if pulse.ill else "green")


def _stations(stations: Mapping[str, Station], episodes: Sequence[Episode]) -> Columns:
    """Every station with the loudest level that is open there, and how many episodes."""
    worst: dict[str, Level] = {}
    count: dict[str, int] = {}
    for episode in episodes:
        worst[episode.station] = max(worst.get(episode.station, Level.NONE), episode.worst_level)
        count[episode.station] = count.get(episode.station, 0) + 1
    cells = []
    for station in stations.values():
        level = worst.get(station.id, Level.NONE)
        dot = Text("● ", style="green" if level is Level.NONE else STYLES[level])
        number = f" ×{count[station.id]}" if station.id in count else ""
        cell = dot + Text(f"{station.id}{number} {station.name.zh}", style="" if level else "dim")
        cell.no_wrap, cell.overflow = True, "ellipsis"
        cells.append(cell)
    return Columns(cells, width=STATION_WIDTH, padding=(0, 1))
