"""Mosquitto behind a line that breaks: what was acknowledged is in the journal, and no acknowledgement crosses a line."""

import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.records import Connected, PartFailed, PossibleLoss
from rules.readings import SECOND_NS
from simulators.load import Load, Plan, numbers_of, read_report
from tests.brokers_by_packets import PUBACK, SUBACK
from tests.ingest.mqtt_probe import Probe, until
from tests.services.mosquitto import GATEWAY, Mosquitto
from tests.services.proxy import (
    STRAIGHT,
    Course,
    Passage,
    Proxy,
    acknowledged,
    always,
    at_first,
    at_random,
    delivered,
    packets_in,
)
from tests.services.recording import as_service, publish_as_gateway, recording

pytestmark = pytest.mark.services
ROOT = Path(__file__).parents[2]
PLAN = Plan(scenario="load", seed=1, stations=200, start_ns=1_762_084_800 * SECOND_NS, interval_ns=SECOND_NS)
START = "2025-11-02T20:00:00+08:00"
EACH = pytest.mark.parametrize("protocol", ["3.1.1", "5"])


def numbered(client_id: str, start: int, stop: int) -> list[tuple[str, bytes]]:
    """Messages that all differ, on a topic of this client's own."""
    return [(f"jianwei/v1/{client_id}/S{n % 7}", b"%d" % n) for n in range(start, stop)]


def payloads(messages: list[tuple[str, bytes]]) -> set[bytes]:
    return {payload for _, payload in messages}


@pytest.fixture
def session(mosquitto: Mosquitto, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings of a source with a session of this test's own on the broker that tests share."""
    client_id = f"p{zlib.crc32(request.node.name.encode()):08x}"
    return {"client_id": client_id, "topics": (f"jianwei/v1/{client_id}/#",), **as_service(mosquitto)}


def no_acknowledgement_crossed(proxy: Proxy) -> bool:
    """As the broker sees it: on each connection the first messages of that connection, in order, each once."""
    return all(acknowledged(p) == delivered(p)[: len(acknowledged(p))] for p in proxy.passages)


def has_suback(passage: Passage) -> bool:
    return any(packet.kind == SUBACK for _, packet in packets_in(bytes(passage.down)))


def nothing_is_left(port: int, session: dict[str, Any], protocol: str) -> bool:
    """Everything was acknowledged: the same session, connected again, brings nothing."""
    with Probe(port, protocol=protocol, **session) as again:
        again.well()
        return again.told(Connected)[0].session_present and again.nothing_comes(0.5)


@EACH
def test_cut_between_delivery_and_acknowledgement_comes_again_and_is_acknowledged_there(
    mosquitto: Mosquitto, tmp_path: Path, session: dict[str, Any], protocol: str
) -> None:
    """The first three connections break when the acknowledgement is on its way; the journal has the messages then."""
    messages = numbered(session["client_id"], 0, 50)
    courses = at_first(up=Course(cut_before_packet=PUBACK), connections=3)
    with (
        Proxy(mosquitto.port, courses) as proxy,
        recording(tmp_path, proxy.own_port, protocol=protocol, **session) as service,
    ):
        service.well()
        publish_as_gateway(mosquitto, messages)
        service.holds(payloads(messages))
        until(lambda: len(proxy.passages) > 3 and len(acknowledged(proxy.passages[3])) == 50)
        assert [acknowledged(passage) for passage in proxy.passages[:3]] == [[], [], []]
        assert all(delivered(passage) for passage in proxy.passages[:3])
        assert no_acknowledgement_crossed(proxy)
        assert not service.told(PossibleLoss)
        assert not service.told(PartFailed)
    assert nothing_is_left(mosquitto.port, session, protocol)


@EACH
def test_what_becomes_durable_after_the_cut_is_not_acknowledged_on_the_next_line(
    mosquitto: Mosquitto, session: dict[str, Any], protocol: str
) -> None:
    """P4, with a slow journal. Mosquitto gives the messages the same numbers there, and waits for them to come again."""
    messages = numbered(session["client_id"], 0, 50)
    with Proxy(mosquitto.port) as proxy, Probe(proxy.own_port, protocol=protocol, **session) as probe:
        probe.well()
        publish_as_gateway(mosquitto, messages)
        old = probe.take_messages(50)
        proxy.cut()
        new = probe.take_messages(100)
        for token in old:
            probe.source.acknowledge(token)
        assert probe.nothing_comes(0.3)
        assert [acknowledged(passage) for passage in proxy.passages] == [[], []]
        for token in new:
            probe.source.acknowledge(token)
        until(lambda: len(acknowledged(proxy.passages[1])) == 50)
        assert no_acknowledgement_crossed(proxy)
    assert nothing_is_left(mosquitto.port, session, protocol)


@EACH
@pytest.mark.parametrize("way", ["up", "down"])
def test_cut_after_any_byte_of_a_connection_loses_nothing(
    mosquitto: Mosquitto, tmp_path: Path, session: dict[str, Any], protocol: str, way: str
) -> None:
    """Every second connection, with two messages waiting, is cut one byte later than the one before."""
    cuts: dict[int, Course] = {}
    bytes_seen = 0

    def courses(number: int) -> tuple[Course, Course]:
        course = cuts.get(number, STRAIGHT)
        return (course, STRAIGHT) if way == "up" else (STRAIGHT, course)

    with (
        Proxy(mosquitto.port, courses) as proxy,
        recording(tmp_path, proxy.own_port, protocol=protocol, **session) as service,
    ):
        service.well()
        for turn in range(1, 400):
            messages = numbered(session["client_id"], 2 * turn, 2 * turn + 2)
            proxy.hold()  # the acknowledgements
            publish_as_gateway(mosquitto, messages)
            service.holds(payloads(messages))
            broken = len(proxy.passages)
            cuts[broken] = Course(cut_after_bytes=turn)
            proxy.cut()
            proxy.let_go()
            until(lambda: sum(len(acknowledged(p)) for p in proxy.passages[broken:]) >= 2)  # noqa: B023  # called in this turn only
            until(lambda: has_suback(proxy.passages[-1]))
            bytes_seen = len(getattr(proxy.passages[broken], way))
            if bytes_seen < turn:  # all of it passed
                break
            until(lambda: len(proxy.passages) > broken + 1 and has_suback(proxy.passages[-1]))  # noqa: B023  # called in this turn only
        assert 70 < bytes_seen == turn - 1
        assert no_acknowledgement_crossed(proxy)
        assert not service.told(PossibleLoss)
        assert not service.told(PartFailed)
    assert nothing_is_left(mosquitto.port, session, protocol)


@EACH
@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 64])
def test_writes_in_pieces_are_the_same_messages(
    mosquitto: Mosquitto, tmp_path: Path, session: dict[str, Any], protocol: str, piece_bytes: int
) -> None:
    """With pieces of one byte every write is cut at every boundary."""
    messages = numbered(session["client_id"], 0, 20 * piece_bytes)
    course = Course(piece_bytes=piece_bytes)
    with (
        Proxy(mosquitto.port, always(course, course)) as proxy,
        recording(tmp_path, proxy.own_port, protocol=protocol, **session) as service,
    ):
        service.well()
        publish_as_gateway(mosquitto, messages)
        service.holds(payloads(messages))
        until(lambda: len(acknowledged(proxy.passages[0])) == len(messages))
        assert service.payloads() == [payload for _, payload in messages]
        assert len(proxy.passages) == 1
    assert nothing_is_left(mosquitto.port, session, protocol)


