"""Messages in quarantine are published as dead letters: as they came, with headers that say what was wrong.

One letter a message, at least once, in the order of quarantine, from a cursor that lies beside it. Nothing waits for
this: quarantine keeps the messages, whether anybody takes the letters or not.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Protocol

from ingest.journal import JournalDamaged
from ingest.message import INDEX_BITS, Block, Entry, Health, Journal
from ingest.quarantine import CLASSES, Kept, Quarantine, QuarantineUnavailable
from ingest.records import DeadLetterRefused, DeadLettersDelayed, DeadLettersPublished, Emit
from rules.readings import SECOND_NS

PAGE = 500  # problems looked at in one step
PORTION_BYTES = 1 << 20  # published together, and one letter more
MOST_TOLD = 10  # problems of a message
MOST_TEXT = 1_000  # characters of a header
MOST_ATTEMPTS = 999_999_999  # counted
IDLE_S = 1.0
LAST_RETRY_S = 60.0
REFUSED = CLASSES["refused by the store"]  # a row, not a message: its message was read, and lies in the journal

PREFIX = "__connect.errors."
INSTANT = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Key, value and the first headers are the message's own; ours stand in the place of those with their names."""

    key: bytes | None
    value: bytes
    headers: Headers


class LetterBoxUnavailable(OSError):
    """Perhaps none of the letters was taken: try the same again later."""


class LetterRefused(Exception):  # it names a state of the world
    """One of the letters at least will never be taken; the others may have been."""


class LetterBox(Protocol):
    """Where dead letters go. Used by one thread."""

    def put(self, name: str, letters: Sequence[DeadLetter]) -> None:
        """Returns when they are durable there, within a time of its own; the same name stands for the same letters."""
        ...


@dataclass(frozen=True, slots=True)
class _Portion:
    letters: list[DeadLetter]
    upto: int  # id of the last problem in it
    is_last: bool


