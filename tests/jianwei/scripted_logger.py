"""A data logger on a line, which says what a test lets it say."""

import re
import socket
from typing import Self

from simulators.hj212 import Logger, Upload, beijing, framed, wire

FRAME = re.compile(rb"##(\d{4})(.*?)[0-9A-F]{4}\r\n", re.DOTALL)


class ScriptedLogger:
    """Connected while the context lasts. `asked` are requests of the platform that it has not taken from the line."""

    def __init__(self, port: int, logger: Logger) -> None:
        self._logger = logger
        self._line = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    def say(self, upload: Upload) -> None:
        self._line.sendall(framed(self._logger, upload))

    def send(self, cn: str, at_ns: int, suffix: str, value: str, qn_ns: int | None = None, qn: str = "") -> None:
        """One value of CODcr."""
        items = [("w01018", {suffix: value, "Flag": "N"})]
        self.say(Upload(cn, at_ns if qn_ns is None else qn_ns, at_ns, items, qn=qn))

    def answer(self, qn: str, cn: str, name: str, code: int) -> None:
        head = f"QN={qn};ST=91;CN={cn};PW={self._logger.password};MN={self._logger.mn};Flag=4"
        self.raw(f"{head};CP=&&{name}={code}&&")

    def raw(self, segment: str) -> None:
        self._line.sendall(wire(segment.encode()))

    def next_request(self) -> dict[str, str]:
        """The next frame that is no answer to data: its fields, those of CP too."""
        while True:
            found = FRAME.search(self._read)
            if found is None:
                more = self._line.recv(4096)
                if not more:
                    raise ConnectionError("the platform has closed the line")
                self._read += more
                continue
            self._read = self._read[found.end() :]
            fields = dict(re.findall(r"(\w+)=([^;,&]*)", found[2].decode().replace("CP=&&", "")))
            if fields["CN"] not in {"9013", "9014"}:
                return fields


def minutes_between(begin: str, end: str, at_ns: int, step_ns: int) -> list[int]:
    """Times from `at_ns` on, of which the text lies in the span."""
    found = []
    while (text := beijing(at_ns)) <= end:
        found += [at_ns] if text >= begin else []
        at_ns += step_ns
    return found
