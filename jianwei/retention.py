"""Old days of the journal go, when a site says so and nothing needs them any more."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ingest.journal import SqliteJournal
from ingest.message import JournalUnavailable
from ingest.records import Clock, Emit, PartFailed
from rules.readings import SECOND_NS

EVERY_NS = 3600 * SECOND_NS


class Retention:
    """`step` belongs to the thread that appends to the journal; it looks once an hour. `keep_days` None: keeps all.

    `needed_from` says up to which entry a start would not read again.
    """

    def __init__(
        self,
        journal: SqliteJournal,
        keep_days: int | None,
        needed_from: Callable[[], int],
        clock: Clock,
        emit: Emit,
    ) -> None:
        self._journal = journal
        self._keep_days = keep_days
        self._needed_from = needed_from
        self._clock = clock
        self._emit = emit
        self._next_ns = 0

    def step(self) -> None:
        now_ns = self._clock()
        if self._keep_days is None or now_ns < self._next_ns:
            return
        self._next_ns = now_ns + EVERY_NS
        today = datetime.fromtimestamp(now_ns // SECOND_NS, UTC)
        try:
            self._journal.drop_before(f"{today - timedelta(days=self._keep_days):%Y-%m-%d}", upto=self._needed_from())
        except (JournalUnavailable, OSError) as error:
            self._emit(PartFailed("retention", str(error)))
