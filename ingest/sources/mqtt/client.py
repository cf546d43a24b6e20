"""paho's MQTT client with another way of reading: many PUBLISH packets at once, everything else is paho's.

paho reads a packet with several system calls and hands each message to a callback, which costs thirty times as much.
The private names of paho that this leans on stand in LEANS_ON; a test walks them, and `pyproject.toml` pins the range.
It is never started as a thread: its owner calls, from one thread only. One object is one connection.
"""

import socket
import ssl
import struct
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt import MQTTException
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.sources.mqtt.packets import Cut, PacketCutter, pubacks
from ingest.sources.mqtt.settings import MqttSourceSettings

RECEIVE_BYTES = 64 * 1024  # larger buffers leave the processor's cache, and cost more a message
MOST_LAST_READS = 1_000  # of a broken connection: more than a socket holds
CONNACK = 0x20
PUBACK = 0x40
SESSION_TAKEN_OVER = 0x8E
LEANS_ON = (
    "_create_socket",
    "_sock_recv",
    "_sock_close",
    "_packet_read",
    "_packet_queue",
    "_loop_rc_handle",
    "_send_pingreq",
)
CLOSED, RESET = "the broker closed the connection", "the connection was reset"
# What to do when a broker refuses us, by reason code; paho turns those of 3.1.1 into those of 5.
ADVICE = {
    0x84: "set the other `protocol` in this source",
    0x85: "the broker does not take this `client_id`: look at its rules for client ids",
    0x86: "check `username` and password of this source",
    0x87: "check `username` and password of this source, and the rights of this user at the broker",
    0x8A: "the broker has banned this client: look at its log",
}
# What paho raises for bytes that are no packet.
UNREADABLE = (MQTTException, struct.error, ValueError, IndexError, KeyError, TypeError, AssertionError)


