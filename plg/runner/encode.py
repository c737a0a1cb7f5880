"""From batches of a plan to commands on the wire."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path

from plg.language.tables import read_table
from plg.language.templates import compile_payload
from plg.plan import Plan
from plg.runner.schedule import Batch
from plg.scenario import Scenario
from plg.targets.encoding import JobEncoder, Parcels


class BatchEncoder:
    """Encodes what the schedule hands out. Phases are looked up only where a payload speaks of them."""

    def __init__(self, encoder: JobEncoder, plan: Plan, *, phases: bool) -> None:
        self._encoder, self._plan, self._phases = encoder, plan, phases

    def __call__(self, batch: Batch, ends: Sequence[int], walls: Sequence[float]) -> Parcels:
        names = self._plan.phase_names(batch.due) if self._phases else repeat("", len(batch))
        return self._encoder.encode(batch.seq, batch.due, batch.kind, ends, walls, names)


def batch_encoder(scenario: Scenario, plan: Plan, run_id: str) -> BatchEncoder:
    """The encoder of one run: payload templates compiled, data files read."""
    tables = {name: read_table(Path(path)) for name, path in scenario.data.items()}
    payloads = [
        compile_payload(job.payload, tables=tables, run=run_id, job=job.name, seed=plan.seed) for job in scenario.jobs
    ]
    phases = any("${phase}" in json.dumps(job.payload) for job in scenario.jobs)
    return BatchEncoder(JobEncoder(scenario.jobs, payloads, run_id, plan.shard[1]), plan, phases=phases)
