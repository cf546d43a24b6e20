"""A peer that speaks just enough MQTT to be received from, as fast as a socket takes it; a process of its own.

It accepts one client, sends it messages that were encoded beforehand, and counts their acknowledgements:
python -m tests.bench.peer --protocol 5 --messages 100000 prints its port, and at the end how many were acknowledged.
"""

import argparse
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests import brokers_by_packets as mqtt
from tests.bench.messages import messages

CYCLE = 20_000  # packet identifiers, used again when they were acknowledged
PIECE = 500
PATIENCE_S = 120.0


def cycle(*, five: bool) -> list[bytes]:
    """PUBLISH packets of one round, joined to pieces."""
    packets = [
        mqtt.publish(topic, payload, mid, five=five) for mid, (topic, payload) in enumerate(messages(CYCLE), start=1)
    ]
    return [b"".join(packets[start : start + PIECE]) for start in range(0, CYCLE, PIECE)]


def serve(total: int, *, five: bool) -> int:
    pieces = cycle(five=five)
    with mqtt.ScriptedBroker() as broker:
        print(broker.port, flush=True)  # noqa: T201  # the parent reads it
        line = broker.accept()
        line.greet()
        return pour(line.sock, pieces, total)


def pour(client: socket.socket, pieces: list[bytes], total: int) -> int:
    """Sends until `total`, at most a cycle ahead of the acknowledgements; how many of these came."""
    client.settimeout(PATIENCE_S)
    sent = heard = 0
    while sent < total:
        while heard // 4 < sent + PIECE - CYCLE:
            heard += len(client.recv(1 << 20))
        client.sendall(pieces[sent // PIECE % len(pieces)])
        sent += PIECE
    while heard < 4 * sent and (piece := client.recv(1 << 20)):
        heard += len(piece)  # a client that never rests sends no ping
    return heard // 4


@contextmanager
def running(protocol: str, total: int) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process and its port."""
    command = [sys.executable, "-m", "tests.bench.peer", "--protocol", protocol, "--messages", str(total)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as peer:
        try:
            assert peer.stdout is not None
            yield peer, int(peer.stdout.readline())
        finally:
            peer.kill()


def acknowledged(peer: subprocess.Popen[str]) -> int:
    """Waits for its last word."""
    assert peer.stdout is not None
    return int(peer.stdout.readline())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peer")
    parser.add_argument("--protocol", choices=["3.1.1", "5"], required=True)
    parser.add_argument("--messages", type=int, required=True)
    given = parser.parse_args()
    print(serve(given.messages, five=given.protocol == "5"))  # noqa: T201  # the parent reads it
