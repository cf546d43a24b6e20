"""The port begins, ends, says how it is, and asks stations."""

import resource
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ingest.message import Source
from ingest.records import ConnectionLost, PartFailed, RequestMoved
from ingest.site import Roster, Site
from ingest.sources import Surroundings, open_source
from ingest.sources.hj212_tcp import Hj212TcpSourceSettings, port, source
from jianwei.clock import wall_ns
from simulators.hj212 import wire
from tests.ingest.hj212_probe import A, B, Journal, Probe, qn_of, soon, upload


@pytest.mark.parametrize(
    "said",
    [
        {"port": 70_000},
        {"port": -1},
        {"most_connections": 0},
        {"most_data_bytes": 9_000},
        {"share_messages": 20_001},
        {"share_bytes": 1 << 30},
        {"tls": {}},
        {"tls": {"key": "k"}},
        {"colour": 1},
        {"name": ""},
    ],
)
def test_broken_settings_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Hj212TcpSourceSettings.model_validate(said)


def test_it_is_a_source_of_the_table() -> None:
    settings = Hj212TcpSourceSettings(name="east")
    opened: Source = open_source(settings, Surroundings(wall_ns, lambda _record: None, Roster(Site())))
    assert opened.name == "east"
    assert opened.take() is None
    assert not opened.health(0).ok
    with pytest.raises(TypeError):
        opened.acknowledge(object())
    opened.stop()


def test_it_is_well_while_it_listens_and_not_before_and_not_after() -> None:
    probe = Probe()
    assert not probe.health.ok
    with probe:
        soon(lambda: probe.health.ok)
        assert probe.source.port
        with pytest.raises(RuntimeError):
            probe.source.start()
    assert not probe.health.ok
    assert probe.source.port is None


def test_a_port_that_is_taken_is_said_and_tried_until_it_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with Probe(port=number) as probe:
            assert not probe.health.ok
            assert f"port {number} of 127.0.0.1 is taken" in probe.health.why
            assert probe.told(ConnectionLost)
            taken.close()
            soon(lambda: probe.health.ok)
            assert probe.source.port == number


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host"])
def test_an_address_that_this_machine_has_not_is_said(host: str) -> None:
    with Probe(host=host) as probe:
        assert host in probe.health.why


def test_what_is_durable_when_it_stops_is_answered_and_what_is_not_is_not() -> None:
    with Probe() as probe:
        callers = [probe.caller().send(upload(mn)) for mn in (A, B)]
        (first,) = probe.take(1)[:1]
        kept = {payload for block in first.blocks for payload in block.payloads}
        probe.source.acknowledge(first.token)
        probe.source.stop()
        for caller, mn in zip(callers, (A, B), strict=True):
            if upload(mn) in kept:
                assert caller.answers(1) == [("9014", qn_of(upload(mn)))]
            assert caller.is_closed()


def test_a_stop_does_not_wait_for_who_does_not_read() -> None:
    with Probe(stop_s=0.3, most_unread_bytes=1 << 30, share_messages=20_000) as probe, Journal(probe):
        caller = probe.caller()
        caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        caller.socket.settimeout(0.5)
        frames = b"".join(upload(number=number) for number in range(1_000))
        try:
            for _ in range(70):
                caller.send(frames)
        except TimeoutError:
            pass
        began_s = time.monotonic()
        probe.source.stop()
        assert time.monotonic() - began_s < 5
    assert not [thread for thread in threading.enumerate() if thread.name == f"hj212_tcp:{probe.source.name}"]


def test_the_next_one_listens_on_the_same_port_at_once() -> None:
    with Probe() as probe:
        number = probe.source.port
        probe.caller().send(upload())
        probe.take(1)
    with Probe(port=number) as probe:
        again = probe.caller().send(upload())
        probe.serve(1)
        assert again.answers(1)


def test_when_the_journal_takes_nothing_for_long_health_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "FULL_S", 0.1)
    with Probe(window_messages=5, share_messages=5) as probe:
        probe.caller().send(b"".join(upload(number=number) for number in range(10)))
        soon(lambda: not probe.health.ok)
        assert "10 messages wait" in probe.health.why
        probe.serve(10)
        soon(lambda: probe.health.ok)


# Requests.


