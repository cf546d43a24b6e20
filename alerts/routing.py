"""Who is told of which change. Pure: the same routes and the same transition give the same channels."""

from collections.abc import Sequence
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from rules.readings import SECOND_NS, Family, Level, Transition

HISTORICAL_NS = 24 * 3600 * SECOND_NS


def _by_name(words: type[IntEnum]) -> BeforeValidator:
    """Settings say `yellow`, not 2."""

    def member(value: Any) -> Any:
        if isinstance(value, str):
            if value.upper() not in words.__members__:
                raise ValueError(f"say one of {', '.join(word.name.lower() for word in words)}")
            return words[value.upper()]
        return value

    return BeforeValidator(member)


class Route(BaseModel):
    """One rule of telling. What a route leaves open lets everything pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: str
    min_level: Annotated[Level, _by_name(Level)] = Level.NONE  # reached by the episode, so its end is told as well
    families: frozenset[Annotated[Family, _by_name(Family)]] = frozenset(Family)
    whats: frozenset[Literal["opened", "worsened", "cleared"]] = frozenset({"opened", "worsened", "cleared"})
    stations: str = "*"  # a glob over station ids, where case matters
    historical: bool = True  # also what happened more than a day before we could know

    def takes(self, transition: Transition, loudest: Level) -> bool:
        """`loudest`: the worst level of the transition's episode so far."""
        return (
            loudest >= self.min_level
            and transition.family in self.families
            and transition.what in self.whats
            and fnmatchcase(transition.station, self.stations)
            and (self.historical or not is_historical(transition))
        )


def is_historical(transition: Transition) -> bool:
    """True for what back-filled data tell: it happened more than a day before we could know."""
    return transition.found_ns - transition.at_ns > HISTORICAL_NS


def channels_for(routes: Sequence[Route], transition: Transition, loudest: Level) -> list[str]:
    """The channels that are told, each once, in the order of the routes."""
    return list(dict.fromkeys(route.channel for route in routes if route.takes(transition, loudest)))
