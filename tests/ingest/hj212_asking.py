"""A dialogue with a logger that says what a test lets it say."""

from collections.abc import Iterable, Mapping

from ingest.hj212.answers import framed
from ingest.hj212.framing import Connection
from ingest.hj212.profiles import Stations
from ingest.hj212.requests import Dialogue, Moved, Pace, Patience
from ingest.hj212.segment import Frame
from ingest.message import Request
from rules.readings import SECOND_NS

MN = "C0FFEE0000000000000000A7"
NOON_NS = 1_778_558_400 * SECOND_NS  # noon in Beijing on 2026-05-12
FLAGS = {"2005": 0, "2017": 4, "2025": 8}
SPAN = {"BeginTime": "20260512080000", "EndTime": "20260512100000"}
FINAL = {"done", "refused", "unanswered", "gone"}


def frame_of(segment: str, stations: Stations | None = None) -> Frame:
    (frame,) = Connection(stations).receive(framed(segment))
    assert isinstance(frame, Frame)
    return frame


def live(edition: str = "2017", mn: str = MN, qn: str = "20260512115500000") -> Frame:
    """What any logger sends by itself."""
    head = f"QN={qn};ST=32;CN=2011;PW=sesame;MN={mn};Flag={FLAGS[edition] + 1}"
    return frame_of(f"{head};CP=&&DataTime=20260512115500;w01018-Rtd=21.5,w01018-Flag=N&&")


def said(qn: str, cn: str, body: str = "", edition: str = "2017", mn: str = MN) -> Frame:
    """An answer; in the form of its edition."""
    if edition == "2005":
        return frame_of(f"ST=91;CN={cn};CP=&&QN={qn};{body}&&")
    return frame_of(f"QN={qn};ST=91;CN={cn};PW=sesame;MN={mn};Flag={FLAGS[edition]};CP=&&{body}&&")


def minute(qn: str, when: str = "20260512090000", mn: str = MN) -> Frame:
    """A minute of the past."""
    head = f"QN={qn};ST=32;CN=2051;PW=sesame;MN={mn};Flag=5"
    return frame_of(f"{head};CP=&&DataTime={when};w01018-Min=19,w01018-Avg=20.5,w01018-Max=22,w01018-Flag=N&&")


def dialogue(edition: str = "2017", patience: Patience | None = None, per_s: float = 1_000.0) -> Dialogue:
    """One that has heard of its station."""
    made = Dialogue(pace=Pace(per_s), patience=patience)
    made.heard(live(edition), NOON_NS)
    return made


def asked(cn: str, number: int = 1, mn: str = MN, fields: Mapping[str, str] | None = None) -> Request:
    return Request(number, mn, cn, fields or {})


def qn_of(frame: bytes) -> str:
    return frame[9:26].decode()


def states(moved: Iterable[Moved]) -> list[str]:
    return [each.state for each in moved]
