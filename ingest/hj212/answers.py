"""What we say back, byte for byte: 9014 to data, 9013 to notices, 9011 and 9012 about a request.

An answer makes the station forget what it sent. Send it when the frame is durable, not before.
"""

from typing import Literal

from ingest.hj212.commands import COMMANDS
from ingest.hj212.crc import crc
from ingest.hj212.segment import EDITION_SHIFT, Head
from ingest.hj212.sm4 import encrypted

INTERACTION = "91"
BIT = {"2005": 0, "2017": 1, "2025": 2, "surface_water": 2}  # the edition in Flag
Said = Literal["9011", "9012"]


def framed(segment: str, key: bytes | None = None) -> bytes:
    """A frame around an ASCII data segment; with a `key` of SM4 CP is encrypted, under the check of the clear text."""
    data = segment.encode("ascii")
    return b"##%04d%b%04X\r\n" % (len(data), data if key is None else encrypted(data, key), crc(data))


def answer(head: Head) -> bytes | None:
    """The answer to an upload or a notice; None where none is asked for, or there is no QN to answer to."""
    command = COMMANDS[head.cn]
    if command.answer is None or not head.wants_answer or not head.qn:
        return None
    if head.edition != "2005":
        return framed(_headed(head, command.answer) + "CP=&&&&")
    about = f"QN={head.qn}"
    if command.answer == "9014":
        about += f";CN={head.cn}"
        if head.packet:
            about += f";PNUM={head.packet.of};PNO={head.packet.number}"
    return framed(f"ST={INTERACTION};CN={command.answer};CP=&&{about}&&")


def result(head: Head, cn: Said, code: int) -> bytes:
    """To a request: 9011 says whether it is taken (QnRtn), 9012 how it went (ExeRtn)."""
    said = f"{'QnRtn' if cn == '9011' else 'ExeRtn'}={code}"
    if head.edition == "2005":
        return framed(f"ST={INTERACTION};CN={cn};CP=&&QN={head.qn};{said}&&")
    return framed(_headed(head, cn) + f"CP=&&{said}&&")


def _headed(head: Head, cn: str) -> str:
    """The head of an answer: QN, password and MN as they came, the edition without its other bits."""
    password = "" if head.pw is None else f"PW={sendable(head.pw)};"
    named = f"MN={head.mn};" if head.mn else ""
    return f"QN={head.qn};ST={INTERACTION};CN={cn};{password}{named}Flag={BIT[head.edition] << EDITION_SHIFT};"


def sendable(text: str) -> str:
    """Passwords are what they are; what cannot stand in a frame is not given back."""
    return "".join(letter for letter in text if letter.isalnum() and letter.isascii())
