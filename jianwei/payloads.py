"""Bytes of a message, and what came beside them, told to people and to programs."""

from typing import Any

from ingest.message import Block


def text_of(payload: bytes) -> str | None:
    """None for bytes that are no text, or hold characters that a terminal would obey."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return None
    return text if all(letter.isprintable() or letter in "\n\r\t" for letter in text) else None


def payload_text(payload: bytes) -> str:
    """Text as it is; everything else in hex, and said to be."""
    text = text_of(payload)
    return f"hex {payload.hex()}" if text is None else text


def payload_fact(payload: bytes) -> dict[str, str]:
    """`payload`, or `payload_hex` where the bytes are no text."""
    text = text_of(payload)
    return {"payload_hex": payload.hex()} if text is None else {"payload": text}


def beside(block: Block, index: int) -> dict[str, Any]:
    """What Kafka had beside the bytes: where they lie, key and headers; nothing for a message of MQTT."""
    told: dict[str, Any] = {}
    if block.offsets:
        told |= {"partition": block.partition, "offset": block.offsets[index]}
    if block.keys and (key := block.keys[index]) is not None:
        told["key"] = payload_text(key)
    if block.headers and block.headers[index]:
        told["headers"] = [[payload_text(name.encode()), payload_text(value)] for name, value in block.headers[index]]
    return told


def beside_text(block: Block, index: int) -> str:
    """The same in a line; "" for nothing."""
    told = beside(block, index)
    headers = told.pop("headers", [])
    parts = [f"{what} {value}" for what, value in told.items()] + [f"{name}={value}" for name, value in headers]
    return f" [{', '.join(parts)}]" if parts else ""
