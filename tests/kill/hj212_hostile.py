"""Whoever does to a port for data loggers what it should not, in a process of its own, from another address than the honest ones.

Run as a process by `Hostile`: python -m tests.kill.hj212_hostile ORDER, a file of JSON; until SIGTERM.
"""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from jianwei.clock import wall_ns
from simulators.hj212 import wire
from simulators.load import Plan
from tests.kill.hj212_talkers import HOST, ROOT
from tests.kill.hj212_voices import Voices

ELSEWHERE = "127.0.0.9"
REGISTERED = 2  # stations of the register that it speaks for
FRAMES = 2_000  # of a flood, which then begins again
PIECE = 1 << 16
DEAF_HZ = 1_000
NICENESS = 10  # the service is measured, not who wins the processor


@dataclass(frozen=True, slots=True)
class Assault:
    """`kinds`: names of WAYS. `place`: the first of the REGISTERED stations in whose name it speaks."""

    plan: Plan
    port: int
    kinds: list[str]
    place: int


@dataclass(frozen=True, slots=True)
class Attacker:
    """What each way is given. `counts`: connections, and pieces sent."""

    assault: Assault
    frames: list[list[bytes]]
    counts: Counter[str]

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            try:
                line = await asyncio.open_connection(HOST, self.assault.port, local_addr=(ELSEWHERE, 0))
            except OSError:
                await asyncio.sleep(0.2)
                continue
            self.counts["connections"] += 1
            return line


async def slow(attacker: Attacker) -> None:
    """A frame, a byte a second: it is never done."""
    while True:
        _, writer = await attacker.connected()
        for byte in attacker.frames[0][0]:
            writer.write(bytes([byte]))
            await asyncio.sleep(1.0)
            if writer.transport.is_closing():
                break


async def silent(attacker: Attacker) -> None:
    """A line, or the beginning of a frame, and then nothing, as after a lost network."""
    while True:
        reader, writer = await attacker.connected()
        if random.random() < 0.5:
            writer.write(attacker.frames[0][0][:100])
        await reader.read()


async def garbage(attacker: Attacker) -> None:
    """Noise, some of it with the beginnings of frames, 400 kB a second on each line."""
    dice = random.Random()
    while True:
        _, writer = await attacker.connected()
        while not writer.transport.is_closing():
            noise = bytearray(dice.randbytes(4_000))
            noise[dice.randrange(3_000) :] = b"##" + b"%04d" % dice.randrange(9_000)
            writer.write(bytes(noise))
            await writer.drain()
            await asyncio.sleep(0.01)


async def stranger(attacker: Attacker) -> None:
    """Good frames of loggers that nobody knows."""
    dice = random.Random()
    while True:
        _, writer = await attacker.connected()
        while not writer.transport.is_closing():
            head = f"QN=20251102200000000;ST=32;CN=2011;PW=123456;MN=X{dice.randrange(10**7):07};Flag=5;"
            writer.write(wire(f"{head}CP=&&DataTime=20251102200000;w01018-Rtd=1.0&&".encode()))
            await writer.drain()
            await asyncio.sleep(0.01)


async def flood(attacker: Attacker) -> None:
    """A registered logger that speaks without end, and hears its answers."""
    while True:
        reader, writer = await attacker.connected()
        hearing = asyncio.create_task(_drain(reader))
        while not writer.transport.is_closing():
            for first in range(0, FRAMES, 20):
                writer.write(b"".join(attacker.frames[0][first : first + 20]))
                attacker.counts["flood"] += 20
                await writer.drain()
        await hearing


async def deaf(attacker: Attacker) -> None:
    """A registered logger that speaks much, and never reads an answer."""
    loop = asyncio.get_running_loop()
    with socket.socket() as line:
        line.setblocking(False)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        line.bind((ELSEWHERE, 0))
        await loop.sock_connect(line, (HOST, attacker.assault.port))
        attacker.counts["connections"] += 1
        for number in count():
            await loop.sock_sendall(line, attacker.frames[1][number % FRAMES])
            attacker.counts["deaf"] += 1
            await asyncio.sleep(1 / DEAF_HZ)


async def storm(attacker: Attacker) -> None:
    """Comes and goes."""
    while True:
        _, writer = await attacker.connected()
        writer.transport.abort()
        await asyncio.sleep(0.005)


async def _drain(reader: asyncio.StreamReader) -> None:
    with suppress(OSError):
        while await reader.read(PIECE):
            pass


WAYS: dict[str, tuple[int, Callable[[Attacker], Coroutine[None, None, None]]]] = {
    "slow": (200, slow),
    "silent": (200, silent),
    "garbage": (8, garbage),
    "stranger": (8, stranger),
    "flood": (1, flood),
    "deaf": (4, deaf),
    "storm": (4, storm),
}


async def _again(way: Callable[[Attacker], Coroutine[None, None, None]], attacker: Attacker) -> None:
    """A line that breaks ends no way."""
    while True:
        with suppress(OSError):
            await way(attacker)
        await asyncio.sleep(0.05)


async def _attack(assault: Assault, begun: Callable[[], None]) -> Counter[str]:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    voices = Voices(assault.plan)
    frames = [
        [voices.frame(place, turn, wall_ns()) for turn in range(FRAMES)]
        for place in range(assault.place, assault.place + REGISTERED)
    ]
    attacker = Attacker(assault, frames, Counter())
    ways = [WAYS[kind] for kind in assault.kinds]
    tasks = [asyncio.create_task(_again(way, attacker)) for many, way in ways for _ in range(many)]
    begun()
    await over.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return attacker.counts


class Hostile:
    """The process, seen from the test: it attacks from its start to `end`."""

    def __init__(self, folder: Path, assault: Assault) -> None:
        folder.mkdir(parents=True)
        self._begun, self._counts = folder / "begun", folder / "counts.json"
        order = folder / "order.json"
        order.write_text(json.dumps(asdict(assault)))
        self._log = folder / "log"
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "tests.kill.hj212_hostile", str(order)]
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    @property
    def has_begun(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()[-2_000:]
        return self._begun.exists()

    def end(self) -> dict[str, int]:
        """How many connections there were, and frames of floods."""
        assert self._process.poll() is None, self._log.read_text()[-2_000:]
        self._process.terminate()
        assert self._process.wait(30) == 0, self._log.read_text()[-2_000:]
        counts: dict[str, int] = json.loads(self._counts.read_text())
        return counts

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def main() -> None:
    os.nice(NICENESS)
    order = Path(sys.argv[1])
    content = json.loads(order.read_text())
    assault = Assault(**{**content, "plan": Plan(**content["plan"])})
    counts = asyncio.run(_attack(assault, order.with_name("begun").touch))
    order.with_name("counts.json").write_text(json.dumps(counts))


if __name__ == "__main__":
    main()
