"""The whole way of a request: command line, ledger, desk, line, logger, and back; and a gap that fills itself."""

import io
import json
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self

from rich.console import Console

from alerts.requests import SqlRequests
from ingest.sources.hj212_tcp import Hj212TcpSource
from jianwei.clock import SimulatedClock, wall_ns
from jianwei.runtime import Runtime
from jianwei.site import read_site
from jianwei.telemetry import Telemetry, open_log
from rules.readings import SECOND_NS, Kind
from simulators.hj212 import Logger
from tests.ingest.mqtt_probe import until
from tests.jianwei.command_line import Ask
from tests.jianwei.scripted_logger import ScriptedLogger, minutes_between

MN = "C0FFEE0000000000000000A7"
LOGGER = Logger(MN)
MINUTES_NS = 600 * SECOND_NS
CONFIG = """
data_dir = "data"
stations = ["stations.yaml"]
journal = { tick_s = 0.2, sync = false }
store = { sync = false }
http = { enabled = false }
formats = [{ topic = "jianwei/hj212/#", format = "hj212" }]
requests = { grace_s = 0 }

[[sources]]
type = "hj212_tcp"
name = "loggers"
port = 0
"""
STATIONS = f"""
stations:
- id: WE-07
  name: {{zh: 排口, en: Outlet}}
  station_type: wastewater_outlet
  classes: {{GB 18918: "1A"}}
  feeds: {{minute: 600}}
  logger: {{mn: {MN}}}
"""


class Platform:
    """A service that runs on a folder, with a port for loggers."""

    def __init__(self, folder: Path, clock: Callable[[], int] = wall_ns) -> None:
        self.config = folder / "jianwei.toml"
        self.config.write_text(CONFIG)
        (folder / "stations.yaml").write_text(STATIONS)
        site = read_site(self.config)
        self.log = io.StringIO()
        telemetry = Telemetry(open_log("debug", json_lines=True, stream=self.log))
        self.runtime = Runtime(
            site.settings, site.catalogue, site.stations, telemetry, clock, Console(file=io.StringIO())
        )

    def __enter__(self) -> Self:
        self.runtime.__enter__()
        return self

    def __exit__(self, *told: object) -> None:
        self.runtime.__exit__(None, None, None)

    @property
    def port(self) -> int:
        (source,) = self.runtime.sources
        assert isinstance(source, Hj212TcpSource)
        until(lambda: source.port is not None)
        assert source.port is not None
        return source.port

    def await_connected(self) -> None:
        until(lambda: [logger.state for logger in self.runtime.register.loggers()] == ["connected"])

    def requests(self) -> SqlRequests:
        return SqlRequests(self.runtime.folder.ledger_url, wall_ns)


def in_background(script: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=script, daemon=True)
    thread.start()
    return thread


def test_a_station_is_asked_over_the_command_line_and_its_answer_is_told(ask: Ask, tmp_path: Path) -> None:
    with Platform(tmp_path) as it, ScriptedLogger(it.port, LOGGER) as logger:
        now_ns = wall_ns() // MINUTES_NS * MINUTES_NS
        logger.send("2051", now_ns - MINUTES_NS, "Avg", "20.1")
        it.await_connected()

        def history() -> None:
            asked = logger.next_request()
            assert (asked["CN"], asked["ST"], asked["PW"], asked["MN"]) == ("2051", "32", "123456", MN)
            logger.answer(asked["QN"], "9011", "QnRtn", 1)
            for number in range(3):
                logger.send("2051", now_ns - (10 - number) * MINUTES_NS, "Avg", f"3{number}.5", qn=asked["QN"])
            logger.answer(asked["QN"], "9012", "ExeRtn", 1)

        playing = in_background(history)
        said = ask("station", "ask", MN.lower(), "history", "minute", "--from", "2020-01-01", "-c", it.config)
        playing.join(10)
        assert (said.code, said.out.splitlines()[-1]) == (0, "request 1 is done: 3 frames with 3 readings came")
        until(lambda: it.runtime.is_idle)
        kept = it.runtime.store.read("WE-07", "w01018", Kind.MINUTE, now_ns - 20 * MINUTES_NS, now_ns)
        assert [reading.value for reading in kept] == [30.5, 31.5, 32.5, 20.1]

        def refuse() -> None:
            logger.answer(logger.next_request()["QN"], "9011", "QnRtn", 3)

        playing = in_background(refuse)
        said = ask("station", "ask", "WE-07", "clock", "set", "-c", it.config)
        playing.join(10)
        assert (said.code, said.err) == (1, "request 2 is refused: wrong password (QnRtn 3)\n")
        listed = json.loads(ask("station", "requests", "--json", "-c", it.config).out)
        assert [(each["number"], each["cn"], each["state"], each["readings"]) for each in listed] == [
            (2, "1012", "refused", 0),
            (1, "2051", "done", 3),
        ]


