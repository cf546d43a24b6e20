"""One connection to an InfluxDB, and what its answers mean."""

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from isal import igzip

from ingest.message import StoreUnreadable
from ingest.stores.influxdb.line_protocol import Body
from ingest.stores.influxdb.settings import InfluxdbStoreSettings
from ingest.stores.influxdb.timely import Deadline, TimelyResponse

RETRY_AFTER_S = 1.0
ASK_SOMEBODY_S = 30.0  # nothing changes until a person has done something
LONGEST_WAIT_S = 300.0  # whatever the server asks for
MOST_ANSWER_BYTES = 1 << 20
MOST_WORDS = 300
ABOUT_LINES = ("unable to parse", "partial write")  # other words of 400 and 422 say nothing about readings
DROPPED = re.compile(r".*dropped=(\d+)", re.DOTALL)  # the last: names may say so too
TOO_OLD = re.compile(r"(points beyond|dropped \d+ points outside) retention policy")


class Unavailable(StoreUnreadable):
    """Nothing may be assumed done. `why` says what is wrong, and what to do where somebody must do something."""

    def __init__(self, why: str, retry_after_s: float = RETRY_AFTER_S) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after_s = retry_after_s


class BucketMissing(Unavailable):
    """There is no such bucket, or the token may not see it."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Some or all lines of a body were refused for good: `words` of the server, and whether it was all of them.

    Which ones, the server does not say reliably; nor are the others stored for sure.
    """

    words: str
    whole: bool = False

    @property
    def is_too_old(self) -> bool:
        return TOO_OLD.match(_phrase(self.words)) is not None

    @property
    def is_about_a_type(self) -> bool:
        return _phrase(self.words).startswith("field type conflict")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of the server, or of whatever stands before it."""

    status: int
    headers: Mapping[str, str]  # by names in lower case
    body: bytes

    @property
    def message(self) -> str:
        """In the server's own words; those of somebody else as they are."""
        with suppress(ValueError):
            told = json.loads(self.body)
            if isinstance(told, dict):
                return str(told.get("message") or told.get("error") or "")
        return self.body.decode(errors="replace")

    @property
    def words(self) -> str:
        return shortened(self.message) or "nothing more"


