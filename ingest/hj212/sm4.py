"""SM4 as HJ 212-2025 uses it: whole blocks between CP=&& and the last && each for itself, what is left stays clear.

The check and the length are those of the clear text, so the bytes of the same length go on the wire. Some loggers send
the blocks as text, {0xE4,0x3E,…}, before the clear rest. It hides what is said and proves nothing: equal blocks look
equal, and who records a frame can send it again.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

KEY_BYTES = BLOCK = 16
OPENING, CLOSING = b"CP=&&", b"&&"
AS_TEXT = re.compile(rb"\{((?:0x[0-9A-Fa-f]{2},){15,}0x[0-9A-Fa-f]{2})\}")


def looks_encrypted(data: bytes) -> bool:
    """Whether CP holds what no clear text would: bytes outside ASCII, or blocks as text."""
    opened = data.find(OPENING)
    return opened >= 0 and (data.startswith(b"{0x", opened + len(OPENING)) or not data[opened:].isascii())


def encrypted(data: bytes, key: bytes) -> bytes:
    """The data segment with CP encrypted, as raw bytes. ValueError for a key that has not 16 bytes."""
    encryptor = _cipher(key).encryptor()
    before, body, after = _parts(data)
    whole = len(body) - len(body) % BLOCK
    return before + encryptor.update(body[:whole]) + body[whole:] + after


def decrypted(data: bytes, key: bytes) -> bytes:
    """The data segment with CP in the clear."""
    decryptor = _cipher(key).decryptor()
    before, body, after = _parts(data)
    written = AS_TEXT.match(body)
    if written:
        blocks, rest = bytes(int(byte, 16) for byte in written[1].split(b",")), body[written.end() :]
        if len(blocks) % BLOCK:
            return data
    else:
        whole = len(body) - len(body) % BLOCK
        blocks, rest = body[:whole], body[whole:]
    return before + decryptor.update(blocks) + rest + after


def _cipher(key: bytes) -> "Cipher[modes.ECB]":
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key of SM4 has {KEY_BYTES} bytes, this one {len(key)}")
    # It takes a tenth of a second to import, and few stations encrypt.
    from cryptography.hazmat.primitives.ciphers import Cipher, modes  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.algorithms import SM4  # noqa: PLC0415

    return Cipher(SM4(key), modes.ECB())  # noqa: S305  # the standard asks for it


def _parts(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Up to the body of CP, the body, and what closes it."""
    opened = data.find(OPENING) + len(OPENING)
    closed = len(data) - len(CLOSING) if data.endswith(CLOSING) else len(data)
    return data[:opened], data[opened:closed], data[closed:]
