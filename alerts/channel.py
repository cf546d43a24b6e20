"""What a channel is: it says whether a receiver has an event. When it is tried again, `delivery.py` decides."""

from typing import Literal, Protocol

from alerts.events import AlertEvent

Reason = Literal["auth", "rate_limited", "client", "server", "timeout", "unreachable"]


class DeliveryFailed(Exception):  # the name is the event, as in a log
    """The receiver may not have the event.

    `retry_after_s`: not before so many seconds (0: when delivery sees fit); None: never, the receiver refuses this
    event for good and a person must look.
    """

    def __init__(self, channel: str, reason: Reason, error: str, *, retry_after_s: float | None = 0.0) -> None:
        super().__init__(f"{channel}: {reason}: {error}")
        self.channel = channel
        self.reason: Reason = reason
        self.error = error
        self.retry_after_s = retry_after_s


class Channel(Protocol):
    """One way to a receiver. Used by one thread."""

    def send(self, event: AlertEvent) -> None:
        """Returns when the receiver has the event for good, within a time of its own; raises DeliveryFailed."""
        ...

    def close(self) -> None: ...
