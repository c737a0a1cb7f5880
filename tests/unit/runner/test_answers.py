"""Answers in columns: rows keep what belongs to them when they are joined and chosen, and each of those who take them
counts all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.virtual_runs import grid_of

from plg.answers import Answers
from plg.guardrails.guard import ErrorRate
from plg.guardrails.limiter import RateLimiter
from plg.runner.recorder import Recorder

row = st.tuples(st.integers(1, 5), st.sampled_from(["confirmed", "timed", "failed", "unknown"]))
parts = st.lists(st.lists(row, max_size=5), min_size=1, max_size=6)


def answers_of(rows, first=0):
    """Row i is of the moment ``first + i``, sent half a second before; its jobs were due a second before."""
    answers = Answers()
    for at, (jobs, fate) in enumerate(rows):
        moment = float(first + at)
        answers.dues.append(np.full(jobs, moment - 1.0))
        answers.sizes.append(jobs)
        answers.moments.append(moment)
        if fate in ("timed", "failed"):
            answers.sent[at] = moment - 0.5
        if fate == "timed":
            answers.timed.append(at)
        elif fate != "confirmed":
            getattr(answers, fate)[at] = f"ERR {moment:g}"
    return answers


def rows_of(answers):
    """Each row with all that belongs to it."""
    return [
        (
            due.tolist(), answers.sizes[i], answers.moments[i], i in answers.timed, answers.sent.get(i),
            answers.failed.get(i), answers.unknown.get(i),
        )
        for i, due in enumerate(answers.dues)
    ]  # fmt: skip


@given(parts)
def test_joined_rows_are_those_of_the_parts(parts):
    joined, rows, first = Answers(), [], 0
    for part in parts:
        some = answers_of(part, first)
        first += len(part)
        rows += rows_of(some)
        joined.extend(some)
    assert rows_of(joined) == rows
    assert rows_of(joined.confirmed()) == [each for each in rows if each[5] is None and each[6] is None]


@given(parts)
def test_who_takes_answers_counts_each_job_once(parts):
    """The rate limiter, the error rate and the recorder."""
    rows = [each for part in parts for each in part]
    jobs = {fate: sum(size for size, of in rows if of == fate) for fate in ("confirmed", "timed", "failed", "unknown")}
    every = sum(jobs.values())
    limiter, errors = RateLimiter(1000, 1.0), ErrorRate(1000.0)
    recorder = Recorder(grid_of(np.array([-10.0, 5.0, 100.0, np.inf])))
    limiter.leave(every)
    first = 0
    for part in parts:
        answers = answers_of(part, first)
        first += len(part)
        if answers:
            for taker in (limiter, errors, recorder):
                taker.take(answers)
    later = first + 10.0
    assert limiter.allowance(later) == 1000 - jobs["unknown"]
    limiter.resolve(later)
    assert limiter.allowance(later + 0.5) == 1000 - jobs["unknown"], "they may have been executed just now"
    assert limiter.allowance(later + 1.0) == 1000
    if every:
        assert errors.value(later) == pytest.approx((jobs["failed"] + jobs["unknown"]) / every)
    counted = {name: int(recorder.counters[name].sum()) for name in ("acked", "failed", "unknown")}
    assert counted == {
        "acked": jobs["confirmed"] + jobs["timed"], "failed": jobs["failed"], "unknown": jobs["unknown"]
    }  # fmt: skip
    assert (recorder.acked, recorder.errors) == (counted["acked"], jobs["failed"] + jobs["unknown"])
    totals = {name: int(found.counts.sum()) for name, found in recorder.histograms().items()}
    assert totals == {"lag": 0, "latency": counted["acked"], "service_time": jobs["timed"]}
