"""What is kept of a run: a row that lists and searches show, and its outcome without secrets."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from plg.guardrails.policy import account_name
from plg.judge.outcome import scenario_hash
from plg.outcome import Outcome
from plg.outcome_io import from_json, to_json
from plg.redaction import hide
from plg.store.base import Run
from plg.store.errors import NotFound
from plg.store.origin import origin
from plg.store.sealing import secret_texts, without_secrets
from plg.store.store import Store

_PLANNED_BY = ("pattern", "arrivals", "guardrails", "jobs", "job_config", "data")
_STATUS = {"stopped": "stopped", "interrupted": "interrupted", "error": "failed"}
"""What became of a run, by its verdict; `completed` for any other."""


def plan_digest(outcome: Outcome) -> str:
    """What tells runs of one plan from others: what is sent when, whatever the target and the expectations."""
    shown = without_secrets(dict(outcome.scenario))
    planned_by = {name: shown[name] for name in _PLANNED_BY if name in shown}
    plan = {name: value for name, value in outcome.plan.items() if name not in ("scenario", "warnings")}
    return scenario_hash({"by": planned_by, "seed": outcome.seed, "plan": plan})[:16]


def run_of(
    outcome: Outcome,
    *,
    who: str | None = None,
    environment: str = "",
    profile_id: str = "",
    profile_version: int | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Run:
    """The row of a run. ``who`` is the account of this process by default; ``environ`` is where CI services say which
    commit this is, else the git of ``folder``."""
    here = origin(environ, folder)
    shard = outcome.shard
    part = "" if shard is None or len(shard.parts) == shard.of else f".{shard.parts[0]}-of-{shard.of}"
    secrets = secret_texts(dict(outcome.scenario))
    return Run(
        id=outcome.run_id + part, name=outcome.name[:200], status=_STATUS.get(outcome.verdict, "completed"),
        verdict=outcome.verdict, exit_code=outcome.exit_code, reason=hide(outcome.reason, secrets),
        started_at=outcome.started_at, duration_s=outcome.duration_s, target=outcome.target.url,
        server=f"{outcome.target.server} {outcome.target.version}".strip(), machine=here.machine, commit=here.commit,
        branch=here.branch, who=account_name() if who is None else who, environment=environment,
        plan_digest=plan_digest(outcome), scenario_hash=outcome.scenario_hash, profile_id=profile_id,
        profile_version=profile_version, planned=outcome.ledger.planned, acked=outcome.ledger.acked,
    )  # fmt: skip


def pack(outcome: Outcome) -> bytes:
    """The outcome as it is kept: without payloads, and without what servers repeated of them."""
    secrets, recording = secret_texts(dict(outcome.scenario)), outcome.recording
    kept = replace(
        outcome,
        recording=replace(
            recording,
            stop_detail=hide(recording.stop_detail, secrets)
            if recording.stop != "expectation"
            else recording.stop_detail,
            lost=hide(recording.lost, secrets),
            errors=tuple((hide(text, secrets), count) for text, count in recording.errors),
        ),
        scenario=without_secrets(dict(outcome.scenario)),
        reason=hide(outcome.reason, secrets),
        warnings=tuple(hide(text, secrets) for text in outcome.warnings),
        errors=tuple((hide(text, secrets), count) for text, count in outcome.errors),
    )
    return zlib.compress(to_json(kept).encode())


def unpack(packed: bytes, id: str) -> Outcome:
    """The outcome that `pack` made. Raises `ScenarioError` where it is damaged."""
    return from_json(unpacked_text(packed, id), f"run {id}")


def unpacked_text(packed: bytes, id: str) -> str:
    """Its JSON."""
    try:
        return zlib.decompress(packed).decode()
    except (zlib.error, UnicodeDecodeError):
        raise NotFound(f"the outcome of the run {id} is damaged") from None


def record(store: Store, outcome: Outcome, run: Run) -> None:
    """Keep a run in the history."""
    store.record(run, pack(outcome))
