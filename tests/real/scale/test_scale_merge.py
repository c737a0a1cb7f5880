"""Recordings of shards put together are the recording of the whole."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.judged import Event, Glance, random_events, record, steady
from support.scale_runs import WAVES, scenario, simulate, with_limits
from support.virtual_runs import confirmed, grid_of

from plg.guardrails.guard import Hit
from plg.histogram import bucket_of
from plg.runner.merge import CannotMerge, merge, merge_histograms
from plg.runner.recorder import Recorder
from plg.runner.recording import COUNTERS, TIMES, Histograms, Recording, cell_edges

WHOLE = {"max_rate": 400.0, "max_total_jobs": 100_000.0, "max_duration": 60.0}


def same_histograms(a: Histograms, b: Histograms) -> None:
    for column in fields(Histograms):
        left, right = getattr(a, column.name), getattr(b, column.name)
        if column.name == "sums":  # floating sums depend on their order, by no more than rounding
            assert left == pytest.approx(right, rel=1e-12)
        else:
            assert left.dtype == right.dtype
            assert left.tolist() == right.tolist(), column.name


def same_measurements(a: Recording, b: Recording) -> None:
    for name in COUNTERS:
        assert a.counters[name].tolist() == b.counters[name].tolist(), name
    for name in TIMES:
        same_histograms(a.histograms[name], b.histograms[name])
    assert a.target_rate == pytest.approx(b.target_rate)
    assert a.allowed_rate == pytest.approx(b.allowed_rate)
    assert a.edges.tolist() == b.edges.tolist()
    assert a.spans == b.spans


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 400), st.integers(1, 8), st.data())
def test_any_division_of_the_same_samples_merges_into_one(
    seed: int, jobs: int, shards: int, data: st.DataObject
) -> None:
    events = random_events(seed, jobs)
    glances = [Glance(t / 7, float(t % 5), t / 3, 0.1 * (t % 4), 5e7, t % 3, t % 2, 1 + t % 6) for t in range(60)]
    owner = data.draw(st.lists(st.integers(0, shards - 1), min_size=len(events), max_size=len(events)))
    parts = [
        record([e for e, who in zip(events, owner, strict=True) if who == i], glances[i::shards]) for i in range(shards)
    ]
    whole = record(events, glances)
    merged = merge(data.draw(st.permutations(parts)), shards, WHOLE)
    same_measurements(merged, whole)
    assert merged.sample_times.tolist() == whole.sample_times.tolist()
    for name, column in whole.samples.items():
        assert merged.samples[name].tolist() == column.tolist()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.floats(0, 40), max_size=40), min_size=1, max_size=6), st.integers(1, 12))
def test_histograms_of_the_recorder_merge_exactly(parts: list[list[float]], cells: int) -> None:
    edges = cell_edges(10.0, 10.0 / cells, [])

    def histograms(values: list[float]) -> Histograms:
        recorder = Recorder(grid_of(edges))
        for value in values:
            recorder.take(confirmed(np.array([value % 10]), value % 10, value % 10 + value))
        return recorder.histograms()["latency"]

    merged = merge_histograms([histograms(part) for part in parts])
    same_histograms(merged, histograms([value for part in parts for value in part]))
    everything = np.array([value for part in parts for value in part])
    taken = (everything % 10 + everything) - everything % 10  # as the recorder sees them
    counted = np.zeros(int(merged.buckets.max(initial=0)) + 1, dtype=np.int64)
    np.add.at(counted, merged.buckets, merged.counts)
    expected = np.bincount(bucket_of(taken), minlength=len(counted)) if len(taken) else counted
    assert counted.tolist() == expected.tolist()


@pytest.mark.parametrize("poisson", [False, True])
@pytest.mark.parametrize("shards", [2, 3, 7])
def test_shards_run_by_engines_of_their_own_merge_into_the_run_of_one(shards: int, poisson: bool) -> None:
    of = scenario(WAVES, poisson=poisson)
    alone, _, _ = simulate(of)
    merged = merge([simulate(of, (i, shards))[0] for i in range(shards)], shards, WHOLE)
    for name in ("planned", "shed", "late", "cancelled"):  # what stands at the due time stands in the same cell
        assert merged.counters[name].tolist() == alone.counters[name].tolist(), name
    for name in ("sent", "acked", "failed", "unknown"):
        assert merged.total(name) == alone.total(name)
    assert merged.target_rate == pytest.approx(alone.target_rate)
    assert merged.allowed_rate == pytest.approx(alone.allowed_rate)
    assert merged.histograms["latency"].over(merged.whole()).total == alone.total("acked")
    clips, before = [hit for hit in merged.hits if hit.action == "clip"], [h for h in alone.hits if h.action == "clip"]
    assert len(clips) == len(before) == 3
    for hit, one in zip(clips, before, strict=True):
        assert (hit.start_s, hit.allowed) == (one.start_s, one.allowed)
        assert hit.end_s == pytest.approx(one.end_s)
        assert hit.requested == pytest.approx(one.requested)


def test_a_total_that_cuts_the_run_is_one_hit_of_the_whole() -> None:
    of = scenario(WAVES, with_limits(max_total_jobs=900))
    alone, _, _ = simulate(of)
    merged = merge([simulate(of, (i, 4))[0] for i in range(4)], 4, {**WHOLE, "max_total_jobs": 900.0})
    assert (merged.stop, merged.stop_detail) == (alone.stop, alone.stop_detail) == ("guardrail", "max_total_jobs")
    assert merged.total("sent") == alone.total("sent") == 900
    [hit] = [hit for hit in merged.hits if hit.guardrail == "max_total_jobs" and hit.action == "stop"]
    [one] = [hit for hit in alone.hits if hit.guardrail == "max_total_jobs" and hit.action == "stop"]
    assert (hit.requested, hit.allowed) == (one.requested, one.allowed)
    assert hit.start_s == pytest.approx(one.start_s, abs=0.05)


def made(**more: object) -> Recording:
    return record(steady(4), **more)


def test_excursions_that_shards_share_are_one_and_their_own_are_not() -> None:
    def hits(*found: Hit) -> Recording:
        return made(hits=found)

    common = [hits(Hit("max_queue_depth", 1.0 + d, 2.0 + d, 60.0 + d, 50.0, "warn")) for d in (0.0, 0.1)]
    assert merge(common, 2, WHOLE).hits == (Hit("max_queue_depth", 1.0, 2.1, 60.1, 50.0, "warn"),)
    apart = [
        hits(Hit("max_queue_depth", 1.0, 2.0, 60.0, 50.0, "warn"), Hit("max_queue_depth", 3.0, 4.0, 55.0, 50.0, "warn"))
    ]
    assert len(merge(apart * 2, 2, WHOLE).hits) == 2
    own = [hits(Hit("max_cpu", 1.0, 2.0, 0.9, 0.8, "warn"))]
    assert len(merge(own * 3, 3, WHOLE).hits) == 3
    stopped = [hits(Hit("max_queue_depth", 1.0, 1.0, 60.0, 50.0, "stop", late)) for late in (0.08, 0.12, None)]
    assert [hit.reaction_s for hit in merge(stopped, 3, WHOLE).hits] == [0.12]
    warned = [hits(Hit("max_total_jobs", 1.0, 9.0, sent, 10.0, "warn")) for sent in (8.0, 9.0)]
    assert merge(warned, 2, {"max_total_jobs": 20.0}).hits == (Hit("max_total_jobs", 1.0, 9.0, 17.0, 20.0, "warn"),)
    mixed = [hits(Hit("max_rate", 1.0, 2.0, 30.0, 20.0, "clip"), Hit("max_rate", 1.0, 2.0, 16.0, 20.0, "warn"))]
    assert len(merge(mixed * 2, 2, {"max_rate": 40.0}).hits) == 2
    assert merge(mixed * 2, 2, {"max_rate": 40.0}).hits[0].requested == 60.0


def test_the_gravest_stop_stands_and_the_last_end() -> None:
    breach = made(stop="expectation", stop_detail="e", ended_s=4.0)
    parts = [made(), breach, made(stop="guardrail", stop_detail="max_cpu", ended_s=3.0)]
    merged = merge(parts, 3, WHOLE)
    assert (merged.stop, merged.stop_detail, merged.ended_s) == ("guardrail", "max_cpu", 10.0)
    lost = [*parts, made(stop="target", stop_detail="gone"), made(stop="signal", stop_detail="SIGTERM")]
    assert merge(lost[:4], 4, WHOLE).stop == "target"
    assert merge(lost, 5, WHOLE).stop_detail == "SIGTERM"
    assert merge([made(), made()], 2, WHOLE).stop is None


def test_the_moment_of_a_stop_is_that_of_the_shard_that_was_stopped() -> None:
    merged = merge([made(ended_s=10.0), made(stop="signal", stop_detail="SIGINT", ended_s=4.5)], 2, WHOLE)
    assert (merged.stop, merged.stopped_s, merged.ended_s) == ("signal", 4.5, 10.0)
    assert merge([made(ended_s=10.0), made(ended_s=9.0)], 2, WHOLE).stop_s is None


def test_the_queue_is_drained_when_the_last_shard_saw_it() -> None:
    drained = [made(drain_s=d, drain_waited_s=d, start_depth=s) for d, s in ((1.0, 5), (2.5, 3))]
    merged = merge(drained, 2, WHOLE)
    assert (merged.drain_s, merged.drain_waited_s, merged.start_depth) == (2.5, 2.5, 3)
    stuck = merge([*drained, made(drain_s=None, drain_waited_s=30.0)], 3, WHOLE)
    assert (stuck.drain_s, stuck.drain_waited_s) == (None, 30.0)
    assert merge([made(drain_s=None, drain_waited_s=None)] * 2, 2, WHOLE).drain_waited_s is None
    silent = made(
        drain_s=None, drain_waited_s=None, counters={**drained[0].counters, "sent": 0 * drained[0].counters["sent"]}
    )
    assert merge([*drained, silent], 3, WHOLE).drain_s == 2.5
    assert merge([silent, silent], 2, WHOLE).drain_s is None


def test_errors_add_up_by_text() -> None:
    parts = [made(errors=(("OOM", 2), ("LOADING", 1))), made(errors=(("OOM", 5),))]
    assert merge(parts, 2, WHOLE).errors == (("OOM", 7), ("LOADING", 1))


def test_what_a_server_lost_is_said_once() -> None:
    parts = [replace(record(steady(5)), lost=lost) for lost in ("", "it was restarted", "it was restarted")]
    assert merge(parts, 3, WHOLE).lost == "it was restarted"


def test_own_processor_time_and_memory_are_not_added() -> None:
    parts = [record([], [Glance(1.0, 7.0, 0.0, 0.6, 4e7)]), record([], [Glance(1.0, 9.0, math.nan, 0.5, 6e7)])]
    merged = merge(parts, 2, WHOLE)
    assert [float(np.nanmax(merged.samples[name])) for name in ("queue_depth", "cpu", "memory")] == [9.0, 0.6, 6e7]


def test_the_last_look_of_all_shards_tells_what_is_left() -> None:
    early = record([], [Glance(1.0)], end_depth=7, end_age_s=3.0, last_send_s=9.0)
    late = record([], [Glance(2.0)], end_depth=4, end_age_s=4.0, last_send_s=8.0)
    merged = merge([early, late], 2, WHOLE)
    assert (merged.end_depth, merged.end_age_s, merged.last_send_s) == (4, 4.0, 9.0)


def test_many_samples_are_thinned_and_keep_their_peaks() -> None:
    count = 12_000
    part = replace(
        record([]), sample_times=np.arange(count) / count * 10,
        samples={name: np.arange(count, dtype=float) for name in ("queue_depth", "queue_age", "cpu", "memory")},
    )  # fmt: skip
    merged = merge([part] * 3, 3, WHOLE)
    assert len(merged.sample_times) <= 16_384
    assert merged.samples["queue_depth"].max() == count - 1


def test_recordings_that_are_cut_differently_are_refused() -> None:
    with pytest.raises(CannotMerge, match="cut differently"):
        merge([made(), record(steady(4), window=0.25)], 2, WHOLE)
    with pytest.raises(CannotMerge, match="cut differently"):
        merge([made(), record(steady(4), spans={})], 2, WHOLE)


def test_the_ledger_of_the_whole_is_the_sum() -> None:
    parts = [record([Event(1.0, "late"), *steady(3)]), record([Event(2.0, "shed"), *steady(5)])]
    merged = merge(parts, 2, WHOLE)
    assert {name: merged.total(name) for name in ("planned", "late", "shed", "acked")} == {
        "planned": 82, "late": 1, "shed": 1, "acked": 80,
    }  # fmt: skip
