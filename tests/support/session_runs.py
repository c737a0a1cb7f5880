"""Scenarios for real runs, and how what the server holds is read."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from plg import session
from plg.notices import notices
from plg.outcome import Outcome

LIMITS = "guardrails { max_rate 5000/s max_total_jobs 100_000 max_duration 1m }"


JOB = 'job job { queue "q" payload { n: "${seq}" } }'


def scenario(traffic: str, *rest: str, jobs: str = JOB, arrivals: str = "", limits: str = LIMITS) -> str:
    """The text of a scenario with this traffic; ``rest`` are further clauses."""
    return "\n".join(['scenario "real run" {', jobs, f"traffic {arrivals} {{ {traffic} }}", limits, *rest, "}"])


@dataclass
class Played:
    """A finished run and the server it loaded, seen by another client."""

    outcome: Outcome
    client: Any

    def raw(self, key: str = "q") -> list[bytes]:
        """What the key holds, in the order in which workers would take it."""
        if self.client.type(key) == b"stream":
            return [fields[b"job"] for _, fields in self.client.xrange(key)]
        return list(self.client.lrange(key, 0, -1)[::-1])

    def jobs(self, *keys: str) -> list[dict[str, Any]]:
        return [json.loads(job) for key in keys or ("q",) for job in self.raw(key)]

    @property
    def started(self) -> float:
        """The first moment of the schedule, in seconds since the epoch."""
        return datetime.fromisoformat(self.outcome.started_at).timestamp()

    def all_there(self, *keys: str) -> list[dict[str, Any]]:
        """The jobs of the keys, found to be those of the ledger: each once, in order, stamped during the run."""
        jobs, ledger = self.jobs(*keys), self.outcome.ledger
        assert ledger.imbalance() == 0
        assert ledger.planned == ledger.acked == len(jobs) == sum(self.length(key) for key in keys or ("q",))
        assert sorted(job["seq"] for job in jobs) == list(range(ledger.planned))
        assert max(Counter(job["id"] for job in jobs).values()) == 1
        assert {job["run"] for job in jobs} == {self.outcome.run_id}
        for key in keys or ("q",):
            order = [job["seq"] for job in self.jobs(key)]
            assert order == sorted(order), f"{key} is not first in, first out"
        ends = self.started - 0.002, self.started + self.outcome.duration_s + self.late + 0.002
        assert all(ends[0] <= job["enqueued_at"] <= ends[1] for job in jobs)
        return jobs

    def kept(self) -> None:
        """Every expectation held. (Whether this machine held the schedule is another matter.)"""
        results = self.outcome.expectations
        assert [r for r in results if r.verdict != "pass"] == [], self.outcome.reason
        assert self.outcome.exit_code in (0, 5), self.outcome.reason

    def length(self, key: str) -> int:
        return int(self.client.xlen(key) if self.client.type(key) == b"stream" else self.client.llen(key))

    @property
    def late(self) -> float:
        """The longest that any job left after it was due (s), by the outcome's own account."""
        return self.outcome.lag_s["max"] or 0.0


def due_times(rate, duration: float, points: int = 400_001) -> np.ndarray:
    """Where uniform arrivals stand for ``rate(t)``, by a fine sum rather than by plg's closed forms."""
    t = (np.arange(points) + 0.5) * duration / points
    total = np.concatenate([[0.0], np.cumsum(rate(t)) * duration / points])
    halves = np.arange(0.5, total[-1] + 1e-6, 1.0)
    return np.interp(halves, total, np.linspace(0.0, duration, points + 1))


class Meanwhile:
    """Does something to the server so many seconds after all is ready, in a thread beside; ends what it began."""

    def __init__(self, at, act) -> None:
        self._timer = threading.Timer(at, act)
        self.observer = session.Observer(before_start=self._timer.start)

    def __enter__(self):
        return self.observer

    def __exit__(self, *_):
        self._timer.join()


def verdicts(played):
    """The verdict of each line, by its measure."""
    return {result.text.split()[0]: result.verdict for result in played.outcome.expectations}


def said_first(played) -> list[str]:
    """What every report of the run begins with."""
    return [notice.text for notice in notices(played.outcome)]