def test_a_request_waits_for_a_service_and_for_its_station(ask: Ask, tmp_path: Path) -> None:
    it = Platform(tmp_path)
    said = ask("station", "ask", "WE-07", "interval", "realtime", "-c", it.config)
    assert said.code == 1
    assert "no service is running: request 1 is kept" in said.err
    with it:
        said = ask("station", "ask", "WE-07", "clock", "--wait-s", "0.5", "-c", it.config)
        assert said.code == 1
        assert "WE-07 was never connected: request 2 waits for it, at most 1 h" in said.err
        assert "request 2 stays asked" in said.err
        with ScriptedLogger(it.port, LOGGER) as logger:
            logger.send("2011", wall_ns(), "Rtd", "20.1")
            asked = logger.next_request()
            assert asked["CN"] == "1061"
            logger.raw(f"QN={asked['QN']};ST=32;CN=1061;PW=123456;MN={MN};Flag=4;CP=&&RtdInterval=60&&")
            logger.answer(asked["QN"], "9012", "ExeRtn", 1)
            assert logger.next_request()["CN"] == "1011"
        until(lambda: "gone" in ask("station", "requests", "-c", it.config).out)
    listed = json.loads(ask("station", "requests", "--json", "-c", it.config).out)
    assert [(each["state"], each["said"]) for each in listed] == [
        ("gone", "the connection was lost before it had ended"),
        ("done", "RtdInterval 60"),
    ]


def test_what_a_service_had_asked_when_it_ended_is_asked_by_the_next(ask: Ask, tmp_path: Path) -> None:
    asked = []
    ask("station", "ask", "WE-07", "clock", "-c", Platform(tmp_path).config)
    for _ in range(2):
        with ExitStack() as later, Platform(tmp_path) as it, closing(it.requests()) as requests:
            logger = later.enter_context(ScriptedLogger(it.port, LOGGER))  # its line ends with the service, not before
            logger.send("2011", wall_ns(), "Rtd", "20.1")
            asked.append(logger.next_request())
            until(lambda: [each.state for each in requests.open()] == ["sent"])
    assert [each["CN"] for each in asked] == ["1011", "1011"]
    assert asked[0]["QN"] != asked[1]["QN"]


def test_a_gap_is_fetched_and_the_episode_says_what_came(ask: Ask, tmp_path: Path) -> None:
    """Minutes of ten come, then nothing for four hours, then one; and the logger has but half of what is missing."""
    clock = SimulatedClock(wall_ns() // MINUTES_NS * MINUTES_NS)
    begun_ns = clock.now_ns
    with Platform(tmp_path, clock) as it, ScriptedLogger(it.port, LOGGER) as logger:
        logger.send("2051", begun_ns - MINUTES_NS, "Avg", "20.1", qn_ns=clock.now_ns)
        it.await_connected()
        until(lambda: it.runtime.is_idle)
        clock.now_ns += 4 * 3_600 * SECOND_NS
        until(lambda: [e.check for e in it.runtime.ledger.episodes(open_only=True)] == ["silence"])
        logger.send("2051", clock.now_ns - MINUTES_NS, "Avg", "20.2", qn_ns=clock.now_ns)
        until(lambda: not it.runtime.ledger.episodes(open_only=True))
        asked = logger.next_request()
        assert asked["CN"] == "2051"
        missed = minutes_between(asked["BeginTime"], asked["EndTime"], begun_ns - MINUTES_NS, MINUTES_NS)
        assert missed == list(range(begun_ns - MINUTES_NS, clock.now_ns, MINUTES_NS))
        logger.answer(asked["QN"], "9011", "QnRtn", 1)
        for at_ns in missed[:12]:
            logger.send("2051", at_ns, "Avg", "21.5", qn=asked["QN"])
        logger.answer(asked["QN"], "9012", "ExeRtn", 1)
        (episode,) = it.runtime.ledger.episodes()
        with closing(it.requests()) as requests:
            until(lambda: [each.state for each in requests.newest()] == ["done"])
            clock.now_ns += 10 * SECOND_NS
            until(lambda: requests.notes(episode.id))
        until(lambda: it.runtime.is_idle)
        kept = it.runtime.store.read("WE-07", "w01018", Kind.MINUTE, begun_ns, clock.now_ns)
        assert len(kept) == 12
    told = ask("episodes", "--id", episode.id, "-c", it.config).out
    assert "12 frames with 12 readings came; 12 of 25 periods are still missing." in told
    assert "1 次请求，收到 12 帧、12 个数值；25 个时段中仍缺 12 个。" in told
    with Platform(tmp_path, clock) as it, closing(it.requests()) as requests:
        until(lambda: it.runtime.is_idle)
        assert len(requests.newest()) == 1
        assert len(it.runtime.ledger.transitions(episode.id)) == 2, "what came late is not told again"
