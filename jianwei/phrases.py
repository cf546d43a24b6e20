"""What people say for a request to a station: `interval realtime 30` is 1062 with RtdInterval=30."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest.hj212.askable import ASKABLE, FROM, HISTORY, TO, problems
from ingest.hj212.times import BEIJING, written_time
from ingest.instants import InstantError
from jianwei.moments import moment_ns
from rules.readings import SECOND_NS


class NotAskable(ValueError):
    """Nothing that a station can be asked; the message says why, and what can be."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """`words` in front, then a value for each of `values`."""

    words: tuple[str, ...]
    cn: str
    values: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        return " ".join([*self.words, *(name.upper() for name in self.values)])


PHRASES = (
    Phrase(("clock",), "1011"),
    Phrase(("clock", "set"), "1012"),
    Phrase(("interval", "realtime"), "1061"),
    Phrase(("interval", "realtime"), "1062", ("RtdInterval",)),
    Phrase(("interval", "minute"), "1063"),
    Phrase(("interval", "minute"), "1064", ("MinInterval",)),
    Phrase(("timeout",), "1000", ("OverTime", "ReCount")),
    Phrase(("history", "minute"), "2051"),
    Phrase(("history", "hour"), "2061"),
    Phrase(("history", "day"), "2031"),
    Phrase(("history", "equipment"), "2041"),
    Phrase(("realtime", "start"), "2011"),
    Phrase(("realtime", "stop"), "2012"),
    Phrase(("equipment", "start"), "2021"),
    Phrase(("equipment", "stop"), "2022"),
)


def request_in(said: Sequence[str], begin_ns: int | None, end_ns: int | None) -> tuple[str, Mapping[str, str]]:
    """Command and fields of words, or of a CN with NAME=VALUE. The times are those of its span. Raises NotAskable."""
    pairs = [word.partition("=") for word in said if "=" in word]
    fields = {name: value for name, _, value in pairs}
    words = tuple(word for word in said if "=" not in word)
    if len(words) == 1 and words[0] in ASKABLE:
        cn = words[0]
    else:
        phrase = _phrase(words)
        cn = phrase.cn
        fields |= dict(zip(phrase.values, words[len(phrase.words) :], strict=True))
    for name, at_ns in ((FROM, begin_ns), (TO, end_ns)):
        if at_ns is not None:
            fields.setdefault(name, written_time(at_ns))
    wrong = problems(cn, fields)
    if wrong:
        hint = ". Say its beginning with --from" if cn in HISTORY and FROM not in fields else ""
        raise NotAskable("; ".join(wrong) + hint)
    return cn, fields


def time_ns_of(text: str) -> int:
    """A time with a zone, a day, or a time without a zone, which is one of Beijing. Raises InstantError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return moment_ns(text)
    if len(text) <= len("2026-03-01") or moment.tzinfo is not None:
        return moment_ns(text)
    if moment.year < 1970:
        raise InstantError(f"{text[:40]!r} lies before 1970")
    return int(moment.replace(tzinfo=BEIJING).timestamp()) * SECOND_NS


def _phrase(words: tuple[str, ...]) -> Phrase:
    for phrase in PHRASES:
        if words[: len(phrase.words)] == phrase.words and len(words) == len(phrase.words) + len(phrase.values):
            return phrase
    known = "; ".join(phrase.shown for phrase in PHRASES)
    raise NotAskable(
        f"{' '.join(words) or 'nothing'} is nothing that a station can be asked. There are {known}; "
        f"and by number, with NAME=VALUE: {', '.join(ASKABLE)}"
    )
