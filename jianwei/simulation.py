"""A simulated fleet let loose on a broker or a file, at a pace."""

import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rules.readings import SECOND_NS
from simulators.kafka import KafkaPublisher
from simulators.publish import Publisher
from simulators.samples import Outgoing
from simulators.targets import Target
from simulators.truth import Tally

PORTION = 500
LONGEST_NAP_S = 0.5


@dataclass(frozen=True, slots=True)
class Account:
    """What was sent, and what a service must have made of it. `acknowledged`: by the broker; or written to the file."""

    scenario: str
    seed: int
    stations: int
    messages: int
    acknowledged: int
    expected_stored: int
    expected_quarantined: int
    faults: int
    took_s: float


def sent(
    messages: Sequence[Outgoing], target: Target, tally: Tally, start_ns: int, speed: float | None
) -> Iterator[int]:
    """Sends all of them and counts them in `tally`; yields how many each portion had, once it is safe at the target.

    `speed`: simulated seconds in a second, beginning with `start_ns` now; None: as fast as the target takes them.
    """
    for portion in _paced(messages, start_ns, speed):
        target.send(portion)
        for message in portion:
            tally.add(message)
        yield len(portion)


def acknowledged(target: Target, tally: Tally) -> int:
    """A file has what was written to it."""
    return len(target.acknowledged) if isinstance(target, Publisher | KafkaPublisher) else tally.messages


def _paced(messages: Sequence[Outgoing], start_ns: int, speed: float | None) -> Iterator[Sequence[Outgoing]]:
    """Portions, none before its time."""
    began_s = time.monotonic()
    done = 0
    while done < len(messages):
        due = len(messages)
        if speed is not None:
            now_ns = start_ns + round((time.monotonic() - began_s) * speed * SECOND_NS)
            due = bisect_right(messages, now_ns, key=_sent_ns)
            if due <= done:
                time.sleep(min((messages[done].sent_ns - now_ns) / SECOND_NS / speed, LONGEST_NAP_S))
                continue
        portion = messages[done : min(due, done + PORTION)]
        done += len(portion)
        yield portion


def _sent_ns(message: Outgoing) -> int:
    return message.sent_ns
