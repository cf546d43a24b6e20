"""POST of the event to a URL, signed.

    Content-Type: application/cloudevents+json
    X-Jianwei-Signature: t=1772323200,v1=<hex>

`v1` is HMAC-SHA256 with the shared secret over the ASCII digits of `t` (seconds since 1970, when it was sent), one
full stop, and the body byte for byte. A receiver computes the same, compares in constant time, refuses what is older
than it likes, and tells repetitions by the event's `id`. Any 2xx means: the receiver has it.
"""

import asyncio
import hashlib
import hmac
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal, Self

import httpx
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, model_validator

from alerts.channel import DeliveryFailed, Reason
from alerts.credentials import secret_of
from alerts.events import CONTENT_TYPE, AlertEvent
from alerts.notices import instant
from alerts.records import Clock
from alerts.turning import Turning
from rules.readings import SECOND_NS

LEAST_SECRET = 8  # characters
SIGNATURE = "X-Jianwei-Signature"
REFUSED_FOR_GOOD = frozenset({400, 411, 413, 414, 415, 422})  # the event itself; other 4xx are a matter of set-up

ADVICE = {
    401: "does the receiver check with the secret of this channel, and does its clock go right?",
    403: "does the receiver check with the secret of this channel, and may we post there?",
    404: "check the path of `url` of this channel",
    407: "check `proxy` of this channel",
}


class WebhookSettings(BaseModel):
    """Redirects are not followed and proxies of the environment not used: the receiver is the one named here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["webhook"] = "webhook"
    url: HttpUrl
    secret: SecretStr | None = Field(default=None, min_length=LEAST_SECRET)
    secret_file: Path | None = None  # read for every notice
    timeout_s: float = Field(
        default=10.0, gt=0, le=120
    )  # for the connection, and until the head of the answer is there
    proxy: str | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.secret is None) == (self.secret_file is None):
            raise ValueError("secret, secret_file: give one of them")
        return self


class WebhookChannel:
    """`clock`: ns UTC, for the signature."""

    def __init__(self, name: str, settings: WebhookSettings, clock: Clock) -> None:
        self._name = name
        self._url = str(settings.url)
        # Without its path, which is a secret with some receivers.
        self._receiver = f"{settings.url.scheme}://{settings.url.host}:{settings.url.port}"
        self._settings = settings
        self._clock = clock
        self._turning = Turning()
        self._client = httpx.AsyncClient(
            timeout=settings.timeout_s, follow_redirects=False, trust_env=False, proxy=settings.proxy
        )

    def send(self, event: AlertEvent) -> None:
        body = event.to_bytes()
        headers = {
            "Content-Type": CONTENT_TYPE,
            SIGNATURE: signature(self._secret(), self._clock() // SECOND_NS, body),
        }
        try:
            status, retry_after = self._turning.run(self._post(body, headers))
        except (TimeoutError, httpx.TimeoutException) as error:
            told = f"{self._receiver} did not answer within {self._settings.timeout_s:g} s: {error!r}"
            raise DeliveryFailed(self._name, "timeout", told) from error
        except httpx.HTTPError as error:
            told = f"cannot reach {self._receiver}: {error!r} (does it run, and is `url` of this channel right?)"
            raise DeliveryFailed(self._name, "unreachable", told) from error
        if not 200 <= status < 300:
            wait_s = None if status in REFUSED_FOR_GOOD else seconds_of(retry_after, self._clock())
            advice = f" ({ADVICE[status]})" if status in ADVICE else ""
            told = f"{self._receiver} answers HTTP {status}{advice}"
            raise DeliveryFailed(self._name, reason_of(status), told, retry_after_s=wait_s)

    def close(self) -> None:
        self._turning.end(self._client.aclose)

    async def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        """Status and `Retry-After`. The client bounds each read; an answer that comes in drops would never end."""
        async with asyncio.timeout(self._settings.timeout_s):
            # The answer's body says nothing to us, so it is not read: it could be without end.
            async with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                return answer.status_code, answer.headers.get("Retry-After", "")

    def _secret(self) -> str:
        try:
            found = secret_of(self._settings.secret, self._settings.secret_file) or ""
        except (OSError, UnicodeDecodeError) as error:
            raise DeliveryFailed(self._name, "auth", f"the secret cannot be read: {error}") from error
        if len(found) < LEAST_SECRET:
            raise DeliveryFailed(self._name, "auth", f"secret_file holds fewer than {LEAST_SECRET} characters")
        return found


def signature(secret: str, sent_s: int, body: bytes) -> str:
    """The header's value."""
    digest = hmac.new(secret.encode(), b"%d.%s" % (sent_s, body), hashlib.sha256).hexdigest()
    return f"t={sent_s},v1={digest}"


def reason_of(status: int) -> Reason:
    """The class of failure of an HTTP status that is not 2xx."""
    if status in {401, 403, 407}:
        return "auth"
    if status in {425, 429}:
        return "rate_limited"
    if status == 408:
        return "timeout"
    return "server" if status >= 500 else "client"


def seconds_of(retry_after: str, now_ns: int) -> float:
    """Seconds or a date (RFC 9110, 10.2.3); 0 where the header is missing or says neither."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - instant(now_ns)).total_seconds())
