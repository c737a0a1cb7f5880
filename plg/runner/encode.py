"""From batches of a plan to commands on the wire."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from itertools import repeat

from plg.language.payload import compile_value
from plg.plan import Plan
from plg.queues.base import Job
from plg.queues.registry import format_of
from plg.runner.schedule import Batch
from plg.scenario import Scenario
from plg.targets.encoding import JobEncoder, Kind, Parcels


class BatchEncoder:
    """Encodes what the schedule hands out. Phases are looked up only where a payload speaks of them."""

    def __init__(self, encoder: JobEncoder, plan: Plan, *, phases: bool) -> None:
        self._encoder, self._plan, self._phases = encoder, plan, phases

    def __call__(self, batch: Batch, ends: Sequence[int], walls: Sequence[float]) -> Parcels:
        names = self._plan.phase_names(batch.due) if self._phases else repeat("", len(batch))
        return self._encoder.encode(batch.seq, batch.due, batch.kind, ends, walls, names)


def batch_encoder(scenario: Scenario, plan: Plan, run_id: str) -> BatchEncoder:
    """The encoder of one run: recipes and templates compiled."""

    def kind(job: Job) -> Kind:
        made = format_of(job.queue.kind)
        compiled = partial(compile_value, tables=scenario.data, run=run_id, job=job.name, seed=plan.seed)
        return Kind(made.recipe(job, run_id), next(iter(made.keys(job))), compiled)

    phases = any("${phase}" in json.dumps([job.payload, job.args, job.kwargs]) for job in scenario.jobs)
    return BatchEncoder(JobEncoder([kind(job) for job in scenario.jobs], plan.shard[1]), plan, phases=phases)
