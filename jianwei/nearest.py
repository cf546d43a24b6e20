"""What somebody may have meant by a name that does not exist."""

from collections.abc import Iterable
from difflib import get_close_matches

MOST = 4
LEAST_LIKENESS = 0.5


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Those of `known` that look like `word`, the likest first; small and capital letters are the same."""
    by_small = {name.lower(): name for name in known}
    return [by_small[small] for small in get_close_matches(word.lower(), by_small, MOST, LEAST_LIKENESS)]


def no_such(what: str, word: str, known: Iterable[str]) -> str:
    """A sentence that says so, with what is near."""
    near = nearest(word, known)
    return f"there is no {what} {word}" + (f"; did you mean {', '.join(near)}?" if near else "")