class DeadLetters:
    """`step` is called in a loop, by one thread. `journal` is read for keys and headers; `connector` names us."""

    def __init__(
        self,
        quarantine: Quarantine,
        journal: Journal,
        box: LetterBox,
        emit: Emit,
        *,
        connector: str,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._quarantine = quarantine
        self._journal = journal
        self._box = box
        self._emit = emit
        self._connector = connector
        self._dice = dice
        self._portion: _Portion | None = None  # not yet taken
        self._entry: Entry | None = None  # the newest that was looked at
        self._failures = 0  # in a row
        self._why = ""

    def step(self) -> float:
        """Publishes a portion; seconds until it is worth calling again."""
        try:
            portion = self._portion = self._portion or self._next()
            if portion is None:
                return IDLE_S
            refused = self._publish(portion)
            self._quarantine.mark_published(portion.upto)
        except (LetterBoxUnavailable, QuarantineUnavailable) as error:
            return self._back_off(error)
        self._portion, self._failures, self._why = None, 0, ""
        if len(portion.letters) > refused:
            self._emit(DeadLettersPublished(len(portion.letters) - refused))
        return IDLE_S if portion.is_last else 0.0

    def health(self, now_ns: int) -> Health:  # noqa: ARG002  # every part is told the time
        """Red while nobody takes the letters."""
        if not self._why:
            return Health(ok=True)
        return Health(ok=False, why=f"dead letters are not taken, and wait in quarantine: {self._why}")

    def _publish(self, portion: _Portion) -> int:
        """All together; where one is refused, one by one. How many were refused."""
        try:
            if portion.letters:
                self._box.put(f"{portion.upto}", portion.letters)
        except LetterRefused:
            return sum(self._is_refused(f"{portion.upto}.{n}", letter) for n, letter in enumerate(portion.letters))
        return 0

    def _is_refused(self, name: str, letter: DeadLetter) -> bool:
        try:
            self._box.put(name, [letter])
        except LetterRefused as error:
            self._emit(DeadLetterRefused(str(error), len(letter.value)))
            return True
        return False

    def _back_off(self, error: OSError) -> float:
        self._failures += 1
        self._why = str(error)
        pause_s = float(min(2.0 ** min(self._failures - 1, 10), LAST_RETRY_S) * (0.5 + self._dice() / 2))
        self._emit(DeadLettersDelayed(self._why, pause_s))
        return pause_s

    def _next(self) -> _Portion | None:
        outlines = self._quarantine.outlines(after=self._quarantine.published(), most=PAGE)
        messages = [list(problems) for _, problems in groupby(outlines, lambda kept: kept.problem.position)]
        if not messages:
            return None
        is_last = len(outlines) < PAGE
        if not is_last and len(messages) > 1:
            messages.pop()  # it may have more problems than this page shows
        letters: list[DeadLetter] = []
        size = upto = 0
        for problems in messages:
            if size >= PORTION_BYTES:
                return _Portion(letters, upto, is_last=False)
            upto = problems[-1].id
            if problems[0].reason_class != REFUSED:
                letters.append(self._letter(problems))
                size += len(letters[-1].value)
        return _Portion(letters, upto, is_last)

    def _letter(self, problems: Sequence[Kept]) -> DeadLetter:
        problem = problems[0].problem
        found = self._original(problem.position)
        if found is None:  # retention dropped it
            kept = self._quarantine.get(problems[0].id)
            value = kept.problem.payload if kept is not None else b""
            return DeadLetter(None, value, list(headers_of(problems, [], self._connector)))
        block, index = found
        own = block.headers[index] if block.headers else []
        key = block.keys[index] if block.keys else None
        ours = [*_place(block, index), *headers_of(problems, own, self._connector)]
        return DeadLetter(key, block.payloads[index], [*_of_others(own, ours), *ours])

    def _original(self, position: int) -> tuple[Block, int] | None:
        number, index = position >> INDEX_BITS, position & ((1 << INDEX_BITS) - 1)
        if self._entry is None or self._entry.number != number:
            try:
                self._entry = next(iter(self._journal.read(number - 1, 1)), None)
            except JournalDamaged:
                self._entry = None
        if self._entry is None or self._entry.number != number:
            return None
        return self._entry.message(index)


def headers_of(problems: Sequence[Kept], own: Headers, connector: str) -> Iterator[tuple[str, bytes]]:
    """What was wrong. A message that was a dead letter before counts on: `own` are its headers."""
    before = dict(own)
    first = problems[0].problem
    told = [f"{kept.problem.where}: {kept.problem.reason}".removeprefix(": ") for kept in problems[:MOST_TOLD]]
    if len(problems) > MOST_TOLD:
        told.append(f"and {len(problems) - MOST_TOLD} more")
    classes = list(dict.fromkeys(kept.reason_class for kept in problems))
    attempts = before.get("x-attempts", b"")
    count = int(attempts) if attempts.isdigit() and len(attempts) < 10 else 0
    seen = before.get("x-first-seen", b"")
    said = {
        "__connect.errors.topic": first.topic,
        "__connect.errors.connector.name": connector,
        "__connect.errors.stage": "VALUE_CONVERTER",
        "__connect.errors.exception.class.name": classes[0],
        "__connect.errors.exception.message": "; ".join(told)[:MOST_TEXT],
        "x-attempts": f"{min(count + 1, MOST_ATTEMPTS)}",
        "x-first-seen": seen.decode() if INSTANT.fullmatch(seen) else _instant(first.received_ns),
        "x-reason": ",".join(classes),
        "x-source": first.source,
        "x-journal-position": f"{first.position}",
    }
    for name, text in said.items():
        yield name, text.encode(errors="replace")


def _of_others(own: Headers, ours: Headers) -> Headers:
    """Without those of an earlier dead letter: it would gather a family of them at each attempt."""
    names = {name for name, _ in ours}
    return [(name, text) for name, text in own if name not in names and not name.startswith(PREFIX)]


def _place(block: Block, index: int) -> Headers:
    """Where it lay in Kafka, if it came from there."""
    if not block.offsets:
        return []
    partition, offset = f"{block.partition}".encode(), f"{block.offsets[index]}".encode()
    return [("__connect.errors.partition", partition), ("__connect.errors.offset", offset)]


def _instant(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // SECOND_NS, UTC):%Y-%m-%dT%H:%M:%SZ}"
