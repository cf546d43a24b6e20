"""Where simulated messages can go: a broker of MQTT or Kafka, or a file of lines."""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from simulators.kafka import open_kafka
from simulators.publish import Publisher
from simulators.samples import Outgoing


class Target(Protocol):
    """Takes messages for good: when `send` returns, all of them are safe there."""

    def send(self, messages: Iterable[Outgoing]) -> None: ...

    def close(self) -> None: ...


class LinesFile:
    """Messages as JSON lines: `sent_ns`, `topic`, and `payload` (or `payload_base64` where the bytes are no text)."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def send(self, messages: Iterable[Outgoing]) -> None:
        for message in messages:
            line: dict[str, object] = {"sent_ns": message.sent_ns, "topic": message.topic}
            try:
                line["payload"] = message.payload.decode()
            except UnicodeDecodeError:
                line["payload_base64"] = b64encode(message.payload).decode()
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_lines(path: Path) -> Iterator[tuple[int, str, bytes]]:
    """What LinesFile wrote: (sent_ns, topic, payload). Raises ValueError or KeyError for anything else."""
    with path.open(encoding="utf-8") as file:
        for text in file:
            line = json.loads(text)
            payload = line["payload"].encode() if "payload" in line else b64decode(line["payload_base64"])
            yield line["sent_ns"], line["topic"], payload


def open_target(where: str) -> Target:
    """mqtt://[user:password@]host[:port], kafka://host:port/topic, or the path of a file to write.

    Raises ValueError or OSError, and for Kafka what `KafkaPublisher` raises.
    """
    parts = urlsplit(where)
    if parts.scheme == "mqtt":
        return open_broker(where)
    if parts.scheme == "kafka":
        return open_kafka(where, client=f"jianwei-simulator-{os.getpid()}")
    if parts.scheme not in {"", "file"}:
        raise ValueError(f"{parts.scheme}:// is neither mqtt://, kafka:// nor a file")
    return LinesFile(Path(parts.path if parts.scheme else where))


def open_broker(where: str, *, client: str = "jianwei-simulator", patience_s: float = 30.0) -> Publisher:
    """mqtt://[user:password@]host[:port]. Raises ValueError.

    Every process is a client of its own: a broker ends the connection of one when another comes with its name.
    """
    parts = urlsplit(where)
    if parts.scheme != "mqtt":
        raise ValueError("a broker's address begins with mqtt://")
    host, port = _address(parts)
    username, password = (unquote(text) if text else None for text in (parts.username, parts.password))
    client_id = f"{client}-{os.getpid()}"
    return Publisher(host, port, client_id=client_id, username=username, password=password, patience_s=patience_s)


def _address(parts: SplitResult) -> tuple[str, int]:
    """Raises ValueError, which quotes nothing: where an address is wrong, its password may stand anywhere in it."""
    try:
        host, port = parts.hostname, parts.port or 1883
    except ValueError:
        host, port = None, 0
    if not host:
        raise ValueError(
            "the address is not of the form mqtt://[user:password@]host[:port] (/, # and @ of a password as %2F, %23, %40)"
        )
    return host, port