@EACH
def test_a_slow_line_costs_time_and_no_message(
    mosquitto: Mosquitto, tmp_path: Path, session: dict[str, Any], protocol: str
) -> None:
    messages = numbered(session["client_id"], 0, 5_000)
    course = Course(delay_s=0.3)
    with (
        Proxy(mosquitto.port, always(course, course)) as proxy,
        recording(tmp_path, proxy.own_port, protocol=protocol, **session) as service,
    ):
        service.well()
        publish_as_gateway(mosquitto, messages)
        service.holds(payloads(messages), within_s=60)
        until(lambda: len(acknowledged(proxy.passages[0])) == 5_000)
        assert service.payloads() == [payload for _, payload in messages]
        assert len(proxy.passages) == 1
    assert nothing_is_left(mosquitto.port, session, protocol)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("seed", "protocol", "seconds"), [(1, "3.1.1", 20), (2, "5", 60)])
def test_random_cuts_under_load_lose_nothing_that_was_acknowledged(
    a_mosquitto: Callable[..., Mosquitto], tmp_path: Path, seed: int, protocol: str, seconds: int
) -> None:
    """2,000 messages a second; the publisher's line breaks too. The same seed breaks at the same bytes."""
    broker, report = a_mosquitto(), tmp_path / "report.json"
    ours = at_random(seed, up_bytes=20_000, down_bytes=2_000_000, most_delay_s=0.05)
    theirs = at_random(-seed, up_bytes=3_000_000, down_bytes=40_000)
    settings = {"client_id": "cut", "protocol": protocol, **as_service(broker)}
    with (
        Proxy(broker.port, ours) as proxy,
        Proxy(broker.port, theirs) as publishers,
        recording(tmp_path / "journal", proxy.own_port, **settings) as service,
    ):
        until(lambda: service.told(Connected))
        command = [sys.executable, "-m", "simulators.load", "--port", str(publishers.own_port), "--report", str(report)]
        command += ["--rate", "2000", "--seconds", str(seconds), "--stations", str(PLAN.stations), "--start", START]
        command += ["--username", GATEWAY, "--password", broker.password(GATEWAY)]
        subprocess.run(command, cwd=ROOT, check=True, timeout=120)
        said, load = read_report(report), Load(PLAN)
        service.holds({load.payload(number) for number in numbers_of(said.acknowledged)}, within_s=60)
        assert no_acknowledgement_crossed(proxy)
        assert not service.told(PossibleLoss)
        assert not service.told(PartFailed)
        assert len(proxy.passages) > seconds / 3
        assert said.published >= 1_500 * seconds
