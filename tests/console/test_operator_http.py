"""The operator's port says how the service is, to whoever asks, and lets nobody change anything."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from console.operator_http import OperatorPort


@dataclass
class Word:
    ok: bool
    why: str = ""


class Asked:
    """A port with the words of two parts; counts how often they were asked."""

    def __init__(self) -> None:
        self.parts: dict[str, Word] = {"journal": Word(ok=True), "store": Word(ok=True)}
        self.times = 0
        registry = CollectorRegistry()
        Counter("seen_total", "What was seen", registry=registry).inc(3)
        self.port = OperatorPort("127.0.0.1", 0, registry, self.health)

    def health(self) -> Mapping[str, Word]:
        self.times += 1
        return self.parts

    def ask(self, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        line = http.client.HTTPConnection("127.0.0.1", self.port.port, timeout=5)
        try:
            line.request(method, path)
            answer = line.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            line.close()

    def json(self, path: str) -> tuple[int, Any]:
        status, headers, body = self.ask(path)
        assert headers["Content-Type"] == "application/json; charset=utf-8"
        return status, json.loads(body)


@pytest.fixture
def asked() -> Iterator[Asked]:
    made = Asked()
    made.port.start()
    yield made
    made.port.stop()


def test_metrics_are_text_for_prometheus_and_the_parts_are_asked_first(asked: Asked) -> None:
    status, headers, body = asked.ask("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert b"seen_total 3.0" in body
    assert asked.times == 1


def test_live_is_said_without_asking_anybody(asked: Asked) -> None:
    asked.parts["store"] = Word(ok=False, why="away")
    assert asked.json("/health/live") == (200, {"live": True})
    assert asked.times == 0


def test_ready_says_each_parts_word_and_is_red_when_one_is(asked: Asked) -> None:
    assert asked.json("/health/ready")[0] == 200
    asked.parts["store"] = Word(ok=False, why="磁盘已满: make room")
    status, content = asked.json("/health/ready")
    assert status == 503
    assert content == {
        "ready": False,
        "parts": {"journal": {"ok": True, "why": ""}, "store": {"ok": False, "why": "磁盘已满: make room"}},
    }


@pytest.mark.parametrize("path", ["/", "/metrics/", "/health", "/../etc/passwd", "/%2e%2e"])
def test_other_pages_are_not_there(asked: Asked, path: str) -> None:
    status, content = asked.json(path)
    assert status == 404
    assert "/health/ready" in content["error"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/metrics", "/health/ready", "/nowhere"])
def test_nothing_but_reading_is_possible(asked: Asked, method: str, path: str) -> None:
    status, _, body = asked.ask(path, method)
    assert status == 405
    assert b"only reads" in body
    assert asked.times == 0


@pytest.mark.parametrize("path", ["/metrics", "/health/ready", "/nowhere"])
def test_head_tells_the_same_without_the_page(asked: Asked, path: str) -> None:
    status, headers, body = asked.ask(path)
    status_of_head, headers_of_head, body_of_head = asked.ask(path, "HEAD")
    assert status_of_head == status
    assert body_of_head == b""
    assert headers_of_head["Content-Type"] == headers["Content-Type"]
    assert headers_of_head["Content-Length"] == headers["Content-Length"] == str(len(body))


def test_a_client_that_says_nothing_holds_up_nobody_and_requests_leave_no_trace(
    asked: Asked, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", asked.port.port)):
        assert asked.json("/health/live")[0] == 200
    line = socket.create_connection(("127.0.0.1", asked.port.port))
    line.sendall(b"GET /metr")
    line.close()
    answers = [threading.Thread(target=asked.json, args=("/health/ready",)) for _ in range(8)]
    for thread in answers:
        thread.start()
    for thread in answers:
        thread.join()
    assert asked.times == 8
    assert capfd.readouterr() == ("", "")


def test_a_port_that_is_taken_is_told_with_its_number_and_the_setting(asked: Asked) -> None:
    with pytest.raises(OSError, match=rf"127\.0\.0\.1:{asked.port.port} cannot be had.*\[http\]"):
        OperatorPort("127.0.0.1", asked.port.port, CollectorRegistry(), asked.health)


def test_a_stopped_port_answers_no_more_and_can_be_had_again(asked: Asked) -> None:
    number = asked.port.port
    asked.port.stop()
    with pytest.raises(OSError):
        asked.ask("/health/live")
    again = OperatorPort("127.0.0.1", number, CollectorRegistry(), asked.health)
    again.start()
    again.stop()
    asked.port = OperatorPort("127.0.0.1", 0, CollectorRegistry(), asked.health)
    asked.port.start()
