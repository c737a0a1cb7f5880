"""One job made by itself: what its words hold."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from plg.language.payload import compile_value
from plg.queues.base import Job
from plg.queues.recipe import Recipe, Spelled
from plg.queues.registry import format_of
from plg.targets.encoding import Kind


def commands(data: bytes) -> list[list[bytes]]:
    """RESP commands taken apart."""
    found, position = [], 0
    while position < len(data):
        end = data.index(b"\r\n", position)
        count, position = int(data[position + 1 : end]), end + 2
        argv = []
        for _ in range(count):
            end = data.index(b"\r\n", position)
            size = int(data[position + 1 : end])
            argv.append(data[end + 2 : end + 2 + size])
            assert data[end + 2 + size : end + 4 + size] == b"\r\n"
            position = end + 4 + size
        found.append(argv)
    return found


def spelled(
    value: Any,
    form: Literal["json", "text", "pickle"] = "json",
    *,
    seq: int = 0,
    now: float = 0.0,
    phase: str = "",
    **options: Any,
) -> bytes:
    """``value`` with its templates filled, as ``form`` writes it."""
    kind = Kind(Recipe((((Spelled(value, form),),),)), "key", partial(compile_value, **options))
    [[word]] = commands(kind.encode(seq, now, phase))
    return word


def kind_of(job: Job, run: str = "r", seed: int = 0) -> Kind:
    """The kind that a run would make of a job."""
    made = format_of(job.queue.kind)
    compiled = partial(compile_value, run=run, job=job.name, seed=seed)
    return Kind(made.recipe(job, run), next(iter(made.keys(job))), compiled)
