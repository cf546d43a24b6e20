"""Uploads of the simulator's loggers for tests, and what a connection makes of bytes."""

from collections.abc import Iterable

from ingest.hj212.framing import Bounds, Connection, Unread
from ingest.hj212.profiles import Stations
from ingest.hj212.segment import Frame
from rules.readings import SECOND_NS
from simulators.hj212 import Logger, Upload, framed

MN = "C0FFEE0000000000000000A7"
LOGGER = Logger(MN)
AT_NS = 1_778_544_000 * SECOND_NS  # eight in Beijing on 2026-05-12
NOW_NS = AT_NS + 1_800 * SECOND_NS


def realtime(value: str = "41.7", seconds: int = 0, logger: Logger = LOGGER, flag: str = "N") -> bytes:
    at_ns = AT_NS + seconds * SECOND_NS
    return framed(logger, Upload("2011", at_ns, at_ns, [("w01018", {"Rtd": value, "Flag": flag})]))


def pieces(data: bytes, cuts: Iterable[int] = (), stations: Stations | None = None) -> list[Frame | Unread]:
    """What comes of a stream that is read in pieces, and then ends."""
    connection, out, at = Connection(stations, Bounds()), [], 0
    for cut in sorted(cuts):
        out += connection.receive(data[at:cut], NOW_NS)
        at = cut
    return out + connection.receive(data[at:], NOW_NS) + connection.close(NOW_NS)


def values(out: Iterable[Frame | Unread]) -> list[str]:
    return [piece.items["w01018"]["Rtd"] for piece in out if isinstance(piece, Frame)]
