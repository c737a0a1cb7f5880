"""How it is known what the workers did, of all shards of a run together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from plg.measures import FAR
from plg.runner.recording import FarRecord


def merge_far(parts: Sequence[FarRecord | None]) -> FarRecord | None:
    """One record of all: counts add up, and what one shard does not know, the whole does not."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    untold = {name: why for part in known for name, why in part.untold.items()}
    if len(known) < len(parts):
        untold = dict.fromkeys(FAR, "not every shard read what the workers did") | untold
    step = max(part.step for part in known)
    offsets = [part.clock_offset_s for part in known if part.clock_offset_s is not None]
    return FarRecord(
        **{name: sum(getattr(part, name) for part in known) for name in _SUMS},
        source=" and ".join(dict.fromkeys(part.source for part in known if part.source)),
        # Every shard sees the workers that had its own jobs: the largest number is what is known of all.
        workers=max((part.workers for part in known if part.workers is not None), default=None),
        clock_offset_s=max(offsets, key=abs, default=None),
        untold=untold,
        doubt="; ".join(dict.fromkeys(part.doubt for part in known if part.doubt)),
        found=tuple(dict.fromkeys(text for part in known for text in part.found)),
        step=step,
        started=_flow([part.started for part in known], [part.step for part in known], step),
        completed=_flow([part.completed for part in known], [part.step for part in known], step),
    )


_SUMS = ("jobs", "read", "questions", "size", "waiting", "in_flight", "delayed")


def _flow(columns: Sequence[tuple[int, ...]], steps: Sequence[float], step: float) -> tuple[int, ...]:
    coarse = []
    for column, own in zip(columns, steps, strict=True):
        joined = max(1, round(step / own))
        coarse.append([sum(column[first : first + joined]) for first in range(0, len(column), joined)])
    return tuple(map(sum, zip_longest(*coarse, fillvalue=0)))
