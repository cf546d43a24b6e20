"""The register of stations, what was heard of their loggers, what they are asked for, and notes on episodes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _stations()
    _loggers()
    _requests()
    op.create_table(
        "notes",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("episode", sa.String(64), nullable=False),
        sa.Column("noted_ns", sa.BigInteger(), nullable=False),
        sa.Column("noted_by", sa.Text(), nullable=False),
        sa.Column("zh", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_notes"),
    )
    op.create_index("ix_notes_episode_number", "notes", ["episode", "number"])


def downgrade() -> None:
    for table in ("notes", "requests", "loggers", "station_secrets", "turns", "stations"):
        op.drop_table(table)


def _stations() -> None:
    op.create_table(
        "stations",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("station", sa.String(64), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("entered_ns", sa.BigInteger(), nullable=False),
        sa.Column("entered_by", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_stations"),
    )
    op.create_index("ix_stations_station_number", "stations", ["station", "number"])
    op.create_table(
        "turns",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_turns"),
    )
    op.create_table(
        "station_secrets",
        sa.Column("station", sa.String(64), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("sm4_key", sa.LargeBinary(), nullable=True),
        sa.Column("entered_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", name="pk_station_secrets"),
    )


def _loggers() -> None:
    op.create_table(
        "loggers",
        sa.Column("mn", sa.String(32), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("station", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("edition", sa.String(16), nullable=False),
        sa.Column("first_ns", sa.BigInteger(), nullable=False),
        sa.Column("last_ns", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("offset_ns", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("mn", "source", name="pk_loggers"),
    )


def _requests() -> None:
    op.create_table(
        "requests",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("station", sa.String(64), nullable=False),
        sa.Column("mn", sa.String(32), nullable=False),
        sa.Column("cn", sa.String(4), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("asked_ns", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("episode", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("moved_ns", sa.BigInteger(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("readings", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_requests"),
    )
    op.create_index("ix_requests_state_number", "requests", ["state", "number"])
    op.create_index("ix_requests_station_number", "requests", ["station", "number"])
