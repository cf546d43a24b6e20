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

# The register of stations as it was entered by hand: every version of every entry is kept. `body` is the entry as JSON.
stations = Table(
    "stations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),  # in the order of entering
    Column("station", String(64), nullable=False),
    Column("what", String(16), nullable=False),  # added | changed | admitted | removed
    Column("entered_ns", BigInteger, nullable=False),
    Column("entered_by", Text, nullable=False),
    Column("body", Text, nullable=False),  # empty: removed
    Index(None, "station", "number"),
)

# Which version of the register (a number of `stations`) judges what follows an entry of the journal, so that the same
# entry is judged by the same stations whenever it is judged again.
turns = Table(
    "turns",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("entry", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
)

# What a station's logger shares with us. Shown to nobody, and without history.
station_secrets = Table(
    "station_secrets",
    metadata,
    Column("station", String(64), primary_key=True),
    Column("password", Text),
    Column("sm4_key", LargeBinary),
    Column("entered_ns", BigInteger, nullable=False),
)

# What was last heard of each logger: of registered ones, and of those that wait to be admitted (`station` empty).
loggers = Table(
    "loggers",
    metadata,
    Column("mn", String(32), primary_key=True),
    Column("source", String(64), primary_key=True),
    Column("station", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # connected | gone | waiting | refused
    Column("address", Text, nullable=False),
    Column("edition", String(16), nullable=False),
    Column("first_ns", BigInteger, nullable=False),
    Column("last_ns", BigInteger, nullable=False),
    Column("times", Integer, nullable=False),  # connections, or attempts
    Column("offset_ns", BigInteger),  # its clock before ours
    Column("why", Text, nullable=False),
)

# What stations are asked for, by people and by the program, and what came of it.
requests = Table(
    "requests",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("station", String(64), nullable=False),
    Column("mn", String(32), nullable=False),
    Column("cn", String(4), nullable=False),
    Column("fields", Text, nullable=False),  # JSON: name to text
    Column("asked_ns", BigInteger, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("episode", String(64), nullable=False),  # whose gap it shall fill, or empty
    Column("state", String(16), nullable=False),  # due | sent | accepted | done | refused | unanswered | gone
    Column("moved_ns", BigInteger, nullable=False),
    Column("said", Text, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("readings", Integer, nullable=False),
    Index(None, "state", "number"),
    Index(None, "station", "number"),
)

# What is remarked on an episode, by the program or by people, in Chinese and English.
notes = Table(
    "notes",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("episode", String(64), nullable=False),
    Column("noted_ns", BigInteger, nullable=False),
    Column("noted_by", Text, nullable=False),
    Column("zh", Text, nullable=False),
    Column("en", Text, nullable=False),
    Index(None, "episode", "number"),
)
