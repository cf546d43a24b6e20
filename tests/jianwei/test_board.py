"""The board, drawn on screens of several widths."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from alerts.episodes import moved
from alerts.notices import CodesAsNames
from jianwei.board import MOST_EPISODES, Pulse, board
from rules.readings import SECOND_NS
from rules.schema import Name, Station
from tests.alerts.found import LAW, change

START_NS = 1_772_323_200 * SECOND_NS
PULSE = Pulse(START_NS, 12.0, 3456, 7, 89_012, 1, 2, 3, ill=["store: it takes nothing"])


def drawn(width: int, count: int = 1, mark: str = "C") -> str:
    stations = {
        f"ST-{n:02d}": Station(id=f"ST-{n:02d}", name=Name(zh="灵江西门断面自动站", en="x"), station_type="city_air")
        for n in range(1, 10)
    }
    limit = replace(LAW, mark=mark)
    episodes = [moved(None, change(episode=f"e{n}", station="ST-03", limit=limit)) for n in range(count)]
    screen = Console(file=io.StringIO(), width=width, force_terminal=False)
    screen.print(board("见微", PULSE, stations, episodes, CodesAsNames()))
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@pytest.mark.parametrize("width", [80, 120, 200])
def test_every_number_and_every_station_is_to_be_seen(width: int) -> None:
    lines = drawn(width).splitlines()
    text = "\n".join(lines)
    for number in ("3,456", "89,012", "Quarantined 7", "Journal lag 1", "Store lag 2", "Notices due 3"):
        assert number in " ".join(text.split()), number
    assert "store: it takes nothing" in text
    assert all(f"ST-{n:02d}" in text for n in range(1, 10))
    assert "ST-03 ×1" in text


def test_what_does_not_fit_is_counted() -> None:
    assert "… 6" in drawn(160, MOST_EPISODES + 6)


@pytest.mark.parametrize(("mark", "law"), [("C", True), ("R", False), ("P", False)])
def test_only_a_confirmed_limit_is_called_legal(mark: str, law: bool) -> None:
    text = " ".join(drawn(250, mark=mark).split())
    assert ("legal limit" in text) is law
