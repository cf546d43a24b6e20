"""What stands between CP=&& and &&: fields of the frame, fields of parameters, and texts between // and //.

There is no escape. Only a text may hold separators, so words are cut at , and ; outside of texts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ingest.hj212.profiles import Encoding

SEPARATOR = re.compile(r"[;,]")
ITEM = re.compile(r"([A-Za-z0-9_.]{1,20})-([A-Za-z][A-Za-z0-9]{0,15})", re.ASCII)
FIELD = re.compile(r"[A-Za-z][A-Za-z0-9]{0,31}", re.ASCII)
CLOSING = b"&&"
OPENED, CLOSED = "=//", "//"
FLAG, NO_FLAG = "Flag", "?"
SHOWN = 60  # characters of a word that is told


@dataclass(slots=True)
class Body:
    """`contradicted`: names that were said twice, not the same; they stand nowhere else."""

    params: dict[str, str] = field(default_factory=dict)
    items: dict[str, dict[str, str]] = field(default_factory=dict)
    flaws: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    contradicted: set[str] = field(default_factory=set)


def body_of(data: bytes, encoding: Encoding) -> Body:
    """The fields of what stands after CP=&&, with the && that ends it."""
    body = Body()
    closed = data.rfind(CLOSING)
    if closed < 0:
        body.warnings.append("cp_unclosed")
        closed = len(data)
    if CLOSING in data[:closed]:
        body.warnings.append("nested_ampersands")
    last = ""
    for token in _tokens(_decoded(data[:closed], encoding, body), body):
        if not token.strip():
            continue
        name, equals, value = token.partition("=")
        if (name, value) != (name.strip(), value.strip()):
            body.warnings.append("whitespace")
            name, value = name.strip(), value.strip()
        if equals:
            last = _put(body, name, value)
        else:
            body.flaws.append((name[:SHOWN], "stray_token"))
            if not ITEM.fullmatch(name) and not FIELD.fullmatch(name):
                _drop(body, last)  # a decimal comma was sent: what stands before it is no value either
            last = ""
    return body


def _put(body: Body, name: str, value: str) -> str:
    """The field into its place. The name of what a stray word after it would spoil, "" where there is none."""
    item = ITEM.fullmatch(name)
    if item:
        place, key = body.items.setdefault(item[1], {}), item[2]
    elif FIELD.fullmatch(name):
        place, key = body.params, name
    else:
        body.flaws.append((name[:SHOWN], "invalid_code"))
        return ""
    if name in body.contradicted:
        return ""
    if place.setdefault(key, value) != value:
        body.flaws.append((name, "duplicate_conflict"))
        body.contradicted.add(name)
        _drop(body, name)
        return ""
    return name


def _drop(body: Body, name: str) -> None:
    """Takes a field out again; the parameter stays. A flag becomes one that nobody knows: no flag would mean normal."""
    item = ITEM.fullmatch(name)
    if item and item[2] == FLAG:
        body.items[item[1]][FLAG] = NO_FLAG
    elif item:
        body.items.get(item[1], {}).pop(item[2], None)
    else:
        body.params.pop(name, None)


def _tokens(text: str, body: Body) -> Iterator[str]:
    """Words between separators; a text that begins right after = goes to the // that a separator or the end follows."""
    start = search_from = 0
    while (opened := text.find(OPENED, search_from)) >= 0:
        closed = _end_of_text(text, opened + len(OPENED))
        if closed < 0:
            body.warnings.append("text_unclosed")
            break
        *before, last = SEPARATOR.split(text[start:opened])
        yield from before
        yield last + text[opened:closed]
        start = search_from = closed + 1
    if start <= len(text):
        yield from SEPARATOR.split(text[start:])


def _end_of_text(text: str, at: int) -> int:
    """Where the text that begins at `at` has ended, -1 where it never does."""
    while (found := text.find(CLOSED, at)) >= 0:
        end = found + len(CLOSED)
        if end == len(text) or text[end] in ";,":
            return end
        at = found + 1
    return -1


def _decoded(data: bytes, encoding: Encoding, body: Body) -> str:
    """UTF-8 as the standard says, GBK as old loggers send it. Separators are the same in both."""
    if data.isascii():
        return data.decode("ascii")
    others: tuple[Encoding, Encoding] = ("utf-8", "gbk") if encoding == "utf-8" else ("gbk", "utf-8")
    for tried in others:
        try:
            text = data.decode(tried)
        except UnicodeDecodeError:
            continue
        if tried == "gbk" and encoding != "gbk":
            body.warnings.append("encoding_gbk")
        return text
    body.warnings.append("encoding_invalid")
    return data.decode(encoding, errors="replace")
