"""The proxy does what its courses say, and the same again for the same seed. It needs no service."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Thread

import pytest

from tests.brokers_by_packets import CONNECT, HOST, PUBACK, Line, ScriptedBroker, connack, connect, packet, publish
from tests.services.proxy import (
    EVERYTHING_PASSES,
    Course,
    Courses,
    Proxy,
    acknowledged,
    always,
    at_first,
    at_random,
    delivered,
)

WORDS = bytes(range(256)) * 400


@contextmanager
def echo(courses: Courses = EVERYTHING_PASSES) -> Iterator[Proxy]:
    """A proxy before a server that says back what it hears."""

    def serve() -> None:
        while True:
            try:
                one = listener.accept()[0]
            except OSError:
                return
            Thread(target=answer, args=(one,), daemon=True).start()

    def answer(one: socket.socket) -> None:
        with closing(one):
            try:
                while heard := one.recv(65_536):
                    one.sendall(heard)
            except OSError:
                pass

    with socket.create_server((HOST, 0)) as listener, Proxy(listener.getsockname()[1], courses) as proxy:
        Thread(target=serve, daemon=True).start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)


def said_back(proxy: Proxy, words: bytes) -> bytes:
    """What comes back until all has, or the connection ends."""
    heard = b""
    with socket.create_connection((HOST, proxy.own_port), 10) as one:
        try:
            one.sendall(words)
            while len(heard) < len(words) and (more := one.recv(65_536)):
                heard += more
        except ConnectionError:
            pass
    return heard


@pytest.mark.parametrize("course", [Course(), Course(delay_s=0.05), Course(piece_bytes=4_999)])
def test_what_is_not_cut_passes_whole_and_in_order(course: Course) -> None:
    with echo(always(course, course)) as proxy:
        assert said_back(proxy, WORDS) == WORDS
    assert bytes(proxy.passages[0].up) == bytes(proxy.passages[0].down) == WORDS


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("after", [0, 1, 5_000, 70_000])
def test_a_cut_lets_exactly_so_many_bytes_pass(way: str, after: int) -> None:
    course = Course(cut_after_bytes=after)
    with echo(at_first(up=course) if way == "up" else at_first(down=course)) as proxy:
        assert WORDS.startswith(said_back(proxy, WORDS))
        assert said_back(proxy, WORDS) == WORDS  # the second connection is left alone
    assert len(getattr(proxy.passages[0], way)) == after


def test_the_same_seed_does_the_same_again_and_another_does_not() -> None:
    one, again, other = (at_random(seed, up_bytes=10**6, down_bytes=10**6, most_delay_s=1) for seed in (1, 1, 2))
    assert [one(n) for n in range(20)] == [again(n) for n in range(20)]
    assert [one(n) for n in range(20)] != [other(n) for n in range(20)]


def test_what_is_held_does_not_go_up_and_is_lost_with_its_connection() -> None:
    with echo() as proxy, socket.create_connection((HOST, proxy.own_port), 10) as one:
        one.sendall(b"first")
        assert one.recv(5) == b"first"
        proxy.hold()
        one.sendall(b"second")
        one.settimeout(0.2)
        with pytest.raises(TimeoutError):
            one.recv(6)
        proxy.cut()
        proxy.let_go()
        one.settimeout(10)
        with pytest.raises(ConnectionError):
            raise_at_end(one)
        assert said_back(proxy, WORDS) == WORDS
    assert proxy.passages[0].up == b"first"


def raise_at_end(one: socket.socket) -> None:
    if not one.recv(1):
        raise ConnectionError


def test_a_server_that_is_away_is_a_closed_connection() -> None:
    with Proxy(1) as proxy:
        assert said_back(proxy, b"x") == b""


def test_a_cut_reaches_a_side_that_does_not_read() -> None:
    """Both directions are stuffed; the context ends all the same."""
    with echo() as proxy, socket.create_connection((HOST, proxy.own_port), 10) as one:
        one.settimeout(0.3)
        with pytest.raises(TimeoutError):
            one.sendall(WORDS * 200)


def test_a_packet_of_a_kind_does_not_pass_and_what_stood_before_it_does() -> None:
    with ScriptedBroker() as broker, Proxy(broker.port, at_first(up=Course(cut_before_packet=PUBACK))) as proxy:
        line = Line(socket.create_connection((HOST, proxy.own_port)))
        with closing(line):
            line.send(connect("c"))
            theirs = broker.accept()
            theirs.expect(CONNECT)
            theirs.send(connack(), publish("t", b"x" * 300, 7), publish("t", b"zero"), publish("t", b"y", 8))
            assert [line.receive().kind for _ in range(4)] == [0x20, 0x30, 0x30, 0x30]
            line.send(packet(0xC0), packet(PUBACK, b"\0\7"), packet(PUBACK, b"\0\x08"))
            assert theirs.receive().kind == 0xC0
            assert theirs.closes()
    assert delivered(proxy.passages[0]) == [7, 8]
    assert acknowledged(proxy.passages[0]) == []
