"""A secret of a channel: given in the settings, or in a file that only the service may read."""

from pathlib import Path

from pydantic import SecretStr


def secret_of(given: SecretStr | None, file: Path | None) -> str | None:
    """The secret, None where there is none; a line break at the end of the file is not part of it.

    Ask for it whenever it is used: so the file can be changed under a running service. Raises OSError, and
    UnicodeDecodeError for a file that is no text.
    """
    if file is not None:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    return given.get_secret_value() if given is not None else None
