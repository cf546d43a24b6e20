"""Data loggers on real connections, against a platform that does as it is told."""

import socket
import time
from collections import Counter
from collections.abc import Callable

import pytest

from simulators.fleet import Fleet
from simulators.loggers.lines import Loggers
from simulators.publish import BrokerUnreachableError
from simulators.samples import Outgoing
from tests.simulators.platforms import Platforms, request, words
from tests.simulators.town import town

HOUR_NS = 3600 * 10**9


def equipped(*manners: dict[str, object], faults: tuple[dict[str, object], ...] = ()) -> Fleet:
    return Fleet(town(*faults, loggers=list(manners)), 1)


def of(fleet: Fleet, station: str = "T-1", *, hours: int = 6) -> list[Outgoing]:
    """What this station sends."""
    messages = fleet.messages(fleet.start_ns, fleet.start_ns + hours * HOUR_NS)
    return [m for m in messages if m.station == station]


def loggers(fleet: Fleet, port: int, **more: object) -> Loggers:
    more = {"hurries": True, "longest_pause_s": 0.1, **more}
    return Loggers("127.0.0.1", port, fleet.equipped(), seed=1, start_ns=fleet.start_ns, **more)  # type: ignore[arg-type]


def eventually(is_so: Callable[[], object], patience_s: float = 20.0) -> None:
    end_s = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.005)


@pytest.mark.parametrize("edition", ["2005", "2017", "2025", "surface_water"])
def test_every_sample_is_answered_in_every_edition(edition: str) -> None:
    fleet = equipped({"station": "T-1", "edition": edition}, {"station": "T-2", "edition": edition, "most_data": 200})
    messages = fleet.messages(fleet.start_ns, fleet.end_ns)
    with Platforms() as platform, loggers(fleet, platform.port) as line:
        line.send(messages)
        assert line.acknowledged.spans == [[0, len(messages) - 1]]
        assert line.connected == platform.connections == 2
        flags = {said["Flag"] for said in map(words, platform.heard) if said["MN"] == "T-1"}
        assert flags == {{"2005": "1", "2017": "5"}.get(edition, "9")}
        assert len(platform.said("2011")) >= len([m for m in messages if m.kind == 0])


@pytest.mark.parametrize("writes", ["bytes", "joined"])
def test_however_it_writes_it_says_the_same(writes: str) -> None:
    fleet = equipped({"station": "T-1", "writes": writes})
    with Platforms() as platform, loggers(fleet, platform.port) as line:
        line.send(of(fleet))
        assert len(platform.heard) == len(of(fleet)) == len(line.acknowledged)
        if writes == "joined":
            assert max(read.count(b"##") for read in platform.reads) == 2


def test_a_frame_that_is_not_answered_is_sent_again_as_it_was_and_not_more_often_than_it_may() -> None:
    fleet = equipped({"station": "T-1", "timeout": 1, "retries": 2})
    with Platforms(lambda _data: False) as platform, loggers(fleet, platform.port) as line:
        line.send(of(fleet)[:1])  # given up after three times
        assert Counter(platform.heard).most_common() == [(platform.heard[0], 3)]
        assert len(line.acknowledged) == 0
        assert line.loggers["T-1"].unanswered == 1


def test_what_was_given_up_comes_again_when_the_platform_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.loggers.logger.AGAIN_S", 0.5)
    fleet = equipped({"station": "T-1", "timeout": 1, "retries": 0, "edition": "2025"})
    messages = of(fleet)[:30]
    with Platforms(lambda _data: False) as platform, loggers(fleet, platform.port) as line:
        line.send(messages)
        assert line.is_settled
        assert len(line.acknowledged) == 0
        platform.answers = lambda _data: True
        assert line.wait_for_answers(20)
        times = Counter(said["DataTime"] + said["CN"] for said in map(words, platform.heard))
        assert len(times) == len(messages)
        assert any("RF" in said for said in map(words, platform.heard))