class BulkClient(paho.Client):
    """Connects when made, in at most `timeout_s` for each of TCP and TLS. Raises OSError when that fails."""

    def __init__(self, settings: MqttSourceSettings, timeout_s: float) -> None:
        self._five = settings.protocol == "5"
        super().__init__(
            CallbackAPIVersion.VERSION2,
            settings.client_id,
            clean_session=None if self._five else False,
            protocol=paho.MQTTv5 if self._five else paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self.session_present: bool | None = None  # None until the broker has accepted us
        self.server_keepalive_s: int | None = None  # MQTT 5: the broker may set another than ours
        self.granted: list[ReasonCode] | None = None  # the answer to the last `subscribe_all`
        self.why_ended = ""
        self.taken_over = False
        self._unread = b""  # what had come when the socket was closed
        self._cutter = PacketCutter(version5=self._five, most_packet_bytes=settings.most_packet_bytes)
        self._for_paho = b""
        # The callbacks only note; what follows from it is decided outside, where an error cannot hurt paho.
        self.suppress_exceptions = True
        self.on_connect = self._note_connack
        self.on_subscribe = self._note_suback
        self.on_disconnect = self._note_disconnect
        self.connect_timeout = timeout_s
        self._tls = settings.tls.context() if settings.tls is not None else None
        if settings.username is not None:
            self.username_pw_set(settings.username, settings.secret())
        self._open(settings)

    def _open(self, settings: MqttSourceSettings) -> None:
        if not self._five:
            self.connect(settings.host, settings.port, settings.keepalive_s)
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types here
        properties.SessionExpiryInterval = settings.session_expiry_s
        properties.ReceiveMaximum = settings.receive_maximum
        properties.TopicAliasMaximum = 0
        # No maximum packet size: the broker would throw larger messages away without a word to anybody (MQTT 5, 3.1.2.11.4).
        # Never a clean start: paho's default is one at every first connection, which deletes what waits for us.
        self.connect(settings.host, settings.port, settings.keepalive_s, clean_start=False, properties=properties)

    def _create_socket(self) -> socket.socket:
        """For paho: TCP, and TLS on it; closed again if the handshake fails."""
        plain = socket.create_connection((self.host, self.port), self.connect_timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # acknowledgements wait for nothing
        return plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=self.host)

    @property
    def ended(self) -> bool:
        """The socket is closed; `why_ended` says why."""
        return self._sock is None

    @property
    def buffered(self) -> bool:
        """TLS has decrypted bytes that no `select` will tell about."""
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def receive(self) -> tuple[int, Cut]:
        """What is there, without waiting: the number of bytes, and the packets that they complete.

        The owner keeps the messages, then gives the rest to `hand_on`.
        """
        chunks: list[bytes] = []
        received = 0
        try:
            while received < RECEIVE_BYTES:
                chunk = super()._sock_recv(RECEIVE_BYTES)
                if not chunk:
                    self.give_up(CLOSED)
                    break
                chunks.append(chunk)
                received += len(chunk)
                # TLS gives one record at a time, so it is asked until it has no more.
                if not isinstance(self._sock, ssl.SSLSocket):
                    break
        except BlockingIOError:
            pass  # no more at present
        except ConnectionResetError:  # also when the broker closes, and has not read what we sent last
            self.give_up(RESET)
        except OSError as error:
            self.give_up(f"reading failed: {error}")
        return received, self._cutter.feed(b"".join(chunks))

    def last_words(self) -> Cut:
        """Messages that had come when the connection broke, and that nobody has read; nothing after an orderly end.

        A broker that is killed has told its publishers that it has them, and may not know of them when it is back.
        """
        unread, self._unread = self._unread, b""
        return self._cutter.feed(unread)

    def hand_on(self, cut: Cut) -> None:
        """Lets paho act on every packet that is no PUBLISH; ends the connection if the broker broke the protocol."""
        for packet in cut.others:
            self._for_paho = packet
            try:
                code = self._packet_read()
            except UNREADABLE as error:
                # A broker that does not speak MQTT 5 refuses it in the form of 3.1.1, which paho cannot read.
                refused = packet[0] == CONNACK and self._five
                self.give_up("the broker does not speak MQTT 5" if refused else f"a packet that is none: {error!r}")
                return
            if code > MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._loop_rc_handle(code)
                return
        if cut.error:
            self.give_up(f"the broker broke the protocol: {cut.error}")

    def _sock_recv(self, bufsize: int) -> bytes:
        """For paho, which reads a packet piece by piece: from what was handed on, never from the socket."""
        if not self._for_paho:
            raise BlockingIOError
        piece, self._for_paho = self._for_paho[:bufsize], self._for_paho[bufsize:]
        return piece

    def _sock_close(self) -> None:
        """For paho, too, which closes where writing fails, and would leave unread what has come."""
        if isinstance(self._sock, socket.socket) and not self.why_ended:
            chunks: list[bytes] = []
            with suppress(OSError):  # BlockingIOError is one: no more has come
                while len(chunks) < MOST_LAST_READS and (chunk := self._sock.recv(RECEIVE_BYTES)):
                    chunks.append(chunk)
            self._unread = b"".join(chunks)
        super()._sock_close()

    def subscribe_all(self, topics: tuple[str, ...]) -> None:
        """Asks for QoS 1. MQTT 5 then sends retained messages for a new subscription only, not at every reconnect."""
        self.granted = None
        if self._five:
            options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
            self.subscribe([(topic, options) for topic in topics])
        else:
            self.subscribe([(topic, 1) for topic in topics])

    def acknowledge(self, mids: list[int]) -> None:
        """PUBACK for each, in this order, in one send."""
        self._packet_queue(PUBACK, pubacks(mids), 0, 0)

    def ping(self) -> None:
        """PINGREQ."""
        self._send_pingreq()

    def hang_up(self) -> None:
        """DISCONNECT, if the socket takes it, and close. The session stays with the broker."""
        if not self.ended:
            self.why_ended = self.why_ended or "stopped"
            self.disconnect()
            self._sock_close()

    def give_up(self, why: str) -> None:
        """Closes without a word to the broker."""
        self.why_ended = self.why_ended or why
        self._sock_close()

    def _note_connack(self, _client: Any, _data: Any, flags: Any, code: ReasonCode, properties: Any) -> None:
        if code.is_failure:
            advice = f" ({ADVICE[code.value]})" if code.value in ADVICE else ""
            self.why_ended = f"the broker refuses the connection: {code}{advice}"
            return
        self.session_present = bool(flags.session_present)
        self.server_keepalive_s = getattr(properties, "ServerKeepAlive", None)

    def _note_suback(self, _client: Any, _data: Any, _mid: int, codes: list[ReasonCode], _properties: Any) -> None:
        self.granted = codes

    def _note_disconnect(self, _client: Any, _data: Any, flags: Any, code: ReasonCode, _properties: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            self.taken_over = code.value == SESSION_TAKEN_OVER
            self.why_ended = f"the broker ends the connection: {code}"
        elif not self.why_ended:
            self.why_ended = f"the connection is lost: {code}"
