"""One test as the server knows it: what its process told, put into the words of the service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from plg.server.history import Curves, Messages, known
from plg.server.problems import fault_of

if TYPE_CHECKING:
    from plg.runs.launcher import Handle

ENDED = ("completed", "stopped", "failed", "interrupted")
STATES = ("queued", "running", "draining", *ENDED)
LEDGER = ("planned", "sent", "shed", "late", "cancelled", "acked", "failed", "unknown")
_METRICS_EVERY = 1.0
"""Seconds of the run between two messages on gauges and percentiles."""
_RATE_OVER = 1.0
"""Seconds over which the rate is taken at which workers empty the queue."""

Fields = dict[str, Any]


class LoadTest:
    """A test that was started here, or of which an earlier server left a record. All of it is used by one thread."""

    def __init__(self, test_id: str, planned: Mapping[str, Any], account: str, started_at: str) -> None:
        plan = planned["plan"]
        self.id, self.account, self.started_at = test_id, account, started_at
        self.name, self.target, self.pattern = planned["name"], planned["target"], planned["type"]
        self.document: Mapping[str, Any] = planned["document"]
        self.plan: Mapping[str, Any] = {name: plan[name] for name in ("duration_s", "planned", "peak_rate", "phases")}
        self.limits: Mapping[str, Any] = planned["limits"]
        self.warnings: Sequence[Mapping[str, Any]] = planned["warnings"]
        self.expectations: list[Fields] = [
            {**line, "verdict": None, "observed": None, "margin": None, "turned_s": None}
            for line in planned["expectations"]
        ]
        self.status, self.reason = "queued", ""
        self.verdict: str | None = None
        self.exit_code: int | None = None
        self.duration_s: float | None = None
        self.ledger: Fields = dict.fromkeys(LEDGER, 0) | {"planned": plan["planned"]}
        self.row: Mapping[str, Any] = {}
        self.violations: list[Fields] = []
        self.faults: list[Fields] = []
        self.curves, self.messages = Curves(), Messages()
        self.handle: Handle | None = None
        self.pid: int | None = None
        self.stop_asked = False
        self.stopped_by: str | None = None
        self.listeners: set[asyncio.Event] = set()
        self.over = asyncio.Event()
        self.told_at = time.time()
        self._next_metrics = 0.0
        self._before: tuple[float, float, float] | None = None
        self._processing: float | None = None

    @property
    def ended(self) -> bool:
        """Whether the test is over."""
        return self.status in ENDED

    # -- what its process tells -----------------------------------------------------------------------------------

    def hear(self, event: Any) -> None:
        """Take in an event of `plg.runs.events`; those that end a test come as `finish` and `fail`."""
        if self.ended:
            return
        if event.kind == "windows":
            for row in event.rows:
                self._take(row)
        elif event.kind == "hit":
            self._violated(event)
        elif event.kind == "judged":
            self._judged(event)
        elif event.kind == "waiting":
            self.reason = event.words
        elif event.kind == "stopping":
            self.status = "draining"
        self._wake()

    def began(self) -> None:
        """The schedule begins."""
        self.status, self.reason = "running", ""

    def _take(self, row: Mapping[str, Any]) -> None:
        self.row, self.told_at = row, time.time()
        self.status = "draining" if row["stage"] == "draining" or self.status == "draining" else "running"
        self.reason = ""
        self.ledger = {
            **self.ledger, "sent": row["sent"], "shed": row["shed"], "late": row["late"], "acked": row["acked"],
            "failed": row["failed"], "unknown": row["unknown"],
        }  # fmt: skip
        rates = {name: known(row[f"{name}_rate"]) for name in ("target", "allowed", "actual")}
        counts = {"queue_depth": known(row["queue_depth"]), "sent": row["sent"], "acked": row["acked"]}
        seq = self.messages.add("rate_update", row["t"], {**rates, **counts})
        self.curves.add(seq, [_number(value) for value in _values(row)])
        self._processed(row)
        if row["t"] >= self._next_metrics:
            self._next_metrics = row["t"] + _METRICS_EVERY
            self.messages.add("metrics_update", row["t"], self._metrics())

    def _metrics(self) -> Fields:
        row = self.row
        return {
            "cpu_percent": known(_times(row["cpu"], 100)), "memory_mb": known(_times(row["memory"], 1e-6)),
            "queue_depth": known(row["queue_depth"]), "queue_age_s": known(row["queue_age"]), "errors": row["errors"],
            "lag_p99_s": known(row["lag_p99"]),
            "latency": {name: known(row[f"latency_{name}"]) for name in ("p50", "p95", "p99")},
            "ledger": {name: self.ledger[name] for name in LEDGER}, "due": row["due"],
        }  # fmt: skip

    def _processed(self, row: Mapping[str, Any]) -> None:
        """The rate at which jobs left the queue: what was confirmed and did not stay in it."""
        if row["queue_depth"] is None:
            self._before = self._processing = None
            return
        now = (row["t"], float(row["acked"]), float(row["queue_depth"]))
        if self._before is None:
            self._before = now
        elif now[0] - self._before[0] >= _RATE_OVER:
            seconds, acked, deeper = (new - old for new, old in zip(now, self._before, strict=True))
            self._processing, self._before = max(0.0, (acked - deeper) / seconds), now

    def _violated(self, event: Any) -> None:
        fields = {
            "guardrail": event.guardrail, "action": event.action, "requested": known(event.requested),
            "allowed": known(event.allowed),
        }  # fmt: skip
        self.violations.append({"at_s": known(event.at_s), **fields})
        self.messages.add("violation", event.at_s, fields)

    def _judged(self, event: Any) -> None:
        found = judgement(event)
        for line in self.expectations:
            if line["text"] == event.text and line["verdict"] is None:
                line.update(found, turned_s=known(self.row.get("t")) if event.verdict == "fail" else None)
                break
        self.messages.add("expectation", self.row.get("t"), {"text": event.text, "level": event.level, **found})

    # -- how it ends ----------------------------------------------------------------------------------------------

    def finish(self, summary: Mapping[str, Any]) -> None:
        """The test is over, and this is what `plg.server.records.summary` says of its outcome."""
        self.status, self.verdict, self.exit_code = summary["status"], summary["verdict"], summary["exit_code"]
        self.reason, self.duration_s, self.ledger = summary["reason"], summary["duration_s"], dict(summary["ledger"])
        self.expectations = list(summary["expectations"])
        self._complete()

    def fail(self, faults: Sequence[Mapping[str, Any]], exit_code: int) -> None:
        """The test came to no outcome, for these faults."""
        self.faults = [fault_of(each) for each in faults]
        interrupted = exit_code > 128
        self.status, self.exit_code = "interrupted" if interrupted else "failed", exit_code
        self.verdict = "interrupted" if interrupted else "error"
        self.reason = self.faults[0]["message"] if self.faults else "its process ended without a word"
        self.duration_s = self.row.get("t")
        self._complete()

    def _complete(self) -> None:
        self.handle = None
        fields = {"status": self.status, "verdict": self.verdict, "exit_code": self.exit_code, "reason": self.reason}
        self.messages.add("completion", self.duration_s, fields)
        self.over.set()
        self._wake()

    def _wake(self) -> None:
        for listener in self.listeners:
            listener.set()

    # -- what is answered of it -----------------------------------------------------------------------------------

    def item(self) -> Fields:
        """The entry of a list."""
        return {
            "test_id": self.id, "name": self.name, "status": self.status, "verdict": self.verdict,
            "started_at": self.started_at, "started_by": self.account,
            "duration_s": self.duration_s if self.ended else known(self.row.get("t")), "target": self.target,
            "planned": self.plan["planned"], "acked": self.ledger["acked"],
        }  # fmt: skip

    def report(self) -> Fields:
        """All that is known of its present state."""
        row, live = self.row, not self.ended
        rates = {f"{name}_rate": known(row.get(f"{name}_rate")) if live else 0.0 for name in _RATES}
        return {
            **self.item(), "exit_code": self.exit_code, "reason": self.reason,
            "elapsed_s": known(row.get("t", 0.0)) if live else self.duration_s,
            "planned_duration_s": self.plan["duration_s"], **rates, "ledger": self.ledger,
            "queue_health": self._health(), "expectations": self.expectations, "violations": self.violations[-100:],
            "limits": self.limits, "phases": self.plan["phases"], "stopped_by": self.stopped_by,
            "warnings": self.warnings, "faults": self.faults, "seq": self.messages.seq,
        }  # fmt: skip

    def _health(self) -> Fields:
        row, sent = self.row, self.ledger["sent"]
        errors = self.ledger["failed"] + self.ledger["unknown"]
        return {
            "queue_depth": known(row.get("queue_depth")), "queue_age_s": known(row.get("queue_age")),
            "processing_rate": known(self._processing), "error_rate": known(errors / sent) if sent else 0.0,
            "memory_mb": known(_times(row.get("memory"), 1e-6)), "cpu_percent": known(_times(row.get("cpu"), 100)),
            "connected": not self.ended and row.get("queue_depth") is not None, "timestamp": round(self.told_at, 3),
        }  # fmt: skip


_RATES = ("target", "allowed", "actual")


def judgement(line: Any) -> Fields:
    """Verdict, observed value, bound and margin of a judged line: how far the value is on the right side (its unit)."""
    observed, bound = known(line.observed), known(line.bound)
    margin = None
    if observed is not None and bound is not None:
        side = {"<": bound - observed, "<=": bound - observed, ">": observed - bound, ">=": observed - bound}
        margin = known(side.get(line.op, -abs(bound - observed) if line.op == "==" else abs(bound - observed)))
    return {"verdict": line.verdict, "observed": observed, "bound": bound, "unit": line.unit, "margin": margin}


def _values(row: Mapping[str, Any]) -> list[Any]:
    """By `plg.server.history.COLUMNS`."""
    return [
        row["t"], row["target_rate"], row["allowed_rate"], row["actual_rate"], row["queue_depth"], row["queue_age"],
        _times(row["cpu"], 100), _times(row["memory"], 1e-6), row["errors"], row["lag_p99"], row["latency_p50"],
        row["latency_p95"], row["latency_p99"], row["due"], row["sent"], row["acked"], row["shed"], row["late"],
    ]  # fmt: skip


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
