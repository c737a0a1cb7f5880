"""Profiles with their versions and tags; runs with their outcomes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "profiles",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("environment", sa.String(200), nullable=False),
        sa.Column("private", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
    )
    op.create_index("profiles_by_environment", "profiles", ["environment", "name"])
    owner = "profiles.id"
    op.create_table(
        "profile_versions",
        sa.Column("profile_id", sa.String(64), sa.ForeignKey(owner, ondelete="CASCADE"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("saved_at", sa.String(32), nullable=False),
        sa.Column("saved_by", sa.String(200), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "profile_tags",
        sa.Column("profile_id", sa.String(64), sa.ForeignKey(owner, ondelete="CASCADE"), primary_key=True),
        sa.Column("tag", sa.String(200), primary_key=True),
    )
    op.create_index("tags_by_tag", "profile_tags", ["tag", "profile_id"])
    op.create_table(
        "profile_grants",
        sa.Column("profile_id", sa.String(64), sa.ForeignKey(owner, ondelete="CASCADE"), primary_key=True),
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("may", sa.String(8), nullable=False),
    )
    op.create_index("grants_by_holder", "profile_grants", ["kind", "name", "profile_id"])
    _runs()


def _runs() -> None:
    words = ("reason", "target", "server", "machine")
    short = {"commit": 64, "branch": 255, "who": 200, "environment": 200, "plan_digest": 64, "scenario_hash": 64}
    op.create_table(
        "runs",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("exit_code", sa.Integer),
        sa.Column("started_at", sa.String(40), nullable=False),
        sa.Column("duration_s", sa.Float, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in words),
        *(sa.Column(name, sa.String(length), nullable=False) for name, length in short.items()),
        sa.Column("profile_id", sa.String(64), nullable=False),
        sa.Column("profile_version", sa.Integer),
        sa.Column("planned", sa.Integer),
        sa.Column("acked", sa.Integer),
        sa.Column("starred", sa.Boolean, nullable=False),
    )
    op.create_index("runs_by_start", "runs", ["started_at", "id"])
    for name, column in (("name", "name"), ("profile", "profile_id"), ("plan", "plan_digest")):
        op.create_index(f"runs_by_{name}", "runs", [column, "started_at", "id"])
    op.create_table(
        "run_outcomes",
        sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
