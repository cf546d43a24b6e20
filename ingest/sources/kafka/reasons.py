"""Why there is no working member, in words that say what to do; and what the client library said last."""

import logging
from threading import get_ident
from typing import Self

from aiokafka import errors

from ingest.sources.kafka.settings import KafkaSourceSettings

LIBRARY = "aiokafka"


def why(error: BaseException, settings: KafkaSourceSettings, last_words: str) -> str:
    """What ended a life of the member. Holds no secret: the library does not print any."""
    read = f"the topics {', '.join(settings.topics)}" if settings.topics else f"the topics like {settings.pattern}"
    servers = ", ".join(settings.servers)
    match error:
        case errors.UnknownTopicOrPartitionError():
            return f"one of {read} is not there: make it, or mend `topics` of this source"
        case errors.TopicAuthorizationFailedError():
            return f"{_who(settings)} may not read {read}: let them by an ACL for Read and Describe ({error})"
        case errors.GroupAuthorizationFailedError():
            return f"{_who(settings)} may not join the group {settings.group!r}: let them by an ACL for Read ({error})"
        case errors.CorruptRecordException():
            return f"a batch is damaged at the broker, and its partition cannot be read: {error}"
        case errors.KafkaConnectionError() if _refused(last_words):
            return f"{servers} refused {_who(settings)}: look at username, password and sasl_mechanism ({last_words})"
        case errors.KafkaConnectionError():
            return f"cannot connect to {servers}: {last_words.rstrip(': ') or error}{_about_tls(settings, last_words)}"
        case errors.KafkaError():
            return f"{type(error).__name__}: {error}" + (f" ({last_words})" if last_words else "")
        case OSError():
            return f"a file of the settings cannot be used: {error}"
        case _:
            return repr(error)


def restless(settings: KafkaSourceSettings) -> str:
    """The group forgets a member that is silent, and one whose instance id somebody else brings."""
    other = (
        f"another process has the group_instance_id {settings.group_instance_id!r}: stop it, or give it its own"
        if settings.group_instance_id is not None
        else "does a member die again and again, or is session_timeout_s too short for this machine?"
    )
    return f"the group {settings.group!r} deals its partitions anew all the time: {other}"


def _refused(last_words: str) -> bool:
    return "uthentication" in last_words or "SASL" in last_words or "Sasl" in last_words


def _about_tls(settings: KafkaSourceSettings, last_words: str) -> str:
    """What to ask where one side may speak TLS and the other does not: the library has no word for it."""
    if settings.tls is not None and (last_words.rstrip().endswith(":") or "WRONG_VERSION_NUMBER" in last_words):
        return " (does this port speak TLS?)"
    if settings.tls is None and last_words.endswith("closed"):
        return " (does this port want `tls`?)"
    return ""


def _who(settings: KafkaSourceSettings) -> str:
    return f"user {settings.username!r}" if settings.username is not None else "we, without a username,"


class LastWords(logging.Handler):
    """Keeps the newest warning of the library on the thread that entered this.

    The library tells only its log why it cannot connect. That a handler is there also keeps its lines out of our log.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""
        self._thread = 0

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.note(record.getMessage())

    def note(self, text: str) -> None:
        """Newer words."""
        self.text = text[:300]

    def __enter__(self) -> Self:
        self._thread = get_ident()
        logging.getLogger(LIBRARY).addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger(LIBRARY).removeHandler(self)
