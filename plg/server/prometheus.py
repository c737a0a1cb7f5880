"""Figures of the server in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from plg.server.load_test import LoadTest
from plg.server.service import Service

_GAUGES: Mapping[str, tuple[str, str]] = {
    "plg_target_rate": ("target_rate", "Jobs a second that the pattern asks for."),
    "plg_allowed_rate": ("allowed_rate", "Jobs a second that the guardrails leave of that."),
    "plg_actual_rate": ("actual_rate", "Jobs a second that Redis confirmed."),
    "plg_queue_depth": ("queue_depth", "Jobs that wait in the queues of the test."),
    "plg_queue_age_seconds": ("queue_age", "Age of the oldest job that waits."),
}


def exposition(service: Service) -> str:
    """All of them."""
    return "".join(f"{line}\n" for line in _lines(service))


def _lines(service: Service) -> Iterator[str]:
    tests = list(service.tests.tests.values())
    running = [test for test in tests if not test.ended]
    yield from _family("plg_tests_running", "gauge", "Tests that are not over.", {"": len(running)})
    for name, (field, help) in _GAUGES.items():
        values = {f'{{test_id="{test.id}"}}': test.row[field] for test in running if _is_known(test, field)}
        yield from _family(name, "gauge", help, values)
    yield from _family("plg_jobs_total", "counter", "Jobs by what became of them.", _jobs(service))
    yield from _family("plg_tests_total", "counter", "Tests that are over, by verdict.", _verdicts(service))
    hits = Counter(hit["guardrail"] for test in tests for hit in test.violations)
    labelled = {f'{{guardrail="{name}"}}': count for name, count in sorted(hits.items())}
    yield from _family("plg_guardrail_violations_total", "counter", "Guardrails that began to act.", labelled)
    stops = sum(hit["action"] == "stop" for test in tests for hit in test.violations)
    yield from _family("plg_emergency_stops_total", "counter", "Tests that a guardrail stopped.", {"": stops})
    yield from _family(
        "plg_websocket_messages_dropped_total", "counter", "Updates that a newer one took the place of.",
        {"": service.dropped.count},
    )  # fmt: skip


def _is_known(test: LoadTest, field: str) -> bool:
    return test.row.get(field) is not None


def _all(service: Service) -> list[Mapping[str, Any]]:
    kept = [{"verdict": t.verdict, "ledger": t.ledger} for t in service.tests.tests.values()]
    return [*service.tests.saved.values(), *kept]


def _jobs(service: Service) -> dict[str, float]:
    ledgers = [test["ledger"] for test in _all(service)]
    columns = ("acked", "failed", "unknown", "shed", "late", "cancelled")
    return {f'{{outcome="{name}"}}': sum(ledger[name] for ledger in ledgers) for name in columns}


def _verdicts(service: Service) -> dict[str, float]:
    found = Counter(test["verdict"] for test in _all(service) if test["verdict"] is not None)
    return {f'{{verdict="{name}"}}': count for name, count in sorted(found.items())}


def _family(name: str, kind: str, help: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {help}"
    yield f"# TYPE {name} {kind}"
    for labels, value in values.items():
        yield f"{name}{labels} {value:g}"
