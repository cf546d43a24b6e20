"""The tables of the ledger. A change here needs a migration in `migrations/versions/`; a test compares the two."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

# The present state of every episode, folded from its transitions. Points and the limit are JSON.
episodes = Table(
    "episodes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("state", String(8), nullable=False),  # open | cleared
    Column("rule", Text, nullable=False),
    Column("edition", Integer, nullable=False),
    Column("check", Text, nullable=False),
    Column("family", SmallInteger, nullable=False),
    Column("station", Text, nullable=False),
    Column("parameter", Text, nullable=False),
    Column("kind", SmallInteger),
    Column("level", SmallInteger, nullable=False),
    Column("worst_level", SmallInteger, nullable=False),
    Column("since_ns", BigInteger, nullable=False),
    Column("cleared_ns", BigInteger),
    Column("first", Text),
    Column("worst", Text),
    Column("last", Text),
    Column("limit_in_force", Text),
    Column("unit", Text, nullable=False),
    Column("multiple", Float),
    Column("reason", Text, nullable=False),
    Index(None, "state", "since_ns"),
    Index(None, "station", "since_ns"),
)

# Every change, whole, in `body`; `number` is the order in which they were recorded.
transitions = Table(
    "transitions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("episode", String(64), nullable=False),
    Column("what", String(16), nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("found_ns", BigInteger, nullable=False),
    Column("recorded_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "episode", "number"),
)

# What each channel must still be told, was told, or could not be told.
outbox = Table(
    "outbox",
    metadata,
    Column("transition", String(64), primary_key=True),
    Column("channel", String(64), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("station", Text, nullable=False),
    Column("state", String(8), nullable=False),  # due | sent | dead
    Column("attempts", Integer, nullable=False),
    Column("due_ns", BigInteger, nullable=False),  # 0: at once
    Column("recorded_ns", BigInteger, nullable=False),
    Column("sent_ns", BigInteger),
    Column("last_error", Text, nullable=False),
    Index(None, "channel", "state", "number"),
    Index(None, "channel", "state", "due_ns"),
)

# How far the worker is: one row.
cursor = Table(
    "cursor",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("judged", BigInteger, nullable=False),
    Column("stored", BigInteger, nullable=False),
)

# The engine after the journal's entry `mark`.
snapshots = Table(
    "snapshots",
    metadata,
    Column("mark", BigInteger, primary_key=True, autoincrement=False),
    Column("engine", LargeBinary, nullable=False),
)
