"""Packets of one group put together again, within bounds of time, number and size.

In 2017 and later every packet is a frame of its own with its own QN, its DataTime and its check, and can be stored
alone; in 2005 all have one QN. So a group is known by who speaks, what and of when, and by how many packets it has.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from ingest.hj212.segment import Frame

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SplitBounds:
    """Groups and bytes that wait, over all stations, and for how long a group does."""

    most_groups: int = 256
    most_bytes: int = 4 << 20
    most_wait_s: float = 600.0


@dataclass(slots=True)
class _Group:
    since_ns: int
    when: str = ""  # DataTime, "" while no packet said it
    names: set[Hashable] = field(default_factory=set)
    size: int = 0
    packets: dict[int, Frame] = field(default_factory=dict)


class Splits:
    """Groups of packets that are not whole yet. Packets come in any order; one that came already changes nothing."""

    def __init__(self, bounds: SplitBounds | None = None) -> None:
        self._bounds = bounds or SplitBounds()
        self._groups: OrderedDict[int, _Group] = OrderedDict()  # in the order of their beginning
        self._named: dict[Hashable, _Group] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._groups)

    def add(self, frame: Frame, now_ns: int) -> tuple[Frame | None, list[Frame]]:
        """The whole where this packet completes it; and packets that are given up because others never came."""
        packet = frame.head.packet
        if packet is None or packet.of == 1:
            return frame, []
        given_up = self.expire(now_ns)
        group = self._group_of(frame, packet.of, now_ns)
        if packet.number not in group.packets:
            group.packets[packet.number] = frame
            group.size += len(frame.raw)
            self._size += len(frame.raw)
        if len(group.packets) == packet.of:
            return _joined(self._forget(group)), given_up
        while len(self._groups) > self._bounds.most_groups or self._size > self._bounds.most_bytes:
            given_up += self._forget(self._oldest())
        return None, given_up

    def measured_ns(self, frame: Frame) -> int | None:
        """DataTime as another packet of the group said it; None where none did, or the group is no more."""
        packet = frame.head.packet
        group = self._named.get(_name_by_qn(frame, packet.of)) if packet else None
        times = [other.measured_ns for other in group.packets.values()] if group else []
        return next((at_ns for at_ns in times if at_ns is not None), None)

    def expire(self, now_ns: int) -> list[Frame]:
        """Gives up groups that have waited for too long."""
        given_up: list[Frame] = []
        while self._groups and now_ns - self._oldest().since_ns >= self._bounds.most_wait_s * SECOND_NS:
            given_up += self._forget(self._oldest())
        return given_up

    def close(self) -> list[Frame]:
        """Gives up whatever waits."""
        return [frame for group in list(self._groups.values()) for frame in self._forget(group)]

    def _group_of(self, frame: Frame, of: int, now_ns: int) -> _Group:
        """The group of a packet: that of its DataTime; where one of both has none, that of its QN."""
        when, qn = frame.params.get("DataTime", ""), frame.head.qn
        by_time, by_qn = (*_said(frame, of), "time", when), _name_by_qn(frame, of)
        group = self._named.get(by_time) if when else None
        if group is None and qn:
            group = self._named.get(by_qn)
            if group is not None and when and group.when:
                group = None
        if group is None:
            group = _Group(now_ns)
            self._groups[id(group)] = group
        group.when = group.when or when
        for name in [by_time] * bool(when) + [by_qn] * bool(qn):
            self._named[name] = group
            group.names.add(name)
        return group

    def _oldest(self) -> _Group:
        return next(iter(self._groups.values()))

    def _forget(self, group: _Group) -> list[Frame]:
        """The packets of the group, by number; it is no more."""
        del self._groups[id(group)]
        for name in group.names:
            if self._named.get(name) is group:
                del self._named[name]
        self._size -= group.size
        return [group.packets[number] for number in sorted(group.packets)]


def _said(frame: Frame, of: int) -> tuple[Hashable, ...]:
    head = frame.head
    return head.mn.upper(), head.st, head.cn, of


def _name_by_qn(frame: Frame, of: int) -> Hashable:
    return (*_said(frame, of), "QN", frame.head.qn)


def _joined(packets: list[Frame]) -> Frame:
    """One frame with the fields of all; the head is that of the first packet."""
    params: dict[str, str] = {}
    items: dict[str, dict[str, str]] = {}
    flaws = [flaw for packet in packets for flaw in packet.flaws]
    for packet in packets:
        params = {**packet.params, **params}
        for code, fields in packet.items.items():
            mine = items.setdefault(code, {})
            for name, value in fields.items():
                if mine.setdefault(name, value) != value:
                    flaws.append((f"{code}-{name}", "duplicate_conflict"))
    return replace(
        packets[0],
        raw=b"".join(packet.raw for packet in packets),
        params=params,
        items=items,
        flaws=tuple(flaws),
        measured_ns=next((packet.measured_ns for packet in packets if packet.measured_ns is not None), None),
        warnings=tuple(dict.fromkeys(warning for packet in packets for warning in packet.warnings)),
    )
