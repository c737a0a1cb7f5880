"""An index that holds all that says which runs are forgotten: it is asked at each run that is recorded."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the index."""
    op.create_index("runs_by_fate", "runs", ["starred", "started_at", "id", "status"])