def test_lost_answers_and_broken_lines_cost_no_sample() -> None:
    manners = [
        {"station": "T-1", "lost_answers": 0.3, "cuts": 0.2, "garbage": 0.2, "edition": "2025"},
        {"station": "T-2", "cuts": 0.5, "lost_answers": 0.5, "most_data": 200},
    ]
    fleet = equipped(*manners)
    messages = fleet.messages(fleet.start_ns, fleet.end_ns)
    with Platforms() as platform, loggers(fleet, platform.port) as line:
        line.send(messages)
        assert len(line.acknowledged) == len(messages)
        account = line.loggers["T-1"].account
        assert account.cuts > 5
        assert account.unheard > 5
        assert account.connections == account.cuts + 1
        assert {"RF"} <= {name for said in map(words, platform.heard) for name in said}


def test_equal_seeds_have_the_same_misfortunes() -> None:
    fleet = equipped({"station": "T-1", "lost_answers": 0.3, "cuts": 0.2, "garbage": 0.2})
    accounts = []
    for _ in range(2):
        with Platforms() as platform, loggers(fleet, platform.port) as line:
            line.send(of(fleet))
            account = line.loggers["T-1"].account
            accounts.append((account.cuts, account.connections, len(line.acknowledged)))
    assert accounts[0] == accounts[1]


def test_a_platform_that_breaks_every_line_is_not_waited_for() -> None:
    fleet = equipped({"station": "T-1"})

    def breaks(_data: bytes) -> bool:
        platform.break_all()
        return False

    with Platforms(breaks) as platform, loggers(fleet, platform.port) as line:
        line.send(of(fleet)[:20])
        assert len(line.acknowledged) == 0
        platform.answers = lambda _data: True
        assert line.wait_for_answers(20)


def test_a_platform_that_comes_later_gets_everything() -> None:
    fleet = equipped({"station": "T-1"}, {"station": "T-2"})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with loggers(fleet, port) as line:
        line.put(of(fleet))
        time.sleep(0.2)
        platform = Platforms()
        platform.port = port
        with platform:
            assert line.wait_for_answers(20)
            platform.break_all()
            line.send(of(fleet, "T-2"))
            assert len(line.acknowledged) == line.put_count


def test_where_nobody_listens_it_says_so() -> None:
    fleet = equipped({"station": "T-1"})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with (
            loggers(fleet, int(probe.getsockname()[1]), patience_s=0.3) as line,
            pytest.raises(BrokerUnreachableError, match="no logger has a connection"),
        ):
            line.send(of(fleet))


def test_a_garbled_frame_comes_again_whole() -> None:
    fault: dict[str, object] = {"kind": "garbled", "station": "T-1", "at": "1h", "for": "1h"}
    fleet = equipped({"station": "T-1"}, faults=(fault,))
    messages = of(fleet)
    with Platforms() as platform, loggers(fleet, platform.port) as line:
        line.send(messages)
        assert len(line.acknowledged) == len(messages)
        times = {(said["CN"], said["DataTime"]) for said in map(words, platform.heard)}
        assert len(times) == len(messages)
    hit = [m for m in messages if m.problems]
    assert len(hit) > 10
    assert all(not m.stored and m.on_a_line().stored == ("x", "y") for m in hit)


def test_a_platform_may_ask_on_the_same_line() -> None:
    fleet = equipped({"station": "T-1"})
    with Platforms() as platform, loggers(fleet, platform.port) as line:
        line.send(of(fleet))
        span = "BeginTime=20261102210000,EndTime=20261102230000"
        platform.say(request("2061", mn="T-1", says=span))
        eventually(lambda: platform.said("9012"))
        hours = [said["DataTime"] for said in platform.said("2061") if said["QN"] == "20261102200000001"]
        assert hours == ["20261102210000", "20261102220000", "20261102230000"]
        assert [said["ExeRtn"] for said in platform.said("9012")] == ["1"]


def test_a_thousand_lines_are_cheap() -> None:
    fleet = Fleet(town(length="6m", fleet=[{**TOWN_GROUP, "count": 1000}]), 1)
    messages = fleet.messages(fleet.start_ns, fleet.end_ns)
    with Platforms() as platform, loggers(fleet, platform.port) as line:
        line.send(messages)
        assert len(line.acknowledged) == len(messages) >= 1000
        assert platform.connections == 1000


TOWN_GROUP: dict[str, object] = {
    "station_type": "city_air",
    "id": "T-{n}",
    "name": {"zh": "站{n}", "en": "Station {n}"},
    "signals": {"x": {"base": 50.0, "decimals": 2}},
    "feeds": [{"kind": "realtime", "interval": "5m"}],
}
