"""What all declarations of a scenario are made of: strict models, and durations as people write them."""

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


class Declared(BaseModel):
    """Strict, frozen, and every unknown key refused: a slip of the pen in a scenario must not pass in silence."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", populate_by_name=True)


def seconds(text: object) -> object:
    """The seconds in "1h30m"; what is not text is left to the validator behind."""
    if not isinstance(text, str):
        return text
    found = DURATION.fullmatch(text)
    if not text or found is None:
        raise ValueError(f"{text!r} is no duration such as 90s, 5m, 1h30m or 2d")
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


Seconds = Annotated[int, BeforeValidator(seconds)]
