"""A second chance for messages in quarantine: into the journal of a service that is stopped, or through a broker.

The worker reads nothing but the journal, and the journal has one writer. While the service runs, that is the service,
and a message takes the way that all messages take. Either way it is received anew and judged under a new position: what
is bad again comes back to quarantine.
"""

from collections.abc import Callable, Iterator, Sequence

from ingest.journal import SqliteJournal
from ingest.message import INDEX_BITS, Block, Problem
from ingest.quarantine import Kept, Quarantine
from ingest.recorder import MOST_BYTES, MOST_MESSAGES
from simulators.publish import Publisher

PAGE = 1_000
REFUSED = "refused_by_store"

HandIn = Callable[[Sequence[Problem], int], None]  # messages, and what time it is; returns when they are safe


def is_message(kept: Kept) -> bool:
    """A row that the store refused is told as JSON, and is no message: its message lies in the journal."""
    return kept.reason_class != REFUSED


def waiting(quarantine: Quarantine, only: str | None) -> list[int]:
    """Problems (of one class of reason) whose message had no second chance: one for each message, oldest first."""
    found: dict[int, int] = {}
    after = 0
    while page := quarantine.entries(after=after, most=PAGE, only=only):
        for kept in page:
            if is_message(kept) and kept.retried_ns is None:
                found.setdefault(kept.problem.position, kept.id)
        after = page[-1].id
    return list(found.values())


def retried(quarantine: Quarantine, ids: Sequence[int], hand_in: HandIn, clock: Callable[[], int]) -> Iterator[int]:
    """Hands the messages of these problems in and marks them; yields how many each portion had.

    A kill between the two hands a portion in twice, which changes nothing: the same readings are duplicates.
    """
    for portion in _portions(quarantine, ids):
        now_ns = clock()
        hand_in(portion, now_ns)
        quarantine.mark_retried([problem.position for problem in portion], now_ns)
        yield len(portion)


def into_journal(journal: SqliteJournal) -> HandIn:
    """For whoever holds the lock of the data folder: no service runs, and its next start judges them."""

    def hand_in(messages: Sequence[Problem], now_ns: int) -> None:
        journal.append([_received_anew(journal, message, now_ns) for message in messages], now_ns, tick=False)

    return hand_in


def through_broker(publisher: Publisher) -> HandIn:
    """The service takes them from its broker as it takes all messages."""

    def hand_in(messages: Sequence[Problem], _now_ns: int) -> None:
        for message in messages:
            publisher.publish(message.topic, message.payload)
        publisher.flush()

    return hand_in


def _portions(quarantine: Quarantine, ids: Sequence[int]) -> Iterator[list[Problem]]:
    """As much as makes one entry of the journal; a message once, though several of its problems be named."""
    portion: list[Problem] = []
    held = 0
    met: set[int] = set()
    for number in ids:
        kept = quarantine.get(number)
        if kept is None or kept.problem.position in met:
            continue
        met.add(kept.problem.position)
        size = len(kept.problem.payload)
        if portion and (len(portion) == MOST_MESSAGES or held + size > MOST_BYTES):
            yield portion
            portion, held = [], 0
        portion.append(kept.problem)
        held += size
    if portion:
        yield portion


def _received_anew(journal: SqliteJournal, problem: Problem, now_ns: int) -> Block:
    """The message with all that came with it, as long as the journal has its first entry."""
    entry = next(iter(journal.read((problem.position >> INDEX_BITS) - 1, 1)), None)
    found = entry.message(problem.position & (1 << INDEX_BITS) - 1) if entry is not None else None
    if entry is None or entry.number != problem.position >> INDEX_BITS or found is None:
        return Block(problem.source, now_ns, [problem.topic], [problem.payload])
    block, index = found
    own = slice(index, index + 1)
    return Block(
        block.source,
        now_ns,
        block.topics[own],
        block.payloads[own],
        block.keys[own],
        block.headers[own],
        block.partition,
        block.offsets[own],
    )
