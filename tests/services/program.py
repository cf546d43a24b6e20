"""A program of somebody else's that a test runs: started, waited for, killed, started again on what it kept."""

import os
import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

HOST = "127.0.0.1"
STOP_TIMEOUT_S = 20.0
GUARD = 'read -r _; kill -9 "$0"'  # reads until its standard input ends


class DidNotStart(Exception):
    """A program ended or was not ready in time; the text holds the end of its log."""


class Program(ABC):
    """It owns `folder`: settings, data, log. Ports are chosen once and stay over restarts.

    It ends with the process that started it, however that ends, unless `outlives` its starter. Use it as a context
    manager, or call `start` and `stop`. `settings` are for a test that needs another value than a site has.
    """

    name: ClassVar[str]
    start_timeout_s: ClassVar[float] = 30.0

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None, outlives: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.absolute()
        self.log = self.folder / f"{self.name}.log"
        self.settings = dict(settings or {})
        self.started_in_s = 0.0
        self._outlives = outlives
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._log_begins = 0

    @abstractmethod
    def command(self) -> list[str]:
        """What is run; files that it reads are written here, and are the same at every start."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Asked again and again after the start; False also when nobody answers yet."""

    def environment(self) -> Mapping[str, str]:
        return {}

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    def start(self) -> None:
        """Returns when it is ready. Raises DidNotStart. On an earlier start's data, if there was one."""
        assert not self.running, f"{self.name} runs already"
        command = self.command()
        start_s = time.monotonic()
        with self.log.open("ab") as log:
            self._log_begins = log.tell()
            # A process group of its own: Ctrl-C at the terminal is for the tests, and they end it.
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if not self._outlives:
            self._guard = _guard(self._process.pid)
        while not self.is_ready():
            waited_s = time.monotonic() - start_s
            if not self.running or waited_s > self.start_timeout_s:
                how = f"is not ready after {waited_s:.0f} s" if self.running else f"ended with {self._process.poll()}"
                self.kill()
                raise DidNotStart(f"{self.name} {how}; the end of {self.log}:\n{self.last_words()}")
            time.sleep(0.02)
        self.started_in_s = time.monotonic() - start_s

    def kill(self) -> None:
        """SIGKILL, wherever it is."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Asks it to end, and kills it if it does not. Nothing happens when it does not run."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """It stays there and does nothing: connections are open and nobody answers.

        Returns when the last of its threads stands still, which on a busy machine is not at once.
        """
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def said(self) -> str:
        """What it wrote since the last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_begins)
            return log.read().decode(errors="replace")

    def last_words(self) -> str:
        return self.said()[-2_000:] if self.log.exists() else ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.kill()  # before its standard input is closed, or it would do its duty on a number that may be another's
            guard.wait()
            assert guard.stdin is not None
            guard.stdin.close()
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # what is paused hears nothing else
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _guard(pid: int) -> subprocess.Popen[bytes]:
    """However we end, the kernel closes our end of this pipe; then the guard ends the program."""
    return subprocess.Popen(
        ["/bin/sh", "-c", GUARD, str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def free_port() -> int:
    """One below the range from which the kernel takes ports for clients.

    In that range, a client that tries again and again while the program is away sooner or later gets the very port that
    it wants to reach as its own, connects to itself, and holds the port.
    """
    for _ in range(200):
        port = random.randrange(15_000, 32_000)
        if is_free(port):
            return port
    raise DidNotStart(f"no free port on {HOST}")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


def laid_over(text: str, said: Mapping[str, str], *, between: str) -> str:
    """Lines `name<between>value` of a settings file with other values; a name that does not stand there is a mistake.

    Every other line stays as it is, comments too.
    """
    left, lines = dict(said), []
    for line in text.splitlines():
        name = line.partition(between)[0].strip()
        lines.append(f"{name}{between}{left.pop(name)}" if name in left else line)
    assert not left, f"not in the file of the site: {', '.join(left)}"
    return "\n".join(lines) + "\n"
