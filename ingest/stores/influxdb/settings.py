"""What a settings file may say about an InfluxDB store."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from rules.readings import Kind


def _web_address(text: str) -> str:
    """Health and log show it, so it holds no secret; and the client can call every host that it may name."""
    if not _is_web_address(text):
        raise ValueError("say an address such as https://influxdb.example:8086; the token goes into token_file")
    return text.rstrip("/")


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")  # as the client does: a label has at most 63 letters
    except ValueError:  # its words quote what may be a secret
        return False
    is_plain = parts.path.isascii() and not parts.query and not parts.fragment and "@" not in text
    return parts.scheme in {"http", "https"} and bool(host) and port != 0 and is_plain


FilePath = Annotated[Path, Field(strict=False)]  # a settings file knows texts only
# InfluxQL reads `a/b` as two names.
Bucket = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class InfluxdbStoreSettings(BaseModel):
    """One InfluxDB 2 and one of its organizations; the buckets have the names of the kinds that they hold.

    The token must read and write the buckets, and, where missing ones shall be made, write buckets.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    type: Literal["influxdb"] = "influxdb"
    url: Annotated[str, AfterValidator(_web_address)] = "http://127.0.0.1:8086"
    org: str = Field(min_length=1)
    token: SecretStr | None = None
    token_file: FilePath | None = None  # read at every request
    ca: FilePath | None = None  # of an https server; without it the system's list
    timeout_s: float = Field(default=10.0, gt=0, le=600, strict=False)
    raw: Bucket = "raw"  # realtime and minute values
    hour: Bucket = "hour"
    day: Bucket = "day"
    make_buckets: bool = Field(default=True, strict=False)  # that are missing, to keep their readings for ever
    most_rows: int = Field(default=200_000, ge=1, strict=False)  # waiting in memory for the store

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.token is None) == (self.token_file is None):
            raise ValueError("give token_file, or token (in the environment: JIANWEI_STORE__TOKEN)")
        return self

    @property
    def buckets(self) -> Mapping[Kind, str]:
        return {Kind.REALTIME: self.raw, Kind.MINUTE: self.raw, Kind.HOUR: self.hour, Kind.DAY: self.day}

    def secret(self) -> str:
        """The token. Raises OSError when its file cannot be read, ValueError (without it) when it can be none."""
        if self.token_file is not None:
            text = self.token_file.read_bytes().decode("latin-1").strip()
        else:
            text = self.token.get_secret_value() if self.token is not None else ""
        if not text or not text.isascii() or not text.isprintable():
            raise ValueError(f"{self.token_file or 'token'} holds no token: one line of ASCII is expected")
        return text

    def tls(self) -> ssl.SSLContext | None:
        """None for http. Raises OSError (ssl.SSLError is one) for a `ca` that is missing or no certificate."""
        return ssl.create_default_context(cafile=self.ca) if self.url.startswith("https:") else None
