"""A run of which it was read what the workers did: 20 jobs, two a second, on a server whose clock is ahead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from plg.language.load import load
from plg.plan import Plan, make_plan
from plg.queues.registry import format_of
from plg.queues.tracing import Trace
from plg.runner.far_fold import fold
from plg.runner.far_jobs import FarJobs
from plg.runner.recording import Recording
from support.judged import record, steady

JOBS = 20
WALL = 1_800_000_000.0


class Reader:
    """What `plg.runner.far_side.FarReader` leaves behind."""

    def __init__(self, jobs: FarJobs, looked: float) -> None:
        self.jobs, self.looked, self.offset = jobs, looked, 0.25
        self.questions, self.size, self.fault = 2 * len(jobs), 100, ""
        self.hooks, self.deaf, self.odd = None, "", ""


def plan_in(folder: Path, kind: str = "rq") -> Plan:
    """The plan of the run."""
    path = folder / "s.plg"
    path.write_text(
        f'scenario s {{ job a {{ queue {kind} "q" call "shop.f" }} traffic {{ only: steady 2/s over 10s }}'
        " guardrails { max_rate 9/s max_total_jobs 99 max_duration 1m } }"
    )
    return make_plan(load(path).scenario)


def folded(
    plan,
    traces: dict[int, Trace],
    looked: float = 12.0,
    acked: int = JOBS,
    *,
    most: int = JOBS,
    before: Callable[[FarJobs, float], None] = lambda jobs, server: None,
) -> Recording:
    """A run of 2 jobs/s for 10 s of which the server's clock is 0.25 s ahead; a trace says seconds since the job was
    due. ``before`` that the jobs are told what else is known, and the first moment of the run by the server."""
    [job] = plan.scenario.jobs
    jobs = FarJobs(plan, [format_of(job.queue.kind).tracing(job, "run")], most)
    server = WALL + 0.25
    before(jobs, server)
    for place in range(len(jobs)):
        trace = traces.get(place, Trace("completed", 1.0, 1.0, 1.5))
        moved = {
            name: None if getattr(trace, name) is None else getattr(trace, name) + server + jobs.due[place]
            for name in ("started", "began", "finished")
        }
        jobs.note(place, replace(trace, **moved))
    recording = record(steady(2.0)[:acked], duration=10.0, spans={"only": ((0.0, 10.0),)})
    return fold(recording, Reader(jobs, looked), WALL)
