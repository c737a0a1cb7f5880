"""An index that holds all that says which runs are forgotten, and names of profiles in one order on all machines."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the index; have a server sort names by code points, as SQLite does, and its index with them."""
    op.create_index("runs_by_fate", "runs", ["starred", "started_at", "id", "status"])
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column(
            "profiles", "name", type_=sa.String(200, collation="C"), existing_type=sa.String(200),
            existing_nullable=False,
        )  # fmt: skip
