"""Durations as people write them in scenarios."""

import re
from typing import Annotated

from pydantic import BeforeValidator

DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def seconds(text: str) -> int:
    """The seconds in "1h30m". Raises ValueError."""
    found = DURATION.fullmatch(text)
    if not text or found is None:
        raise ValueError(f"{text!r} is no duration such as 90s, 5m, 1h30m or 2d")
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def _from_text(content: object) -> object:
    """What is not text is left to the validator behind."""
    return seconds(content) if isinstance(content, str) else content


Seconds = Annotated[int, BeforeValidator(_from_text)]
