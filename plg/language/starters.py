"""Scenarios to start from, and the workflow that runs one in GitHub Actions."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping

from plg.language.format import format_text
from plg.language.strings import quote

_FLASH_SALE = """
# Doors open, the crowd arrives, then it stampedes.
scenario NAME {
  description "A sale: a rush at the doors, a crowd, and a stampede"

  param peak = 400/s  # another peak: plg check FILE --set peak=900/s
  # Without a Redis: plg check FILE --target embedded
  target env REDIS_URL

  # For Celery: queue celery "celery"  call "shop.tasks.charge" in place of queue and payload, and no workers line.
  job checkout weight 8 {
    queue "orders"
    payload { sku: "A-${seq}", user: "${uuid}", qty: "${rand(1,5)}" }
    timeout 30s
  }

  job refund weight 2 {
    queue "refunds"
    payload { order: "${seq}" }
  }

  # Started only where plg starts the server itself; on your Redis your own workers take the jobs.
  workers 4 each 5ms only embedded

  traffic {
    doors: ramp 10/s -> 200/s over 4s exponential
    then crowd: sine 200/s +- 80/s every 2s over 6s
    then stampede: burst 50/s -> peak for 500ms every 2s over 8s
  }

  guardrails {
    max_rate 1000/s
    max_total_jobs 20_000
    max_duration 2m
  }

  expect {
    deviation < 5%
    errors == 0
    p99(latency) < 250ms during stampede
    queue_age < 5s
    drain_time < 10s
    warn p99(lag) < 20ms
  }
}
"""

_DAILY_CYCLE = """
# A day in four minutes: quiet nights, a busy noon, and a cron job on every hour of the afternoon.
scenario NAME {
  description "The curve of a day, with the jobs that cron adds to it"

  param noon = 150/s  # the rate at noon
  # Without a Redis: plg check FILE --target embedded
  target env REDIS_URL

  # For Celery: queue celery "celery"  call "shop.tasks.charge" in place of queue and payload, and no workers line.
  job order weight 9 {
    queue "orders"
    payload { order: "${seq}", user: "${uuid}" }
  }

  job report {
    queue "reports"
    payload { kind: "${choice("daily", "hourly")}" }
  }

  # Started only where plg starts the server itself; on your Redis your own workers take the jobs.
  workers 4 each 5ms only embedded

  # Random arrivals, as independent people make them; the seed makes every run the same.
  traffic poisson seed 24 {
    night: steady 5/s over 30s
    then morning: ramp 5/s -> noon over 60s
    then afternoon: together {
      sine 120/s +- 30/s every 60s over 90s from peak
      and cron: burst 0/s -> 60/s for 2s every 30s over 90s
    }
    then evening: ramp 120/s -> 5/s over 60s logarithmic
  }

  guardrails {
    max_rate 400/s
    max_total_jobs 50_000
    max_duration 10m
  }

  expect {
    deviation < 1%
    errors == 0
    p99(latency) < 100ms
    p95(latency) during afternoon <= 3 * p95(latency) during morning
    queue_age < 5s
  }
}
"""

_GRADUAL_ROLLOUT = """
# A new consumer takes over a share of the traffic, step by step; each step must hold before the next counts.
scenario NAME {
  description "Traffic that grows in steps, with a hold at the top"

  param full = 200/s  # all of the traffic
  param strict = 50ms  # how slow the 99th percentile may be
  # Without a Redis: plg check FILE --target embedded
  target env REDIS_URL

  # For Celery: queue celery "celery"  call "shop.tasks.charge" in place of queue and payload, and no workers line.
  job task {
    queue "tasks"
    payload { id: "${uuid}", step: "${phase}" }
    retry 3
  }

  # Started only where plg starts the server itself; on your Redis your own workers take the jobs.
  workers 4 each 5ms only embedded

  traffic {
    canary: steady 10/s over 10s
    then rollout: staircase 20/s -> full in 5 steps over 50s
    then hold: steady full over 20s
  }

  guardrails {
    max_rate 300/s
    max_total_jobs 20_000
    max_duration 5m
    max_error_rate 1% over 10s
  }

  expect {
    errors == 0
    p90(latency) < strict during canary or stop
    p99(latency) < strict during rollout or stop
    p99(latency) < strict during hold
    deviation < 10% in every 5s
    drain_time < 10s
  }
}
"""

_SOAK = """
# The same load for a long time: what leaks, leaks slowly.
scenario NAME {
  description "An hour of steady load with a slow swell"

  param length = 1h  # a quick try: plg check FILE --set length=1m
  # Without a Redis: plg check FILE --target embedded
  target env REDIS_URL

  # For Celery: queue celery "celery"  call "shop.tasks.charge" in place of queue and payload, and no workers line.
  job work {
    queue "work"
    payload { id: "${uuid}", at: "${now_ms}" }
  }

  # Started only where plg starts the server itself; on your Redis your own workers take the jobs.
  workers 2 each 5ms only embedded

  traffic {
    soak: sine 50/s +- 20/s every 5m over length
  }

  guardrails {
    max_rate 100/s
    max_total_jobs 500_000
    max_duration 2h
    max_memory 512MB
    max_queue_depth 500_000
  }

  expect {
    deviation < 1%
    error_rate < 0.1%
    p99(latency) < 100ms in 99% of 1m
    queue_age < 5s
    memory < 300MB
  }
}
"""

_SPIKE = """
# Calm, a sudden spike, calm again: does the queue recover?
scenario NAME {
  description "One spike, and the recovery after it"

  param spike = 500/s
  # Without a Redis: plg check FILE --target embedded
  target env REDIS_URL

  # For Celery: queue celery "celery"  call "shop.tasks.charge" in place of queue and payload, and no workers line.
  job event {
    queue "events"
    payload { id: "${seq}", user: "${uuid}" }
  }

  # Started only where plg starts the server itself; on your Redis your own workers take the jobs.
  workers 4 each 2ms only embedded

  traffic {
    before: steady 20/s over 10s
    then spike: steady spike over 3s
    then after: steady 20/s over 15s
  }

  guardrails {
    max_rate 1000/s
    max_total_jobs 20_000
    max_duration 2m
    max_queue_depth 10_000
  }

  expect {
    deviation < 5%
    errors == 0
    p95(latency) during after <= 2 * p95(latency) during before
    drain_time < 10s
  }
}
"""

STARTERS: Mapping[str, str] = {
    "flash-sale": _FLASH_SALE,
    "daily-cycle": _DAILY_CYCLE,
    "gradual-rollout": _GRADUAL_ROLLOUT,
    "soak": _SOAK,
    "spike": _SPIKE,
}
"""Name of a template to its text; ``NAME`` stands for the scenario's name."""

