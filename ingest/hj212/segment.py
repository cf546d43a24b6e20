"""A data segment, field by field: who says what, and what of it cannot be read.

Nothing that stands in a data segment raises anything but `Refused`, which says that the whole frame cannot be used.
What can be used goes on beside what cannot.
"""

import hmac
import re
from dataclasses import dataclass, field

from ingest.hj212.commands import COMMANDS
from ingest.hj212.profiles import Edition, Profile, Stations
from ingest.hj212.times import time_ns
from ingest.hj212.tokens import Body, body_of

ORDER = ("QN", "ST", "CN", "PW", "MN", "Flag", "PNUM", "PNO", "RF")
OPENING, CLOSING = b"CP=&&", b"&&"
MN = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
MN_IN_HEAD = re.compile(rb"(?:^|[;,])\s*MN\s*=\s*([A-Za-z0-9_-]{1,32})\s*(?:[;,]|$)")
ST = re.compile(r"[A-Za-z0-9]{1,4}", re.ASCII)
QN = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
DIGITS = re.compile(r"\d{1,4}", re.ASCII)
HEAD_SEPARATOR = re.compile(r"[;,]")
MOST_PACKETS = 99
LONGEST_OF_STANDARD = 1024
SURFACE_WATER = "21"
# Bits of Flag: two say something of the frame, the others are the edition.
ANSWER, SPLIT, EDITION_SHIFT = 1, 2, 2


