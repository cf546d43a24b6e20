"""The webhook against a real HTTP server that behaves and misbehaves."""

import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import HttpUrl, SecretStr, ValidationError

from alerts.channel import DeliveryFailed
from alerts.channels.webhook import WebhookChannel, WebhookSettings, seconds_of
from alerts.events import AlertEvent, compose
from alerts.notices import CodesAsNames
from tests.alerts.found import NOON_NS, OPENED

SECRET = "correct horse battery"
EVENT = compose(OPENED, number=1, recorded_ns=NOON_NS, names=CodesAsNames(), instance="test")


@dataclass
class Receiver:
    """What the server answers, and what it got."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    hang: threading.Event | None = None
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    def channel(self, **settings: float) -> WebhookChannel:
        url = HttpUrl(f"http://127.0.0.1:{self.port}/alerts")
        made = WebhookSettings.model_validate({"url": url, "secret": SecretStr(SECRET), **settings})
        return WebhookChannel("hook", made, lambda: NOON_NS)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    it = Receiver()

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            it.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
            if it.hang is not None:
                it.hang.wait(10)
                return
            self.send_response(it.status)
            for name, value in it.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name in the class above
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    it.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield it
    if it.hang is not None:
        it.hang.set()
    server.shutdown()
    thread.join()
    server.server_close()


def refused(channel: WebhookChannel, event: AlertEvent = EVENT) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        channel.send(event)
    channel.close()
    return caught.value


def is_genuine(header: str, body: bytes, secret: str, now_s: int) -> bool:
    """How a receiver would check, written from the documentation alone."""
    fields = dict(part.split("=", 1) for part in header.split(","))
    if abs(now_s - int(fields["t"])) > 300:
        return False
    message = fields["t"].encode("ascii") + b"." + body
    return hmac.compare_digest(fields["v1"], hmac.digest(secret.encode(), message, hashlib.sha256).hex())


def test_the_receiver_gets_the_event_signed(receiver: Receiver) -> None:
    channel = receiver.channel()
    channel.send(EVENT)
    channel.close()
    ((headers, body),) = receiver.got
    assert body == EVENT.to_bytes()
    assert headers["content-type"] == "application/cloudevents+json"
    signature = headers["x-jianwei-signature"]
    now_s = NOON_NS // 10**9
    assert is_genuine(signature, body, SECRET, now_s)
    assert not is_genuine(signature, body + b" ", SECRET, now_s)
    assert not is_genuine(signature, body, "another secret", now_s)
    assert not is_genuine(signature, body, SECRET, now_s + 301)
    assert not is_genuine(signature.replace(f"t={now_s}", f"t={now_s + 1}"), body, SECRET, now_s)


@pytest.mark.parametrize(
    ("status", "reason", "never"),
    [
        (500, "server", False),
        (503, "server", False),
        (429, "rate_limited", False),
        (401, "auth", False),
        (403, "auth", False),
        (408, "timeout", False),
        (404, "client", False),
        (302, "client", False),
        (400, "client", True),
        (413, "client", True),
        (422, "client", True),
    ],
)
def test_every_answer_has_its_class(receiver: Receiver, status: int, reason: str, never: bool) -> None:
    receiver.status = status
    failure = refused(receiver.channel())
    assert (failure.reason, failure.retry_after_s is None) == (reason, never)
    assert f"http://127.0.0.1:{receiver.port} answers HTTP {status}" in failure.error


def test_the_receiver_says_when_to_come_again(receiver: Receiver) -> None:
    receiver.status, receiver.headers = 429, {"Retry-After": "17"}
    assert refused(receiver.channel()).retry_after_s == 17


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("Sun, 01 Mar 2026 12:01:00 GMT", 60),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("٣", 0),
        ("9" * 5000, 999_999_999),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(header: str, wait_s: float) -> None:
    assert seconds_of(header, NOON_NS) == wait_s


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.status, receiver.headers = 307, {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"}
    refused(receiver.channel())
    assert len(receiver.got) == 1


def test_a_server_that_hangs_is_a_timeout(receiver: Receiver) -> None:
    receiver.hang = threading.Event()
    began_s = time.monotonic()
    assert refused(receiver.channel(timeout_s=0.2)).reason == "timeout"
    assert time.monotonic() - began_s < 3


def test_nobody_there_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert refused(Receiver(port=port).channel()).reason == "unreachable"


def test_a_server_that_hangs_up_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert refused(Receiver(port=server.getsockname()[1]).channel()).reason == "unreachable"
        thread.join()


def test_the_secret_is_not_shown_and_not_short() -> None:
    made = WebhookSettings.model_validate({"url": "https://example.org", "secret": SECRET})
    assert SECRET not in repr(made) + str(made.model_dump())
    with pytest.raises(ValidationError):
        WebhookSettings.model_validate({"url": "https://example.org", "secret": "short"})


def test_an_answer_that_comes_in_drops_is_a_timeout() -> None:
    """Every read succeeds in time, and the whole never ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        over = threading.Event()

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not over.wait(0.1):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return  # given up, as it should be

        dripping = threading.Thread(target=drip)
        dripping.start()
        began_s = time.monotonic()
        found = refused(Receiver(port=listening.getsockname()[1]).channel(timeout_s=0.5))
        took_s = time.monotonic() - began_s
        over.set()
        dripping.join()
    assert found.reason == "timeout"
    assert took_s < 3
