"""An HTTP server that says what a test tells it to, or nothing, or half of it."""

import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Request:
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def lines(self) -> list[str]:
        return gzip.decompress(self.body).decode().split("\n")

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)


@dataclass(frozen=True)
class Reply:
    """`cut_after` bytes of it the connection is closed; 0: no answer at all. `hang`: it stays open, and silent.

    `drip_s`: so long between its bytes.
    """

    status: int = 204
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    hang: bool = False
    drip_s: float = 0.0
    goodbye: bool = False  # closes after the answer, without saying so

    @property
    def octets(self) -> bytes:
        known = {name.lower() for name in self.headers}
        length = {} if {"content-length", "transfer-encoding"} & known else {"Content-Length": str(len(self.body))}
        head = [f"HTTP/1.1 {self.status} So", *(f"{n}: {v}" for n, v in {**self.headers, **length}.items())]
        whole = "\r\n".join([*head, "", ""]).encode() + self.body
        return whole if self.cut_after is None else whole[: self.cut_after]


Answering = Callable[[Request], Reply]


class ScriptedHttp:
    """Answers requests by `answering`, or by a list of replies whose last is said again and again."""

    def __init__(self, answering: Answering | Sequence[Reply], tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self._answering = answering
        self._tls = tls
        self._listener = socket.create_server((HOST, 0))
        self._lines: list[socket.socket] = []
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://{HOST}:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._ending.is_set():
                line, _ = self._listener.accept()
                self._lines.append(line)
                serving = threading.Thread(target=self._serve, args=(line,))
                self._threads.append(serving)
                serving.start()

    def _serve(self, accepted: socket.socket) -> None:
        accepted.settimeout(5)
        with accepted, suppress(OSError):
            if self._tls is None:
                self._converse(accepted)
            else:
                with self._tls.wrap_socket(accepted, server_side=True) as line:
                    self._converse(line)

    def _converse(self, line: socket.socket) -> None:
        with line.makefile("rb") as stream:
            while not self._ending.is_set() and (first := stream.readline()):
                pairs = iter(lambda: stream.readline().strip().decode(), "")
                headers = {name.lower(): value.strip() for name, _, value in (pair.partition(":") for pair in pairs)}
                request = Request(first.split()[1].decode(), headers, stream.read(int(headers["content-length"])))
                self.requests.append(request)
                reply = self._reply(request)
                if reply.hang:
                    self._ending.wait(5)
                    return
                self._send(line, reply)
                if reply.cut_after is not None or reply.goodbye:
                    return

    def _send(self, line: socket.socket, reply: Reply) -> None:
        if not reply.drip_s:
            line.sendall(reply.octets)
            return
        for octet in reply.octets:
            line.sendall(bytes([octet]))
            self._ending.wait(reply.drip_s)

    def _reply(self, request: Request) -> Reply:
        if callable(self._answering):
            return self._answering(request)
        return self._answering[min(len(self.requests), len(self._answering)) - 1]
