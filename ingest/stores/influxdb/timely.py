"""Answers that are there in time, or not at all: a socket bounds each read, and an answer that drips would never end."""

import io
import socket
import time
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Deadline:
    """So many seconds from the last `begin` on."""

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self.begin()

    def begin(self) -> None:
        self._until_s = time.monotonic() + self._span_s

    def left_s(self) -> float:
        """Raises TimeoutError when nothing is left."""
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s


class TimelyResponse(HTTPResponse):
    """Each of its reads has what is left until the deadline."""

    def __init__(self, deadline: Deadline, sock: socket.socket, *more: Any, **said: Any) -> None:
        super().__init__(sock, *more, **said)
        self.fp = io.BufferedReader(_TimelyReads(self.fp.detach(), sock, deadline))


class _TimelyReads(io.RawIOBase):
    def __init__(self, stream: io.RawIOBase, sock: socket.socket, deadline: Deadline) -> None:
        self._stream = stream
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        self._sock.settimeout(self._deadline.left_s())
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()