def test_a_request_goes_to_the_station_on_its_line_and_what_comes_of_it_is_told() -> None:
    with Probe() as probe, Journal(probe):
        caller, other = probe.caller().send(upload(A)), probe.caller().send(upload(B))
        caller.answers(1)
        other.answers(1)
        probe.ask(7, A, "1061")
        ((cn, qn),) = caller.answers(1)
        assert cn == "1061"
        for cn, body in (("9011", "QnRtn=1"), ("9012", "ExeRtn=1")):
            caller.send(wire(f"QN={qn};ST=91;CN={cn};PW=123456;MN={A};Flag=4;CP=&&{body}&&".encode()))
        soon(lambda: [told.state for told in probe.told(RequestMoved)][-1:] == ["done"])
        assert [(told.number, told.state) for told in probe.told(RequestMoved)] == [
            (7, "sent"),
            (7, "accepted"),
            (7, "done"),
        ]
        assert other.is_silent()
        assert len(probe.payloads) == 2, "answers are no messages"


def test_data_that_were_asked_for_are_messages_and_are_counted() -> None:
    with Probe() as probe, Journal(probe):
        caller = probe.caller().send(upload(A))
        caller.answers(1)
        probe.ask(7, A, "2011")
        ((_, qn),) = caller.answers(1)
        caller.send(wire(f"QN={qn};ST=91;CN=9011;PW=123456;MN={A};Flag=4;CP=&&QnRtn=1&&".encode()))
        caller.send(upload(A, 1))
        assert caller.answers(1) == [("9014", qn_of(upload(A, 1)))]
        soon(lambda: [told.state for told in probe.told(RequestMoved)][-1:] == ["done"])
        assert probe.told(RequestMoved)[-1].frames == 1


def test_the_newest_line_of_a_station_is_asked() -> None:
    with Probe() as probe, Journal(probe):
        old, new = probe.caller(), probe.caller()
        for number, caller in enumerate((old, new)):
            caller.send(upload(A, number)).answers(1)
        old.send(upload(A, 2)).answers(1)
        probe.ask(1, A, "1061")
        assert new.answers(1)[0][0] == "1061"
        assert old.is_silent()
        new.close()
        soon(lambda: probe.source.connections == 1)
        probe.ask(2, A, "1061")
        assert old.answers(1)[0][0] == "1061"


def test_a_station_that_is_not_there_and_one_that_goes_are_told() -> None:
    with Probe() as probe, Journal(probe):
        probe.ask(1, A, "1061")
        caller = probe.caller().send(upload(A))
        caller.answers(1)
        probe.ask(2, A, "1061")
        caller.answers(1)
        caller.close()
        soon(lambda: len(probe.told(RequestMoved)) == 3)
        assert [(told.number, told.state) for told in probe.told(RequestMoved)] == [
            (1, "gone"),
            (2, "sent"),
            (2, "gone"),
        ]
    probe.ask(3, A, "1061")
    assert probe.told(RequestMoved)[-1].state == "gone"


# Limits of the system, and an error that nobody foresaw.


def test_connections_leave_open_files_to_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (1_024, 4_096))
    monkeypatch.setattr(resource, "setrlimit", lambda _what, limits: said.append(limits))
    assert source._connections_allowed(500) == 500
    assert not said
    assert source._connections_allowed(2_000) == 2_000
    assert source._connections_allowed(50_000) == 4_096 - source.OTHER_FILES
    assert said == [(2_000 + source.OTHER_FILES, 4_096), (4_096, 4_096)]


def test_a_mistake_in_the_loop_costs_the_lines_and_not_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "RETRY_LAST_S", 0.1)
    accept = port.Port._accept
    fails = [True]

    async def breaks(self: port.Port, listening: socket.socket) -> None:
        if fails.pop() if fails else False:
            raise ZeroDivisionError
        await accept(self, listening)

    monkeypatch.setattr(port.Port, "_accept", breaks)
    with Probe() as probe, Journal(probe):
        soon(lambda: probe.told(PartFailed))
        soon(lambda: probe.health.ok)
        probe.caller().send(upload()).answers(1)


def test_files_of_tls_that_are_missing_are_said(tmp_path: Path) -> None:
    with Probe(tls={"cert": tmp_path / "none.pem"}) as probe:
        assert "tls.cert" in probe.health.why
        assert "none.pem" in probe.health.why
