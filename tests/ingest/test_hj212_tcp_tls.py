"""Loggers over TLS: the port shows its certificate, may ask for theirs, and waits for no handshake for ever."""

import socket
import ssl
import time
from pathlib import Path

import pytest

from tests.ingest.certificates import Authority
from tests.ingest.hj212_probe import A, Caller, Journal, Probe, qn_of, soon, station, upload


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def tls_of(authority: Authority, *, clients: bool = False) -> dict[str, Path]:
    cert, key = authority.vouch("port")
    return {"cert": cert, "key": key, **({"ca": authority.ca} if clients else {})}


def over_tls(probe: Probe, authority: Authority, client: tuple[Path, Path] | None = None) -> Caller:
    context = ssl.create_default_context(cafile=authority.ca)
    if client is not None:
        context.load_cert_chain(*client)
    caller = probe.caller()
    caller.socket = context.wrap_socket(caller.socket, server_hostname="127.0.0.1")
    return caller


def test_frames_and_answers_go_over_tls(authority: Authority) -> None:
    frames = [upload(number=number) for number in range(300)]
    with Probe(tls=tls_of(authority)) as probe, Journal(probe):
        caller = over_tls(probe, authority)
        caller.send(b"".join(frames))
        assert [qn for _, qn in caller.answers(300)] == [qn_of(frame) for frame in frames]
        assert probe.payloads == frames


def test_who_must_show_a_certificate_and_has_none_is_not_let_in(authority: Authority) -> None:
    with Probe(tls=tls_of(authority, clients=True)) as probe, Journal(probe):
        assert over_tls(probe, authority).is_closed()
        known = over_tls(probe, authority, authority.vouch("logger"))
        assert known.send(upload()).answers(1) == [("9014", qn_of(upload()))]
        soon(lambda: probe.ended("handshake") == 1)


def test_who_speaks_no_tls_is_let_go(authority: Authority) -> None:
    with Probe(tls=tls_of(authority)) as probe:
        assert probe.caller().send(upload()).is_closed()
        soon(lambda: probe.ended("handshake") == 1)
        assert probe.nothing_comes()


def test_a_handshake_that_hangs_is_ended_and_holds_nobody_up(authority: Authority) -> None:
    with Probe(tls=tls_of(authority), handshake_s=1.0) as probe, Journal(probe):
        hanging = [probe.caller() for _ in range(50)]
        began_s = time.monotonic()
        over_tls(probe, authority).send(upload()).answers(1)
        assert time.monotonic() - began_s < 1.0
        assert all(caller.is_closed() for caller in hanging)
        soon(lambda: probe.ended("handshake") == 50)
        assert probe.source.connections == 1


def test_handshakes_that_hang_hold_no_place(authority: Authority) -> None:
    with Probe(station(A), tls=tls_of(authority), most_connections=10, handshake_s=60) as probe, Journal(probe):
        hanging = [probe.caller() for _ in range(10)]
        over_tls(probe, authority).send(upload()).answers(1)
        soon(lambda: probe.ended("displaced") >= 1)
        assert hanging[0].is_closed()


def test_a_stop_waits_for_no_handshake(authority: Authority) -> None:
    with Probe(tls=tls_of(authority), handshake_s=60) as probe:
        caller = probe.caller()
        soon(lambda: probe.source.connections == 1)
        began_s = time.monotonic()
        probe.source.stop()
        assert time.monotonic() - began_s < 3
        assert caller.is_closed()


def test_a_line_that_is_cut_in_the_middle_of_tls_costs_nothing(authority: Authority) -> None:
    with Probe(tls=tls_of(authority)) as probe, Journal(probe):
        for number in range(20):
            caller = over_tls(probe, authority).send(upload(number=number))
            raw = socket.socket(fileno=caller.socket.detach())
            raw.close()
        assert over_tls(probe, authority).send(upload()).answers(1)
        soon(lambda: probe.source.connections == 1)
