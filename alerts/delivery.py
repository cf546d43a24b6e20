"""Outbox to channel: the one place where notices are retried.

Every channel has its own `Delivery` in its own thread, so a slow one delays nobody else. Notices are sent at least
once, those of one station in the order they were recorded; a station whose notice waits for its next attempt holds
only its own.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from alerts.channel import Channel, DeliveryFailed
from alerts.events import compose
from alerts.ledger import Due, LedgerUnavailable, SqlLedger
from alerts.notices import CodesAsNames, Names
from alerts.records import Clock, Emit, LedgerRefused, NoticeDead, NoticeFailed, NoticeSent
from rules.readings import SECOND_NS

MOST_AT_ONCE = 100
MOST_STEP_S = 1.0  # a slow receiver must not keep a thread that is asked to end
FAILURES_THAT_PAUSE = 3
WHOLE_CHANNEL = frozenset({"auth", "rate_limited", "timeout", "unreachable"})  # the next notice would meet the same


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often.

    The pause after the n-th failure in a row is `first_s` * 2**(n-1), at most `most_s`, less up to half of it by
    chance, so that many senders do not come back at once; longer, up to `most_asked_s`, where the receiver asks.
    """

    first_s: float = 1.0
    most_s: float = 300.0
    most_asked_s: float = 3600.0
    max_age_s: float = 3 * 86_400.0  # a notice that fails when it is older than this is dead
    idle_s: float = 0.25

    def pause_s(self, failures: int, chance: float) -> float:
        """`chance` in [0, 1)."""
        return float(min(self.most_s, self.first_s * 2 ** min(failures - 1, 30)) * (1 - chance / 2))


class Delivery:
    """Sends what the ledger's outbox holds for one channel. `step` is called in a loop, by one thread."""

    def __init__(
        self,
        ledger: SqlLedger,
        channel_name: str,
        channel: Channel,
        clock: Clock,
        emit: Emit,
        *,
        names: Names | None = None,
        instance: str = "main",
        patience: Patience | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        dice: random.Random | None = None,
    ) -> None:
        self._ledger = ledger
        self._name = channel_name
        self._channel = channel
        self._clock = clock
        self._emit = emit
        self._names = names or CodesAsNames()
        self._instance = instance
        self._patience = patience or Patience()
        self._monotonic = monotonic
        self._dice = dice or random.Random()
        self._failures = 0  # in a row
        self._paused_until_s = monotonic()

    def step(self) -> float:
        """Sends what is due; seconds until it is worth calling again."""
        wait_s = self._paused_until_s - self._monotonic()
        if wait_s > 0:
            return wait_s
        horizon_ns = int(2 * max(self._patience.most_s, self._patience.most_asked_s) * SECOND_NS)
        try:
            due = self._ledger.due(self._name, self._clock(), horizon_ns=horizon_ns, most=MOST_AT_ONCE)
            return self._send_all(due)
        except LedgerUnavailable as error:
            pause_s = self._patience.first_s
            self._emit(LedgerRefused(self._name, str(error), pause_s))
            return self._pause(pause_s)

    def close(self) -> None:
        self._channel.close()

    def _send_all(self, due: list[Due]) -> float:
        held: set[str] = set()
        end_s = self._monotonic() + MOST_STEP_S
        for notice in due:
            if self._monotonic() > end_s:
                return 0.0
            if notice.transition.station in held:
                continue
            failed = self._attempt(notice)
            if failed is None:
                self._failures = 0
            elif failed.retry_after_s is None:
                self._bury(notice, failed)
            else:
                self._failures += 1
                pause_s = self._pause_after(notice, failed)
                if self._clock() - notice.recorded_ns > self._patience.max_age_s * SECOND_NS:
                    self._bury(notice, failed)
                else:
                    self._postpone(notice, failed, pause_s)
                    held.add(notice.transition.station)
                if failed.reason in WHOLE_CHANNEL or self._failures >= FAILURES_THAT_PAUSE:
                    return self._pause(pause_s)
        return 0.0 if len(due) == MOST_AT_ONCE else self._patience.idle_s

    def _attempt(self, notice: Due) -> DeliveryFailed | None:
        """Sends one notice, and marks it where the receiver has it."""
        transition = notice.transition
        began_s = self._monotonic()
        try:
            event = compose(
                transition,
                number=notice.number,
                recorded_ns=notice.recorded_ns,
                names=self._names,
                instance=self._instance,
            )
            self._channel.send(event)
        except DeliveryFailed as failed:
            return failed
        except Exception as error:  # noqa: BLE001  # a mistake in one notice or channel must not end the others' way
            return DeliveryFailed(self._name, "client", repr(error))
        # A crash here sends the notice again, with the same id.
        self._ledger.sent(self._name, transition.id)
        took_s = self._monotonic() - began_s
        self._emit(NoticeSent(self._name, took_s, transition.at_ns, transition.found_ns, self._clock()))
        return None

    def _pause_after(self, notice: Due, failed: DeliveryFailed) -> float:
        own_s = self._patience.pause_s(max(self._failures, notice.attempts + 1), self._dice.random())
        return max(own_s, min(failed.retry_after_s or 0.0, self._patience.most_asked_s))

    def _postpone(self, notice: Due, failed: DeliveryFailed, pause_s: float) -> None:
        due_ns = self._clock() + int(pause_s * SECOND_NS)
        self._ledger.postpone(self._name, notice.transition.id, due_ns, str(failed))
        self._emit(NoticeFailed(self._name, failed.reason, failed.error, pause_s))

    def _bury(self, notice: Due, failed: DeliveryFailed) -> None:
        self._ledger.bury(self._name, notice.transition.id, str(failed))
        self._emit(NoticeDead(self._name, failed.reason, failed.error, notice.transition.id))

    def _pause(self, pause_s: float) -> float:
        self._paused_until_s = self._monotonic() + pause_s
        return pause_s
