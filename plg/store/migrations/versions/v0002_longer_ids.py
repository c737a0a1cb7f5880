"""Longer ids of runs, for those of shards; runs by branch."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Widen the ids and add the index."""
    # SQLite holds no text to its length. There the tables would be copied, and the foreign key would empty one.
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("runs", "id", type_=sa.String(100), existing_type=sa.String(64), existing_nullable=False)
        op.alter_column(
            "run_outcomes", "run_id", type_=sa.String(100), existing_type=sa.String(64), existing_nullable=False
        )
    op.create_index("runs_by_branch", "runs", ["branch", "started_at", "id"])
