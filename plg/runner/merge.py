"""Several recordings of one run, each by another generator, as the one recording that a single generator had made."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar, cast

import numpy as np

from plg.guardrails.guard import Hit
from plg.histogram import BUCKETS
from plg.measures import GAUGES
from plg.runner.far_merge import merge_far
from plg.runner.recording import Floats, Histograms, Ints, Recording, sample_step
from plg.runner.sampler import SampleLog
from plg.stop import STOPS, Stop

MOST_ERROR_TEXTS = 20
Column = TypeVar("Column", Ints, Floats)
OWN = ("max_cpu", "max_memory")
"""Guardrails on a generator itself: their excursions are each shard's own and stay apart."""
COUNTED = ("max_total_jobs", "max_duration")
"""Limits that every shard reaches once, at almost the same moment."""


class CannotMerge(ValueError):
    """The recordings are not parts of one run; the message says why."""


def merge(parts: Sequence[Recording], shards: int, limits: Mapping[str, float]) -> Recording:
    """The recording of the whole run from those of its shards.

    ``shards`` is the number of shards of the run, also of those that are not among ``parts``; ``limits`` are the
    guardrails of the whole run by name. Counters and histograms add up exactly. Samples stand side by side in order of
    time, so that the maximum of any stretch is the largest that any shard saw: of the queue, which all of them look
    at, and of their own processor time and memory, which are never added. The queue has drained when the last shard
    has seen it drain, and what is left is what the last look of all found. Raises `CannotMerge` where the
    parts were not cut alike.
    """
    first = parts[0]
    for part in parts[1:]:
        if not np.array_equal(part.edges, first.edges) or dict(part.spans) != dict(first.spans):
            raise CannotMerge("the recordings are cut differently: they are not of one plan")
    times, samples = _samples(parts)
    last = max(parts, key=lambda part: float(part.sample_times.max(initial=0.0)))
    stop, stopped_s = _gravest(parts)
    return replace(
        first,
        counters={name: _total([part.counters[name] for part in parts]) for name in _in_all(parts, "counters")},
        histograms={
            name: merge_histograms([part.histograms[name] for part in parts]) for name in _in_all(parts, "histograms")
        },
        sample_times=times,
        samples=samples,
        target_rate=_total([part.target_rate for part in parts]),
        allowed_rate=_total([part.allowed_rate for part in parts]),
        hits=merge_hits(parts, shards, limits),
        ended_s=max(part.ended_s for part in parts),
        start_depth=min((p.start_depth for p in parts if p.start_depth is not None), default=None),
        end_depth=last.end_depth,
        start_untaken=min((p.start_untaken for p in parts if p.start_untaken is not None), default=None),
        end_untaken=last.end_untaken,
        end_age_s=last.end_age_s,
        last_send_s=max((p.last_send_s for p in parts if p.last_send_s is not None), default=None),
        drain_s=_all_drained(parts),
        drain_waited_s=max((p.drain_waited_s for p in parts if p.drain_waited_s is not None), default=None),
        sample_step=max((sample_step(part) for part in parts), default=0.0),
        stop=stop.name if stop else None,
        stop_detail=stop.detail if stop else "",
        stop_by=stop.by if stop else "",
        stop_s=stopped_s,
        taken=_any_taken([part.taken for part in parts]),
        lost=_lost([part.lost for part in parts if part.lost]),
        errors=_errors(parts),
        residue_said="the shards of a run do not look what it left: plg clean RUN --dry-run does",
        far=merge_far([part.far for part in parts]),
        stalls=tuple(sorted((stall for part in parts for stall in part.stalls), key=lambda stall: stall.start_s)),
    )


def _in_all(parts: Sequence[Recording], kind: str) -> list[str]:
    """The columns that every shard has: where one did not read what the workers did, nobody knows the whole."""
    return [name for name in getattr(parts[0], kind) if all(name in getattr(part, kind) for part in parts)]


def _gravest(parts: Sequence[Recording]) -> tuple[Stop | None, float | None]:
    """The stop of the whole run and when it was: the gravest, and of equal ones the first."""
    stopped = [
        (STOPS.index(part.stop), part.ended_s, Stop(part.stop, part.stop_detail, part.stop_by))
        for part in parts
        if part.stop
    ]
    if not stopped:
        return None, None
    _, moment, stop = min(stopped, key=lambda each: each[:2])
    return stop, moment


def _lost(found: Sequence[str]) -> str:
    """All reasons; of those that every shard gives by its own looks, one stands for all."""
    return "; ".join({text.partition(":")[0]: text for text in sorted(found, key=len)}.values())


def _any_taken(found: Sequence[bool | None]) -> bool | None:
    if any(found):
        return True
    return None if None in found else False


