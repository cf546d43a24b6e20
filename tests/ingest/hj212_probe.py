"""A port for loggers under test, with everything it told; and loggers that are sockets and nothing else."""

import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from types import TracebackType
from typing import Any, Self

from ingest.message import Health, Request, Taken
from ingest.records import Clock, LinesServed, Record
from ingest.site import Roster, Secrets, Site
from ingest.sources.hj212_tcp import Hj212TcpSource, Hj212TcpSourceSettings
from jianwei.catalogue_files import read_catalogue
from jianwei.clock import wall_ns
from rules.index import Catalogue
from rules.readings import SECOND_NS
from rules.schema import Logger as Entry
from rules.schema import Name, Station
from simulators.hj212 import Edition, Logger, Upload, framed
from tests.ingest.mqtt_probe import until

A, B = "A0000000000001", "B0000000000002"
ANSWER = re.compile(rb"##\d{4}(.*?)[0-9A-F]{4}\r\n")


@cache
def catalogue() -> Catalogue:
    return read_catalogue()


def station(id_: str, **logger: Any) -> Station:
    return Station(id=id_, name=Name(zh=id_, en=id_), station_type="wastewater_outlet", logger=Entry(**logger))


def site(*stations: Station, secrets: Mapping[str, Secrets] | None = None) -> Site:
    return Site(catalogue(), {each.id: each for each in stations}, secrets or {})


def upload(
    mn: str = A,
    number: int = 0,
    *,
    cn: str = "2011",
    now_ns: int | None = None,
    answers: bool = True,
    edition: Edition = "2017",
    password: str = "123456",  # noqa: S107  # every example of the standard has it
) -> bytes:
    """A frame; equal numbers make equal frames of one moment."""
    at_ns = (now_ns if now_ns is not None else 1_778_544_000 * SECOND_NS) + number * 1_000_000
    logger = Logger(mn, edition=edition, answers=answers, password=password)
    items = [] if cn in {"9015", "1013"} else [("w01018", {"Rtd": f"{number}.5", "Flag": "N"})]
    return framed(logger, Upload(cn, at_ns, at_ns if items else None, items))


def qn_of(frame: bytes) -> str:
    found = re.search(rb"QN=(\d+)", frame)
    assert found is not None
    return found[1].decode()


class Caller:
    """A connection to the port."""

    def __init__(self, port: int, address: str = "127.0.0.1", **options: Any) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10, source_address=(address, 0), **options)
        self.heard = b""

    def send(self, data: bytes) -> Self:
        self.socket.sendall(data)
        return self

    def answers(self, count: int) -> list[tuple[str, str]]:
        """CN and QN of the next answers; waits for them."""
        found: list[tuple[str, str]] = []
        while len(found) < count:
            whole = ANSWER.match(self.heard)
            if whole is None:
                came = self.socket.recv(65_536)
                assert came, f"closed after {found}"
                self.heard += came
                continue
            self.heard = self.heard[whole.end() :]
            cn = re.search(rb"CN=(\d{4})", whole[1])
            assert cn is not None
            found.append((cn[1].decode(), qn_of(whole[1])))
        return found

    def is_silent(self, for_s: float = 0.2) -> bool:
        """Nothing is said, and the connection stays."""
        self.socket.settimeout(for_s)
        try:
            self.heard += self.socket.recv(65_536)
        except TimeoutError:
            return not self.heard
        finally:
            self.socket.settimeout(10)
        return False

    def is_closed(self) -> bool:
        """The port closes it within ten seconds; what it said before is thrown away."""
        try:
            while self.socket.recv(65_536):
                pass
        except (ConnectionError, ssl.SSLError):
            return True
        return True

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Goes without a goodbye."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Probe:
    """Quick settings for tests: what is told now and then is told at once."""

    def __init__(
        self, *stations: Station, clock: Clock = wall_ns, secrets: Mapping[str, Secrets] | None = None, **settings: Any
    ) -> None:
        self.records: list[Record] = []
        self.roster = Roster(site(*(stations or (station(A), station(B))), secrets=secrets))
        self.settings = Hj212TcpSourceSettings(**{"port": 0, "seen_every_s": 0.1, "stop_s": 0.5, **settings})
        self.source = Hj212TcpSource(self.settings, clock, self.records.append, self.roster)
        self.callers: list[Caller] = []
        self.topics: list[str] = []  # of all that was taken
        self.payloads: list[bytes] = []

    def __enter__(self) -> Self:
        self.source.start()
        until(
            lambda: self.source.port is not None or (not self.source.health(0).ok and "tried again" in self.health.why)
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for caller in self.callers:
            caller.close()
        self.source.stop()

    @property
    def health(self) -> Health:
        return self.source.health(wall_ns())

    def caller(self, address: str = "127.0.0.1") -> Caller:
        assert self.source.port is not None
        caller = Caller(self.source.port, address)
        self.callers.append(caller)
        return caller

    def register(self, *stations: Station, secrets: Mapping[str, Secrets] | None = None) -> None:
        """The register is replaced while the port is open."""
        self.roster.replace(site(*stations, secrets=secrets))

    def ask(self, number: int, mn: str, cn: str) -> None:
        self.source.ask(Request(number, mn, cn))

    def told(self, kind: type[Record]) -> list[Any]:
        return [record for record in self.records if isinstance(record, kind)]

    def counted(self, what: str) -> int:
        """The sum of what was told of traffic."""
        return sum(getattr(record, what) for record in self.told(LinesServed))

    def ended(self, why: str) -> int:
        """Connections that ended so."""
        return sum(record.ended.get(why, 0) for record in self.told(LinesServed))

    def take(self, count: int) -> list[Taken]:
        """Takes until so many more messages came."""
        found: list[Taken] = []
        wanted = len(self.payloads) + count

        def came() -> bool:
            taken = self.source.take()
            if taken is not None:
                found.append(taken)
                for block in taken.blocks:
                    self.topics += block.topics
                    self.payloads += block.payloads
            return len(self.payloads) >= wanted

        until(came)
        return found

    def acknowledge(self, taken: list[Taken]) -> None:
        for each in taken:
            self.source.acknowledge(each.token)

    def serve(self, count: int) -> None:
        """Takes so many messages, and they become durable."""
        self.acknowledge(self.take(count))

    def nothing_comes(self, for_s: float = 0.2) -> bool:
        time.sleep(for_s)
        return self.source.take() is None


class Journal(threading.Thread):
    """Takes and acknowledges until it is told to end."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(daemon=True)
        self._probe = probe
        self._ended = threading.Event()
        self.most_held = 0

    def run(self) -> None:
        while not self._ended.is_set():
            taken = self._probe.source.take()
            if taken is None:
                self._ended.wait(0.002)
                continue
            for block in taken.blocks:
                self._probe.topics += block.topics
                self._probe.payloads += block.payloads
            self._probe.source.acknowledge(taken.token)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join(5)


def soon(ready: Callable[[], Any]) -> None:
    until(ready, 10.0)
