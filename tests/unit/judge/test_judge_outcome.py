"""Outcomes put together: the ledger, the phases, the series and what is kept out of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.judged import DURATION, SPANS, Event, Glance, acked, expect, outcome_of, random_events, record, steady

from plg.histogram import BUCKETS, Distribution
from plg.judge import rejudge
from plg.judge.outcome import scenario_hash
from plg.judge.series import COLUMNS, MAX_AFTER, MAX_ROWS, series
from plg.outcome import Ledger
from plg.redaction import redact
from plg.runner.recording import Recording

runs = st.builds(random_events, st.integers(0, 10_000), st.integers(0, 400), st.sampled_from([0.0, 0.1, 0.9]))


@settings(max_examples=40, deadline=None)
@given(runs)
def test_ledger_and_deviation_count_the_jobs(events: list[Event]) -> None:
    outcome = outcome_of(record(events))
    fates = [event.fate for event in events]
    assert outcome.ledger == Ledger(
        planned=len(events), sent=sum(e.sent is not None for e in events), cancelled=0,
        **{fate: fates.count(fate) for fate in ("shed", "late", "acked", "failed", "unknown")},
    )  # fmt: skip
    assert outcome.ledger.imbalance() == 0
    lost = len(events) - fates.count("acked")
    assert outcome.deviation == (lost / len(events) if events else None)


@settings(max_examples=40, deadline=None)
@given(runs, st.sampled_from([0.1, 0.3, 0.5, 1.0, 4.0]))
def test_series_add_up_to_the_ledger(events: list[Event], window: float) -> None:
    recording = record(events, window=window)
    columns = series(recording)
    ledger = Ledger.of(recording)
    assert tuple(columns) == COLUMNS
    assert {len(column) for column in columns.values()} == {len(columns["t_s"])}
    for name in ("planned", "sent", "shed", "late"):
        assert sum(v or 0 for v in columns[name]) == getattr(ledger, name)
    assert sum(v or 0 for v in columns["errors"]) == ledger.failed + ledger.unknown
    starts = [*(t or 0.0 for t in columns["t_s"])]
    ends = [*starts[1:], starts[-1] + window if starts[-1] >= DURATION else DURATION]
    rates = [v or 0.0 for v in columns["actual"]]
    assert sum(r * (b - a) for r, a, b in zip(rates, starts, ends, strict=True)) == pytest.approx(ledger.acked)


def test_series_rows_say_what_happened_in_them() -> None:
    slow = [acked(5.1, service=0.5), acked(5.2, service=0.01)]
    glances = [Glance(5.3, queue_depth=3, cpu=0.25, memory=2e6), Glance(5.4, queue_depth=9, queue_age=0.5, cpu=0.5)]
    columns = series(record([*steady(10, 0, 5), *slow], glances, window=1.0))
    row = {name: column[5] for name, column in columns.items()}
    assert row["t_s"] == 5.0
    assert (row["sent"], row["planned"], row["actual"], row["target"]) == (2, 2, 2, pytest.approx(2))
    assert (row["queue_depth"], row["queue_age_s"], row["cpu_percent"], row["memory_mb"]) == (9, 0.5, 50, 50)
    assert row["latency_max_s"] == pytest.approx(0.5)
    assert row["latency_p50_s"] == pytest.approx(0.01, rel=1 / 64)
    assert row["service_p99_s"] == pytest.approx(0.5, rel=1 / 64)
    empty = {name: column[7] for name, column in columns.items()}
    assert (empty["latency_p50_s"], empty["latency_max_s"], empty["queue_depth"], empty["lag_p99_s"]) == (None,) * 4
    assert (empty["sent"], empty["errors"], empty["actual"], empty["target"]) == (0, 0, 0, 0)


def test_series_go_on_while_the_queue_drains() -> None:
    glances = [Glance(t / 2, queue_depth=max(0, 30 - t)) for t in range(30)]
    columns = series(record([*steady(10), acked(9.99, service=1.2)], glances, window=1.0))
    assert columns["t_s"] == [float(t) for t in range(15)]
    assert columns["target"][9:12] == [pytest.approx(11), 0.0, 0.0]
    assert columns["actual"][10:12] == [1.0, 0.0]
    assert columns["queue_depth"][9:12] == [12, 10, 8]


def test_series_of_a_stopped_run_end_with_it() -> None:
    events = [*steady(10, 0, 6), acked(6.05, service=0.5), *(Event(e.due, "cancelled") for e in steady(10, 6.4))]
    columns = series(record(events, window=1.0, stop="guardrail", ended_s=6.3))
    assert columns["t_s"] == [float(t) for t in range(6)]
    assert columns["planned"] == [10, 10, 10, 10, 10, 11]
    assert columns["actual"][5] == pytest.approx(11 / 1.3)
    assert columns["target"][4] == pytest.approx(10)


@pytest.mark.parametrize("stop", [None, "signal"])
def test_series_are_bounded_whatever_the_run(stop: str | None) -> None:
    duration = 36_000.0
    glances = [Glance(duration + t * 100.0) for t in range(1000)]
    recording = record([acked(5.0)], glances, duration=duration, window=1.0, spans={}, stop=stop, ended_s=duration)
    rows = len(series(recording)["t_s"])
    assert rows <= MAX_ROWS + MAX_AFTER
    assert rows >= MAX_ROWS // 2


def test_phases_have_a_row_each_time_they_come() -> None:
    rows = outcome_of(record(steady(20))).phases
    assert [(row.name, row.start_s, row.duration_s) for row in rows] == [
        ("doors", 0.0, 4.0), ("crowd", 4.0, 2.0), ("stampede", 6.0, 2.0), ("crowd", 8.0, 1.0), ("stampede", 9.0, 1.0)
    ]  # fmt: skip
    assert [(row.planned, row.sent, row.acked) for row in rows] == [(n, n, n) for n in (80, 40, 40, 20, 20)]
    assert sum(row.planned for row in rows) == 200
    planned = {"phases": [{"name": "all", "start_s": 0.0, "duration_s": DURATION, "planned": 1, "peak_rate": 1.0}]}
    (row,) = outcome_of(record(steady(20)), plan_document=planned).phases
    assert (row.name, row.planned, row.deviation, row.latency["max"]) == ("all", 200, 0.0, pytest.approx(0.001))


def test_passwords_stay_out_of_an_outcome() -> None:
    url = "rediss://app:s3cret@queue.example:6380/2?password=s3cret&ssl=true"
    document = {"name": "sale", "target": {"url": {"env": "REDIS_URL", "default": url}}, "expect": []}
    outcome = outcome_of(record(steady(20)), document=document, url=url)
    assert "s3cret" not in json.dumps(outcome.scenario) + outcome.target.url
    assert outcome.target.url == "rediss://app:***@queue.example:6380/2?password=***&ssl=***"
    assert redact("redis://:pw@localhost") == "redis://:***@localhost"
    assert redact("redis://:p@ss@localhost") == "redis://:***@localhost"
    assert redact("redis://localhost:6379/0") == "redis://localhost:6379/0"
    assert redact("unix:///tmp/r.sock?db=1") == "unix:///tmp/r.sock?db=1"
    assert redact("embedded") == "embedded"


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(), documents, max_size=4))
def test_the_hash_is_of_the_meaning_and_not_of_the_spelling(document: dict[str, Any]) -> None:
    backwards = dict(reversed(document.items()))
    assert scenario_hash(document) == scenario_hash(backwards) == scenario_hash(json.loads(json.dumps(document)))
    assert scenario_hash({"a": document}) != scenario_hash({"b": document})
    assert scenario_hash({"rate": 10}) == scenario_hash({"rate": 10.0}) != scenario_hash({"rate": 10.5})


def test_judging_anew_changes_results_and_verdict_and_nothing_else() -> None:
    outcome = outcome_of(record(steady(20)), expectations=(expect("deviation", "<", 0.05),))
    assert (outcome.verdict, outcome.exit_code, len(outcome.expectations)) == ("pass", 0, 1)
    stricter = rejudge(outcome, [expect("acked", ">", 1000.0), expect("errors", "==", 0.0)])
    assert (stricter.verdict, stricter.exit_code) == ("fail", 3)
    assert [r.verdict for r in stricter.expectations] == ["fail", "pass"]
    for field in ("ledger", "series", "recording", "run_id", "started_at", "phases", "scenario_hash", "plan"):
        assert getattr(stricter, field) is getattr(outcome, field)
    back = rejudge(stricter, [expect("deviation", "<", 0.05)])
    assert (back.verdict, back.reason) == (outcome.verdict, outcome.reason)


class Consumers:
    """What reference workers report."""

    count, each, processed, foreign = 2, 0.005, 123, 4

    def wait_s(self) -> dict[str, float | None]:
        return dict.fromkeys(("p50", "p90", "p95", "p99", "p99.9", "max", "mean"))


def test_workers_and_remarks_are_carried_along() -> None:
    outcome = outcome_of(record(steady(20), errors=(("OOM", 3),)), workers=Consumers(), warnings=("mind this",))
    assert outcome.workers is not None
    assert (outcome.workers.count, outcome.workers.each_s, outcome.workers.processed) == (2, 0.005, 123)
    assert (outcome.warnings, outcome.errors) == (("mind this",), (("OOM", 3),))


def merged(a: Recording, b: Recording) -> Distribution:
    """Latency of both runs, by adding the dense counts."""
    parts = [r.histograms["latency"].over(r.whole()) for r in (a, b)]
    counts = np.zeros(BUCKETS, dtype=np.int64)
    for part in parts:
        counts += part.counts
    return Distribution(
        counts,
        sum(p.total for p in parts),
        sum(p.sum for p in parts),
        min(p.min for p in parts),
        max(p.max for p in parts),
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 200))
def test_cells_merge_into_the_whole(seed: int, jobs: int) -> None:
    """The histogram of a run is that of its halves added up, and its counters are theirs."""
    events = random_events(seed, jobs)
    whole, first, second = record(events), record(events[::2]), record(events[1::2])
    both = merged(first, second)
    one = whole.histograms["latency"].over(whole.whole())
    assert np.array_equal(one.counts, both.counts)
    assert (one.total, one.min, one.max) == (both.total, both.min, both.max)
    by_phase = [Ledger.of(whole).acked - sum(whole.total("acked", whole.within(p)) for p in SPANS.values())]
    assert by_phase == [0]
