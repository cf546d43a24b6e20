"""Bytes of a message, told to people and to programs."""


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
