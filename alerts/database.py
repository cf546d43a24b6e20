"""The ledger's database: how it is opened, what a transaction is, and how its schema comes up to date.

Everything that is said to SQLite alone stands here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import event, exc

WAIT_FOR_LOCK_S = 5.0
# What else a driver raises is the world's doing: locked, full, connection lost (OperationalError), a damaged file (the bare
# DatabaseError of SQLite).
MISTAKES = (exc.DataError, exc.IntegrityError, exc.InternalError, exc.NotSupportedError, exc.ProgrammingError)


class LedgerUnavailable(OSError):  # like JournalUnavailable it names a state of the world
    """Nothing was read or written (locked, disk full, I/O error, connection lost, damaged). The same may be tried again.

    It is an OSError so that a worker that does not know this room can tell it from a mistake in the code.
    """


def open_engine(url: str) -> sa.Engine:
    """An engine for `url`; its SQLite connections share one manner."""
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself: `_begin_sqlite` does
    for pragma in (
        "journal_mode = WAL",
        # A power failure may take the last transactions (a kill may not): the journal is durable, and from the
        # older cursor the worker finds the same transitions, with the same ids, again.
        "synchronous = NORMAL",
        f"busy_timeout = {WAIT_FOR_LOCK_S * 1000:.0f}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later would fail, instead of waiting, when another wrote in between.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def transaction(engine: sa.Engine, *, writes: bool) -> Iterator[sa.Connection]:
    """All or nothing. Raises LedgerUnavailable for the state of the database; other errors are mistakes."""
    try:
        with engine.connect().execution_options(writes=writes) as connection, connection.begin():
            yield connection
    except (exc.DatabaseError, exc.InterfaceError, exc.TimeoutError) as error:
        if isinstance(error, MISTAKES):
            raise
        raise LedgerUnavailable(f"the ledger cannot be used: {getattr(error, 'orig', None) or error}") from error


def upgrade(engine: sa.Engine) -> None:
    """Brings the schema to the newest version, in one transaction, from any older one or from nothing.

    One of a later version is left alone: LedgerUnavailable.
    """
    config = Config()
    config.set_main_option("script_location", "alerts:migrations")
    script = ScriptDirectory.from_config(config)
    present = _version(engine)
    if present == script.get_current_head():
        return
    if present is not None and present not in {known.revision for known in script.walk_revisions()}:
        raise LedgerUnavailable(
            f"the ledger was left by a later version of this program (its schema is {present}): run that one, or start "
            "with the copy from before the upgrade"
        )
    with transaction(engine, writes=True) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _version(engine: sa.Engine) -> str | None:
    with transaction(engine, writes=False) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        version: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return version