class Refused(Exception):
    """The whole frame cannot be used: the name of the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Packet:
    """Which of how many a packet is; from 1 on."""

    number: int
    of: int


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before CP. `flag` None: absent, or no flag. `mn` is as it was sent, "" where nobody asks for it."""

    qn: str
    st: str
    cn: str
    pw: str | None = field(repr=False)
    mn: str
    flag: int | None
    edition: Edition
    packet: Packet | None
    sent_again: bool  # RF=1: data that were kept while the line was down
    warnings: tuple[str, ...]

    @property
    def wants_answer(self) -> bool:
        return self.flag is not None and bool(self.flag & ANSWER)


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that was read.

    `raw` is as it came, `data` the data segment in the clear. `params` are fields without a parameter (DataTime),
    `items` the fields of each parameter; texts stand with their //. `flaws` are (where, name) of what is missing in
    them. `measured_ns` is DataTime, None where there is none.
    """

    raw: bytes = field(repr=False)
    data: bytes = field(repr=False)
    head: Head
    params: dict[str, str]
    items: dict[str, dict[str, str]]
    measured_ns: int | None
    flaws: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    encrypted: bool = False
    offset: int = 0  # of its first byte in the stream


def profile_in(data: bytes, stations: Stations) -> Profile:
    """The profile of the station that a data segment names, before anything else of it is believed."""
    named = MN_IN_HEAD.search(data[: data.find(OPENING)])
    return stations.profile(named[1].decode() if named else "")


def read_frame(raw: bytes, data: bytes, stations: Stations, warnings: tuple[str, ...], latest_ns: int | None) -> Frame:
    """The frame whose check was held against `data`. A DataTime after `latest_ns` is refused. Raises Refused."""
    head, profile, opened = _outside(data, stations)
    body = body_of(data[opened + len(OPENING) :], profile.encoding)
    measured_ns, about_time = _time(head, body, latest_ns)
    more = ("oversize",) if len(data) > LONGEST_OF_STANDARD else ()
    if not all(stations.knows(stations.code(sent, profile)) for sent in body.items):
        more = (*more, "unknown_code")
    told = (*warnings, *more, *head.warnings, *body.warnings, *about_time)
    return Frame(raw, data, head, body.params, body.items, measured_ns, tuple(body.flaws), tuple(dict.fromkeys(told)))


def read_outside(
    raw: bytes, data: bytes, stations: Stations, warnings: tuple[str, ...], _latest_ns: int | None
) -> Frame:
    """The frame as far as its head; what stands in CP is not looked at. Raises Refused."""
    head, _, _ = _outside(data, stations)
    return Frame(raw, data, head, {}, {}, None, (), (*warnings, *head.warnings))


def _outside(data: bytes, stations: Stations) -> tuple[Head, Profile, int]:
    """The head, whose it is, and where CP begins. Raises Refused."""
    profile = profile_in(data, stations)
    opened = data.find(OPENING)
    if not data:
        raise Refused("empty_data_segment")
    if opened < 0:
        raise Refused("missing_cp")
    return read_head(data[:opened].decode("latin-1"), profile), profile, opened


def read_head(text: str, profile: Profile) -> Head:
    """What stands before CP. Raises Refused."""
    warnings: list[str] = []
    fields = _fields(text, warnings)
    cn, mn = fields.get("CN", ""), fields.get("MN", "")
    if not cn:
        raise Refused("missing_cn")
    if cn not in COMMANDS:
        raise Refused("unknown_cn")
    st = fields.get("ST", "")
    if not ST.fullmatch(st):
        warnings.append("missing_st")
        st = ""  # whatever it is, it must not stand in what we say
    if mn and not MN.fullmatch(mn):
        raise Refused("invalid_mn")
    if not mn and not COMMANDS[cn].nameless:
        raise Refused("missing_mn")
    if profile.password is not None and not hmac.compare_digest(
        fields.get("PW", "").encode(), profile.password.encode()
    ):
        raise Refused("wrong_password")
    if mn != mn.upper():
        warnings.append("mn_case")
    flag = _flag(fields.get("Flag"), warnings)
    qn = _qn(fields.get("QN"), flag, warnings)
    packet = _packet(fields, flag, warnings)
    edition = profile.edition or _edition(flag, st)
    return Head(qn, st, cn, fields.get("PW"), mn, flag, edition, packet, fields.get("RF") == "1", tuple(warnings))


def _fields(text: str, warnings: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for token in HEAD_SEPARATOR.split(text):
        name, _, value = token.partition("=")
        if not token.strip():
            continue
        if (name, value) != (name.strip(), value.strip()):
            warnings.append("whitespace")
        name, value = name.strip(), value.strip()
        if name not in ORDER:
            warnings.append("unknown_field")
        elif fields.setdefault(name, value) != value:
            raise Refused("duplicate_conflict")
    if "," in text:
        warnings.append("separator")
    places = [ORDER.index(name) for name in fields if name not in {"PNUM", "PNO"}]  # their order is told by nobody
    if places != sorted(places):
        warnings.append("field_order")
    return fields


def _flag(said: str | None, warnings: list[str]) -> int | None:
    if said is None:
        return None
    if not DIGITS.fullmatch(said) or int(said) > 255:
        warnings.append("invalid_flag")
        return None
    return int(said)


def _qn(said: str | None, flag: int | None, warnings: list[str]) -> str:
    """The QN, which is but an id: what is no time is given back all the same, if it can stand in a frame."""
    if not said:
        if flag is not None and flag & ANSWER:
            warnings.append("missing_qn")
        return ""
    if len(said) != 17 or time_ns(said) is None:
        warnings.append("invalid_qn")
    return said if QN.fullmatch(said) else ""


def _packet(fields: dict[str, str], flag: int | None, warnings: list[str]) -> Packet | None:
    """Numbers are believed without their bit, which some loggers forget."""
    number, of = fields.get("PNO"), fields.get("PNUM")
    marked = flag is not None and bool(flag & SPLIT)
    if number is None and of is None:
        if marked:
            warnings.append("invalid_split")
        return None
    if not (number and of and DIGITS.fullmatch(number) and DIGITS.fullmatch(of)):
        warnings.append("invalid_split")
        return None
    packet = Packet(int(number), int(of))
    if not 1 <= packet.number <= packet.of <= MOST_PACKETS:
        warnings.append("invalid_split")
        return None
    if not marked:
        warnings.append("split_bit_missing")
    return packet


def _edition(flag: int | None, st: str) -> Edition:
    """Surface-water stations use the bits of 2025 and are older than it: ST tells them apart."""
    version = 0 if flag is None else flag >> EDITION_SHIFT
    if version >= 2:
        return "surface_water" if st == SURFACE_WATER else "2025"
    return "2017" if version else "2005"


def _time(head: Head, body: Body, latest_ns: int | None) -> tuple[int | None, list[str]]:
    """DataTime, and what is to be said of it. A packet may be without: another of its group has it."""
    said, command = body.params.get("DataTime"), COMMANDS[head.cn]
    if "DataTime" in body.contradicted:
        raise Refused("duplicate_conflict")
    if said is None:
        if command.kind is not None and body.items and head.packet is None:
            raise Refused("missing_datatime")
        return None, []
    measured_ns = time_ns(said)
    if measured_ns is None:
        if command.kind is not None:
            raise Refused("invalid_datatime")
        return None, []
    if latest_ns is not None and measured_ns > latest_ns:
        raise Refused("future_datatime")
    warnings = ["datatime_ms"] if len(said) > 14 else []
    if command.grid_s and measured_ns % (command.grid_s * 10**9) != command.grid_ns_at:
        warnings.append("unaligned_period")
    return measured_ns, warnings