_WORKFLOW = """\
name: load

on:
  pull_request:
  workflow_dispatch:

permissions:
  contents: read

jobs:
  load:
    runs-on: ubuntu-latest
    timeout-minutes: 15
    # A Redis for this job alone. To load another one, take it out and set REDIS_URL from a secret.
    services:
      redis:
        image: redis:7
        ports: ["6379:6379"]
        options: --health-cmd "redis-cli ping" --health-interval 2s --health-retries 15
    env:
      REDIS_URL: redis://localhost:6379/0
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: pip install "./{wheel}[embedded]"
      # Start your workers here, against REDIS_URL: where nobody takes the jobs, the check says so, and its lines fail.
      - run: plg check {file}
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: plg-report
          path: plg-report/
"""


_PLAIN = re.compile(r"[\w ./'+=-]+")
"""What YAML reads as it stands, in the middle of a line."""


def starter(template: str, name: str) -> str:
    """The text of a scenario called ``name``. Raises `KeyError` for a template that is not in `STARTERS`."""
    return format_text(STARTERS[template].lstrip("\n").replace("scenario NAME", f"scenario {quote(name)}", 1))


def workflow(file: str, wheel: str) -> str:
    """A GitHub Actions workflow that installs ``wheel``, runs the scenario in ``file`` and keeps the report."""
    return _WORKFLOW.replace("{wheel}", wheel).replace("plg check {file}", _yaml(f"plg check {shlex.quote(file)}"))


def _yaml(command: str) -> str:
    """A command as a YAML scalar: as it is where YAML reads it so, else in quotes; `${{` is no expression in it."""
    if _PLAIN.fullmatch(command):
        return command
    return json.dumps(command, ensure_ascii=False).replace("${{", "${{ '${{' }}")