def _total(columns: Sequence[Column]) -> Column:
    return cast(Column, np.sum(columns, axis=0))


def merge_histograms(parts: Sequence[Histograms]) -> Histograms:
    """Cell by cell the histogram of all samples of the parts."""
    cells = len(parts[0].sums)
    keys = np.concatenate([np.repeat(np.arange(cells), np.diff(h.offsets)) * BUCKETS + h.buckets for h in parts])
    found, where = np.unique(keys, return_inverse=True)
    counts = np.zeros(len(found), dtype=np.int64)
    np.add.at(counts, where, np.concatenate([h.counts for h in parts]))
    offsets = np.searchsorted(found, np.arange(cells + 1) * BUCKETS)
    return Histograms(
        offsets.astype(np.int64), (found % BUCKETS).astype(np.int64), counts,
        np.sum([h.sums for h in parts], axis=0),
        np.min([h.minima for h in parts], axis=0), np.max([h.maxima for h in parts], axis=0),
    )  # fmt: skip


def _samples(parts: Sequence[Recording]) -> tuple[Floats, dict[str, Floats]]:
    """All samples in order of time, as many as one run keeps: beyond that neighbours are joined as it joins them."""
    times = np.concatenate([part.sample_times for part in parts])
    untaken = [np.full(len(part.sample_times), np.nan) for part in parts]  # an earlier plg did not take all of them
    columns = [
        np.concatenate([part.samples.get(name, none) for part, none in zip(parts, untaken, strict=True)])
        for name in GAUGES
    ]
    order = np.argsort(times, kind="stable")
    log = SampleLog()
    for row in np.stack([times, *columns], axis=1)[order]:
        log.add_row(row)
    return log.columns()


def _all_drained(parts: Sequence[Recording]) -> float | None:
    sent = [part for part in parts if part.total("sent")]  # where nothing was sent, nothing had to drain
    drained = [part.drain_s for part in sent if part.drain_s is not None]
    return max(drained, default=None) if len(drained) == len(sent) else None


def _errors(parts: Sequence[Recording]) -> tuple[tuple[str, int], ...]:
    tally: Counter[str] = Counter()
    for part in parts:
        for text, count in part.errors:
            tally[text] += count
    # `most_common` keeps the order of arrival among equals.
    return tuple(tally.most_common(MOST_ERROR_TEXTS))


def merge_hits(parts: Sequence[Recording], shards: int, limits: Mapping[str, float]) -> tuple[Hit, ...]:
    """The excursions of the whole run: those that several shards saw at the same time are one.

    A shard of n asks for the n-th part of the rate, so the rate asked for is n times that of any of them. Jobs are
    added up: of a limit that was reached, all that were planned. Of a common gauge the largest reading stands, of the
    reactions to it the slowest.
    """
    found: list[tuple[Hit, list[tuple[int, Hit]]]] = []
    everything = sorted(
        ((shard, hit) for shard, part in enumerate(parts) for hit in part.hits),
        key=lambda entry: (entry[1].guardrail, entry[1].action, entry[1].start_s, entry[1].end_s),
    )
    for shard, hit in everything:
        if found and hit.guardrail not in OWN and _together(found[-1][0], hit):
            whole, members = found[-1]
            members.append((shard, hit))
            found[-1] = replace(whole, end_s=max(whole.end_s, hit.end_s)), members
        else:
            found.append((hit, [(shard, hit)]))
    planned = sum(part.total("planned") for part in parts)
    merged = [
        replace(
            hit,
            requested=_requested(hit, members, shards, planned),
            allowed=limits.get(hit.guardrail, hit.allowed),
            reaction_s=max((m.reaction_s for _, m in members if m.reaction_s is not None), default=None),
        )
        for hit, members in found
    ]
    return tuple(sorted(merged, key=lambda hit: (hit.start_s, hit.guardrail)))


def _together(whole: Hit, hit: Hit) -> bool:
    if (whole.guardrail, whole.action) != (hit.guardrail, hit.action):
        return False
    once = hit.action == "stop" or (hit.guardrail in COUNTED and hit.action != "warn")
    return once or hit.start_s < whole.end_s or hit.start_s == whole.start_s


def _requested(hit: Hit, members: Sequence[tuple[int, Hit]], shards: int, planned: int) -> float:
    largest = max(member.requested for _, member in members)
    if hit.guardrail == "max_rate":
        return largest * shards
    if hit.guardrail != "max_total_jobs":
        return largest
    if hit.action != "warn":
        return planned
    by_shard = dict.fromkeys((shard for shard, _ in members), 0.0)
    for shard, member in members:
        by_shard[shard] = max(by_shard[shard], member.requested)
    return math.fsum(by_shard.values())
