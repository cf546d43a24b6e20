"""The first schema: episodes, transitions, outbox, cursor, snapshots."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _episodes()
    _transitions()
    _outbox()
    op.create_table(
        "cursor",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("judged", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cursor"),
    )
    op.execute("INSERT INTO cursor (id, judged, stored) VALUES (1, 0, 0)")
    op.create_table(
        "snapshots",
        sa.Column("mark", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("engine", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mark", name="pk_snapshots"),
    )


def downgrade() -> None:
    for table in ("snapshots", "cursor", "outbox", "transitions", "episodes"):
        op.drop_table(table)


def _episodes() -> None:
    op.create_table(
        "episodes",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("check", sa.Text(), nullable=False),
        sa.Column("family", sa.SmallInteger(), nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=True),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("worst_level", sa.SmallInteger(), nullable=False),
        sa.Column("since_ns", sa.BigInteger(), nullable=False),
        sa.Column("cleared_ns", sa.BigInteger(), nullable=True),
        sa.Column("first", sa.Text(), nullable=True),
        sa.Column("worst", sa.Text(), nullable=True),
        sa.Column("last", sa.Text(), nullable=True),
        sa.Column("limit_in_force", sa.Text(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("multiple", sa.Float(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_episodes"),
    )
    op.create_index("ix_episodes_state_since_ns", "episodes", ["state", "since_ns"])
    op.create_index("ix_episodes_station_since_ns", "episodes", ["station", "since_ns"])


def _transitions() -> None:
    op.create_table(
        "transitions",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("episode", sa.String(64), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("found_ns", sa.BigInteger(), nullable=False),
        sa.Column("recorded_ns", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_transitions"),
        sa.UniqueConstraint("number", name="uq_transitions_number"),
    )
    op.create_index("ix_transitions_episode_number", "transitions", ["episode", "number"])


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("transition", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=False),
        sa.Column("recorded_ns", sa.BigInteger(), nullable=False),
        sa.Column("sent_ns", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("transition", "channel", name="pk_outbox"),
    )
    op.create_index("ix_outbox_channel_state_number", "outbox", ["channel", "state", "number"])
    op.create_index("ix_outbox_channel_state_due_ns", "outbox", ["channel", "state", "due_ns"])
