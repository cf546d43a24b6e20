"""TLS of a source, as a client and as a server: whom we trust, and who we are."""

import ssl
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

FilePath = Annotated[Path, Field(strict=False)]  # a settings file knows texts only


class Tls(BaseModel):
    """The server's certificate and its name are always checked, against `ca` or the system's list."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    ca: FilePath | None = None
    cert: FilePath | None = None  # our own, when the server asks for one
    key: FilePath | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.key is not None and self.cert is None:
            raise ValueError("a key needs its cert")
        return self

    def context(self) -> ssl.SSLContext:
        """Raises OSError, which names setting and file, for files that are missing or no certificates."""
        for setting, path in (("ca", self.ca), ("cert", self.cert), ("key", self.key)):
            _read(f"tls.{setting}", path)  # the library would not say which
        setting, path = "ca", self.ca
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                setting, path = "cert", self.cert
                context.load_cert_chain(self.cert, self.key)
        except ssl.SSLError as error:
            raise OSError(f"tls.{setting}: {path} cannot be used: {error}") from error
        return context


def _read(setting: str, path: Path | None) -> None:
    if path is None:
        return
    try:
        path.read_bytes()
    except OSError as error:
        raise OSError(f"{setting}: {path} cannot be read: {error.strerror}") from error


class ServerTls(BaseModel):
    """Of a port of ours: who we are, and with `ca` whom we let in, which is who shows a certificate of it."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    cert: FilePath
    key: FilePath | None = None  # where it does not stand in the file of `cert`
    ca: FilePath | None = None

    def context(self) -> ssl.SSLContext:
        """Raises OSError, which names setting and file, for files that are missing or no certificates."""
        for setting, path in (("cert", self.cert), ("key", self.key), ("ca", self.ca)):
            _read(f"tls.{setting}", path)
        setting, path = "cert", self.cert
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.cert, self.key)
            if self.ca is not None:
                setting, path = "ca", self.ca
                context.load_verify_locations(self.ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except ssl.SSLError as error:
            raise OSError(f"tls.{setting}: {path} cannot be used: {error}") from error
        return context