class Connection:
    """Kept open between requests. One thread at a time may use it."""

    def __init__(self, settings: InfluxdbStoreSettings) -> None:
        self._settings = settings
        self._url = urlsplit(settings.url)
        self._line: http.client.HTTPConnection | None = None
        self._deadline = Deadline(settings.timeout_s)

    def write(self, bucket: str, body: Body) -> Rejected | None:
        """None: all lines are stored. Raises Unavailable."""
        where = {"org": self._settings.org, "bucket": bucket, "precision": body.precision}
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"}
        answer = self.ask(f"/api/v2/write?{urlencode(where)}", igzip.compress(body.text, 1), headers)
        if answer.status == HTTPStatus.NO_CONTENT:
            return None
        if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return Rejected(answer.words or "the request is too large")
        if answer.status in {400, 422} and any(words in answer.message for words in ABOUT_LINES):
            rejected = Rejected(answer.words)
            return replace(rejected, whole=_is_all(answer.message, body, is_too_old=rejected.is_too_old))
        raise refusal(answer, f"bucket {bucket}")

    def ask(self, path: str, body: bytes, headers: Mapping[str, str], most_bytes: int = MOST_ANSWER_BYTES) -> Answer:
        """What comes of a POST, whatever its status. Raises Unavailable when nothing does, or only the half, in time."""
        response = self.send(path, body, headers)
        with self.heard():
            content = response.read(most_bytes)
            if len(content) < most_bytes and response.length:  # what the library says nothing about
                raise http.client.IncompleteRead(content, response.length)
        if not response.isclosed():
            self.close()  # there is more than anybody will read
        return Answer(response.status, {name.lower(): text for name, text in response.getheaders()}, content)

    def send(self, path: str, body: bytes, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """The answer to a POST, not yet read: all of that is to be done in time, too. Raises Unavailable.

        A server may end a connection that was idle just when we use it again: then it is asked once more on a new one.
        Everything that we ask for may be asked for twice.
        """
        headers = {**headers, "Authorization": f"Token {self._token()}"}
        self.wait_anew()
        with self.heard():
            if self._line is not None:
                try:
                    return self._send(self._line, path, body, headers)
                except (ConnectionError, http.client.BadStatusLine):
                    self.close()
            self._line = self._connect()
            return self._send(self._line, path, body, headers)
        raise AssertionError  # heard() swallows nothing

    def wait_anew(self) -> None:
        """Of a long answer that is read piece by piece, each piece has the whole time."""
        self._deadline.begin()

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    @contextmanager
    def heard(self) -> Iterator[None]:
        """What goes wrong with the connection is Unavailable, and the connection is not used again."""
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            self.close()
            why = "gave no answer in time" if isinstance(error, TimeoutError) else f"cannot be reached: {_said(error)}"
            raise Unavailable(f"InfluxDB at {self._settings.url} {why}; see whether it runs") from error

    def _connect(self) -> http.client.HTTPConnection:
        host, port = str(self._url.hostname), self._url.port
        try:
            tls = self._settings.tls()
        except OSError as error:
            raise Unavailable(f"store.ca: {self._settings.ca}: {_said(error)}", ASK_SOMEBODY_S) from error
        if tls is not None:
            line: http.client.HTTPConnection = http.client.HTTPSConnection(host, port, context=tls)
        else:
            line = http.client.HTTPConnection(host, port)
        line.response_class = partial(TimelyResponse, self._deadline)  # type: ignore[assignment]  # it is only called
        return line

    def _send(
        self, line: http.client.HTTPConnection, path: str, body: bytes, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        line.timeout = self._deadline.left_s()
        if line.sock is not None:
            line.sock.settimeout(line.timeout)
        line.request("POST", self._url.path + path, body, dict(headers))
        return line.getresponse()

    def _token(self) -> str:
        try:
            return self._settings.secret()
        except OSError as error:
            why = f"store.token_file: {self._settings.token_file} cannot be read: {error.strerror}"
            raise Unavailable(why, ASK_SOMEBODY_S) from error
        except ValueError as error:
            raise Unavailable(f"store: {error}", ASK_SOMEBODY_S) from error


def refusal(answer: Answer, about: str) -> Unavailable:
    """What an answer other than success means, and what to do about it."""
    said = f"InfluxDB answers {answer.status} about {about}: {answer.words}"
    match answer.status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            what = "give a token that may read and write it; a token file is read again at every try"
            return Unavailable(f"{said}; {what}", ASK_SOMEBODY_S)
        case HTTPStatus.NOT_FOUND:
            what = "make it, or see whether url, org and the names of the buckets are right"
            return BucketMissing(f"{said}; {what}", ASK_SOMEBODY_S)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return Unavailable(said, _wait_s(answer))
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unavailable(said, _wait_s(answer))
        case _:
            return Unavailable(f"{said}; is store.url that of an InfluxDB 2?", ASK_SOMEBODY_S)


def shortened(words: str) -> str:
    """Its beginning and its end: what a line was refused for stands behind the line."""
    words = " ".join(words.split())
    return words if len(words) <= MOST_WORDS else f"{words[: MOST_WORDS // 2]} ... {words[-MOST_WORDS // 2 :]}"


def _phrase(words: str) -> str:
    """What the server says itself of what it dropped; only behind it come names, which may hold any words."""
    return words.partition("partial write: ")[2]


def _is_all(message: str, body: Body, *, is_too_old: bool) -> bool:
    """Whether every reading of the body was refused: the server counts the points that it dropped.

    One bad field costs the whole point, so points of several readings are looked at one by one; not so those that are
    too old.
    """
    dropped = DROPPED.match(message)
    is_plain = body.lines == body.rows or is_too_old
    return dropped is not None and int(dropped[1]) == body.lines and is_plain


def _wait_s(answer: Answer) -> float:
    """Retry-After is a number of seconds, or a date on the clock of the server, which says what time it is there."""
    asked = answer.headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(max(float(asked), RETRY_AFTER_S), LONGEST_WAIT_S)
    with suppress(ValueError, TypeError):
        span = parsedate_to_datetime(asked) - parsedate_to_datetime(answer.headers.get("date", ""))
        return min(max(span.total_seconds(), RETRY_AFTER_S), LONGEST_WAIT_S)
    return RETRY_AFTER_S


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
