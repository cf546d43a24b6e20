"""One connection from CONNECT to its end: subscribing, keep-alive, and giving up a peer that has gone mute."""

import selectors
import socket
import time

from ingest.sources.mqtt.client import RECEIVE_BYTES, BulkClient
from ingest.sources.mqtt.packets import Cut
from ingest.sources.mqtt.settings import MqttSourceSettings

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 10.0  # for CONNACK and SUBACK, unless the longest silence is shorter
MOST_WAIT_S = 1.0


class Connection:
    """Made connected; raises OSError when it cannot be. A byte from `wake` ends a wait early."""

    def __init__(self, settings: MqttSourceSettings, wake: socket.socket) -> None:
        self._topics = settings.topics
        self._silence_s = settings.longest_silence_s
        self._ask_again_s = settings.reconnect_max_s
        self._ping_every_s = min(settings.keepalive_s, self._silence_s) / 2
        self._client = BulkClient(settings, min(CONNECT_TIMEOUT_S, self._silence_s))
        self._socket = self._client.socket()
        self._wake = wake
        self._selector = selectors.DefaultSelector()
        self._selector.register(wake, selectors.EVENT_READ)
        self._watched = 0  # events of our socket that the selector watches
        self._heard_s = self._sent_s = self._pinged_s = self.opened_s = time.monotonic()
        self._subscribed_s: float | None = None  # when we last asked

    @property
    def session_present(self) -> bool | None:
        """Whether the broker knew us; None until it has accepted us."""
        return self._client.session_present

    @property
    def subscribed(self) -> bool:
        """The broker has answered our subscription, and granted some of it."""
        granted = self._client.granted
        return granted is not None and not all(code.is_failure for code in granted)

    @property
    def why_ended(self) -> str:
        """Empty while the connection lives."""
        return self._client.why_ended or "closed" if self._client.ended else ""

    @property
    def taken_over(self) -> bool:
        """Another client with our client id has pushed us out (MQTT 5 says so, 3.1.1 does not)."""
        return self._client.taken_over

    @property
    def trouble(self) -> str:
        """What is wrong on an accepted connection, in words; empty when all is well."""
        if self._client.granted is None:
            return "waiting for the broker to confirm the subscription"
        answers = zip(self._topics, self._client.granted, strict=False)
        refused = [f"{topic}: {code}" for topic, code in answers if code.value != 1]
        return f"no subscription at QoS 1: {'; '.join(refused)} (check the rights of this user)" if refused else ""

    def wait(self, *, reading: bool) -> bool:
        """Waits for something to do, at most MOST_WAIT_S. True: there is something to read."""
        if reading and self._client.buffered:
            return True
        self._watch(
            (selectors.EVENT_READ if reading else 0) | (selectors.EVENT_WRITE if self._client.want_write() else 0)
        )
        events = {key.fileobj: event for key, event in self._selector.select(min(MOST_WAIT_S, self._ping_every_s / 2))}
        if self._wake in events:
            self._wake.recv(4096)
        ours = events.get(self._socket, 0) if self._socket is not None else 0
        if ours & selectors.EVENT_WRITE:
            self._client.loop_write()
        return bool(ours & selectors.EVENT_READ)

    def _watch(self, events: int) -> None:
        if events == self._watched or self._socket is None:
            return
        if not self._watched:
            self._selector.register(self._socket, events)
        elif events:
            self._selector.modify(self._socket, events)
        else:
            self._selector.unregister(self._socket)
        self._watched = events

    def read(self) -> tuple[Cut, bool]:
        """What has come, without waiting, and whether it was so much that the next read should follow at once.

        The caller keeps the messages, then calls `act_on`.
        """
        received, cut = self._client.receive()
        if received:
            self._heard_s = time.monotonic()
        return cut, received >= RECEIVE_BYTES // 2

    def act_on(self, cut: Cut) -> None:
        """CONNACK, SUBACK, PINGRESP, DISCONNECT."""
        self._client.hand_on(cut)
        if self._client.ended:
            return
        if self._client.session_present is None:
            if cut.topics:
                self._client.give_up("the broker sent messages before it accepted the connection")
        elif self._subscribed_s is None:
            # On every connection: a broker that has lost our session would leave us connected and deaf. And not
            # before CONNACK, but without waiting for SUBACK: what the session kept for us comes right away.
            self._subscribe()
            if self._client.server_keepalive_s:
                self._ping_every_s = min(self._ping_every_s, self._client.server_keepalive_s / 2)

    def tend(self, *, reading: bool) -> None:
        """Keep-alive and watchdog; call it at every turn.

        Whom we do not read we cannot hear, so silence counts from the last time that we were reading. Pings go on.
        """
        now_s = time.monotonic()
        if not reading:
            self._heard_s = now_s
        patience_s = self._silence_s if self._client.granted is not None else min(self._silence_s, ANSWER_TIMEOUT_S)
        if now_s - self._heard_s >= patience_s:
            self._client.give_up(f"nothing was heard from the broker for {patience_s:g} s")
        elif self._client.session_present is None:
            return
        elif now_s - max(min(self._heard_s, self._sent_s), self._pinged_s) >= self._ping_every_s:
            self._client.ping()
            self._pinged_s = self._sent_s = now_s
        elif self._subscribed_s is not None and self.trouble and now_s - self._subscribed_s >= self._ask_again_s:
            self._subscribe()  # rights may have been given meanwhile

    def _subscribe(self) -> None:
        self._client.subscribe_all(self._topics)
        self._subscribed_s = self._sent_s = time.monotonic()

    def acknowledge(self, mids: list[int]) -> None:
        """Tells the broker that these messages of this connection are durable, in this order."""
        self._client.acknowledge(mids)
        self._sent_s = time.monotonic()

    def last_words(self) -> Cut:
        """What had come of a connection that broke, and was not read. Nobody waits for its acknowledgement any more."""
        return self._client.last_words()

    def close(self) -> None:
        """Ends the connection, not the session. May be called twice."""
        self._client.hang_up()
        self._selector.close()
