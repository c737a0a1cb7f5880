"""The tables of the database, as they are now; `plg.store.migrations` leads there from every earlier form."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

META = MetaData()
_NAME = String(200).with_variant(String(200, collation="C"), "postgresql")
"""Sorted by code points."""

PROFILES = Table(
    "profiles", META,
    Column("id", String(64), primary_key=True),
    Column("name", _NAME, nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("environment", String(200), nullable=False, default=""),
    Column("private", Boolean, nullable=False, default=False),
    Column("created_at", String(32), nullable=False),
    Column("created_by", String(200), nullable=False),
    Index("profiles_by_environment", "environment", "name"),
)  # fmt: skip

VERSIONS = Table(
    "profile_versions", META,
    Column("profile_id", String(64), ForeignKey("profiles.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("description", Text, nullable=False),
    Column("saved_at", String(32), nullable=False),
    Column("saved_by", String(200), nullable=False),
    Column("body", Text, nullable=False),
)  # fmt: skip
"""``body`` is JSON: scenario, tags, metadata, files and the names of secret fields."""

TAGS = Table(
    "profile_tags", META,
    Column("profile_id", String(64), ForeignKey("profiles.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", String(200), primary_key=True),
    Index("tags_by_tag", "tag", "profile_id"),
)  # fmt: skip

GRANTS = Table(
    "profile_grants", META,
    Column("profile_id", String(64), ForeignKey("profiles.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("may", String(8), nullable=False),
    Index("grants_by_holder", "kind", "name", "profile_id"),
)  # fmt: skip

RUNS = Table(
    "runs", META,
    Column("id", String(100), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("status", String(16), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("exit_code", Integer),
    Column("reason", Text, nullable=False),
    Column("started_at", String(40), nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("target", Text, nullable=False),
    Column("server", Text, nullable=False),
    Column("machine", Text, nullable=False),
    Column("commit", String(64), nullable=False),
    Column("branch", String(255), nullable=False),
    Column("who", String(200), nullable=False),
    Column("environment", String(200), nullable=False),
    Column("plan_digest", String(64), nullable=False),
    Column("scenario_hash", String(64), nullable=False),
    Column("profile_id", String(64), nullable=False),
    Column("profile_version", Integer),
    Column("planned", Integer),
    Column("acked", Integer),
    Column("starred", Boolean, nullable=False),
    Index("runs_by_start", "started_at", "id"),
    Index("runs_by_fate", "starred", "started_at", "id", "status"),
    Index("runs_by_name", "name", "started_at", "id"),
    Index("runs_by_profile", "profile_id", "started_at", "id"),
    Index("runs_by_branch", "branch", "started_at", "id"),
    Index("runs_by_plan", "plan_digest", "started_at", "id"),
)  # fmt: skip

OUTCOMES = Table(
    "run_outcomes", META,
    Column("run_id", String(100), ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)  # fmt: skip

SETTINGS = Table(
    "settings", META,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)  # fmt: skip
